"""Values along the powers of one attention matrix, written out."""

import torch
from torch import Tensor

from nexus_bench.attention.diffusion import Diffusion
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, project, weights


def heads(module: Diffusion, x: Tensor, layout: Layout) -> Heads:
    """Compute the powers explicitly: theta_0 V + theta_1 A V + ...; the last power gets the remaining weight."""
    q, k, v = project(module.projections, x, "qkv")
    alpha, powers = module.options.alpha, module.options.powers
    found = []
    for q_head, k_head, v_head in zip(q, k, v, strict=True):
        matrix = weights(q_head, k_head, layout)
        power, total = torch.eye(len(x), dtype=x.dtype), torch.zeros_like(v_head)
        for i in range(powers + 1):
            theta = alpha * (1 - alpha) ** i if i < powers else (1 - alpha) ** i
            total = total + theta * power @ v_head
            power = matrix @ power
        found.append(total)
    return found
