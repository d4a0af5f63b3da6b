"""Nexus: higher-order attention, whose queries and keys are the output of a nested inner attention."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions, Mask, PackedProjections, attend

Combine = Literal["residual_norm", "residual", "norm", "none"]


class NexusOptions(AttentionOptions):
    """The axes of the formulation; the published text leaves some of them open."""

    always_named = ("order", "refine")

    order: int = Field(default=2, ge=1, description="Nesting: 1 is standard attention, each further order one pass.")
    inner: Literal["reproject"] = Field(
        default="reproject", description="The inner output is a representation, projected to queries and keys again."
    )
    combine: Combine = Field(default="residual_norm", description="How the inner output meets the layer's input.")
    refine: Literal["q", "k", "qk"] = Field(default="qk", description="Which side is made from the inner output.")
    share: Literal["shared"] = Field(default="shared", description="Every level reuses W_Q, W_K and W_V.")


@ATTENTIONS.register
class Nexus(Attention[NexusOptions]):
    """Attention of order m: m passes with one set of weights.

    With X the layer's normalised input and V = X W_V,

        Z_0 = X
        Z_i = combine(A(Z_{i-1} W_Q, Z_{i-1} W_K) V, X)        for i = 1..m-1
        output = A(Z_{m-1} W_Q, Z_{m-1} W_K) V W_O

    where the side that `refine` leaves out keeps X at every level. The mask holds at every level: otherwise
    later positions would leak in through the keys.

    Source: "Nexus: Higher-Order Attention Mechanisms in Transformers", arXiv 2512.03377, with shared weights.
    `combine: none` is the literal reading.
    """

    name = "nexus"
    version = 1
    Options = NexusOptions

    def __init__(self, d_model: int, n_heads: int, options: NexusOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)

    def forward(self, x: Float[Tensor, "b n d"], mask: Mask) -> Float[Tensor, "b n d"]:
        """One pass an order; what does not change between levels is projected once."""
        q, k, v = self.projections.project(x, "qkv")
        for _ in range(self.options.order - 1):
            z = combine(attend(q, k, v, mask), x, self.options.combine)
            if self.options.refine == "qk":
                q, k = self.projections.project(z, "qk")
            elif self.options.refine == "q":
                (q,) = self.projections.project(z, "q")
            else:
                (k,) = self.projections.project(z, "k")
        mixed: Tensor = self.projections.out(attend(q, k, v, mask))
        return mixed


def combine(inner: Float[Tensor, "b n d"], x: Float[Tensor, "b n d"], how: Combine) -> Float[Tensor, "b n d"]:
    """Join the inner attention's output with the layer's input; the norm is an RMS norm without parameters."""
    joined = inner + x if how in ("residual", "residual_norm") else inner
    return F.rms_norm(joined, joined.shape[-1:]) if how in ("norm", "residual_norm") else joined
