"""Linear attention: a feature map in the place of the softmax."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, mask, merge_heads
from nexus_bench.attention.recurrence import exact, wide


@ATTENTIONS.register
class Linear(Attention[AttentionOptions]):
    """sum_j (f(q_i) . f(k_j)) v_j / sum_j f(q_i) . f(k_j), with f(x) = elu(x) + 1; heads merged, times W_O.

    The sums run over what the layout allows, so it takes sets and sequences; on a sequence it is a recurrence. It is
    computed as an n x n matrix. The product of two rotated features is no function of their distance, and may be
    negative, so rotary positions are refused.

    Source: Katharopoulos et al. 2020, "Transformers are RNNs" (arXiv 2006.16236), equations 4 to 7.
    """

    name = "linear"
    version = 1
    takes_rope = False

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """One pass."""
        q, k, v = self.projections.project(x, "qkv")
        with exact(x):
            features = F.elu(wide(q)) + 1, F.elu(wide(layout.keys(k))) + 1
            scores = mask(features[0] @ features[1].transpose(-1, -2), layout, value=0.0)
            heads = (scores @ wide(layout.keys(v)) / scores.sum(dim=-1, keepdim=True)).to(v.dtype)
        mixed: Tensor = self.out(merge_heads(heads))
        return mixed
