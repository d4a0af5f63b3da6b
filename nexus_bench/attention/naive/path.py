"""PaTH attention, reflection after reflection."""

import math
from typing import cast

import torch
from torch import Tensor, nn

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, convolve, paths, project, softmax
from nexus_bench.attention.path import Path


def heads(module: Path, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    narrow, widen = (cast(nn.Linear, layer).weight for layer in module.reflect)
    strengths = torch.stack([2 / (1 + torch.exp(-(module.beta.weight @ row + module.beta.bias))) for row in x])
    sides = project(module.projections, x, "qkv")
    width = x.shape[1] // module.n_heads
    rows: list[dict[int, Tensor]] = [{} for _ in range(module.n_heads)]
    for path in paths(len(x), layout):
        convolved = convolve(torch.stack([widen @ (narrow @ row) for row in x[path]]), module.convolution.weight)
        activated = convolved * convolved.sigmoid()
        for h, (q, k, v) in enumerate(zip(*sides, strict=True)):
            for place, i in enumerate(path):
                scores, turned = [], q[i]
                for other in range(place, -1, -1):  # the reflections of all places after `other`
                    scores.append(k[path[other]] @ turned / math.sqrt(width))
                    w = activated[other, h * width : (h + 1) * width]
                    w = w / w.norm()
                    turned = turned - strengths[path[other], h] * w * (w @ turned)
                own = zip(softmax(scores), path[place::-1], strict=True)
                rows[h][i] = torch.stack([share * v[j] for share, j in own]).sum(dim=0)
    return [torch.stack([head[i] for i in range(len(x))]) for head in rows]
