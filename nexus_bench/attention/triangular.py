"""Triangular attention: each pair of positions has a state, which is updated along the triangles that it closes.

Axis letters: b batch, h heads, n positions, k positions that may be attended to, d width, e width of a head.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.pairs import each_pair
from nexus_bench.attention.parts import PackedProjections, logits, mask, merge_heads, split_heads


@ATTENTIONS.register
class Triangular(Attention[AttentionOptions]):
    """States of pairs x_ij, made of positions, updated once along the triangles i, l, j, and read by position i.

    The update is the published triangular attention with its residual; heads are merged by W_U:

        A_ij = sum_l softmax_l(W_Q x_il . W_K x_lj / sqrt(d_head)) (W_V x_il) * (W_W x_lj),  y_ij = x_ij + W_U A_ij

    with a product channel by channel. The Edge Transformer keeps such states from its input to its last layer, with a
    norm and an MLP in each. Here a layer gets and gives one state for each position, so both ends are other ones:

    - x_ij = W_A x_i + W_B x_j; the authors' code has this too, as one of its ways to begin (`pairwise-sum`);
    - the output, of this project: W_O sum_j softmax_j(W_R x_i . y_ij / sqrt(d_head)) y_ij, i attends to its own pairs.

    So every layer forgets its pairs: this is no Edge Transformer, but what one triangular update adds to attention. l
    and j are positions that i may attend to, which is also the authors' rule for a decoder. Rotary positions turn what
    comes of W_A x_i and W_B x_j by the place of that position, before comparisons; W_U A_ij is not turned.

    Since x_ij is a sum, scores are [W_Q W_A x_i, 1] . [k, (k + W_K W_B x_j) . W_Q W_B x_l] with k = W_K W_A x_l, but
    for what is the same for every l; what the value of x_il has of x_i leaves the sum. So no triangle has a vector:
    O(n^3 d) time; O(n^2 d) and n^3 scores per head in memory; 9 d^2 parameters.

    Source: Bergen, O'Donnell and Bahdanau 2021, "Systematic Generalization with Edge Transformers" (arXiv 2112.00578),
    and its public code (bergen/EdgeTransformer, `EdgeAttention` of `clutrr/model.py`).
    """

    name = "triangular"
    version = 1

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.first, self.second, self.ask = (nn.Linear(d_model, d_model, bias=False) for _ in range(3))
        self.projections = PackedProjections(d_model, n_heads, "qkvw")  # of states
        self.update = nn.Linear(d_model, d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """Make states, update them, read them."""
        first, second = self.first(x), self.second(x)
        parts, others = (self.projections.project(of, "qkvw") for of in (first, second))
        closed = self.update(attend_triangles(parts, others, layout).permute(0, 2, 3, 1, 4).flatten(3))  # b n k d
        closed = closed.unflatten(-1, (self.n_heads, -1)).permute(0, 3, 1, 2, 4)  # b h n k e
        own, other, asking = (split_heads(of, self.n_heads) for of in (first, second, self.ask(x)))
        scores = logits(asking, other, layout) + (closed @ asking[..., None]).squeeze(-1) / asking.shape[-1] ** 0.5
        weights = mask(scores, layout).softmax(dim=-1)
        read = own + weights @ layout.keys(other) + (weights[..., None, :] @ closed).squeeze(-2)
        mixed: Tensor = self.out(merge_heads(read))
        return mixed


def attend_triangles(
    first: list[Float[Tensor, "b h n e"]], second: list[Float[Tensor, "b h n e"]], layout: Layout
) -> Float[Tensor, "b h n k e"]:
    """The update A_ij of states that are sums.

    Args:
        first: Queries, keys, values of x_il and values of x_lj: what each has of the first position of its pair.
        second: The same of the second position.
        layout: Which l position i may attend to; j is any that can be attended to at all.
    """
    q, k, v, w = first
    q2, k2, v2, w2 = second
    q, k, q2, k2 = (layout.turned(side) for side in (q, k, q2, k2))
    k, w, q2, k2, v2, w2 = (layout.keys(side) for side in (k, w, q2, k2, v2, w2))
    end, between = each_pair(k2, k)  # one row for each j and l
    bias = ((end + between) * q2.unsqueeze(-3)).sum(dim=-1, keepdim=True)
    end_value, value = each_pair(w2, w)
    values = end_value + value
    allowed = layout.allowed(q.shape[-2], device=q.device) if layout.has_mask else None
    mixed = F.scaled_dot_product_attention(  # a pass for each j
        F.pad(q, (0, 1), value=1.0).unsqueeze(-3).expand(*end.shape[:-2], -1, -1),
        torch.cat([between.expand_as(values), bias], dim=-1),
        torch.cat([values, v2.unsqueeze(-3) * values], dim=-1),
        attn_mask=allowed,
        scale=q.shape[-1] ** -0.5,
    )
    ends, products = mixed.transpose(-2, -3).chunk(2, dim=-1)  # b h n k e
    return v.unsqueeze(-2) * ends + products
