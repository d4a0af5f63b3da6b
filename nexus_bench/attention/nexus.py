"""Nexus: higher-order attention, whose queries and keys are the output of a nested inner attention."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.parts import PackedProjections, attend, merge_heads

MAX_PARAMETERS = 2**26  # of one layer: `unshared` doubles with every order
Combine = Literal["residual_norm", "residual", "norm", "none"]


class NexusOptions(AttentionOptions):
    """The options of the formulation; the published text leaves some of them open."""

    always_named = ("order", "refine")

    order: int = Field(
        default=2, ge=1, description="Recursion depth: 1 is standard attention, each further order adds one level."
    )
    inner: Literal["reproject", "direct"] = Field(
        default="reproject",
        description="The inner output is projected to queries and keys again, or is the queries and keys itself.",
    )
    combine: Combine = Field(
        default="residual_norm", description="How the inner output is combined with what it refines."
    )
    refine: Literal["q", "k", "qk"] = Field(
        default="qk", description="Which of queries and keys are computed from the inner output."
    )
    share: Literal["shared", "unshared"] = Field(
        default="shared", description="Every level reuses W_Q, W_K and W_V, or has its own, for q and for k."
    )

    @property
    def n_passes(self) -> int:
        """Attention passes of one forward pass; `direct` with `qk` counts the pass that serves both once."""
        return int(2**self.order) - 1 if self.share == "unshared" and self.refine == "qk" else self.order


@ATTENTIONS.register
class Nexus(Attention[NexusOptions]):
    """Attention of order m.

    With X the layer's normalised input and A(Q, K) = softmax(Q K^T / sqrt(d_head) + M):

    `inner: reproject`, the inner output is a representation, projected again (V = X W_V):

        Z_0 = X
        Z_i = combine(A(Z_{i-1} W_Q, Z_{i-1} W_K) V, X)        for i = 1..m-1
        output = A(Z_{m-1} W_Q, Z_{m-1} W_K) V W_O

    `inner: direct`, the inner outputs are the queries and keys, and what they mix are those of order 1:

        Q_1, K_1 = X W_Q, X W_K
        Q_i, K_i = combine(A(Q_{i-1}, K_{i-1}) Q_1, Q_1), combine(A(Q_{i-1}, K_{i-1}) K_1, K_1)
        output = A(Q_m, K_m) V W_O

    The side that `refine` leaves out is that of order 1. With `share: unshared` the recursion is the full one, and
    every attention in it has its own weights (`Nest`); `refine: qk` then takes 2^m - 1 passes instead of m. The mask
    and rotary positions hold at every level: otherwise later positions would leak in through the keys.

    Source: "Nexus: Higher-Order Attention Mechanisms in Transformers", arXiv 2512.03377; its Nexus-QK-Shared is
    `shared`, its Nexus-QK `unshared`. The norm is an RMS norm without parameters; `combine: none` is the literal
    reading.
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
            self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)

    @classmethod
    def check(cls, d_model: int, options: NexusOptions) -> None:
        """Refuse a recursion with too many unshared weights.

        Raises:
            ValueError: A layer would have more than MAX_PARAMETERS parameters; the message gives the largest order.
        """
        if options.share == "shared":
            return
        fits = [o for o in range(1, 25) if _tree_parameters(d_model, options, o) <= MAX_PARAMETERS]
        if options.order not in fits:
            raise ValueError(
                f"order must be 1 to {max(fits, default=0)} with share unshared, inner {options.inner}, refine "
                f"{options.refine} and d_model {d_model} (at most {MAX_PARAMETERS:,} parameters per layer), "
                f"got {options.order}"
            )

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b n d"]:
        """Level after level, the innermost first."""
        if self.options.share == "unshared" and self.options.order > 1:
            inner, _ = self.nest(x, layout)
        elif self.options.inner == "direct":
            inner = self._direct(x, layout)
        else:
            inner = self._reproject(x, layout)
        mixed: Tensor = self.out(merge_heads(inner))
        return mixed

    def _reproject(self, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b h n e"]:
        """`inner: reproject`; what does not change between levels is projected once."""
        q, k, v = self.projections.project(x, "qkv")
        for _ in range(self.options.order - 1):
            z = combine(merge_heads(attend(q, k, v, layout)), x, self.options.combine)
            if self.options.refine == "qk":
                q, k = self.projections.project(z, "qk")
            elif self.options.refine == "q":
                (q,) = self.projections.project(z, "q")
            else:
                (k,) = self.projections.project(z, "k")
        return attend(q, k, v, layout)

    def _direct(self, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b h n e"]:
        first_q, first_k, v = self.projections.project(x, "qkv")
        q, k = first_q, first_k
        how = self.options.combine
        for _ in range(self.options.order - 1):
            if self.options.refine == "qk":
                new_q, new_k = _attend_both(q, k, first_q, first_k, layout)
                q, k = (combine(new, first, how) for new, first in ((new_q, first_q), (new_k, first_k)))
            elif self.options.refine == "q":
                q = combine(attend(q, k, first_q, layout), first_q, how)
            else:
                k = combine(attend(q, k, first_k, layout), first_k, how)
        return attend(q, k, v, layout)


class Nest(nn.Module):
    """One attention of the full recursion, with its own weights; it contains one of the next lower order per side.

    Its output of order m is A(Q, K) V with V = X W_V. A refined side is combine(inner output, X) W for
    `inner: reproject`; for `inner: direct` it is combine(inner output, X W_V of that inner attention) itself.
    """

    def __init__(self, d_model: int, n_heads: int, options: NexusOptions, order: int) -> None:
        super().__init__()
        self.options = options
        refined = options.refine if order > 1 else ""
        self.given = "".join(side for side in "qk" if side in refined and options.inner == "direct")  # need no weights
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


def _attend_both(q: Tensor, k: Tensor, first_q: Tensor, first_k: Tensor, layout: Layout) -> tuple[Tensor, ...]:
    """A(Q, K) times Q_1 and times K_1.

    On a GPU this is one pass over both, concatenated, since fused kernels there accept values that are wider than
    queries. On a CPU such a pass would store the n x n matrix, so there are two.
    """
    if q.is_cuda:
        return attend(q, k, torch.cat([first_q, first_k], dim=-1), layout).chunk(2, dim=-1)
    return attend(q, k, first_q, layout), attend(q, k, first_k, layout)


def combine(inner: Float[Tensor, "*b n w"], base: Float[Tensor, "*b n w"], how: Combine) -> Float[Tensor, "*b n w"]:
    """Combine the output of an inner attention with what it refines; the norm, over the last axis, is an RMS norm."""
    joined = inner + base if how in ("residual", "residual_norm") else inner
    return F.rms_norm(joined, joined.shape[-1:]) if how in ("norm", "residual_norm") else joined


def _tree_parameters(d_model: int, options: NexusOptions, order: int) -> int:
    """Parameters of a layer with unshared weights; with `direct`, a refined side needs no matrix."""
    n_refined = len(options.refine)
    n_attentions = sum(n_refined**level for level in range(order))
    n_innermost = n_refined ** (order - 1)
    n_given = (n_attentions - n_innermost) * n_refined if options.inner == "direct" else 0
    return int(3 * n_attentions - n_given + 1) * d_model * d_model
