"""Standard multi-head softmax attention."""

from jaxtyping import Float
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, attend, merge_heads


@ATTENTIONS.register
class Standard(Attention[AttentionOptions]):
    """softmax(Q K^T / sqrt(d_head) + M) V, heads merged, times W_O.

    `n_layers` sets the depth; `n_loops` applies the same blocks again, which is the looped transformer (Dehghani et
    al. 2019, "Universal Transformers", arXiv 1807.03819).

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.2.
    """

    name = "standard"
    version = 1

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """One pass."""
        q, k, v = self.projections.project(x, "qkv")
        mixed: Tensor = self.out(merge_heads(attend(q, k, v, layout)))
        return mixed
