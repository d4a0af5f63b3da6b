"""Every attention from its definition: float64, loops over examples, heads and positions, nothing fused, no reuse."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nexus_bench.attention.base import Attention, Layout
from nexus_bench.attention.diffusion import Diffusion
from nexus_bench.attention.nexus import Nest, Nexus
from nexus_bench.attention.standard import Standard
from nexus_bench.attention.strassen import Strassen
from nexus_bench.attention.two_simplicial import TwoSimplicial

Heads = list[Tensor]  # one (n, e) a head


def naive(module: Attention, x: Tensor, layout: Layout) -> Tensor:
    """The output of a module for a batch, computed another way from the same weights.

    A reference takes the module, one example (n, d) and the layout, and gives the heads that W_O is applied to, or the
    whole output (n, d).
    """
    references: dict[type, Callable[..., Heads | Tensor]] = {
        Standard: _standard,
        Nexus: _nexus,
        Strassen: _strassen,
        TwoSimplicial: _two_simplicial,
        Diffusion: _diffusion,
    }
    assert type(module) in references, f"add a reference for {type(module).__name__} to tests/naive.py"
    found = [references[type(module)](module, one, layout) for one in x]
    return torch.stack(
        [one if isinstance(one, Tensor) else torch.cat(one, dim=1) @ module.out.weight.T for one in found]
    )


def _standard(module: Standard, x: Tensor, layout: Layout) -> Heads:
    return _passes(*_project(module, x, "qkv"), layout)


def _nexus(module: Nexus, x: Tensor, layout: Layout) -> Heads:
    options = module.options
    if options.share == "unshared" and options.order > 1:
        return _nest(module.nest, x, layout)[0]
    if options.inner == "direct":
        return _direct(module, x, layout)
    values = _project(module, x, "v")[0]
    z = x
    for _ in range(options.order - 1):
        inner = _passes(*_sides(module, z, x), values, layout)
        z = _combine(torch.cat(inner, dim=1), x, options.combine)
    return _passes(*_sides(module, z, x), values, layout)


def _sides(module: Nexus, z: Tensor, x: Tensor) -> tuple[Heads, Heads]:
    q = _project(module, z if "q" in module.options.refine else x, "q")[0]
    k = _project(module, z if "k" in module.options.refine else x, "k")[0]
    return q, k


def _direct(module: Nexus, x: Tensor, layout: Layout) -> Heads:
    def sides(order: int) -> tuple[Heads, Heads]:
        first_q, first_k, _ = _project(module, x, "qkv")
        if order == 1:
            return first_q, first_k
        q, k = sides(order - 1)
        how = module.options.combine
        new_q = [_combine(i, base, how) for i, base in zip(_passes(q, k, first_q, layout), first_q, strict=True)]
        new_k = [_combine(i, base, how) for i, base in zip(_passes(q, k, first_k, layout), first_k, strict=True)]
        return new_q if "q" in module.options.refine else first_q, new_k if "k" in module.options.refine else first_k

    return _passes(*sides(module.options.order), _project(module, x, "v")[0], layout)


def _nest(nest: Nest, x: Tensor, layout: Layout) -> tuple[Heads, Heads]:
    values = _project(nest, x, "v")[0]
    sides = []
    for side in "qk":
        if side not in nest.inner:
            sides.append(_project(nest, x, side)[0])
            continue
        inner, inner_values = _nest(nest.inner[side], x, layout)
        how = nest.options.combine
        if nest.options.inner == "direct":
            sides.append([_combine(i, base, how) for i, base in zip(inner, inner_values, strict=True)])
        else:
            sides.append(_project(nest, _combine(torch.cat(inner, dim=1), x, how), side)[0])
    return _passes(*sides, values, layout), values


def _strassen(module: Strassen, x: Tensor, layout: Layout) -> Heads:
    f, g, h, v, w = _project(module, x, "fghvw")

    def score(head: int, i: int, j: int, k: int) -> Tensor:
        a, b, c = (_turn(part[head][at], at, layout) for part, at in ((f, i), (g, j), (h, k)))
        return (a @ b + b @ c + c @ a) / math.sqrt(len(a))

    return _pair_passes(score, v, w, layout)


def _two_simplicial(module: TwoSimplicial, x: Tensor, layout: Layout) -> Heads:
    q, k1, k2, v, w = _project(module, x, "qklvw")

    def score(head: int, i: int, j: int, k: int) -> Tensor:
        return (q[head][i] * k1[head][j] * k2[head][k]).sum() / math.sqrt(q[head].shape[1])

    return _pair_passes(score, v, w, layout)


def _diffusion(module: Diffusion, x: Tensor, layout: Layout) -> Heads:
    """By the powers themselves: theta_0 V + theta_1 A V + ..., where what lies beyond the last power is on it."""
    q, k, v = _project(module, x, "qkv")
    alpha, powers = module.options.alpha, module.options.powers
    heads = []
    for q_head, k_head, v_head in zip(q, k, v, strict=True):
        matrix = _weights(q_head, k_head, layout)
        power, total = torch.eye(len(x), dtype=x.dtype), torch.zeros_like(v_head)
        for i in range(powers + 1):
            theta = alpha * (1 - alpha) ** i if i < powers else (1 - alpha) ** i
            total = total + theta * power @ v_head
            power = matrix @ power
        heads.append(total)
    return heads


def _project(module: torch.nn.Module, x: Tensor, letters: str) -> list[Heads]:
    packed = module.projections
    n_heads, d = packed.n_heads, x.shape[1]
    found = []
    for letter in letters:
        first = packed.letters.index(letter) * d
        projected = torch.stack([packed.packed.weight[first : first + d] @ row for row in x])
        found.append([projected[:, h * (d // n_heads) : (h + 1) * (d // n_heads)] for h in range(n_heads)])
    return found


def _passes(q: Heads, k: Heads, v: Heads, layout: Layout) -> Heads:
    return [_weights(*sides, layout) @ values for *sides, values in zip(q, k, v, strict=True)]


def _weights(q: Tensor, k: Tensor, layout: Layout) -> Tensor:
    """The attention matrix of one head, entry by entry."""
    rows = []
    for i in range(len(q)):
        keys = _keys(i, len(q), layout)
        scores = [_turn(q[i], i, layout) @ _turn(k[j], j, layout) / math.sqrt(q.shape[1]) for j in keys]
        weights = dict(zip(keys, _softmax(scores), strict=True))
        rows.append(torch.stack([weights.get(j, torch.zeros((), dtype=q.dtype)) for j in range(len(q))]))
    return torch.stack(rows)


def _pair_passes(score: Callable[[int, int, int, int], Tensor], v: Heads, w: Heads, layout: Layout) -> Heads:
    heads = []
    for head, (v_head, w_head) in enumerate(zip(v, w, strict=True)):
        rows = []
        for i in range(len(v_head)):
            pairs = [(j, k) for j in _keys(i, len(v_head), layout) for k in _keys(i, len(v_head), layout)]
            weights = _softmax([score(head, i, j, k) for j, k in pairs])
            rows.append(sum(weight * v_head[j] * w_head[k] for weight, (j, k) in zip(weights, pairs, strict=True)))
        heads.append(torch.stack(rows))  # type: ignore[arg-type]
    return heads


def _keys(i: int, n: int, layout: Layout) -> list[int]:
    return [j for j in range(n) if (not layout.causal or j <= i) and (layout.n_keys is None or j < layout.n_keys)]


def _softmax(scores: list[Tensor]) -> Tensor:
    exponentials = torch.stack(scores).exp()
    return exponentials / exponentials.sum()


def _turn(x: Tensor, position: int, layout: Layout) -> Tensor:
    """Rotary positions as complex numbers: channel c is the real, channel c + e/2 the imaginary part."""
    half = len(x) // 2
    if not layout.rope or not half:
        return x
    turns = [complex(math.cos(a), math.sin(a)) for a in (position * 10000.0 ** (-c / half) for c in range(half))]
    turned = torch.complex(x[:half], x[half : 2 * half]) * torch.tensor(turns, dtype=torch.complex128)
    return torch.cat([turned.real, turned.imag, x[2 * half :]])


def _combine(inner: Tensor, base: Tensor, how: str) -> Tensor:
    joined = inner + base if "residual" in how else inner
    if "norm" in how:
        joined = joined / (joined.square().mean(dim=1, keepdim=True) + torch.finfo(joined.dtype).eps).sqrt()
    return joined
