"""Heads that mix before and after the softmax, written out."""

import math

import torch
from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, keys, project, softmax, turn
from nexus_bench.attention.talking_heads import TalkingHeads


def heads(module: TalkingHeads, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    q, k, v = project(module.projections, x, "qkv")
    n_heads, n = module.n_heads, len(x)
    found: Heads = [x.new_zeros(0, v[0].shape[1]) for _ in range(n_heads)]
    for i in range(n):
        allowed = keys(i, n, layout)
        scores = [
            [turn(q[h][i], i, layout) @ turn(k[h][j], j, layout) / math.sqrt(q[h].shape[1]) for j in allowed]
            for h in range(n_heads)
        ]
        shares = []
        for g in range(n_heads):
            mixed = [
                torch.stack([module.before[g, h] * scores[h][at] for h in range(n_heads)]).sum()
                for at in range(len(allowed))
            ]
            shares.append(softmax(mixed))
        for g in range(n_heads):
            weights = torch.stack([module.after[g, h] * shares[h] for h in range(n_heads)]).sum(dim=0)
            row = torch.stack([weight * v[g][j] for weight, j in zip(weights, allowed, strict=True)]).sum(dim=0)
            found[g] = torch.cat([found[g], row[None]])
    return found
