"""Drawing in processes: the same bytes, and a failure is told."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import Pipe

import numpy as np
import pytest

from nexus_bench.data import drawers as drawing
from nexus_bench.data.drawers import Drawers, DrawingError, DrawRequest, EncodedBatch, draw, encode
from nexus_bench.data.splits import Splits
from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples
from tests.small import sources


class Broken(Splits):
    error: Exception = KeyError("spoon")

    def batch(self, step: int, batch_size: int) -> Examples:
        raise self.error


class Refused(Broken):
    error = ConfigError("letters: `draw` gave a sequence 22 labels")


@pytest.mark.parametrize("n", [1, 2, 8])
def test_processes_draw_the_same_bytes(n: int, small_spec: TaskSpec) -> None:
    splits = sources(small_spec)
    drawers = Drawers(splits, n)
    try:
        assert drawers.n == min(n, 3)
        for source, steps in ((0, range(4)), (2, range(4, 8)), (1, range(1)), (0, range(4))):
            request = DrawRequest(source, steps, 100, "fact")
            drawn = draw(splits, request)
            assert {part.dtype for part in (drawn.tokens, drawn.answer, drawn.hop)} == {np.dtype(np.uint8)}
            for ours, theirs in zip(drawn, drawers.draw(request), strict=True):
                assert ours.dtype == theirs.dtype and (ours == theirs).all()
    finally:
        drawers.close()


@pytest.mark.parametrize(("steps", "batch_size"), [(range(3, 1200), 1), (range(300), 7), (range(2, 5), 1000)])
@pytest.mark.parametrize("encoding", ["fact", "flat"])
def test_encoded_piece_by_piece_is_encoded_at_once(
    steps: range, batch_size: int, encoding: str, small_spec: TaskSpec
) -> None:
    (source, *_) = splits = sources(small_spec)
    whole = encode(Examples.concatenate([source.batch(step, batch_size) for step in steps]), source.law, encoding)
    for ours, theirs in zip(draw(splits, DrawRequest(0, steps, batch_size, encoding)), whole, strict=True):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and (ours == theirs).all()


def test_a_family_that_fails_and_a_process_that_dies_are_told(small_spec: TaskSpec) -> None:
    drawers = Drawers(sources(small_spec, Broken), 1)
    request = DrawRequest(0, range(1), 8, "fact")
    with pytest.raises(DrawingError, match="KeyError: 'spoon'"):
        drawers.draw(request)
    pid = drawers._ends[0][2].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(DrawingError, match="ended"):
        drawers.draw(request)
    drawers.close()


def test_what_a_process_refuses_is_told_as_it_is_said(small_spec: TaskSpec) -> None:
    drawers = Drawers(sources(small_spec, Refused), 1)
    try:
        with pytest.raises(DrawingError, match=r"^letters: `draw` gave a sequence 22 labels$"):
            drawers.draw(DrawRequest(0, range(1), 8, "fact"))
    finally:
        drawers.close()


def test_what_is_drawn_is_written_where_it_is_wanted(small_spec: TaskSpec) -> None:
    drawers = Drawers(sources(small_spec), 1)
    request = DrawRequest(1, range(4), 100, "fact")
    try:
        wanted = drawers.draw(request)
        into = EncodedBatch(*(np.zeros_like(part) for part in wanted))
        for way in (drawers.draw, partial(draw, sources(small_spec))):
            for part in into:
                part[...] = 0
            made = way(request, into)
            assert all(ours is theirs for ours, theirs in zip(made, into, strict=True))
            assert all((ours == theirs).all() for ours, theirs in zip(into, wanted, strict=True))
        with pytest.raises(DrawingError, match="other shapes"):
            drawers.draw(request._replace(steps=range(5)), into)
    finally:
        drawers.close()


@pytest.mark.parametrize("has_readv", [True, False])
def test_arrays_of_any_size_go_through_a_connection(monkeypatch: pytest.MonkeyPatch, has_readv: bool) -> None:
    monkeypatch.setattr(drawing, "_HAS_READV", has_readv)
    sent = [np.arange(n, dtype=kind) for n, kind in ((1, np.uint8), (3_000_000, np.int16), (70_000, np.int32))]
    mine, theirs = Pipe()
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(drawing._send, theirs, sent)
        got = [np.zeros_like(array) for array in sent]
        drawing._receive(mine, got)
        done.result()
        assert all((ours == theirs).all() for ours, theirs in zip(got, sent, strict=True))
        thread.submit(lambda: (drawing._send(theirs, sent[:1]), theirs.close()))
        with pytest.raises((EOFError, OSError)):
            drawing._receive(mine, got[:2])
