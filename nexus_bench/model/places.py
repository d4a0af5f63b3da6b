"""Where in sequences a model answers right: by the place of the label, and by the length of the sequence.

Axis letters: b sequences, q tokens of a sequence, v values.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.base import Examples
from nexus_bench.generators.sequences import tokens_of
from nexus_bench.streams import Mask

PLACE, LENGTH = "place", "length"
_MOST_BINS = 16  # of one hop count
_MOST_ROWS = 32  # of all hop counts together, unless there are more of these

Counts = NDArray[np.int64]


class Bin(NamedTuple):
    """Labels of one hop count at neighbouring places, or in sequences of like length.

    Attributes:
        by: `place` or `length`.
        hop: The hop count.
        first: The first place, counted from 1, or the smallest length.
        last: The last place, or the largest length.
        n_examples: Labels.
        n_correct: Those answered right.
    """

    by: str
    hop: int
    first: int
    last: int
    n_examples: int
    n_correct: int


def binned(hit: Mask, examples: Examples) -> list[Bin]:
    """Count right answers by place and, where lengths differ, by length; hop counts are never mixed.

    The bins of one hop count hold about as many labels each. There are at most 16, and fewer if there are many hop
    counts, so that a model of any task has at most 32 bins by place, or one for each hop count.

    Args:
        hit: Array (b, q), whether the answer is right.
        examples: Sequences.

    Returns:
        Bins by place, then by length; hops ascending, then from the first on.
    """
    length = tokens_of(examples.facts)[1].astype(np.int64)[:, None]
    values = {PLACE: np.broadcast_to(np.arange(1, hit.shape[1] + 1), hit.shape)}
    if np.ptp(length):
        values[LENGTH] = np.broadcast_to(length, hit.shape)
    hops = np.unique(examples.hop[examples.hop > 0]).tolist()
    n_bins = max(1, min(_MOST_BINS, _MOST_ROWS // max(1, len(hops))))
    bins = []
    for by, value in values.items():
        for hop in hops:
            here = examples.hop == hop
            bins += [Bin(by, hop, *counted) for counted in _counted(value[here], hit[here], n_bins)]
    return bins


def _counted(value: Counts, hit: Mask, n_bins: int) -> list[tuple[int, int, int, int]]:
    """Bins of neighbouring values: the first, the last, labels, right ones; a value alone where there are few."""
    values, which = np.unique(value, return_inverse=True)
    count, right = np.bincount(which), np.bincount(which[hit], minlength=len(values))
    middle = 2 * np.cumsum(count) - count  # twice the labels before the middle of each value
    at = np.arange(len(values)) if len(values) <= n_bins else middle * n_bins // (2 * len(value))
    starts = np.flatnonzero(np.diff(at, prepend=-1))
    ends = np.append(starts[1:], len(values)) - 1
    sums = (np.add.reduceat(each, starts) for each in (count, right))
    return [tuple(map(int, one)) for one in zip(values[starts], values[ends], *sums, strict=True)]  # type: ignore[misc]
