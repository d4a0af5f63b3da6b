"""How positions relate: the causal mask, the positions that may be attended to, rotary positions.

Axis letters: b batch, n positions, k positions that may be attended to, h heads, e width of a head's queries and keys.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Masks and rotations of positions; the same at every level of a nested attention.

    Attributes:
        causal: A position attends only to itself and to earlier positions.
        n_keys: Only the first n_keys positions are attended to; None means all.
        rope: Queries and keys are rotated by their position before each comparison (RoPE).
    """

    causal: bool = False
    n_keys: int | None = None
    rope: bool = False

    def keys(self, x: Float[Tensor, "b *h n e"]) -> Float[Tensor, "b *h k e"]:
        """The positions of x that can be attended to at all; for keys and values."""
        return x if self.n_keys is None else x[..., : self.n_keys, :]

    def allowed(self, n: int, *, device: torch.device | None = None) -> Bool[Tensor, "n k"]:
        """The whole mask as a matrix, for mechanisms that need one: True where the row may attend to the column."""
        full = torch.ones(n, n, dtype=torch.bool, device=device)
        return (full.tril() if self.causal else full)[:, : self.n_keys]

    def turned(self, x: Float[Tensor, "b h n e"]) -> Float[Tensor, "b h n e"]:
        """Queries or keys of positions from the first on, ready to be compared: rotated if `rope`."""
        return rotate(x) if self.rope else x


def rotate(x: Float[Tensor, "b h n e"]) -> Float[Tensor, "b h n e"]:
    """Rotate pairs of channels (c, c + e/2) by angles position / 10000^(2c/e); an odd last channel is unchanged.

    The product of a rotated query and a rotated key depends only on the distance of their positions.

    Source: Su et al. 2021, "RoFormer" (arXiv 2104.09864), section 3.2.2.
    """
    half = x.shape[-1] // 2
    at_least_float = torch.promote_types(x.dtype, torch.float32)  # bfloat16 cannot distinguish late positions
    channel = torch.arange(half, dtype=at_least_float, device=x.device)
    position = torch.arange(x.shape[-2], dtype=at_least_float, device=x.device)
    angle = position[:, None] * 10000.0 ** (-channel / max(half, 1))
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], dim=-1)
