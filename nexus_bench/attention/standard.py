"""Standard multi-head softmax attention."""

from jaxtyping import Float
from torch import Tensor

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions, Mask, PackedProjections, attend


@ATTENTIONS.register
class Standard(Attention[AttentionOptions]):
    """softmax(Q K^T / sqrt(d_head) + M) V, heads merged, times W_O.

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.2.
    """

    name = "standard"
    version = 1

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)

    def forward(self, x: Float[Tensor, "b n d"], mask: Mask) -> Float[Tensor, "b n d"]:
        """One pass."""
        q, k, v = self.projections.project(x, "qkv")
        mixed: Tensor = self.projections.out(attend(q, k, v, mask))
        return mixed
