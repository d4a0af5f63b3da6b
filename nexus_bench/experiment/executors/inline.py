"""Jobs one after the other in this process."""

import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from nexus_bench.experiment.events import Event
from nexus_bench.experiment.jobs import Job, run_job
from nexus_bench.training.loop import StoppedError


def run_inline(jobs: Sequence[Job]) -> Generator[Event, None, None]:
    """Run jobs in turn; the events of a job are yielded when it has ended.

    On Ctrl-C or SIGTERM the job saves its state first.
    """
    for job in jobs:
        events: list[Event] = []
        try:
            with _heeding_signals() as stops:
                run_job(job, on_event=events.append, should_stop=partial(bool, stops))
        except StoppedError:
            signal.raise_signal(stops[0])  # its usual meaning, now that the state is saved
            raise
        yield from events


@contextmanager
def _heeding_signals() -> Iterator[list[int]]:
    """Note signals to stop instead of ending at once; a second one of a kind has its usual meaning."""
    stops: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        stops.append(number)
        signal.signal(number, usual[signal.Signals(number)])

    for number in usual:
        signal.signal(number, note)
    try:
        yield stops
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
