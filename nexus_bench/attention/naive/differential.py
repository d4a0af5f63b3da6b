"""The difference of two attention maps, written out."""

import torch
from torch import Tensor

from nexus_bench.attention.differential import Differential
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, project, weights


def heads(module: Differential, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    a, b, c, d = module.strengths
    start = module.options.lambda_init
    strength = torch.exp(a @ b) - torch.exp(c @ d) + start
    found = []
    for q, k, v in zip(*project(module.projections, x, "qkv"), strict=True):
        half = max(1, q.shape[1] // 2)
        maps = [weights(q[:, part], k[:, part], layout) for part in (slice(half), slice(q.shape[1] - half, None))]
        head = (maps[0] - strength * maps[1]) @ v
        normed = head / (head.square().mean(dim=1, keepdim=True) + 1e-5).sqrt() * module.norm.weight
        found.append(normed * (1 - start))
    return found
