"""Corrected values, one after the other, and attention over them."""

import math

import torch
from torch import Tensor

from nexus_bench.attention.delta_former import DeltaFormer
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, passes, paths, project, softmax, turn


def heads(module: DeltaFormer, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    strengths = torch.stack([1 / (1 + torch.exp(-(module.beta.weight @ row + module.beta.bias))) for row in x])
    q, k, v = project(module.projections, x, "qkv")
    corrected = []
    for h in range(module.n_heads):
        u: dict[int, Tensor] = {}
        for path in paths(len(x), layout):
            for place, i in enumerate(path):
                u[i] = v[h][i]
                if place:
                    earlier = path[:place]
                    scores = [
                        turn(q[h][i], i, layout) @ turn(k[h][j], j, layout) / math.sqrt(q[h].shape[1]) for j in earlier
                    ]
                    own = zip(softmax(scores), earlier, strict=True)
                    u[i] = u[i] - strengths[i, h] * torch.stack([share * u[j] for share, j in own]).sum(dim=0)
        corrected.append(torch.stack([u[i] for i in range(len(x))]))
    return passes(q, k, corrected, layout)
