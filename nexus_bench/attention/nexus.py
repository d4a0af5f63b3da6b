"""Nexus: higher-order attention, whose queries and keys are the output of a nested inner attention."""

from jaxtyping import Float
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.levels import AllPositions, climb, combine
from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.attention.parts import PackedProjections, attend, merge_heads

MAX_PARAMETERS = 2**26  # of one layer: `unshared` multiplies with every order


@ATTENTIONS.register
class Nexus(Attention[NexusOptions]):
    """Attention of order m.

    With X the layer's normalised input and A(Q, K) = softmax(Q K^T / sqrt(d_head) + M), level 1 has Q, K, V = X W_Q,
    X W_K, X W_V, and the output is A(Q, K) V W_O with the sides of level m. Every further level is one step:

        C' = combine(A(pair) values(B), B)        with B = C of level 1 (`mix: first`), or C (`last`)

    | `inner`     | carried C, at level 1        | values(B) | a refined side is |
    |-------------|------------------------------|-----------|-------------------|
    | `reproject` | X                            | B W_V     | C' W              |
    | `direct`    | X W of each refined side     | B         | C'                |
    | `output`    | X W_V                        | B         | C'                |

    The pair is (Q, K) for queries and values of the output. For keys `compare` chooses it; then what makes keys is
    carried apart. Sides that `refine` leaves out are those of level 1. With `share: inner` levels 1 to m - 1 have
    weights of their own, and what the outer attention projects has the outer ones. With `share: unshared` the recursion
    is the full one, and every attention in it has its own weights (`Nest`). The mask and rotary positions hold at every
    level: otherwise later positions would leak in through the keys.

    Source: "Nexus: Higher-Order Attention Mechanisms in Transformers", arXiv 2512.03377; its Nexus-QK-Shared is
    `shared`, its Nexus-QK `unshared`. `combine: none` is the literal reading.
    """

    name = "nexus"
    version = 1
    Options = NexusOptions

    def __init__(self, d_model: int, n_heads: int, options: NexusOptions) -> None:
        super().__init__(d_model, n_heads, options)
        if options.share == "unshared" and options.order > 1:
            self.check(d_model, options)
            self.nest = Nest(d_model, n_heads, options, options.order)
        else:
            apart = options.share == "inner" and options.order > 1
            letters = _outer_letters(options) if apart else "qkv"
            self.projections = PackedProjections(d_model, n_heads, letters)
        self.out = nn.Linear(d_model, d_model, bias=False)
        if options.share == "inner" and options.order > 1:
            self.inner_projections = PackedProjections(d_model, n_heads)

    @classmethod
    def check(cls, d_model: int, options: NexusOptions) -> None:
        """Refuse a recursion with too many unshared weights.

        Raises:
            ValueError: A layer would have more than MAX_PARAMETERS parameters; the message gives the largest order.
        """
        if options.share != "unshared":
            return
        fits = [o for o in range(1, 25) if _tree_parameters(d_model, options, o) <= MAX_PARAMETERS]
        if options.order not in fits:
            raise ValueError(
                f"order must be 1 to {max(fits, default=0)} with share unshared, inner {options.inner}, refine "
                f"{options.refine} and d_model {d_model} (at most {MAX_PARAMETERS:,} parameters per layer), "
                f"got {options.order}"
            )

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """Level after level, the innermost first."""
        if self.options.share == "unshared" and self.options.order > 1:
            heads, _ = self.nest(x, layout)
        else:
            sides = self._sides(x, layout)
            heads = attend(sides["q"], sides["k"], sides["v"], layout)
        mixed: Tensor = self.out(merge_heads(heads))
        return mixed

    def _sides(self, x: Float[Tensor, "b n d"], layout: Layout) -> dict[str, Float[Tensor, "b h n e"]]:
        """Queries, keys and values of the last level."""
        apart = self.options.share == "inner" and self.options.order > 1
        inner = self.inner_projections if apart else self.projections
        first = dict(zip("qkv", inner.project(x, "qkv"), strict=True))
        together = AllPositions(layout)
        return climb(x, first, self.options, together, inner=inner, outer=self.projections, out=self.out)


class Nest(nn.Module):
    """One attention of the full recursion, with its own weights; it contains one of the next lower order per side.

    Its output of order m is A(Q, K) V with V = X W_V. A refined side is combine(inner output, X) W for
    `inner: reproject`; for `inner: direct` it is combine(inner output, values of that inner attention) itself.
    """

    def __init__(self, d_model: int, n_heads: int, options: NexusOptions, order: int) -> None:
        super().__init__()
        self.options = options
        self.n_heads = n_heads
        refined = options.refine if order > 1 else ""
        self.given = refined if options.inner == "direct" else ""  # need no weights
        letters = "".join(letter for letter in "qkv" if letter not in self.given)
        if letters:
            self.projections = PackedProjections(d_model, n_heads, letters)
        self.inner = nn.ModuleDict({side: Nest(d_model, n_heads, options, order - 1) for side in refined})

    def forward(
        self, x: Float[Tensor, "b n d"], layout: Layout
    ) -> tuple[Float[Tensor, "b h n e"], Float[Tensor, "b h n e"]]:
        """The output, and the values it mixes."""
        sides = {side: self.projections.project(x, side)[0] for side in "qkv" if side not in self.inner}
        for side, nest in self.inner.items():
            inner, values = nest(x, layout)
            if side in self.given:
                sides[side] = combine(inner, values, self.options, self.n_heads)
            else:
                z = combine(merge_heads(inner), x, self.options, self.n_heads)
                (sides[side],) = self.projections.project(z, side)
        return attend(sides["q"], sides["k"], sides["v"], layout), sides["v"]


def _outer_letters(options: NexusOptions) -> str:
    """What the outer attention projects by itself with `share: inner`."""
    return "".join(side for side in "qkv" if options.inner == "reproject" or side not in options.refine)


def _tree_parameters(d_model: int, options: NexusOptions, order: int) -> int:
    """Parameters of a layer with unshared weights; with `direct`, a refined side needs no matrix."""
    n_refined = len(options.refine)
    n_attentions = sum(n_refined**level for level in range(order))
    n_innermost = n_refined ** (order - 1)
    n_given = (n_attentions - n_innermost) * n_refined if options.inner == "direct" else 0
    return int(3 * n_attentions - n_given + 1) * d_model * d_model
