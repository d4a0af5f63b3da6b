"""Building blocks of mechanisms: projections, heads, one fused pass."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.kernels.short import attend_short, is_short
from nexus_bench.attention.layout import Layout


class PackedProjections(nn.Module):
    """The input projections of a mechanism as one matrix, without biases.

    Every mechanism that projects like standard attention packs `qkv`, and creates its output projection next, so that
    equal seeds give equal weights whatever the mechanism, and comparisons are paired.

    Args:
        d_model: Width of the positions, and of each projection.
        n_heads: Heads.
        letters: One per projection, such as `qkv`.
    """

    def __init__(self, d_model: int, n_heads: int, letters: str = "qkv") -> None:
        super().__init__()
        self.n_heads = n_heads
        self.letters = letters
        self.packed = nn.Linear(d_model, len(letters) * d_model, bias=False)

    def project(self, x: Float[Tensor, "b n d"], which: str) -> list[Float[Tensor, "b h n e"]]:
        """Project to some of queries, keys and values, split into heads.

        Args:
            x: The input to project.
            which: Adjacent letters, such as `q` or `qk`.

        Returns:
            One tensor per letter.
        """
        d = x.shape[-1]
        first = self.letters.index(which)
        projected = F.linear(x, self.packed.weight[first * d : (first + len(which)) * d])
        return [split_heads(part, self.n_heads) for part in projected.chunk(len(which), dim=-1)]


def split_heads(x: Float[Tensor, "b n d"], n_heads: int) -> Float[Tensor, "b h n e"]:
    """Split the width into heads."""
    return x.reshape(*x.shape[:2], n_heads, -1).transpose(1, 2)


def merge_heads(x: Float[Tensor, "b h n e"]) -> Float[Tensor, "b n d"]:
    """Concatenate the heads again."""
    return x.transpose(1, 2).flatten(2)


def attend(
    q: Float[Tensor, "b h n e"], k: Float[Tensor, "b h n e"], v: Float[Tensor, "b h n f"], layout: Layout
) -> Float[Tensor, "b h n f"]:
    """One attention pass, A(Q, K) V = softmax(Q K^T / sqrt(e) + M) V per head.

    It runs on fused kernels: no matrix of n x n scores is stored, and memory is linear in n. Only blocks that do not
    see each other need a mask of n x n booleans, stored once for the whole batch. Rotary positions are applied here,
    hence at every level of a nest.

    Source: Vaswani et al. 2017, section 3.2.1.
    """
    q, k, v = layout.turned(q), layout.keys(layout.turned(k)), layout.keys(v)
    n_keys = k.shape[-2]
    if is_short(q, k, v):
        return attend_short(q, k, v, causal=layout.causal, n_shared=layout.n_shared, block=layout.block)
    if layout.n_shared is not None:
        allowed = layout.allowed(q.shape[-2], device=q.device)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    if layout.causal and n_keys < q.shape[-2]:  # the later positions attend to every key
        first = F.scaled_dot_product_attention(q[..., :n_keys, :], k, v, is_causal=True)
        return torch.cat([first, F.scaled_dot_product_attention(q[..., n_keys:, :], k, v)], dim=-2)
    return F.scaled_dot_product_attention(q, k, v, is_causal=layout.causal)


class ShortConvolution(nn.Module):
    """A causal convolution of each channel by itself, over the last few places of a sequence.

    y_t = sum over s of w_s x_{t-s}, s = 0 .. width - 1; weights start as those of PyTorch's own convolution.

    Args:
        d: Channels.
        width: Places that it sees.
    """

    def __init__(self, d: int, width: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, d).uniform_(-(width**-0.5), width**-0.5))

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b n d"]:
        """Convolve; a block goes on from the end of what it shares."""
        return sum((weight * layout.before(x, steps) for steps, weight in enumerate(self.weight)), torch.zeros_like(x))


def logits(q: Float[Tensor, "b h n e"], k: Float[Tensor, "b h n e"], layout: Layout) -> Float[Tensor, "b h n k"]:
    """Q K^T / sqrt(e) per head, not masked yet, for mechanisms that change what a softmax gets."""
    scores: Tensor = layout.turned(q) @ layout.keys(layout.turned(k)).transpose(-1, -2) / q.shape[-1] ** 0.5
    return scores


def mask(scores: Float[Tensor, "b h n k"], layout: Layout, value: float = -torch.inf) -> Float[Tensor, "b h n k"]:
    """A matrix of positions and keys, with a value where the layout does not allow to attend."""
    if not layout.has_mask:
        return scores
    return scores.masked_fill(~layout.allowed(scores.shape[-2], device=scores.device), value)
