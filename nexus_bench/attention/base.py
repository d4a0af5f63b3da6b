"""The contract of an attention mechanism, and the pieces that mechanisms share.

Axis letters: b batch, n positions, k positions that can be attended to, h heads, d width of the model,
e width of a head's queries and keys, f width of its values.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from nexus_bench.registry import Registry


class AttentionOptions(BaseModel):
    """The choices a mechanism offers, with their defaults; a mechanism without choices uses this class."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    always_named: ClassVar[tuple[str, ...]] = ()  # options that the name of a model contains even at their default


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


OptionsT = TypeVar("OptionsT", bound=AttentionOptions)


class Attention(nn.Module, ABC, Generic[OptionsT]):
    """Mixes information between positions.

    A mechanism is an ordinary module: it makes its parameters in `__init__` with PyTorch's usual
    initialisation, which the engine runs under the seed of the cell.

    Args:
        d_model: Width of the positions.
        n_heads: Heads; divides d_model.
        options: The mechanism's own choices.
    """

    name: ClassVar[str]
    version: ClassVar[int]  # raised by hand when the same options give other outputs
    Options: ClassVar[type[AttentionOptions]] = AttentionOptions
    takes_rope: ClassVar[bool] = True  # False if scores of rotated vectors would not depend on distance alone

    def __init__(self, d_model: int, n_heads: int, options: OptionsT) -> None:
        super().__init__()
        self.d_model = d_model
        self.n_heads = n_heads
        self.options = options

    @classmethod
    def check(cls, d_model: int, options: OptionsT) -> None:
        """Refuse impossible combinations of options and width before anything is built.

        Raises:
            ValueError: The message names the option, what is allowed at this width, and what was given.
        """

    @abstractmethod
    def forward(self, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b n d"]:
        """Mix the positions of x; the block has normalised x and adds the residual."""


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


ATTENTIONS: Registry[type[Attention[Any]]] = Registry(
    "attention",
    package="nexus_bench.attention",
    group="nexus_bench.attentions",
    requires=("name", "version", "Options"),
)
