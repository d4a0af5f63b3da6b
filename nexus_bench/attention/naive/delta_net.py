"""The delta rule, step after step on a memory."""

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.delta_net import DeltaNet
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import along_paths, convolve


def heads(module: DeltaNet, x: Tensor, layout: Layout) -> Tensor:
    """The whole output (n, d)."""
    return along_paths(lambda part: _sequence(module, part), x, layout)


def _sequence(module: DeltaNet, x: Tensor) -> Tensor:
    n_heads, n_steps = module.n_heads, module.options.n_householder
    sides = {}
    for side in "qkv":
        projected = x @ cast(Tensor, module.projections[side].weight).T
        if module.options.conv:
            projected = convolve(projected, cast(Tensor, module.convolutions[side].weight))
        sides[side] = projected * projected.sigmoid()
    width = x.shape[1] // n_heads
    memory = x.new_zeros(n_heads, width, width)  # value, key
    rows = []
    for t in range(len(x)):
        if module.options.gated:
            rate = module.log_rate.exp() * F.softplus(module.forget.weight @ x[t] + module.shift)
            memory = memory * torch.exp(-rate)[:, None, None]
        strength = torch.sigmoid(module.beta.weight @ x[t]) * (2 if module.options.eigenvalues == "signed" else 1)
        for step in range(n_steps):
            new = []
            for h in range(n_heads):
                first = (step * n_heads + h) * width
                k, v = (sides[side][t, first : first + width] for side in "kv")
                k = k / k.norm()
                wrong = v - memory[h] @ k
                new.append(memory[h] + strength[step * n_heads + h] * torch.outer(wrong, k))
            memory = torch.stack(new)
        q = sides["q"][t].reshape(n_heads, width)
        read = torch.stack([memory[h] @ (q[h] / q[h].norm()) / width**0.5 for h in range(n_heads)])
        normed = read / (read.square().mean(dim=1, keepdim=True) + 1e-5).sqrt() * module.norm.weight
        merged = normed.flatten()
        if module.options.gated:
            gate = module.gate.weight @ x[t]
            merged = merged * gate * gate.sigmoid()
        rows.append(module.out.weight @ merged)
    return torch.stack(rows)
