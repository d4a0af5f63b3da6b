"""The state space of Mamba-2, step after step."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.mamba2 import Mamba2
from nexus_bench.attention.naive.parts import along_paths, convolve


def heads(module: Mamba2, x: Tensor, layout: Layout) -> Tensor:
    """The whole output (n, d)."""
    return along_paths(lambda part: _sequence(module, part), x, layout)


def _sequence(module: Mamba2, x: Tensor) -> Tensor:
    inner, state, n_heads = module.out.in_features, module.options.d_state, module.n_heads
    projected = x @ module.project.weight.T
    z, dt = projected[:, :inner], projected[:, -n_heads:]
    mixed = convolve(projected[:, inner:-n_heads], module.convolution.weight) + module.convolution_bias
    mixed = mixed * mixed.sigmoid()
    memory = x.new_zeros(n_heads, inner // n_heads, state)
    rows = []
    for t in range(len(x)):
        u, b, c = torch.split(mixed[t], [inner, state, state])
        u = u.reshape(n_heads, -1)
        step = F.softplus(dt[t] + module.shift)
        kept = torch.exp(-module.log_rate.exp() * step)
        memory = torch.stack([kept[h] * memory[h] + step[h] * torch.outer(u[h], b) for h in range(n_heads)])
        y = torch.cat([memory[h] @ c + module.skip[h] * u[h] for h in range(n_heads)])
        y = y * z[t] * z[t].sigmoid()
        rows.append(module.out.weight @ (y / (y.square().mean() + 1e-5).sqrt() * module.norm.weight))
    return torch.stack(rows)
