"""The levels of a nest whose weights are shared: what is compared, what is mixed, and what comes of it.

Axis letters: b batch, h heads, n positions, r of them that are computed, e width of a head, d width of the model.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

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


class CarriedState(NamedTuple):
    """A representation of all positions that a nest carries from one level to the next.

    Attributes:
        sides: The refined sides that are made of it, such as `qk`.
        pair: What its inner attention compares: `qk` is A(Q, K).
    """

    sides: str
    pair: str


def carried_states(options: NexusOptions) -> list[CarriedState]:
    """What a nest carries: with `direct` each refined side, otherwise one representation for each comparison."""
    pairs = {side: _COMPARED[options.compare][side] for side in options.refine}
    if options.inner == "direct":
        return [CarriedState(side, pair) for side, pair in pairs.items()]
    return [CarriedState("".join(s for s in pairs if pairs[s] == pair), pair) for pair in dict.fromkeys(pairs.values())]


class Projections(Protocol):
    """What makes queries, keys and values of positions.

    Attributes:
        letters: What it makes, such as `qkv`.
    """

    letters: str

    def project(self, x: Float[Tensor, "b n d"], which: str) -> list[Float[Tensor, "b h n e"]]:
        """Project to some of its letters that are adjacent."""


class Positions(Protocol):
    """How the positions that are computed meet those that they attend to: r of them, and n in all."""

    def turned(self, x: Float[Tensor, "b h r e"]) -> Float[Tensor, "b h r e"]:
        """Queries or keys, ready to be compared."""

    def all_of(self, name: str, x: Float[Tensor, "b h r e"]) -> Float[Tensor, "b h n e"]:
        """The same of all positions; equal names in one pass through a layer are equal tensors."""

    def attend(
        self, q: Float[Tensor, "b h r e"], k: Float[Tensor, "b h n e"], values: list[Float[Tensor, "b h n e"]]
    ) -> list[Float[Tensor, "b h r e"]]:
        """A(Q, K) times each of the values."""


class AllPositions:
    """All positions are computed at once, and meet as a layout says."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def turned(self, x: Tensor) -> Tensor:
        """Unchanged: `attend` turns."""
        return x

    def all_of(self, name: str, x: Tensor) -> Tensor:
        """Unchanged: there are no others."""
        return x

    def attend(self, q: Tensor, k: Tensor, values: list[Tensor]) -> list[Tensor]:
        """A(Q, K) times each of the values.

        On a GPU this is one pass over all, concatenated, since fused kernels there accept values that are wider than
        queries. On a CPU such a pass would store the n x n matrix, so there is one for each.
        """
        if q.is_cuda and len(values) > 1:
            return list(attend(q, k, torch.cat(values, dim=-1), self.layout).chunk(len(values), dim=-1))
        return [attend(q, k, v, self.layout) for v in values]


def climb(
    x: Float[Tensor, "b r d"],
    first: dict[str, Float[Tensor, "b h r e"]],
    options: NexusOptions,
    positions: Positions,
    *,
    inner: Projections,
    outer: Projections,
    out: Callable[[Tensor], Tensor],
) -> dict[str, Float[Tensor, "b h r e"]]:
    """Queries, keys and values of the last level; what does not change between levels is projected once.

    Args:
        x: The layer's normalised input.
        first: Queries, keys and values of level 1.
        options: The reading.
        positions: Who sees whom.
        inner: Projects for every level but the last.
        outer: Projects for the last level; the same as `inner` if weights are shared.
        out: W_O, for `inner_out`.
    """
    carriers = carried_states(options)
    if options.inner == "reproject":
        base = {stream: x for stream in carriers}
        values = {stream: first["v"] for stream in carriers}
    else:
        base = {s: first[s.sides if options.inner == "direct" else "v"] for s in carriers}
        values = base
    sides = first
    for level in range(2, options.order + 1):
        is_last = level == options.order
        weights = outer if is_last else inner
        needed = [s for s in carriers if is_last or options.mix == "last" or s.sides != "v"]
        equal = options.inner != "direct" and (options.mix == "first" or level == 2)
        of_all = {s: positions.all_of(_values_name(s, level - 1, options), values[s]) for s in needed}
        mixed = mix(sides, of_all, positions, options, level - 1, equal=equal)
        carried = {s: _carry(mixed[s], base[s], options, out) for s in needed}
        made = {s: _make(carried[s], s, options, weights, is_last=is_last) for s in needed}
        if options.mix == "last" and not is_last:
            base, values = carried, {s: made[s]["v"] if options.inner == "reproject" else carried[s] for s in made}
        if is_last and outer is not inner:
            sides = {letter: outer.project(x, letter)[0] for letter in "qkv" if letter not in options.refine}
        for stream in needed:
            sides = sides | {letter: side for letter, side in made[stream].items() if letter in stream.sides}
    return sides


