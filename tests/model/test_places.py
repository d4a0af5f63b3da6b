"""Right answers of sequences, counted by place and by length."""

from itertools import pairwise

import numpy as np
import pytest

from nexus_bench.generators.base import Examples
from nexus_bench.generators.sequences import NOTHING
from nexus_bench.model.places import LENGTH, PLACE, Bin, binned
from nexus_bench.streams import Int, Mask


def sequences(hop: list[list[int]], length: list[int]) -> Examples:
    """Sequences of such lengths, with labels where the hop count is not 0."""
    hops = np.array(hop, dtype=np.int32)
    is_there = np.arange(hops.shape[1]) < np.array(length)[:, None]
    tokens = np.where(is_there, 1, NOTHING).astype(np.int32)[:, :, None]
    return Examples(tokens, np.empty((*hops.shape, 0), dtype=np.int32), np.where(hops > 0, 0, NOTHING), hops)


def test_each_hop_count_is_counted_by_itself_and_each_of_few_places_too() -> None:
    examples = sequences([[1, 2, 0, 2], [1, 1, 2, 0]], [4, 4])
    hit: Mask = np.array([[1, 0, 1, 1], [0, 1, 1, 1]], dtype=bool)
    assert binned(hit, examples) == [
        *(Bin(PLACE, 1, 1, 1, 2, 1), Bin(PLACE, 1, 2, 2, 1, 1)),
        *(Bin(PLACE, 2, 2, 2, 1, 0), Bin(PLACE, 2, 3, 3, 1, 1), Bin(PLACE, 2, 4, 4, 1, 1)),
    ]


def test_by_length_where_lengths_differ() -> None:
    examples = sequences([[1, 1, 1], [1, 1, 0], [1, 0, 0]], [3, 2, 3])
    hit: Mask = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)
    found = [one for one in binned(hit, examples) if one.by == LENGTH]
    assert found == [Bin(LENGTH, 1, 2, 2, 2, 1), Bin(LENGTH, 1, 3, 3, 4, 3)]


@pytest.mark.parametrize(("n_hops", "most"), [(1, 16), (4, 8), (40, 1)])
def test_bins_hold_as_many_labels_each_and_are_few(n_hops: int, most: int) -> None:
    rng = np.random.default_rng(0)
    shape = (300, 151)
    chance = np.linspace(0.05, 0.95, shape[1])  # labels are rare at first
    hop: Int = (rng.integers(1, n_hops + 1, shape) * (rng.random(shape) < chance)).astype(np.int32)
    hit: Mask = rng.random(shape) < 0.3
    bins = binned(hit, sequences(hop.tolist(), [151] * 300))
    for k in range(1, n_hops + 1):
        own = [one for one in bins if one.hop == k]
        assert len(own) == most
        sizes = [one.n_examples for one in own]
        assert sum(sizes) == (hop == k).sum() and max(sizes) - min(sizes) < 0.2 * np.mean(sizes) + 1
        assert sum(one.n_correct for one in own) == hit[hop == k].sum()
        assert all(left.last < right.first for left, right in pairwise(own))
        for one in own:
            here = (hop == k)[:, one.first - 1 : one.last]
            assert one.n_examples == here.sum() and here[:, [0, -1]].any(axis=0).all()
