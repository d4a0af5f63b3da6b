"""Third-order attention as attention over pairs of positions."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.layout import Layout


def each_pair(a: Float[Tensor, "b h k e"], b: Float[Tensor, "b h k e"]) -> tuple[Tensor, Tensor]:
    """Views of a and b that broadcast to one row per pair (j, k): (b h k 1 e) and (b h 1 k e)."""
    return a.unsqueeze(-2), b.unsqueeze(-3)


def attend_pairs(
    q: Float[Tensor, "b h n e"],
    keys: Float[Tensor, "b h k k e"],
    values: Float[Tensor, "b h k k f"],
    layout: Layout,
    *,
    scale: float,
) -> Float[Tensor, "b h n f"]:
    """Softmax over all pairs (j, k) of q_i . keys_jk, times values_jk: one fused pass, n queries over k^2 keys.

    Time is O(n k^2 e). Memory is O(k^2 e) for the pairs; the n k^2 scores are never stored. A mask allows a
    pair if it allows both positions; it is then a matrix of n k^2 booleans, stored once for the whole batch.
    """
    allowed = None
    if layout.has_mask:
        one = layout.allowed(q.shape[-2], device=q.device)  # n k
        allowed = (one[:, :, None] & one[:, None, :]).flatten(1)  # n k^2
    width = max(q.shape[-1], values.shape[-1])  # fused kernels need equal widths
    q, keys, padded = (F.pad(part, (0, width - part.shape[-1])) for part in (q, keys, values))
    mixed = F.scaled_dot_product_attention(q, keys.flatten(2, 3), padded.flatten(2, 3), attn_mask=allowed, scale=scale)
    return mixed[..., : values.shape[-1]]
