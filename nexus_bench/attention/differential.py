"""Differential attention: the difference of two attention maps."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, attend, merge_heads


class DifferentialOptions(AttentionOptions):
    """How much of the second map is taken away."""

    lambda_init: float = Field(default=0.8, ge=0, lt=1, description="What the second map is multiplied by at first.")


@ATTENTIONS.register
class Differential(Attention[DifferentialOptions]):
    """(A(Q_1, K_1) - l A(Q_2, K_2)) V, where each head's queries and keys are cut in halves; 4 d^2 parameters.

    l = exp(a_1 . b_1) - exp(a_2 . b_2) + lambda_init with vectors that start from N(0, 0.1^2), one l for all heads.
    Each head passes an RMS norm with weights and is multiplied by 1 - lambda_init; heads are merged, times W_O. The
    published lambda_init depends on the depth of the layer, which a mechanism does not know here: 0.8 is the constant
    of the published ablation. Of an odd head width the middle channel is left out.

    Source: Ye et al. 2025, "Differential Transformer" (arXiv 2410.05258), section 2.1, equations 1 to 3.
    """

    name = "differential"
    version = 1
    Options = DifferentialOptions

    def __init__(self, d_model: int, n_heads: int, options: DifferentialOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)
        width = d_model // n_heads
        self.width_compared = max(1, width // 2)
        self.strengths = nn.Parameter(0.1 * torch.randn(4, self.width_compared))  # a_1, b_1, a_2, b_2
        self.norm = nn.RMSNorm(width, eps=1e-5)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """Two passes."""
        q, k, v = self.projections.project(x, "qkv")
        first = attend(q[..., : self.width_compared], k[..., : self.width_compared], v, layout)
        second = attend(q[..., -self.width_compared :], k[..., -self.width_compared :], v, layout)
        a, b, c, d = self.strengths
        strength = (a * b).sum().exp() - (c * d).sum().exp() + self.options.lambda_init
        heads = self.norm(first - strength.to(first.dtype) * second) * (1 - self.options.lambda_init)
        mixed: Tensor = self.out(merge_heads(heads))
        return mixed
