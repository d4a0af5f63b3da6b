"""Attention diffusion: the values are mixed by powers of one attention matrix."""

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, attend, merge_heads


class DiffusionOptions(AttentionOptions):
    """The number of powers, and their weights."""

    always_named = ("powers",)

    powers: int = Field(default=3, ge=1, le=64, description="Highest power of the attention matrix, one pass each.")
    alpha: float = Field(
        default=0.15, ge=0, lt=1, description="Teleport probability; with 0 only the highest power counts."
    )


@ATTENTIONS.register
class Diffusion(Attention[DiffusionOptions]):
    """Sum over i of theta_i A^i V, times W_O, with theta_i = alpha (1 - alpha)^i and the rest on the highest power.

    Computed as Z_0 = V, Z_{i+1} = (1 - alpha) A Z_i + alpha V; no power of the matrix A is ever formed. One power with
    alpha 0 is standard attention; parameters are those of standard attention.

    Source: MAGNA, Wang et al. 2021, "Multi-hop Attention Graph Neural Networks" (arXiv 2009.14332), section 3.
    """

    name = "diffusion"
    version = 1
    Options = DiffusionOptions

    def __init__(self, d_model: int, n_heads: int, options: DiffusionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """One pass per power, all with the same queries and keys."""
        q, k, v = self.projections.project(x, "qkv")
        z = v
        for _ in range(self.options.powers):
            z = (1 - self.options.alpha) * attend(q, k, z, layout) + self.options.alpha * v
        mixed: Tensor = self.out(merge_heads(z))
        return mixed
