"""Where jobs run: in this process, in processes of this machine, or on a Dask cluster.

An executor is a generator of events. Workers report; they write nothing but checkpoints of their own.
"""

from collections.abc import Callable, Generator, Sequence

from nexus_bench.cells import Job
from nexus_bench.events import Event

Executor = Callable[[Sequence[Job]], Generator[Event, None, None]]
