"""Strassen attention: each query attends to pairs of positions, scored by three two-way products."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.pairs import attend_pairs, each_pair
from nexus_bench.attention.parts import PackedProjections, merge_heads


@ATTENTIONS.register
class Strassen(Attention[AttentionOptions]):
    """Sum over pairs of softmax_{j,k}((f_i . g_j + g_j . h_k + h_k . f_i) / sqrt(d_head)) times v_j * w_k, by channel.

    f, g, h, v, w are projections of x; heads are merged and projected by W_O: 6 d^2 parameters. The score is a single
    product, [f_i, 1] . [g_j + h_k, g_j . h_k], so that fused attention over pairs computes it: O(n^3 d_head) time and
    O(n^2 d_head) memory per head. Fast matrix multiplication, after which it is named, would lower the exponent; no
    library offers it, and factored exponentials overflow where scores are sharp.

    Source: Kozachinskiy et al. 2025, "Strassen Attention, Split VC Dimension and Compositionality in Transformers"
    (arXiv 2501.19215).
    """

    name = "strassen"
    version = 1

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads, "fghvw")
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """One pass over pairs."""
        f, g, h, v, w = self.projections.project(x, "fghvw")
        g, h = each_pair(layout.keys(layout.turned(g)), layout.keys(layout.turned(h)))
        keys = torch.cat([g + h, (g * h).sum(dim=-1, keepdim=True)], dim=-1)
        left, right = each_pair(layout.keys(v), layout.keys(w))
        q = F.pad(layout.turned(f), (0, 1), value=1.0)
        mixed: Tensor = self.out(
            merge_heads(attend_pairs(q, keys, left * right, layout, scale=1 / math.sqrt(f.shape[-1])))
        )
        return mixed
