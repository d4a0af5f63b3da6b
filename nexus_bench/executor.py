"""Runs cells in parallel processes of one thread each.

Every cell has a process of its own, forked from a server that has imported PyTorch already: a cell that dies
takes no other with it. Processes report through pipes and write nothing but their own checkpoint.
"""

import multiprocessing
import signal
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import torch

from nexus_bench.cells import Job, run_cell
from nexus_bench.errors import NexusBenchError
from nexus_bench.results import CellResult
from nexus_bench.train import Point, StoppedError

_GRACE_SECONDS = 0.7  # for a stopped cell to save its state


class Progress(NamedTuple):
    """A cell was evaluated on validation."""

    run_id: str
    point: Point


class Failure(NamedTuple):
    """A cell ended without a result."""

    run_id: str
    reason: str
    exit_code: int


Event = Progress | CellResult | Failure


def run_inline(jobs: Sequence[Job]) -> Generator[Event, None, None]:
    """Run cells one after the other in this process; points are told when a cell is done."""
    for job in jobs:
        points: list[Point] = []
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            result: Event = run_cell(job, on_point=points.append, should_stop=lambda: False)
        except NexusBenchError as error:
            result = Failure(job.cell.run_id, str(error), error.exit_code)
        finally:
            torch.set_num_threads(n_threads)
        yield from (Progress(job.cell.run_id, point) for point in points)
        yield result


def run_processes(jobs: Sequence[Job], *, n_workers: int) -> Generator[Event, None, None]:
    """Run cells in `n_workers` processes at a time, and tell what happens as it happens.

    When the caller stops listening (an error, Ctrl-C), the processes are told to save their state and end.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nexus_bench.cells"])
    waiting = list(reversed(jobs))
    running: dict[Connection, tuple[Job, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < n_workers:
                job = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(job, sender), daemon=True)
                process.start()
                sender.close()
                running[receiver] = (job, process)
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                job, worker = running[ready]
                event = _receive(ready, job, worker)
                if not isinstance(event, Progress):
                    del running[ready]
                    worker.join()
                yield event
    finally:
        for _, worker in running.values():
            worker.terminate()
        for _, worker in running.values():
            worker.join(_GRACE_SECONDS)
            worker.kill()


def _receive(receiver: Connection, job: Job, process: BaseProcess) -> Event:
    try:
        event: Event = receiver.recv()
    except EOFError:
        process.join()
        return Failure(job.cell.run_id, f"{job.cell.title}: its process ended with code {process.exitcode}", 7)
    return event


def _work(job: Job, sender: Connection) -> None:
    """The life of a worker process."""
    stops: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and sends SIGTERM
    signal.signal(signal.SIGTERM, lambda number, frame: stops.append(number))
    torch.set_num_threads(1)
    run_id = job.cell.run_id
    try:
        sender.send(
            run_cell(
                job,
                on_point=lambda point: sender.send(Progress(run_id, point)),
                should_stop=lambda: bool(stops),
            )
        )
    except (StoppedError, BrokenPipeError):  # nobody listens any more
        return
    except NexusBenchError as error:
        sender.send(Failure(run_id, str(error), error.exit_code))
