"""DeltaFormer: softmax attention over values that were corrected by softmax attention."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, attend, logits, merge_heads
from nexus_bench.attention.recurrence import exact, solve, strictly_before, wide


@ATTENTIONS.register
class DeltaFormer(Attention[AttentionOptions]):
    """A(Q, K) U W_O with u_t = v_t - b_t sum over s < t of p_ts u_s, p_t the softmax of q_t . k_s over these s.

    b = sigmoid(. + c) per head. The first position has no s, and u = v. U is one triangular solve. Sequences only;
    memory is O(n^2) per head.

    Source: Zhong et al. 2025, "Understanding Transformer from the Perspective of Associative Memory" (arXiv
    2505.19488), in the form of flash-linear-attention, which compares queries with keys in both places.
    """

    name = "delta_former"
    version = 1
    takes_sets = False

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.beta = nn.Linear(d_model, n_heads)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """A solve, and a pass."""
        q, k, v = self.projections.project(x, "qkv")
        u = corrected(q, k, v, self.beta(x).sigmoid().transpose(1, 2), layout)
        mixed: Tensor = self.out(merge_heads(attend(q, k, u, layout)))
        return mixed


def corrected(
    q: Float[Tensor, "b h n e"],
    k: Float[Tensor, "b h n e"],
    v: Float[Tensor, "b h n f"],
    beta: Float[Tensor, "b h n"],
    layout: Layout,
) -> Float[Tensor, "b h n f"]:
    """The values U."""
    before = strictly_before(layout, q.shape[2], q.device)
    with exact(q):
        scores = wide(logits(q, k, layout))
        alone = torch.diag(~before.any(dim=-1))  # a position that sees none is shown itself, and then nothing
        shares = scores.masked_fill(~(before | alone), -torch.inf).softmax(dim=-1) * before
        return solve(wide(beta)[..., None] * shares, wide(v)).to(v.dtype)
