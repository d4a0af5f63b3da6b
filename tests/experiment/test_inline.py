"""Jobs in this process: their events come while they go on, and they end as they are told."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from nexus_bench.experiment.events import CellBegun, Event
from nexus_bench.experiment.executors import inline
from nexus_bench.experiment.executors.inline import run_inline
from nexus_bench.experiment.jobs import Job
from nexus_bench.training.loop import StoppedError
from tests.small import cell

JOB = Job((cell(),), frozenset(), "single", "cpu", None, None)
FIRST, SECOND = CellBegun("first"), CellBegun("second")


def played(monkeypatch: pytest.MonkeyPatch, play: Callable[..., Any]) -> None:
    monkeypatch.setattr(inline, "run_job", lambda job, on_event, should_stop: play(on_event, should_stop))


def until_stopped(on_event: Callable[[Event], None], should_stop: Callable[[], bool]) -> NoReturn:
    on_event(FIRST)
    while not should_stop():
        time.sleep(0.001)
    raise StoppedError


def test_an_event_is_read_while_the_job_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    is_read = threading.Event()

    def play(on_event: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
        on_event(FIRST)
        on_event(SECOND if is_read.wait(60) else CellBegun("never read"))

    played(monkeypatch, play)
    events = run_inline([JOB])
    assert next(events) == FIRST
    is_read.set()
    assert list(events) == [SECOND]


def test_a_job_stops_when_nobody_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, until_stopped)
    before = threading.active_count()
    events = run_inline([JOB, JOB])
    next(events)
    events.close()
    assert threading.active_count() == before


def test_ctrl_c_stops_the_job_first(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # libraries of other tests leave handlers of their own
    played(monkeypatch, until_stopped)
    events = run_inline([JOB])
    next(events)
    signal.raise_signal(signal.SIGINT)  # noted
    with pytest.raises(KeyboardInterrupt):
        next(events)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_a_job_raises_is_raised_where_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(on_event: Callable[[Event], None], should_stop: Callable[[], bool]) -> NoReturn:
        raise SystemExit(3)

    played(monkeypatch, leave)
    with pytest.raises(SystemExit, match="3"):
        list(run_inline([JOB]))
