"""Nested attention, written out: the heads before W_O, level by level, every side by itself."""

from typing import cast

import torch
from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, combine, passes, project
from nexus_bench.attention.nexus import Nest, Nexus
from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.attention.parts import PackedProjections

Carried = Tensor | Heads  # a representation (n, d) with `inner: reproject`, otherwise heads (n, e)


def heads(module: Nexus, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    options = module.options
    if options.share == "unshared" and options.order > 1:
        return _nest(module.nest, x, layout)[0]
    sides, carried = _first(module, x, level=1)
    first = carried
    for level in range(2, options.order + 1):
        base = first if options.mix == "first" else carried
        carried = {side: _next(module, side, sides, base[side], layout) for side in options.refine}
        sides, _ = _first(module, x, level=level)
        for side in options.refine:
            c = carried[side]
            sides[side] = project(_weights(module, level), c, side)[0] if isinstance(c, Tensor) else c
    return passes(sides["q"], sides["k"], sides["v"], layout)


def _weights(module: Nexus, level: int) -> PackedProjections:
    is_apart = module.options.share == "inner" and level < module.options.order
    return module.inner_projections if is_apart else module.projections


def _first(module: Nexus, x: Tensor, level: int) -> tuple[dict[str, Heads], dict[str, Carried]]:
    """What X is projected to by the weights of a level, and what the nest carries at the beginning."""
    weights = _weights(module, level)
    sides = {letter: project(weights, x, letter)[0] for letter in weights.letters}
    if module.options.inner == "reproject":
        return sides, dict.fromkeys("qkv", x)
    carried = {letter: sides["v" if module.options.inner == "output" else letter] for letter in sides}
    return sides, dict(carried)


def _next(module: Nexus, side: str, sides: dict[str, Heads], base: Carried, layout: Layout) -> Carried:
    """What is carried for one side, one level on; the weights of an inner level make the values."""
    values = project(_weights(module, 1), base, "v")[0] if isinstance(base, Tensor) else base
    inner = []
    for head in range(module.n_heads):
        pair = _compared(module.options.compare, side, head, module.n_heads)
        inner += passes([sides[pair[0]][head]], [sides[pair[1]][head]], [values[head]], layout)
    if not isinstance(base, Tensor):
        return _combined(inner, base, module.options)
    whole = torch.cat(inner, dim=1)
    if module.options.inner_out:
        whole = torch.stack([module.out.weight @ row for row in whole])
    if module.options.norm_over == "head":
        parts = zip(whole.chunk(module.n_heads, dim=1), base.chunk(module.n_heads, dim=1), strict=True)
        return torch.cat([combine(i, b, module.options.combine) for i, b in parts], dim=1)
    return combine(whole, base, module.options.combine)


def _compared(compare: str, side: str, head: int, n_heads: int) -> str:
    """Whose rows look at whose columns."""
    if compare == "self" and side != "v":
        return side + side
    if side == "k" and (compare == "mirrored" or (compare == "half_mirrored" and head < n_heads / 2)):
        return "kq"
    return "qk"


def _combined(inner: Heads, base: Heads, options: NexusOptions) -> Heads:
    if options.norm_over == "width":
        whole = combine(torch.cat(inner, dim=1), torch.cat(base, dim=1), options.combine)
        return list(whole.chunk(len(inner), dim=1))
    return [combine(i, b, options.combine) for i, b in zip(inner, base, strict=True)]


def _nest(nest: Nest, x: Tensor, layout: Layout) -> tuple[Heads, Heads]:
    sides: dict[str, Heads] = {}
    for side in "qkv":
        if side not in nest.inner:
            sides[side] = project(nest.projections, x, side)[0]
            continue
        inner, inner_values = _nest(cast(Nest, nest.inner[side]), x, layout)
        how = nest.options
        if how.inner == "direct":
            sides[side] = _combined(inner, inner_values, how)
            continue
        joined, parts = torch.cat(inner, dim=1), nest.n_heads if how.norm_over == "head" else 1
        pieces = zip(joined.chunk(parts, dim=1), x.chunk(parts, dim=1), strict=True)
        z = torch.cat([combine(i, b, how.combine) for i, b in pieces], dim=1)
        sides[side] = project(nest.projections, z, side)[0]
    return passes(sides["q"], sides["k"], sides["v"], layout), sides["v"]
