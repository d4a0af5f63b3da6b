"""2-simplicial attention: each query attends to pairs of positions, scored by a three-way product."""

import math

from jaxtyping import Float
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.pairs import attend_pairs, each_pair
from nexus_bench.attention.parts import PackedProjections, merge_heads


@ATTENTIONS.register
class TwoSimplicial(Attention[AttentionOptions]):
    """Sum over pairs of softmax_{j,k}(sum_c q_ic k_jc k'_kc / sqrt(d_head)) times v_j * w_k, by channel.

    q, k, k', v, w are projections of x; heads are merged and projected by W_O: 6 d^2 parameters. Pairs have the keys
    k_j * k'_k, so that fused attention over pairs computes it: O(n^3 d_head) time, O(n^2 d_head) memory per head.
    The exponential of a three-way product does not factor, so only a window would save time; there is none here.
    The three-way product of rotated vectors is not a function of distances, so rotary positions are refused.

    Source: Clift et al. 2019, "Logic and the 2-Simplicial Transformer" (arXiv 1909.00668); in this form Roy et al.
    2025, "Fast and Simplex: 2-Simplicial Attention in Triton" (arXiv 2507.02754).
    """

    name = "two_simplicial"
    version = 1
    takes_rope = False

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads, "qklvw")
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """One pass over pairs."""
        q, *parts = self.projections.project(x, "qklvw")
        k, k2, v, w = (layout.keys(part) for part in parts)
        keys, values = ((a * b) for a, b in (each_pair(k, k2), each_pair(v, w)))
        mixed: Tensor = self.out(merge_heads(attend_pairs(q, keys, values, layout, scale=1 / math.sqrt(q.shape[-1]))))
        return mixed
