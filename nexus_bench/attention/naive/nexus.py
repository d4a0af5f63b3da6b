"""Nested attention, written out: the heads before W_O, level by level."""

from typing import cast

import torch
from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, combine, passes, project
from nexus_bench.attention.nexus import Nest, Nexus


def heads(module: Nexus, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    options = module.options
    if options.share == "unshared" and options.order > 1:
        return _nest(module.nest, x, layout)[0]
    if options.inner == "direct":
        return _direct(module, x, layout)
    values = project(module.projections, x, "v")[0]
    z = x
    for _ in range(options.order - 1):
        inner = passes(*_sides(module, z, x), values, layout)
        z = combine(torch.cat(inner, dim=1), x, options.combine)
    return passes(*_sides(module, z, x), values, layout)


def _sides(module: Nexus, z: Tensor, x: Tensor) -> tuple[Heads, Heads]:
    q = project(module.projections, z if "q" in module.options.refine else x, "q")[0]
    k = project(module.projections, z if "k" in module.options.refine else x, "k")[0]
    return q, k


def _direct(module: Nexus, x: Tensor, layout: Layout) -> Heads:
    def sides(order: int) -> tuple[Heads, Heads]:
        first_q, first_k, _ = project(module.projections, x, "qkv")
        if order == 1:
            return first_q, first_k
        q, k = sides(order - 1)
        how = module.options.combine
        new_q = [combine(i, base, how) for i, base in zip(passes(q, k, first_q, layout), first_q, strict=True)]
        new_k = [combine(i, base, how) for i, base in zip(passes(q, k, first_k, layout), first_k, strict=True)]
        return new_q if "q" in module.options.refine else first_q, new_k if "k" in module.options.refine else first_k

    return passes(*sides(module.options.order), project(module.projections, x, "v")[0], layout)


def _nest(nest: Nest, x: Tensor, layout: Layout) -> tuple[Heads, Heads]:
    values = project(nest.projections, x, "v")[0]
    sides: list[Heads] = []
    for side in "qk":
        if side not in nest.inner:
            sides.append(project(nest.projections, x, side)[0])
            continue
        inner, inner_values = _nest(cast(Nest, nest.inner[side]), x, layout)
        how = nest.options.combine
        if nest.options.inner == "direct":
            sides.append([combine(i, base, how) for i, base in zip(inner, inner_values, strict=True)])
        else:
            sides.append(project(nest.projections, combine(torch.cat(inner, dim=1), x, how), side)[0])
    return passes(sides[0], sides[1], values, layout), values
