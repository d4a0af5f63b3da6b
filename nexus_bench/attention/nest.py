"""The full recursion, in which every attention has its own weights."""

from typing import Protocol

from jaxtyping import Float
from torch import Tensor, nn

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.levels import Combine, combine
from nexus_bench.attention.parts import PackedProjections, attend, merge_heads


class Choices(Protocol):
    """The options of a nest that the recursion needs."""

    @property
    def inner(self) -> str:
        """`reproject` or `direct`."""

    @property
    def combine(self) -> Combine:
        """How an inner output is combined with what it refines."""

    @property
    def refine(self) -> str:
        """The sides with an inner attention."""


class Nest(nn.Module):
    """One attention of the full recursion, with its own weights; it contains one of the next lower order per side.

    Its output of order m is A(Q, K) V with V = X W_V. A refined side is combine(inner output, X) W for
    `inner: reproject`; for `inner: direct` it is combine(inner output, the values that it mixed) itself.
    """

    def __init__(self, d_model: int, n_heads: int, options: Choices, order: int) -> None:
        super().__init__()
        self.options = options
        refined = options.refine if order > 1 else ""
        self.given = refined if options.inner == "direct" else ""  # these sides need no weights
        letters = "".join(letter for letter in "qkv" if letter not in self.given)
        self.projections = PackedProjections(d_model, n_heads, letters)
        self.inner = nn.ModuleDict({side: Nest(d_model, n_heads, options, order - 1) for side in refined})

    def forward(
        self, x: Float[Tensor, "b n d"], layout: Layout
    ) -> tuple[Float[Tensor, "b h n e"], Float[Tensor, "b h n e"]]:
        """The output, and the values it mixes."""
        plain = [letter for letter in self.projections.letters if letter not in self.inner]
        sides = {letter: self.projections.project(x, letter)[0] for letter in plain}
        for side, nest in self.inner.items():
            inner, values = nest(x, layout)
            if side in self.given:
                sides[side] = combine(inner, values, self.options.combine)
            else:
                z = combine(merge_heads(inner), x, self.options.combine)
                (sides[side],) = self.projections.project(z, side)
        return attend(sides["q"], sides["k"], sides["v"], layout), sides["v"]


def n_parameters(d_model: int, options: Choices, order: int) -> int:
    """Parameters of a layer with unshared weights; with `direct`, a refined side needs no matrix."""
    n_refined = len(options.refine)
    n_attentions = sum(n_refined**level for level in range(order))
    n_innermost = n_refined ** (order - 1)
    n_given = (n_attentions - n_innermost) * n_refined if options.inner == "direct" else 0
    return int(3 * n_attentions - n_given + 1) * d_model * d_model
