"""Drawing in processes: the same bytes, and a failure is told."""

import os
import signal

import numpy as np
import pytest

from nexus_bench.data.drawers import Drawers, DrawingError, Order, draw, encode
from nexus_bench.data.splits import Splits
from nexus_bench.data.task import TaskSpec
from nexus_bench.generators.base import Examples


class Broken(Splits):
    def batch(self, step: int, batch_size: int) -> Examples:
        raise KeyError("spoon")


def sources(spec: TaskSpec, kind: type[Splits] = Splits) -> list[Splits]:
    return [kind(spec.laws(), seed=seed, n_val=spec.n_val, n_test=spec.n_test) for seed in range(3)]


@pytest.mark.parametrize("n", [1, 2, 8])
def test_processes_draw_the_same_bytes(n: int, small_spec: TaskSpec) -> None:
    splits = sources(small_spec)
    drawers = Drawers(splits, n)
    try:
        assert drawers.n == min(n, 3)
        for source, steps in ((0, range(4)), (2, range(4, 8)), (1, range(1)), (0, range(4))):
            order = Order(source, steps, 100, "fact")
            drawn = draw(splits, order)
            assert {part.dtype for part in (drawn.tokens, drawn.answer, drawn.hop)} == {np.dtype(np.uint8)}
            for ours, theirs in zip(drawn, drawers.draw(order), strict=True):
                assert ours.dtype == theirs.dtype and (ours == theirs).all()
    finally:
        drawers.close()


@pytest.mark.parametrize(("steps", "batch_size"), [(range(3, 1200), 1), (range(300), 7), (range(2, 5), 1000)])
@pytest.mark.parametrize("encoding", ["fact", "flat"])
def test_encoded_piece_by_piece_is_encoded_at_once(
    steps: range, batch_size: int, encoding: str, small_spec: TaskSpec
) -> None:
    (source, *_) = splits = sources(small_spec)
    whole = encode(
        Examples.concatenate([source.batch(step, batch_size) for step in steps]), source.law.schema, encoding
    )
    for ours, theirs in zip(draw(splits, Order(0, steps, batch_size, encoding)), whole, strict=True):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and (ours == theirs).all()


def test_a_family_that_fails_and_a_process_that_dies_are_told(small_spec: TaskSpec) -> None:
    drawers = Drawers(sources(small_spec, Broken), 1)
    order = Order(0, range(1), 8, "fact")
    with pytest.raises(DrawingError, match="KeyError: 'spoon'"):
        drawers.draw(order)
    pid = drawers._ends[0][2].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(DrawingError, match="ended"):
        drawers.draw(order)
    drawers.close()
