"""Multi-head softmax attention, written out."""

from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, passes, project
from nexus_bench.attention.standard import Standard


def heads(module: Standard, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    q, k, v = project(module.projections, x, "qkv")
    return passes(q, k, v, layout)
