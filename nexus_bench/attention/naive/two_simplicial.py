"""Pairs of positions scored by a three-way product, written out."""

import math

from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, pair_passes, project
from nexus_bench.attention.two_simplicial import TwoSimplicial


def heads(module: TwoSimplicial, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    q, k1, k2, v, w = project(module.projections, x, "qklvw")

    def score(head: int, i: int, j: int, k: int) -> Tensor:
        return (q[head][i] * k1[head][j] * k2[head][k]).sum() / math.sqrt(q[head].shape[1])

    return pair_passes(score, v, w, layout)
