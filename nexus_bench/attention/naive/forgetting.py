"""Attention with forget gates, entry by entry."""

import math

import torch
from torch import Tensor

from nexus_bench.attention.forgetting import Forgetting
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, paths, project, softmax, turn


def heads(module: Forgetting, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    gates = torch.stack([1 / (1 + torch.exp(-(module.forget.weight @ row + module.forget.bias))) for row in x])
    found = []
    for h, (q, k, v) in enumerate(zip(*project(module.projections, x, "qkv"), strict=True)):
        rows: dict[int, Tensor] = {}
        for path in paths(len(x), layout):
            for place, i in enumerate(path):
                scores = []
                for other, j in enumerate(path[: place + 1]):
                    score = turn(q[i], i, layout) @ turn(k[j], j, layout) / math.sqrt(q.shape[1])
                    between = [gates[t, h].log() for t in path[other + 1 : place + 1]]
                    scores.append(score + sum(between, torch.zeros_like(score)))
                shares = softmax(scores)
                own = zip(shares, path, strict=False)
                rows[i] = torch.stack([share * v[j] for share, j in own]).sum(dim=0)
        found.append(torch.stack([rows[i] for i in range(len(x))]))
    return found
