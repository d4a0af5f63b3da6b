"""What a family of sequences draws, against a slow solver of another kind."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples
from nexus_bench.generators.sequences import NOTHING, SequenceFamily
from nexus_bench.streams import stream

ByHand = Callable[[Any, list[int]], tuple[list[int], list[int]]]


def agrees(task: SequenceFamily[Any], examples: Examples, by_hand: ByHand) -> set[int]:
    """Check every label and hop count, and that nothing stands behind the end; the lengths that occur.

    Args:
        task: The family.
        examples: Sequences that it drew.
        by_hand: From the family and the tokens of a sequence to its labels and hops.
    """
    lengths = set()
    for facts, answer, hop in zip(examples.facts[:, :, 0], examples.answer, examples.hop, strict=True):
        n = int((facts >= 0).sum())
        lengths.add(n)
        assert task.min_length <= n <= task.n_facts
        assert (answer[:n].tolist(), hop[:n].tolist()) == by_hand(task, facts[:n].tolist())
        assert (answer[n:] == NOTHING).all() and not hop[n:].any()
    return lengths


def is_labelled_by_every_hop(task: SequenceFamily[Any], by_hand: ByHand) -> None:
    """Check drawn sequences as `agrees` does, that all hop counts occur, and that `solve` names a place a hop."""
    examples = task.sample(80, stream("slow"))
    agrees(task, examples, by_hand)
    assert set(np.unique(examples.hop[examples.hop > 0])) == set(task.hops)
    solution = task.solve(examples.facts, examples.query)
    assert np.array_equal(solution.answer, examples.answer) and np.array_equal(solution.hop, examples.hop)
    assert np.array_equal((solution.rows >= 0).sum(axis=2), examples.hop)
