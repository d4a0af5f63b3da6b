"""Where jobs run: in this process, in processes of this machine, or on a Dask cluster.

An executor is a generator of events. Workers report events; they write nothing but their own checkpoints.
"""
