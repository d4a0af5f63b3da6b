"""Jobs in parallel processes of one thread each.

Every job has its own process, forked from a server that has already imported PyTorch; if one dies, the others go on.
"""

import multiprocessing
import signal
import time
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from nexus_bench.errors import FailedCellsError
from nexus_bench.experiment.events import Event, Failure, JobDone, Progress
from nexus_bench.experiment.jobs import Job, run_job
from nexus_bench.experiment.records import CellResult
from nexus_bench.training.loop import StoppedError

_GRACE_SECONDS = 60  # for stopped jobs to save their states; a second Ctrl-C ends them at once


class _Worker(NamedTuple):
    job: Job
    process: BaseProcess
    device: str
    ended: set[str]  # cells that are finished


def run_processes(jobs: Sequence[Job], *, devices: Sequence[str]) -> Generator[Event, None, None]:
    """Run jobs in as many processes at a time as there are devices, and yield events as they happen.

    When the caller stops listening (an error, Ctrl-C), the processes save their state and end.

    Args:
        jobs: The jobs, in the order in which they are started.
        devices: One per process, such as `cpu` twice, or `cuda:0` and `cuda:1`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([run_job.__module__])
    waiting = list(reversed(jobs))
    free = list(reversed(devices))
    running: dict[Connection, _Worker] = {}
    try:
        while waiting or running:
            while waiting and free:
                device = free.pop()
                job = waiting.pop()._replace(device=device)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(job, sender))
                process.start()
                sender.close()
                running[receiver] = _Worker(job, process, device, set())
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                worker = running[ready]
                events = _receive(ready, worker)
                if isinstance(events[-1], JobDone):
                    del running[ready]
                    worker.process.join()
                    free.append(worker.device)
                yield from events
    finally:
        _stop(running)


def _stop(running: dict[Connection, _Worker]) -> None:
    """Let workers save their states and end; what they still tell is dropped, and told again when they go on."""
    open_ends = set(running)
    deadline = time.monotonic() + _GRACE_SECONDS
    try:
        for worker in running.values():
            worker.process.terminate()
        while open_ends and time.monotonic() < deadline:
            for ready in wait(list(open_ends), timeout=1):
                assert isinstance(ready, Connection)
                try:
                    ready.recv_bytes()  # a worker that finds the pipe full would never end
                except (EOFError, OSError):
                    open_ends.discard(ready)
    finally:
        for worker in running.values():
            worker.process.kill() if worker.process.is_alive() and open_ends else None
            worker.process.join()


def _receive(receiver: Connection, worker: _Worker) -> list[Event]:
    """The next event of a worker; if the worker died, failures of its cells."""
    try:
        event: Event = receiver.recv()
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode
        failed: list[Event] = [
            Failure(cell.cell_id, f"its process ended with code {code}", FailedCellsError.exit_code)
            for cell in worker.job.cells
            if cell.cell_id in worker.job.wanted - worker.ended
        ]
        return [*failed, JobDone(worker.job.job_id)]
    if isinstance(event, CellResult | Failure):
        worker.ended.add(event.cell_id)
    return [event]


def _work(job: Job, sender: Connection) -> None:
    """The main function of a worker process."""
    stops: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and sends SIGTERM
    signal.signal(signal.SIGTERM, lambda number, frame: stops.append(number))

    def tell(event: Event) -> None:
        if not (stops and isinstance(event, Progress)):  # progress is not read any more
            sender.send(event)

    try:
        run_job(job, on_event=tell, should_stop=lambda: bool(stops))
    except (StoppedError, BrokenPipeError):
        return
