"""Nested attention, written out: the heads before W_O, level by level."""

from typing import cast

import torch
from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, combine, passes, project, weights
from nexus_bench.attention.nest import Nest
from nexus_bench.attention.nexus import Nexus


def heads(module: Nexus, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    options = module.options
    if options.share == "unshared" and options.order > 1:
        return _nest(module.nest, x, layout)[0]
    if options.inner == "reproject":
        sides, _ = _reproject(module, x, layout, options.order)
    else:
        sides = _mix(module, x, layout)
    return passes(sides["q"], sides["k"], sides["v"], layout)


def _reproject(module: Nexus, x: Tensor, layout: Layout, level: int) -> tuple[dict[str, Heads], dict[str, Tensor]]:
    """Queries, keys and values of a level, and the representation that each is projected from."""
    options = module.options
    z = {side: x for side in "qkv"}
    if level > 1:
        sides, last = _reproject(module, x, layout, level - 1)
        below = _projections(module, level - 1)
        for side in options.refine:
            inner = []
            for h in range(module.n_heads):
                asking, asked = _roles(options.compare, side, h, module.n_heads)
                mixed = project(below, x if options.mix == "first" else last[asked], "v")[0][h]
                inner.append(weights(sides[asking][h], sides[asked][h], layout) @ mixed)
            whole = torch.cat(inner, dim=1)
            if options.inner_out:
                whole = torch.stack([module.out.weight @ row for row in whole])
            base = x if options.mix == "first" else last[side]
            if options.norm_over == "head":
                parts = zip(whole.chunk(module.n_heads, dim=1), base.chunk(module.n_heads, dim=1), strict=True)
                z[side] = torch.cat([combine(part, own, options.combine) for part, own in parts], dim=1)
            else:
                z[side] = combine(whole, base, options.combine)
    return {side: project(_projections(module, level), z[side], side)[0] for side in "qkv"}, z


def _mix(module: Nexus, x: Tensor, layout: Layout) -> dict[str, Heads]:
    """Queries, keys and values of the last level, where inner outputs are not projected again."""
    options, n = module.options, module.n_heads
    inside = _projections(module, 1)
    first = {side: project(inside, x, side)[0] for side in inside.letters}
    now = dict(first)
    mixed = {side: first["v" if options.inner == "output" else side] for side in options.refine}
    for _ in range(options.order - 1):
        new: dict[str, Heads] = {}
        for side in options.refine:
            roles = [_roles(options.compare, side, h, n) for h in range(n)]
            inner = [weights(now[a][h], now[b][h], layout) @ mixed[side][h] for h, (a, b) in enumerate(roles)]
            if options.norm_over == "width":
                whole = combine(torch.cat(inner, dim=1), torch.cat(mixed[side], dim=1), options.combine)
                new[side] = list(whole.chunk(n, dim=1))
            else:
                new[side] = [combine(i, own, options.combine) for i, own in zip(inner, mixed[side], strict=True)]
        now.update(new)
        if options.mix == "last":
            mixed = new
    if options.share == "inner" and options.order > 1:
        for side in module.projections.letters:
            now[side] = project(module.projections, x, side)[0]
    return now


def _projections(module: Nexus, level: int):  # type: ignore[no-untyped-def]
    own = module.options.share == "inner" and level < module.options.order
    return module.inner_projections if own else module.projections


def _roles(compare: str, side: str, head: int, n_heads: int) -> tuple[str, str]:
    """What is compared with what to refine a side in one head."""
    is_key = side != "q"
    if compare == "self":
        return ("k", "k") if is_key else ("q", "q")
    if is_key and (compare == "mirrored" or (compare == "half_mirrored" and head >= n_heads // 2)):
        return "k", "q"
    return "q", "k"


def _nest(nest: Nest, x: Tensor, layout: Layout) -> tuple[Heads, Heads]:
    sides: dict[str, Heads] = {}
    for side in "qkv":
        if side not in nest.inner:
            sides[side] = project(nest.projections, x, side)[0]
            continue
        inner, inner_values = _nest(cast(Nest, nest.inner[side]), x, layout)
        how = nest.options.combine
        if nest.options.inner == "direct":
            sides[side] = [combine(i, base, how) for i, base in zip(inner, inner_values, strict=True)]
        else:
            sides[side] = project(nest.projections, combine(torch.cat(inner, dim=1), x, how), side)[0]
    return passes(sides["q"], sides["k"], sides["v"], layout), sides["v"]
