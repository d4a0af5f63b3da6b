"""Forgetting attention: what is further back counts less, by gates that depend on the data."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, logits, mask, merge_heads
from nexus_bench.attention.recurrence import wide


@ATTENTIONS.register
class Forgetting(Attention[AttentionOptions]):
    """softmax(Q K^T / sqrt(d_head) + D) V with D_ij = sum of log sigmoid(w . x_t + b) over t = j+1 .. i, per head.

    Sequences only. Memory is O(n^2) per head.

    Source: Lin et al. 2025, "Forgetting Transformer" (arXiv 2503.02130), equations 5 to 8.
    """

    name = "forgetting"
    version = 1
    takes_sets = False

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.forget = nn.Linear(d_model, n_heads)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """One pass."""
        q, k, v = self.projections.project(x, "qkv")
        total = layout.summed(F.logsigmoid(wide(self.forget(x)))).transpose(1, 2)
        scores = wide(mask(logits(q, k, layout), layout)) + total[..., :, None] - total[..., None, :]
        mixed: Tensor = self.out(merge_heads(scores.softmax(dim=-1).to(v.dtype) @ v))
        return mixed
