"""Gated attention: what each head found passes a gate."""

from jaxtyping import Float
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, attend, merge_heads


@ATTENTIONS.register
class Gated(Attention[AttentionOptions]):
    """(A(Q, K) V * sigmoid(X W_g)) W_O, channel by channel: 5 d^2 parameters.

    Source: Qiu et al. 2025, "Gated Attention for Large Language Models" (arXiv 2505.06708), section 2.2: the gate G1,
    elementwise, per head, sigmoid.
    """

    name = "gated"
    version = 1

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.gate = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """One pass."""
        q, k, v = self.projections.project(x, "qkv")
        mixed: Tensor = self.out(merge_heads(attend(q, k, v, layout)) * self.gate(x).sigmoid())
        return mixed
