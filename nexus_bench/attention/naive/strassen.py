"""Pairs of positions scored by three two-way products, written out."""

import math

from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, pair_passes, project, turn
from nexus_bench.attention.strassen import Strassen


def heads(module: Strassen, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    f, g, h, v, w = project(module.projections, x, "fghvw")

    def score(head: int, i: int, j: int, k: int) -> Tensor:
        a, b, c = (turn(part[head][at], at, layout) for part, at in ((f, i), (g, j), (h, k)))
        return (a @ b + b @ c + c @ a) / math.sqrt(len(a))

    return pair_passes(score, v, w, layout)
