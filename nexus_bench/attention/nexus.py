"""Nexus: higher-order attention, whose queries and keys are the output of a nested inner attention."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.levels import Combine, Compare, Sides, combine, mix, pairs_of, seen_by
from nexus_bench.attention.nest import Nest, n_parameters
from nexus_bench.attention.parts import PackedProjections, attend, merge_heads, split_heads

MAX_PARAMETERS = 2**26  # of one layer: `unshared` multiplies with every order


class NexusOptions(AttentionOptions):
    """The options of the formulation; the published text leaves some of them open."""

    always_named = ("order", "refine")
    later = ("compare", "mix", "norm_over", "inner_out")

    order: int = Field(
        default=2, ge=1, description="Recursion depth: 1 is standard attention, each further order adds one level."
    )
    inner: Literal["reproject", "direct", "output"] = Field(
        default="reproject",
        description="The inner output is projected to queries and keys again; or mixed queries and keys are new ones; "
        "or the inner output is both, queries and keys.",
    )
    combine: Combine = Field(
        default="residual_norm", description="How the inner output is combined with what it refines."
    )
    refine: Literal["q", "k", "qk", "qkv"] = Field(
        default="qk", description="Which of queries, keys and values are computed from the inner output."
    )
    share: Literal["shared", "inner", "unshared"] = Field(
        default="shared",
        description="Every level reuses W_Q, W_K and W_V; or all inner levels have one set and the outer another; or "
        "every attention has its own, for q and for k.",
    )
    compare: Compare = Field(
        default="qk",
        description="Which comparison refines keys: A(Q, K) as for queries; A(K, K), with A(Q, Q) for queries; the "
        "transposed A(K, Q); or this in half of the heads.",
    )
    mix: Literal["first", "last"] = Field(
        default="first", description="What each level mixes and adds: that of the first level, or of the last one."
    )
    norm_over: Literal["width", "head"] | None = Field(
        default=None, description="Axis of the norm; null: the width with reproject, else a head."
    )
    inner_out: bool = Field(default=False, description="The inner output passes through W_O too.")

    @model_validator(mode="after")
    def _go_together(self) -> "NexusOptions":
        mirrors = self.compare in ("mirrored", "half_mirrored")
        if self.share == "unshared" and (self.compare, self.mix, self.inner_out) != ("qk", "first", False):
            raise ValueError(
                "compare must be qk, mix first and inner_out false with share unshared, where every attention has its "
                f"own weights, got {self.compare}, {self.mix} and {str(self.inner_out).lower()}"
            )
        if self.share == "unshared" and self.inner == "output":
            raise ValueError("inner must be reproject or direct with share unshared, where output is direct")
        if self.inner == "direct" and self.refine == "qkv" and self.share == "unshared":
            raise ValueError("refine must be q, k or qk with inner direct and share unshared, got qkv")
        is_all_inside = ("direct", "qk"), ("direct", "qkv"), ("output", "qkv")
        if self.share == "inner" and (self.inner, self.refine) in is_all_inside:
            raise ValueError(
                f"share must be shared with inner {self.inner} and refine {self.refine}: no weight is used both inside "
                "and outside"
            )
        if mirrors and self.refine == "q":
            raise ValueError(f"compare must be qk or self with refine q, which refines no keys, got {self.compare}")
        if self.inner_out and self.inner != "reproject":
            raise ValueError(f"inner_out must be false with inner {self.inner}: only reproject has the model's width")
        if self.norm_over is not None and self.combine not in ("residual_norm", "norm"):
            raise ValueError(f"norm_over must be null with combine {self.combine}, which has no norm")
        return self


@ATTENTIONS.register
class Nexus(Attention[NexusOptions]):
    """Attention of order m.

    With X the layer's normalised input and A(Q, K) = softmax(Q K^T / sqrt(d_head) + M), level 1 has Q_1, K_1, V_1 =
    X W_Q, X W_K, X W_V, and the output is A(Q_m, K_m) V_1 W_O (V_m if `refine` has v). For i = 2..m

    `inner: reproject`, the inner output is a representation, projected again:

        Z_i = combine(A(Q_{i-1}, K_{i-1}) V_1, X),    Q_i, K_i = Z_i W_Q, Z_i W_K

    `inner: direct`, queries and keys are mixed themselves:

        Q_i = combine(A(Q_{i-1}, K_{i-1}) Q_1, Q_1),    K_i = combine(A(Q_{i-1}, K_{i-1}) K_1, K_1)

    `inner: output`, the inner output is both:

        Q_i = K_i = combine(A(Q_{i-1}, K_{i-1}) V_1, V_1)

    A side that `refine` leaves out is that of order 1. `compare` says which map stands in the place of A(Q_{i-1},
    K_{i-1}) for keys: `mirrored` takes the transposed comparison A(K_{i-1}, Q_{i-1}). With `mix: last`, what is mixed
    and what is added are those of level i-1. With `share: inner`, levels up to m-1 have one set of projections, and
    what follows another; with `unshared` the recursion is the full one (`Nest`). `inner_out` passes inner outputs
    through W_O. The mask and rotary positions hold at every level: otherwise later positions would leak in through
    the keys.

    Source: "Nexus: Higher-Order Attention Mechanisms in Transformers", arXiv 2512.03377; its Nexus-QK-Shared is
    `shared`, its Nexus-QK `unshared`. The norm is an RMS norm without parameters; `combine: none` is the literal
    reading. `mirrored` is this project's own.
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
            self.projections = PackedProjections(d_model, n_heads, self._letters_outside())
        self.out = nn.Linear(d_model, d_model, bias=False)
        if self._is_split:
            self.inner_projections = PackedProjections(d_model, n_heads, "qk" if options.inner == "direct" else "qkv")

    @classmethod
    def check(cls, d_model: int, options: NexusOptions) -> None:
        """Refuse a recursion with too many unshared weights.

        Raises:
            ValueError: A layer would have more than MAX_PARAMETERS parameters; the message gives the largest order.
        """
        if options.share != "unshared":
            return
        fits = [o for o in range(1, 25) if n_parameters(d_model, options, o) <= MAX_PARAMETERS]
        if options.order not in fits:
            raise ValueError(
                f"order must be 1 to {max(fits, default=0)} with share unshared, inner {options.inner}, refine "
                f"{options.refine} and d_model {d_model} (at most {MAX_PARAMETERS:,} parameters per layer), "
                f"got {options.order}"
            )

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b n d"]:
        """Level after level, the innermost first."""
        if self.options.share == "unshared" and self.options.order > 1:
            heads, _ = self.nest(x, layout)
        else:
            sides = self._reprojected(x, layout) if self.options.inner == "reproject" else self._mixed(x, layout)
            heads = attend(sides["q"], sides["k"], sides["v"], layout)
        mixed: Tensor = self.out(merge_heads(heads))
        return mixed

    @property
    def _is_split(self) -> bool:
        """Whether inner levels have projections of their own."""
        return self.options.share == "inner" and self.options.order > 1

    def _letters_outside(self) -> str:
        """The projections of the last level: sides that are inner outputs themselves need none."""
        given = self.options.refine if self._is_split and self.options.inner != "reproject" else ""
        return "".join(side for side in "qkv" if side not in given)

    def _projections(self, level: int) -> PackedProjections:
        return self.inner_projections if self._is_split and level < self.options.order else self.projections

    def _reprojected(self, x: Float[Tensor, "b n d"], layout: Layout) -> Sides:
        """Queries, keys and values of the last level for `inner: reproject`."""
        o = self.options
        plain = now = self._all_of(x, self._projections(1))
        z = dict.fromkeys("qkv", x)  # the representation that each side is projected from
        for level in range(2, o.order + 1):
            at, into = self._projections(level - 1), self._projections(level)
            refined: Sides = {}
            represented = dict(z)
            for pair, sides in pairs_of(o.compare, o.refine).items():
                seen = plain["v"] if o.mix == "first" or level == 2 else self._seen(pair, z, now, at)
                (heads,) = mix(now, pair, [seen], layout)
                inner = merge_heads(heads)
                base = x if o.mix == "first" else z[sides[0]]
                new = self._combine(self.out(inner) if o.inner_out else inner, base)
                represented |= dict.fromkeys(sides, new)
                refined |= dict(zip(sides, into.project(new, sides), strict=True))
            z = represented
            if into is not at:
                plain = self._all_of(x, into)
            now = plain | refined
        return now

    def _seen(self, pair: str, z: Sides, now: Sides, at: PackedProjections) -> Float[Tensor, "b h n e"]:
        """The values of the last level that the map of a pair mixes; values, if refined, are those of keys."""
        of_keys = now["v"] if "v" in self.options.refine else at.project(z["k"], "v")[0]
        return seen_by(pair, of_keys, of_keys if pair in ("qk", "kk") else at.project(z["q"], "v")[0])

    def _mixed(self, x: Float[Tensor, "b n d"], layout: Layout) -> Sides:
        """Queries, keys and values of the last level for `inner: direct` and `output`."""
        o = self.options
        now = self._all_of(x, self._projections(1))
        own = now if o.inner == "direct" else dict.fromkeys("qkv", now["v"])  # what is mixed for each side
        for _ in range(2, o.order + 1):
            new: Sides = {}
            for pair, sides in pairs_of(o.compare, o.refine).items():
                each = sides if o.inner == "direct" else sides[0]  # of `output`, what a map refines is all the same
                mixtures = mix(now, pair, [own[side] for side in each], layout)
                made = [self._combine(heads, own[side]) for heads, side in zip(mixtures, each, strict=True)]
                new |= dict(zip(sides, made if len(made) == len(sides) else made * len(sides), strict=True))
            now = now | new
            own = own | new if o.mix == "last" else own
        return now | self._all_of(x, self.projections) if self._is_split else now

    @staticmethod
    def _all_of(x: Float[Tensor, "b n d"], projections: PackedProjections) -> Sides:
        letters = projections.letters
        return dict(zip(letters, projections.project(x, letters), strict=True))

    def _combine(self, inner: Tensor, base: Tensor) -> Tensor:
        """Combine with the norm over the axis that was chosen."""
        how, over = self.options.combine, self.options.norm_over
        by_head = self.options.inner != "reproject"
        if over is None or by_head == (over == "head"):
            return combine(inner, base, how)
        if by_head:
            return split_heads(combine(merge_heads(inner), merge_heads(base), how), self.n_heads)
        return merge_heads(combine(split_heads(inner, self.n_heads), split_heads(base, self.n_heads), how))
