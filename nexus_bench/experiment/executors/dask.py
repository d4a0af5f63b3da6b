"""Jobs on a Dask cluster: a local one, or any other with a scheduler.

Only the runner writes results, so a worker needs the code but no shared disk: then cells come back as bytes, and a job
that loses its worker begins again on another one. Workers that see the run folder keep checkpoints there, and such a
job goes on from them. Either way it gives the same bytes.

Source: dask.distributed (https://distributed.dask.org), `Client.submit`, `as_completed` and `subscribe_topic`.
"""

import logging
import pickle
import queue
import uuid
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch

from nexus_bench.errors import FailedCellsError, StorageError, UsageError
from nexus_bench.experiment.events import CellBegun, Event, Failure, JobDone, Note, Progress
from nexus_bench.experiment.jobs import Job, run_job
from nexus_bench.io.read_results import SPEC

_CONNECT_SECONDS = 10
_RETRIES = 3  # retries of a job whose worker is lost


def run_dask(jobs: Sequence[Job], *, scheduler: str | None, n_workers: int) -> Generator[Event, None, None]:
    """Run jobs on a cluster, and yield events as they happen.

    Args:
        jobs: The jobs, in the order in which they are started.
        scheduler: `tcp://host:port`; None starts workers on this machine that only this machine can reach.
        n_workers: Workers of the local cluster.

    Raises:
        StorageError: No scheduler answers, or it does not any more.
        UsageError: The extra `dask` is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise UsageError("--executor dask needs an extra; pip install 'nexus-bench[dask]'") from error

    with ExitStack() as stack:
        if scheduler is None:
            cluster = stack.enter_context(_local_cluster(n_workers, jobs[0].device))
            client = stack.enter_context(distributed.Client(cluster))
        else:
            try:
                client = stack.enter_context(distributed.Client(scheduler, timeout=_CONNECT_SECONDS))
            except (OSError, ValueError) as error:
                raise StorageError(f"{scheduler}: no Dask scheduler answers there; check --scheduler") from error
            stack.enter_context(_silent())
        yield from _run(client, jobs)


@contextmanager
def _silent() -> Iterator[None]:
    """Without the tracebacks that a client writes while it looks for a scheduler that is gone."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _run(client: Any, jobs: Sequence[Job]) -> Generator[Event, None, None]:
    import distributed

    topic = f"nexus-bench-{uuid.uuid4().hex}"
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.subscribe_topic(topic, lambda message: heard.put(pickle.loads(message[1])))
    by_key = {}
    open_cells: set[str] = set()
    for job in jobs:
        future = client.submit(work, job, topic, key=f"{topic}-{job.job_id}", retries=_RETRIES, pure=False)
        future.add_done_callback(heard.put)
        by_key[future.key] = (job, future)
        open_cells |= job.wanted
    try:
        while by_key:
            event = heard.get()
            if isinstance(event, Note) or (isinstance(event, CellBegun | Progress) and event.cell_id in open_cells):
                yield event
            elif isinstance(event, distributed.Future) and event.key in by_key:
                job, future = by_key.pop(event.key)
                open_cells -= job.wanted  # ignore its late progress events
                yield from _result(client, job, future)
                yield JobDone(job.job_id)
    finally:
        if by_key and client.status == "running":
            client.cancel([future for _, future in by_key.values()], force=True)
        with suppress(OSError):
            client.unsubscribe_topic(topic)


def work(job: Job, topic: str) -> list[Event]:
    """Run a job on a worker: progress is sent at once, results and failures are returned."""
    import distributed

    worker = distributed.get_worker()
    kept: list[Event] = []

    def tell(event: Event) -> None:
        if isinstance(event, CellBegun | Progress | Note):
            worker.log_event(topic, pickle.dumps(event))
        elif not isinstance(event, JobDone):
            kept.append(event)

    if job.root is not None and not (job.root / SPEC).is_file():
        job = job._replace(root=None, begun=())  # this worker does not see the run folder
    run_job(job, on_event=tell, should_stop=lambda: False)
    return kept


def _result(client: Any, job: Job, future: Any) -> list[Event]:
    """What a job that ended has told; a client cancels all of them itself when its scheduler is gone."""
    try:
        told: list[Event] = future.result() if future.status in ("finished", "cancelled") else _lost(job, future)
        return told
    except (OSError, CancelledError) as error:  # a result is fetched by the scheduler, which may go meanwhile
        gone = f"{client.scheduler.address}: the Dask scheduler is gone"
        raise StorageError(f"{gone}; start it again: the same command continues") from error


def _lost(job: Job, future: Any) -> list[Event]:
    said = str(future.exception()).splitlines()[0] if future.status == "error" else future.status
    return [
        Failure(cell.cell_id, f"lost by the cluster: {said}", FailedCellsError.exit_code)
        for cell in job.cells
        if cell.cell_id in job.wanted
    ]


def _local_cluster(n_workers: int, device: str) -> Any:
    """Processes of one thread on the loopback address, each with its own GPU if GPUs are used."""
    import distributed

    quiet = {"silence_logs": logging.CRITICAL}
    options: dict[str, Any] = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "host": "127.0.0.1", **quiet}
    if device == "cpu":
        workers = {i: {"cls": distributed.Nanny, "options": options} for i in range(n_workers)}
    else:
        gpus = range(torch.cuda.device_count())
        workers = {
            i: {"cls": distributed.Nanny, "options": options | {"env": {"CUDA_VISIBLE_DEVICES": str(i)}}} for i in gpus
        }
    scheduler = {
        "cls": distributed.Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
    }
    return distributed.SpecCluster(workers=workers, scheduler=scheduler, name="nexus-bench", **quiet)