def side_name(letter: str, level: int, options: NexusOptions) -> str:
    """What queries, keys or values of a level are called; those that are not refined stay those of level 1."""
    return f"{letter}{level if letter in options.refine else 1}"


def _values_name(stream: CarriedState, level: int, options: NexusOptions) -> str:
    if level == 1 or options.mix == "first":
        return "v1" if options.inner != "direct" or stream.sides == "v" else f"{stream.sides}1 mixed"
    return f"{stream.sides}{level} mixed"


def mix(
    sides: dict[str, Float[Tensor, "b h r e"]],
    values: dict[CarriedState, Float[Tensor, "b h n e"]],
    positions: Positions,
    options: NexusOptions,
    level: int,
    *,
    equal: bool,
) -> dict[CarriedState, Float[Tensor, "b h r e"]]:
    """The inner outputs: for each stream A of its pair, times its values. Streams with equal pairs share a pass.

    Args:
        sides: Queries and keys.
        values: Of all positions, by stream.
        positions: Who sees whom.
        options: The reading.
        level: That of the queries and keys.
        equal: The values of all streams are the same.
    """
    pairs = {pair for stream in values for pair in (("kq", "qk") if "h" in stream.pair else (stream.pair,))}
    turned = {letter: positions.turned(sides[letter]) for letter in sorted(set("".join(pairs)))}
    columns = {
        b: positions.all_of(side_name(b, level, options), turned[b]) for b in sorted({pair[1] for pair in pairs})
    }
    return _mix(turned, columns, values, positions, equal=equal)


def _mix(
    rows: dict[str, Tensor],
    columns: dict[str, Tensor],
    values: dict[CarriedState, Tensor],
    positions: Positions,
    *,
    equal: bool,
) -> dict[CarriedState, Tensor]:
    if any("h" in stream.pair for stream in values):
        n_heads = rows["q"].shape[1]
        mirrored = -(-n_heads // 2)
        halves = []
        parts = (slice(mirrored), "kq"), (slice(mirrored, n_heads), "qk")
        for heads, pair in parts[:n_heads]:  # a single head is mirrored
            named = {CarriedState(s.sides, s.pair.replace("hq", pair)): s for s in values}
            own_rows = {letter: x[:, heads] for letter, x in rows.items()}
            own_columns = {c: own_rows[c] if x is rows.get(c) else x[:, heads] for c, x in columns.items()}
            own_values = {s: values[whole][:, heads] for s, whole in named.items()}
            half = _mix(own_rows, own_columns, own_values, positions, equal=equal)
            halves.append({named[s]: x for s, x in half.items()})
        return {s: torch.cat([half[s] for half in halves], dim=1) for s in values}
    found: dict[CarriedState, Tensor] = {}
    for pair in dict.fromkeys(stream.pair for stream in values):
        alike = [stream for stream in values if stream.pair == pair]
        of_each = [values[stream] for stream in (alike[:1] if equal else alike)]
        mixed = positions.attend(rows[pair[0]], columns[pair[1]], of_each)
        found |= zip(alike, mixed * len(alike) if equal else mixed, strict=True)
    return found


def _carry(
    mixed: Float[Tensor, "b h n e"],
    base: Float[Tensor, "b *h n w"],
    options: NexusOptions,
    out: Callable[[Tensor], Tensor],
) -> Float[Tensor, "b *h n w"]:
    """Combine an inner output with its base; a representation has its heads merged."""
    n_heads = mixed.shape[1]
    if options.inner == "reproject":
        mixed = merge_heads(mixed)
        mixed = out(mixed) if options.inner_out else mixed
    return combine(mixed, base, options, n_heads)


def _make(
    carried: Float[Tensor, "b *h n w"],
    stream: CarriedState,
    options: NexusOptions,
    weights: Projections,
    *,
    is_last: bool,
) -> dict[str, Float[Tensor, "b h n e"]]:
    """The sides that are made of a stream and, where the next level mixes it, its values."""
    if options.inner != "reproject":
        return dict.fromkeys(stream.sides, carried)
    letters = stream.sides if is_last else stream.sides.replace("v", "") + "v" * (options.mix == "last")
    together = [letters] if letters in weights.letters else list(letters)
    made = [side for part in together for side in weights.project(carried, part)]
    return dict(zip(letters, made, strict=True))


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
