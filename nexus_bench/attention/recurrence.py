"""Linear recurrences in their parallel form: one matrix per head, with a solve where a memory is corrected.

A position comes after those that the layout allows it to see. So one triangular matrix holds a whole sequence, and also
blocks that go on from a beginning that they share. Time is O(n^2 e), for the delta rule O(n^3) more, and memory O(n^2)
per head, as suits short sequences; the chunked kernels of other libraries are linear in n.

Axis letters: b batch, h heads, n positions, m steps (several a position), e width of keys, f width of values.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.layout import Layout


def decays(log_decay: Float[Tensor, "b n h"], layout: Layout) -> Float[Tensor, "b h n n"]:
    """What is left at a position (row) of what an earlier one (column) wrote; 0 where it may not see it.

    Args:
        log_decay: The logarithm of the share that each position keeps of what came before it.
        layout: A sequence.
    """
    total = layout.summed(wide(log_decay)).transpose(1, 2)
    allowed = layout.allowed(total.shape[-1], device=total.device)
    between = (total[..., :, None] - total[..., None, :]).masked_fill(~allowed, 0)  # before exp, which could overflow
    return between.exp().masked_fill(~allowed, 0)


def linear_rule(
    q: Float[Tensor, "b h n e"],
    k: Float[Tensor, "b h n e"],
    v: Float[Tensor, "b h n f"],
    kept: Float[Tensor, "b h n n"],
) -> Float[Tensor, "b h n f"]:
    """Read S_t q_t of the memory S_t = a_t S_{t-1} + v_t k_t^T, with the decays a as `decays` gives them."""
    with exact(q):
        q, k, values = wide(q), wide(k), wide(v)
        return ((q @ k.transpose(-1, -2) * kept) @ values).to(v.dtype)


def delta_rule(
    q: Float[Tensor, "b h n e"],
    k: Float[Tensor, "b h m e"],
    v: Float[Tensor, "b h m f"],
    beta: Float[Tensor, "b h m"],
    kept: Float[Tensor, "b h n n"],
) -> Float[Tensor, "b h n f"]:
    """Read S_t q_t of a memory that each step corrects: S <- S + beta (v - S k) k^T.

    With u_s what step s writes, (I + L) U = diag(beta) V, where L holds beta_t a_{ts} k_t . k_s for s before t: one
    triangular solve instead of n steps. Source: Yang et al. 2024 (arXiv 2406.06484), equations 8 to 11, here over the
    whole sequence; Siems et al. 2025 (arXiv 2502.10297), section 3, for several steps a position.

    Args:
        q: Queries, one a position.
        k: Keys of m / n steps of each position, one position after the other.
        v: Values of steps.
        beta: How much of the difference is corrected.
        kept: Decays between positions, as `decays` gives them; a position decays before its first step.
    """
    n_steps = k.shape[2] // q.shape[2]
    with exact(q):
        q, k, values, beta = wide(q), wide(k), wide(v), wide(beta)
        between = kept.repeat_interleave(n_steps, dim=-1)  # positions, steps
        among_steps = between.repeat_interleave(n_steps, dim=-2)
        u = solve(beta[..., None] * (k @ k.transpose(-1, -2)) * among_steps, beta[..., None] * values)
        return ((q @ k.transpose(-1, -2) * between) @ u).to(v.dtype)


def solve(lower: Float[Tensor, "b h m m"], right: Float[Tensor, "b h m f"]) -> Float[Tensor, "b h m f"]:
    """(I + L)^-1 R, where L is what stands below the diagonal; the rest is not read."""
    solved: Tensor = torch.linalg.solve_triangular(lower, right, upper=False, unitriangular=True)
    return solved


def strictly_before(layout: Layout, n: int, device: torch.device) -> Bool[Tensor, "n n"]:
    """Where the column is an earlier position that the row may see."""
    return layout.allowed(n, device=device).tril(-1)


def unit(x: Float[Tensor, "*b e"]) -> Float[Tensor, "*b e"]:
    """Vectors of length 1."""
    return F.normalize(x, dim=-1, eps=1e-6)


def exact(x: Tensor) -> AbstractContextManager[None]:
    """No automatic lower precision on the device of x."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def wide(x: Tensor) -> Tensor:
    """At least float32, in which decays and solves are exact enough."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
