"""One level of a nest: which attention maps refine which sides, and how what they yield is combined.

A *side* is what a level computes anew: queries (`q`), keys (`k`), values (`v`). Each is refined by the map of a *pair*:
`qk` is A(Q, K), `kq` the transposed comparison A(K, Q), `qq` and `kk` compare a side with itself, and `half` is `qk` in
the first half of the heads and `kq` in the others. Values stand where keys stand, so they go with the keys.

Axis letters: b batch, h heads, n positions, e width of a head, w any width.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.parts import attend

Combine = Literal["residual_norm", "residual", "norm", "none"]
Compare = Literal["qk", "self", "mirrored", "half_mirrored"]
Sides = dict[str, Tensor]  # side -> (b h n e)

_PAIRS: dict[Compare, dict[str, str]] = {
    "qk": {"q": "qk", "k": "qk", "v": "qk"},
    "self": {"q": "qq", "k": "kk", "v": "kk"},
    "mirrored": {"q": "qk", "k": "kq", "v": "kq"},
    "half_mirrored": {"q": "qk", "k": "half", "v": "half"},
}


def pairs_of(compare: Compare, refine: str) -> dict[str, str]:
    """The pairs whose maps refine the sides, and for each its sides, which are adjacent letters of `qkv`."""
    pairs = [_PAIRS[compare][side] for side in refine]
    return {
        pair: "".join(side for side, own in zip(refine, pairs, strict=True) if own == pair)
        for pair in dict.fromkeys(pairs)
    }


def seen_by(pair: str, of_keys: Tensor, of_queries: Tensor) -> Float[Tensor, "b h n e"]:
    """Of something that keys and queries have each, what the map of a pair mixes: that of the side attended to."""
    if pair == "half":
        return _half(of_keys, of_queries)
    return of_keys if pair[1] == "k" else of_queries


def mix(now: Sides, pair: str, values: list[Tensor], layout: Layout) -> list[Tensor]:
    """The map of a pair, times each of some values (b h n e).

    On a GPU this is one pass over all of them, concatenated, since fused kernels there accept values that are wider
    than queries. On a CPU such a pass would store the n x n matrix, so there are several.
    """
    if pair == "half":
        asking, asked = _half(now["q"], now["k"]), _half(now["k"], now["q"])
    else:
        asking, asked = now[pair[0]], now[pair[1]]
    if len(values) > 1 and asking.is_cuda:
        return list(attend(asking, asked, torch.cat(values, dim=-1), layout).chunk(len(values), dim=-1))
    return [attend(asking, asked, mixed, layout) for mixed in values]


def _half(first: Float[Tensor, "b h n e"], second: Float[Tensor, "b h n e"]) -> Float[Tensor, "b h n e"]:
    """The first half of the heads of one, and the second half, rounded up, of the other."""
    n = first.shape[1] // 2
    return torch.cat([first[:, :n], second[:, n:]], dim=1)


def combine(inner: Float[Tensor, "*b n w"], base: Float[Tensor, "*b n w"], how: Combine) -> Float[Tensor, "*b n w"]:
    """Combine the output of an inner attention with what it refines; the norm, over the last axis, is an RMS norm."""
    joined = inner + base if how in ("residual", "residual_norm") else inner
    return F.rms_norm(joined, joined.shape[-1:]) if how in ("norm", "residual_norm") else joined
