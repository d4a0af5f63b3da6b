"""How positions relate: which may attend to which, and where each is in its sequence.

Axis letters: b batch, n positions, k positions that may be attended to, h heads, e width of a head's queries and keys,
p places in a sequence.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Layout:
    """Masks and rotations of positions; the same at every level of a nested attention.

    With `n_shared`, several sequences with the same beginning are computed as one. The first n_shared positions are
    this beginning. The others are blocks of `block` positions, one after the other: each attends to the beginning and
    to its own block, has the place in the sequence that it would have if its block followed the beginning directly,
    and is seen by its own block only. So every block gets what a sequence with this block alone gets.

    Attributes:
        causal: A position attends only to itself and to earlier positions.
        n_keys: Only the first n_keys positions are attended to; None means all.
        rope: Queries and keys are rotated by their place in the sequence before each comparison (RoPE).
        n_shared: Number of positions that all blocks share, at least 1; None means that all are one sequence.
        block: Positions per block, if there are blocks.
    """

    causal: bool = False
    n_keys: int | None = None
    rope: bool = False
    n_shared: int | None = None
    block: int = 1

    def keys(self, x: Float[Tensor, "b *h n e"]) -> Float[Tensor, "b *h k e"]:
        """The positions of x that can be attended to at all; for keys and values."""
        return x if self.n_keys is None else x[..., : self.n_keys, :]

    def allowed(self, n: int, *, device: torch.device | None = None) -> Bool[Tensor, "n k"]:
        """The whole mask as a matrix, for mechanisms that need one: True where the row may attend to the column."""
        full = torch.ones(n, n, dtype=torch.bool, device=device)
        allowed = (full.tril() if self.causal else full)[:, : self.n_keys]
        if self.n_shared is None:
            return allowed
        at = torch.arange(n, device=device)
        number = ((at - self.n_shared) // self.block).clamp(min=-1)  # of the block; -1 is the shared beginning
        key = number[: self.n_keys]
        return allowed & ((key == -1) | (key == number[:, None]))

    @property
    def has_mask(self) -> bool:
        """Whether some position may not attend to some of the keys."""
        return self.causal or self.n_shared is not None

    def n_places(self, n: int) -> int:
        """The number of places in the sequence that n positions take; blocks take the same ones."""
        return n if self.n_shared is None else min(n, self.n_shared + self.block)

    def by_place(self, table: Shaped[Tensor, "p ..."], n: int) -> Shaped[Tensor, "n ..."]:
        """For each of n positions the row of a table that belongs to its place in the sequence."""
        if self.n_shared is None:
            return table[:n]
        own = table[self.n_shared : self.n_shared + self.block]
        n_blocks = max(0, -(-(n - self.n_shared) // self.block))
        return torch.cat([table[: self.n_shared], own.expand(n_blocks, *own.shape).flatten(0, 1)])[:n]

    def before(self, x: Shaped[Tensor, "b n *d"], steps: int) -> Shaped[Tensor, "b n *d"]:
        """For each position of x the one `steps` earlier in its sequence; zeros where there is none."""
        n = x.shape[1]
        at = torch.arange(n, device=x.device)
        back = at - steps
        if self.n_shared is not None:
            inside = (at - self.n_shared) % self.block
            back = torch.where((at < self.n_shared) | (inside >= steps), back, self.n_shared - steps + inside)
        there = (back >= 0).reshape(n, *[1] * (x.ndim - 2))
        return torch.where(there, x.index_select(1, back.clamp(min=0)), 0)

    def summed(self, x: Shaped[Tensor, "b n *d"]) -> Shaped[Tensor, "b n *d"]:
        """For each position the sum of x over its sequence up to and with itself."""
        if self.n_shared is None or x.shape[1] <= self.n_shared:
            return x.cumsum(dim=1)
        shared, own = x[:, : self.n_shared].cumsum(dim=1), x[:, self.n_shared :]
        n_own = own.shape[1]
        whole = F.pad(own, [0, 0] * (x.ndim - 2) + [0, -n_own % self.block])
        inside = whole.reshape(len(x), -1, self.block, *x.shape[2:]).cumsum(dim=2).reshape(whole.shape)[:, :n_own]
        return torch.cat([shared, shared[:, -1:] + inside], dim=1)

    def turned(self, x: Float[Tensor, "b h n e"]) -> Float[Tensor, "b h n e"]:
        """Queries or keys of positions from the first on, ready to be compared: rotated if `rope`."""
        if not self.rope:
            return x
        n = x.shape[-2]
        return rotate(x, self.by_place(torch.arange(self.n_places(n), device=x.device), n))


ALL = Layout()  # a set, in which every position attends to all


def rotate(x: Float[Tensor, "b h n e"], place: Int[Tensor, " n"]) -> Float[Tensor, "b h n e"]:
    """Rotate pairs of channels (c, c + e/2) by angles place / 10000^(2c/e); an odd last channel is unchanged.

    The product of a rotated query and a rotated key depends only on the distance of their places.

    Source: Su et al. 2021, "RoFormer" (arXiv 2104.09864), section 3.2.2.
    """
    half = x.shape[-1] // 2
    at_least_float = torch.promote_types(x.dtype, torch.float32)  # bfloat16 cannot distinguish late places
    channel = torch.arange(half, dtype=at_least_float, device=x.device)
    angle = place.to(at_least_float)[:, None] * 10000.0 ** (-channel / max(half, 1))
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], dim=-1)
