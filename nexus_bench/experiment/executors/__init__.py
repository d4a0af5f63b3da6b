"""Where jobs run: in this process, in processes of this machine, or on a Dask cluster.

An executor is a generator of events. Workers report; they write nothing but checkpoints of their own.
"""
