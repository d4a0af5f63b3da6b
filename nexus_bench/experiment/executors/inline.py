"""Jobs one after the other in this process."""

import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue

from nexus_bench.experiment.events import Event
from nexus_bench.experiment.jobs import Job, run_job
from nexus_bench.training.loop import StoppedError


def run_inline(jobs: Sequence[Job]) -> Generator[Event, None, None]:
    """Run jobs in turn, and yield events as they happen.

    On Ctrl-C or SIGTERM the job saves its state first.
    """
    for job in jobs:
        with _heeding_signals() as stops:
            thread = _Thread(job, stops)
            yield from thread.events()
        if isinstance(thread.error, StoppedError):
            signal.raise_signal(stops[0])  # its usual meaning, now that the state is saved
        if thread.error is not None:
            raise thread.error


class _Thread(threading.Thread):
    """A job in a thread, so that its events can be shown while it goes on.

    On a GPU the job runs where it is started: capturing steps is for one thread alone.
    """

    def __init__(self, job: Job, stops: list[int]) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._job, self._stops, self._is_left = job, stops, False
        self._events: SimpleQueue[Event | None] = SimpleQueue()

    def events(self) -> Generator[Event, None, None]:
        """The events, until the job has ended; when nobody listens any more, it saves its state and ends."""
        if self._job.device == "cpu":
            self.start()
        else:
            self.run()
        try:
            while (event := self._events.get()) is not None:
                yield event
        finally:
            self._is_left = True
            if self.is_alive():
                self.join()

    def run(self) -> None:
        """Run the job."""
        try:
            run_job(self._job, on_event=self._events.put, should_stop=lambda: self._is_left or bool(self._stops))
        except BaseException as error:  # raised where the events are read
            self.error = error
        finally:
            self._events.put(None)


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
