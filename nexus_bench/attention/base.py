"""The contract of an attention mechanism, and the pieces that mechanisms share.

Axis letters: b batch, n positions, k positions that may be attended to, h heads, d width of the model,
e width of a head.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.registry import Registry


class AttentionOptions(BaseModel):
    """The choices a mechanism offers, with their defaults; a mechanism without choices uses this class."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    always_named: ClassVar[tuple[str, ...]] = ()  # options that stand in a model's name even at their default


@dataclass(frozen=True)
class Mask:
    """Which positions may be attended to; the same at every level of a nested attention.

    Attributes:
        causal: A position attends to itself and to those before it.
        n_keys: Only the first n_keys positions are attended to; None means all.
    """

    causal: bool = False
    n_keys: int | None = None

    def keys(self, x: Float[Tensor, "b *h n d"]) -> Float[Tensor, "b *h k d"]:
        """The positions of x that may be attended to at all; use it on keys and on values."""
        return x if self.n_keys is None else x[..., : self.n_keys, :]

    def allowed(self, n: int, *, device: torch.device | None = None) -> Bool[Tensor, "n k"]:
        """The whole mask as a matrix, for mechanisms that need one: True where row may attend to column."""
        full = torch.ones(n, n, dtype=torch.bool, device=device)
        return (full.tril() if self.causal else full)[:, : self.n_keys]


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
    version: ClassVar[int]  # raised by hand when the same options compute something else
    Options: ClassVar[type[AttentionOptions]] = AttentionOptions

    def __init__(self, d_model: int, n_heads: int, options: OptionsT) -> None:
        super().__init__()
        self.d_model = d_model
        self.n_heads = n_heads
        self.options = options

    @abstractmethod
    def forward(self, x: Float[Tensor, "b n d"], mask: Mask) -> Float[Tensor, "b n d"]:
        """Mix the positions of x, which the block has normalised; the block adds the residual."""


class PackedProjections(nn.Module):
    """W_Q, W_K and W_V as one matrix, and W_O, without biases.

    Every mechanism that projects like standard attention uses it, so that equal seeds give equal weights
    whatever the mechanism, and comparisons are paired.
    """

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def project(self, x: Float[Tensor, "b n d"], which: str) -> list[Float[Tensor, "b h n e"]]:
        """Project to some of queries, keys and values, split into heads.

        Args:
            x: What to project.
            which: Adjacent letters of `qkv`, such as `q` or `qk`.

        Returns:
            One tensor a letter.
        """
        d = x.shape[-1]
        first = "qkv".index(which)
        packed = F.linear(x, self.qkv.weight[first * d : (first + len(which)) * d])
        return [
            part.reshape(*part.shape[:2], self.n_heads, -1).transpose(1, 2) for part in packed.chunk(len(which), dim=-1)
        ]


def attend(
    q: Float[Tensor, "b h n e"], k: Float[Tensor, "b h n e"], v: Float[Tensor, "b h n e"], mask: Mask
) -> Float[Tensor, "b n d"]:
    """One attention pass, A(Q, K) V = softmax(Q K^T / sqrt(e) + M) V per head, heads merged."""
    if mask.causal and mask.n_keys is not None:
        mixed = F.scaled_dot_product_attention(
            q, mask.keys(k), mask.keys(v), attn_mask=mask.allowed(q.shape[-2], device=q.device)
        )
    else:
        mixed = F.scaled_dot_product_attention(q, mask.keys(k), mask.keys(v), is_causal=mask.causal)
    return mixed.transpose(1, 2).flatten(2)  # b n d


ATTENTIONS: Registry[type[Attention[Any]]] = Registry(
    "attention",
    package="nexus_bench.attention",
    group="nexus_bench.attentions",
    requires=("name", "version", "Options"),
)
