"""Attention whose heads pass a gate, written out."""

import torch
from torch import Tensor

from nexus_bench.attention.gated import Gated
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import passes, project


def heads(module: Gated, x: Tensor, layout: Layout) -> Tensor:
    """The whole output (n, d)."""
    q, k, v = project(module.projections, x, "qkv")
    merged = torch.cat(passes(q, k, v, layout), dim=1)
    gates = torch.stack([1 / (1 + torch.exp(-(module.gate.weight @ row))) for row in x])
    return torch.stack([module.out.weight @ row for row in merged * gates])
