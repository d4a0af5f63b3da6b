"""Sizes of graphs, as the public generators of PhysicsLM4 draw them."""

import numpy as np

from nexus_bench.streams import Int, integers


def draw_sizes(n_rows: int, fewest: int, most: int, rng: np.random.Generator) -> Int:
    """Sizes n of fewest to most, each with a weight of 1 / (n + sqrt(most)): array (n_rows)."""
    if fewest == most:
        return np.full(n_rows, most, dtype=np.int32)
    sizes = np.arange(fewest, most + 1, dtype=np.int32)
    weight = 1 / (sizes + most**0.5)
    below = np.floor(np.cumsum(weight) / weight.sum() * 2**31).astype(np.int64)
    drawn = integers(rng, n_rows, 1, high=1 << 31)[:, 0]
    n: Int = sizes[np.minimum(np.searchsorted(below, drawn, side="right"), len(sizes) - 1)]
    return n
