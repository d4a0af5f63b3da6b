"""Tree attention: a chain of comparisons, each query along with what it finds, in one softmax."""

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, logits, mask, merge_heads


class TreeOptions(AttentionOptions):
    """How long its chains are."""

    always_named = ("folds",)

    folds: int = Field(default=2, ge=1, le=4, description="Comparisons of a chain; 1 is standard attention.")


@ATTENTIONS.register
class Tree(Attention[TreeOptions]):
    """Each position i attends to chains i, l_1, .., l_r, and gets v^2_{l_2} * .. * v^r_{l_r} (v^1_{l_1} if r is 1).

    The score of a chain is the sum of its r comparisons, q^a of a place with q^{a+1} of the next one, over
    sqrt(d_head); the softmax runs over all chains. So comparisons compose: for r = 2 a position is attended to along
    with what it attends to itself. Sums over chains are products of matrices, from the end of the chain on: with the
    message m = v^r and the bias c = 0, for each comparison

        S = Q^a (Q^{a+1})^T / sqrt(d_head) + c (a number for each column),  m <- softmax(S) m,  c <- log sum exp S

    where m is multiplied by the values of a place, if it has some, before the comparison with the place before it.
    Each comparison obeys the layout. Time is O(r n^2 d), memory O(r n^2) per head; (2r + 1) d^2 parameters with W_O.

    Source: Chakrabarti et al. 2026, "Poly-attention" (arXiv 2602.02422), tree attention for the path with r edges, in
    the form of their O(n^2) algorithm; without the norms of queries that public code adds.
    """

    name = "tree"
    version = 1
    Options = TreeOptions

    def __init__(self, d_model: int, n_heads: int, options: TreeOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.n_queries = options.folds + 1
        self.n_values = max(1, options.folds - 1)
        letters = "abcdefgh"[: self.n_queries + self.n_values]  # queries along the chain, then values
        self.projections = PackedProjections(d_model, n_heads, letters)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """From the end of the chains to their beginning."""
        parts = self.projections.project(x, self.projections.letters)
        mixed: Tensor = self.out(merge_heads(attend_chains(parts[: self.n_queries], parts[self.n_queries :], layout)))
        return mixed


def attend_chains(
    queries: list[Float[Tensor, "b h n e"]], values: list[Float[Tensor, "b h n f"]], layout: Layout
) -> Float[Tensor, "b h n f"]:
    """Attention along chains.

    Args:
        queries: Those of each place of a chain, its beginning included.
        values: Those of the last places of a chain.
        layout: Holds in each comparison.
    """
    message, values = values[-1], values[:-1]
    bias: Tensor | None = None
    for asking, asked in zip(reversed(queries[:-1]), reversed(queries[1:]), strict=True):
        if bias is not None and values:
            message, values = message * values[-1], values[:-1]
        scores = mask(logits(asking, asked, layout), layout)
        if bias is not None:
            scores = scores + layout.keys(bias).transpose(-1, -2)
        message = scores.softmax(dim=-1) @ layout.keys(message)
        bias = scores.logsumexp(dim=-1, keepdim=True)
    return message
