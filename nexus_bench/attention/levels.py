"""The levels of a nest whose weights are shared: what is compared, what is mixed, and what comes of it.

Axis letters: b batch, h heads, n positions, e width of a head, d width of the model.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.attention.parts import attend, merge_heads, split_heads

_COMPARED = {  # by side: whose rows are compared with whose columns; `hq` is kq in the first half of the heads, or qk
    "qk": {"q": "qk", "k": "qk", "v": "qk"},
    "self": {"q": "qq", "k": "kk", "v": "qk"},
    "mirrored": {"q": "qk", "k": "kq", "v": "qk"},
    "half_mirrored": {"q": "qk", "k": "hq", "v": "qk"},
}


class Stream(NamedTuple):
    """What is carried from level to level.

    Attributes:
        sides: The refined sides that are made of it, such as `qk`.
        pair: What its inner attention compares: `qk` is A(Q, K).
    """

    sides: str
    pair: str


def streams(options: NexusOptions) -> list[Stream]:
    """What a nest carries: with `direct` each refined side, otherwise one representation for each comparison."""
    pairs = {side: _COMPARED[options.compare][side] for side in options.refine}
    if options.inner == "direct":
        return [Stream(side, pair) for side, pair in pairs.items()]
    return [Stream("".join(s for s in pairs if pairs[s] == pair), pair) for pair in dict.fromkeys(pairs.values())]


def mix(
    sides: dict[str, Float[Tensor, "b h n e"]],
    values: dict[Stream, Float[Tensor, "b h n e"]],
    layout: Layout,
    *,
    equal: bool,
) -> dict[Stream, Float[Tensor, "b h n e"]]:
    """The inner outputs: for each stream A of its pair, times its values. Streams with equal pairs share a pass.

    Args:
        sides: Queries and keys.
        values: By stream.
        layout: Who sees whom.
        equal: The values of all streams are the same.
    """
    if any("h" in stream.pair for stream in values):
        n_heads = sides["q"].shape[1]
        mirrored = -(-n_heads // 2)
        halves = []
        parts = (slice(mirrored), "kq"), (slice(mirrored, n_heads), "qk")
        for heads, pair in parts[:n_heads]:  # a single head is mirrored
            named = {Stream(s.sides, s.pair.replace("hq", pair)): s for s in values}
            own = {side: x[:, heads] for side, x in sides.items()}
            half = mix(own, {s: values[whole][:, heads] for s, whole in named.items()}, layout, equal=equal)
            halves.append({named[s]: x for s, x in half.items()})
        return {s: torch.cat([half[s] for half in halves], dim=1) for s in values}
    found: dict[Stream, Tensor] = {}
    for pair in dict.fromkeys(stream.pair for stream in values):
        alike = [stream for stream in values if stream.pair == pair]
        q, k = (sides[side] for side in pair)
        mixed = _attend_all(q, k, [values[stream] for stream in (alike[:1] if equal else alike)], layout)
        found |= zip(alike, mixed * len(alike) if equal else mixed, strict=True)
    return found


def _attend_all(q: Tensor, k: Tensor, values: list[Tensor], layout: Layout) -> list[Tensor]:
    """A(Q, K) times each of the values.

    On a GPU this is one pass over all, concatenated, since fused kernels there accept values that are wider than
    queries. On a CPU such a pass would store the n x n matrix, so there is one for each.
    """
    if q.is_cuda and len(values) > 1:
        return list(attend(q, k, torch.cat(values, dim=-1), layout).chunk(len(values), dim=-1))
    return [attend(q, k, v, layout) for v in values]


def combine(
    inner: Float[Tensor, "b *h n w"], base: Float[Tensor, "b *h n w"], options: NexusOptions, n_heads: int
) -> Float[Tensor, "b *h n w"]:
    """Combine the output of an inner attention with what it refines; both are split into heads but for `reproject`.

    The norm is an RMS norm without parameters.
    """
    joined = inner + base if "residual" in options.combine else inner
    if "norm" not in options.combine:
        return joined
    is_split = options.inner != "reproject"
    over_heads = is_split if options.norm_over is None else options.norm_over == "head"
    if over_heads == is_split:
        return F.rms_norm(joined, joined.shape[-1:])
    if over_heads:
        heads = split_heads(joined, n_heads)
        return merge_heads(F.rms_norm(heads, heads.shape[-1:]))
    whole = merge_heads(joined)
    return split_heads(F.rms_norm(whole, whole.shape[-1:]), n_heads)
