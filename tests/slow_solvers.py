"""What a family of sequences draws, against a slow solver of another kind."""

from collections.abc import Callable
from typing import Any

from nexus_bench.generators.base import Examples
from nexus_bench.generators.sequences import NOTHING, SequenceFamily


def agrees(
    task: SequenceFamily[Any], examples: Examples, by_hand: Callable[[Any, list[int]], tuple[list[int], list[int]]]
) -> set[int]:
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
