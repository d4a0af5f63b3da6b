"""The pool of a stack: every generation is the one that was asked for, whatever is drawn in the background."""

import time

import numpy as np
import pytest
import torch

from nexus_bench.data.drawers import DrawRequest, draw, encode
from nexus_bench.data.splits import Splits
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.generators.base import Examples
from nexus_bench.io.columns import IID
from nexus_bench.streams import stream
from nexus_bench.training.feed import Feed
from nexus_bench.training.pool import Pool
from tests.small import sources

CPU = torch.device("cpu")


class Slow(Splits):
    """Draws so slowly that a seek comes in the middle of it."""

    def batch(self, step: int, batch_size: int) -> Examples:
        time.sleep(0.01)
        return super().batch(step, batch_size)


@pytest.mark.parametrize("n_drawers", [0, 2])
@pytest.mark.parametrize("reuse", [1, 3])
@pytest.mark.parametrize("kind", [Splits, Slow])
def test_a_pool_holds_the_generation_of_the_step(
    small_spec: TaskSpec, kind: type[Splits], reuse: int, n_drawers: int
) -> None:
    feed = Feed(batch_size=8, n_batches=4, reuse=reuse)
    pool = Pool(sources(small_spec, kind), feed, "fact", CPU, n_drawers=n_drawers)
    try:
        for generation in (0, 1, 2, 7, 3, 3, 0, 4):  # on, ahead and back
            pool.seek(generation * feed.n_steps + 1)
            held = [part.numpy().copy() for part in pool.arrays]
            assert (pool.order.numpy() == feed.order(generation)).all()
            for source in range(3):
                wanted = draw(sources(small_spec), DrawRequest(source, feed.batches(generation), 8, "fact"))
                for ours, theirs in zip(held, wanted, strict=True):
                    assert ours.dtype == theirs.dtype and (ours[source] == theirs).all()
            time.sleep(0.02)
            assert all((part.numpy() == was).all() for part, was in zip(pool.arrays, held, strict=True)), "until a seek"
    finally:
        pool.close()


def test_a_family_that_fails_in_the_background_is_told_at_the_seek(small_spec: TaskSpec) -> None:
    class Broken(Splits):
        def batch(self, step: int, batch_size: int) -> Examples:
            if step >= 4:
                raise KeyError("spoon")
            return super().batch(step, batch_size)

    pool = Pool(sources(small_spec, Broken), Feed(8, 4, 1), "fact", CPU)
    pool.seek(3)
    with pytest.raises(KeyError, match="spoon"):
        pool.seek(4)
    pool.close()


def test_integers_are_as_wide_whatever_hops_a_batch_has() -> None:
    """Hops may be few in one generation and many in the next, which is written over it."""
    spec = make_task({"task": "word_problem", "hops": "1-300", "n_tokens": 300}, where="test")
    law = spec.laws()[IID]
    examples = law.sample(2, stream("widths"))
    few = examples._replace(hop=np.minimum(examples.hop, 9))
    assert encode(examples, law, "sequence").hop.dtype == encode(few, law, "sequence").hop.dtype == np.int16
