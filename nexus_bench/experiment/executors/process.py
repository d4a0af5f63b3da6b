"""Jobs in parallel processes of one thread each.

A process runs one job after the other, so that it starts, and imports the compiler, once. It is forked from a server
that has already imported PyTorch. If it dies, its job fails, and another process takes its place.
"""

import signal
import time
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from nexus_bench.errors import FailedCellsError
from nexus_bench.experiment.events import Event, Failure, JobDone, Progress
from nexus_bench.experiment.jobs import Job, run_job
from nexus_bench.experiment.records import CellResult
from nexus_bench.io.processes import fork_server, start_apart
from nexus_bench.training.loop import StoppedError

_GRACE_SECONDS = 60  # for stopped jobs to save their states; a second Ctrl-C ends them at once


class _Worker:
    """A process, and the job that it runs."""

    def __init__(self, device: str) -> None:
        context = fork_server(run_job.__module__)
        self.device = device
        self.job: Job | None = None
        self.ended: set[str] = set()  # cells of the job that are finished
        self.end, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs,))
        start_apart(self.process)
        theirs.close()

    def give(self, job: Job) -> None:
        self.job, self.ended = job._replace(device=self.device), set()
        self.end.send(self.job)

    def receive(self) -> list[Event]:
        """The next event of the job; if the process died, failures of its cells."""
        assert self.job is not None
        try:
            event: Event = self.end.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode
            failed: list[Event] = [
                Failure(cell.cell_id, f"its process ended with code {code}", FailedCellsError.exit_code)
                for cell in self.job.cells
                if cell.cell_id in self.job.wanted - self.ended
            ]
            return [*failed, JobDone(self.job.job_id)]
        if isinstance(event, CellResult | Failure):
            self.ended.add(event.cell_id)
        return [event]


def run_processes(jobs: Sequence[Job], *, devices: Sequence[str]) -> Generator[Event, None, None]:
    """Run jobs in as many processes at a time as there are devices, and yield events as they happen.

    When the caller stops listening (an error, Ctrl-C), the processes save their state and end.

    Args:
        jobs: The jobs, in the order in which they are started.
        devices: One per process, such as `cpu` twice, or `cuda:0` and `cuda:1`.
    """
    waiting = list(reversed(jobs))
    running: dict[Connection, _Worker] = {}
    try:
        for device in devices[: len(jobs)]:
            worker = _Worker(device)
            running[worker.end] = worker
            worker.give(waiting.pop())
        while running:
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                worker = running[ready]
                events = worker.receive()
                if isinstance(events[-1], JobDone):
                    del running[ready]
                    if waiting:
                        worker = worker if worker.process.is_alive() else _Worker(worker.device)
                        running[worker.end] = worker
                        worker.give(waiting.pop())
                    else:
                        _close(worker)
                yield from events
    finally:
        _stop(list(running.values()))


def _close(worker: _Worker) -> None:
    """End a process that has nothing more to do."""
    worker.end.close()
    worker.process.join()


def _stop(workers: Sequence[_Worker]) -> None:
    """Let workers save their states and end; what they still tell is dropped, and told again when they go on."""
    open_ends = {worker.end for worker in workers}
    deadline = time.monotonic() + _GRACE_SECONDS
    try:
        for worker in workers:
            worker.process.terminate()
        while open_ends and time.monotonic() < deadline:
            for ready in wait(list(open_ends), timeout=1):
                assert isinstance(ready, Connection)
                try:
                    ready.recv_bytes()  # a worker that finds the pipe full would never end
                except (EOFError, OSError):
                    open_ends.discard(ready)
    finally:
        for worker in workers:
            if worker.end in open_ends:
                worker.process.kill()
            worker.process.join()
            worker.end.close()


def _work(end: Connection) -> None:
    """The main function of a worker process: jobs until there are none, or until it is stopped."""
    stops: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and sends SIGTERM
    signal.signal(signal.SIGTERM, lambda number, frame: stops.append(number))

    def tell(event: Event) -> None:
        if not (stops and isinstance(event, Progress)):  # progress is not read any more
            end.send(event)

    while not stops:
        try:
            job = end.recv()
            run_job(job, on_event=tell, should_stop=lambda: bool(stops))
        except (StoppedError, EOFError, OSError):
            return
