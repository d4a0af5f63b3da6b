"""Talking-heads attention: heads mix before and after the softmax."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, logits, mask, merge_heads


@ATTENTIONS.register
class TalkingHeads(Attention[AttentionOptions]):
    """P_w softmax(P_l Q K^T / sqrt(d_head) + M) V, where P_l and P_w mix heads; merged, times W_O.

    Both mixtures start as the identity, so that the mechanism starts as standard attention. Memory is O(n^2) per head.

    Source: Shazeer et al. 2020, "Talking-Heads Attention" (arXiv 2003.02436), section 3, with as many heads everywhere.
    """

    name = "talking_heads"
    version = 1

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.before, self.after = (nn.Parameter(torch.eye(n_heads)) for _ in range(2))

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """One pass."""
        q, k, v = self.projections.project(x, "qkv")
        scores = mask(_mix(self.before, logits(q, k, layout)), layout)
        mixed: Tensor = self.out(merge_heads(_mix(self.after, scores.softmax(dim=-1)) @ layout.keys(v)))
        return mixed


def _mix(heads: Float[Tensor, "g h"], maps: Float[Tensor, "b h n k"]) -> Float[Tensor, "b g n k"]:
    return (heads @ maps.flatten(2)).reshape(maps.shape)
