"""The options of Nexus attention: every choice that the published text leaves open, and which of them go together."""

from typing import Literal, Self

from pydantic import Field, model_validator

from nexus_bench.attention.base import AttentionOptions


class NexusOptions(AttentionOptions):
    """The readings of the nest; docs/attention.md has the formulas."""

    always_named = ("order", "refine")
    later = ("compare", "mix", "norm_over", "inner_out")

    order: int = Field(
        default=2, ge=1, description="Recursion depth: 1 is standard attention, each further order adds one level."
    )
    inner: Literal["reproject", "direct", "output"] = Field(
        default="reproject",
        description="The inner output is projected to queries and keys again; or what it mixes are queries and keys "
        "(direct), or values (output), and it is the queries and keys itself.",
    )
    compare: Literal["qk", "self", "mirrored", "half_mirrored"] = Field(
        default="qk",
        description="What the inner attention compares for the new keys: queries with keys, as for the new queries; "
        "keys with keys (and queries with queries); keys with queries; keys with queries in half of the heads.",
    )
    mix: Literal["first", "last"] = Field(
        default="first", description="What is mixed, and added by `combine`, is that of level 1, or of the last level."
    )
    combine: Literal["residual_norm", "residual", "norm", "none"] = Field(
        default="residual_norm", description="How the inner output is combined with what it refines."
    )
    norm_over: Literal["width", "head"] | None = Field(
        default=None,
        description="The norm is over the width of the model or of a head; unset, the former with reproject only.",
    )
    inner_out: bool = Field(default=False, description="The inner output passes through W_O first (reproject only).")
    refine: Literal["q", "k", "qk", "qkv"] = Field(
        default="qk", description="Which of queries, keys and values of the output are computed from the inner output."
    )
    share: Literal["shared", "inner", "unshared"] = Field(
        default="shared",
        description="Every level reuses W_Q, W_K and W_V; or the inner levels share a set of their own; or every "
        "inner attention has its own, for each side.",
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        projected, tree = self.inner == "reproject", self.share == "unshared"
        refusals = (
            (
                self.refine == "q" and "mirrored" in self.compare,
                f"compare must be qk or self with refine q, since only keys are mirrored, got {self.compare}",
            ),
            (
                self.norm_over is not None and "norm" not in self.combine,
                f"norm_over must be unset with combine {self.combine}, which takes no norm, got {self.norm_over}",
            ),
            (
                self.inner_out and not projected,
                f"inner_out must be false with inner {self.inner}: only reproject has a representation for W_O to give",
            ),
            (
                self.share == "inner" and self.inner == "direct",
                "share must be shared or unshared with inner direct, which takes no projection after the innermost "
                "level, got inner",
            ),
            (
                self.share == "inner" and self.inner == "output" and self.refine == "qkv",
                "share must be shared or unshared with inner output and refine qkv: the outer attention has nothing "
                "left to project, got inner",
            ),
            (
                tree and self.inner == "output",
                "inner must be reproject or direct with share unshared, where direct already is the inner output, got "
                "output",
            ),
            (
                tree and self.compare != "qk",
                "compare must be qk with share unshared, where the inner attention of each side has its own W_Q and "
                f"W_K, got {self.compare}",
            ),
            (
                tree and self.mix != "first",
                "mix must be first with share unshared, where each attention has its own values, got last",
            ),
            (tree and self.inner_out, "inner_out must be false with share unshared, which applies W_O once, got true"),
        )
        for refused, reason in refusals:
            if refused:
                raise ValueError(reason)
        return self
