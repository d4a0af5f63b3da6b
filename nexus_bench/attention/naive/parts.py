"""Building blocks of the references: loops over heads and positions, float64, nothing fused.

Axis letters: n positions, d width of the model, e width of a head.
"""

import functools
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.parts import PackedProjections

Heads = list[Tensor]  # one (n, e) per head


def project(projections: PackedProjections, x: Float[Tensor, "n d"], letters: str) -> list[Heads]:
    """Projections of one example, row by row: for each letter its heads."""
    n_heads, d = projections.n_heads, x.shape[1]
    width = d // n_heads
    found = []
    for letter in letters:
        first = projections.letters.index(letter) * d
        projected = torch.stack([projections.packed.weight[first : first + d] @ row for row in x])
        found.append([projected[:, h * width : (h + 1) * width] for h in range(n_heads)])
    return found


def passes(q: Heads, k: Heads, v: Heads, layout: Layout) -> Heads:
    """Softmax attention, head by head."""
    sides = zip(q, k, v, strict=True)
    return [weights(q_head, k_head, layout) @ v_head for q_head, k_head, v_head in sides]


def weights(q: Float[Tensor, "n e"], k: Float[Tensor, "n e"], layout: Layout) -> Float[Tensor, "n n"]:
    """The attention matrix of one head, entry by entry."""
    rows = []
    asked, offered = ([turn(x, i, layout) for i, x in enumerate(side.unbind())] for side in (q, k))
    for i in range(len(q)):
        allowed = keys(i, len(q), layout)
        scores = [asked[i] @ offered[j] / math.sqrt(q.shape[1]) for j in allowed]
        share = dict(zip(allowed, softmax(scores), strict=True))
        rows.append(torch.stack([share.get(j, torch.zeros((), dtype=q.dtype)) for j in range(len(q))]))
    return torch.stack(rows)


def pair_passes(score: Callable[[int, int, int, int], Tensor], v: Heads, w: Heads, layout: Layout) -> Heads:
    """Attention over pairs of positions.

    Args:
        score: Takes the head, the attending position and the two positions that it attends to.
        v: Values of the first position of a pair.
        w: Values of the second position.
        layout: Which positions may be attended to.
    """
    heads = []
    for head, (v_head, w_head) in enumerate(zip(v, w, strict=True)):
        rows = []
        for i in range(len(v_head)):
            pairs = [(j, k) for j in keys(i, len(v_head), layout) for k in keys(i, len(v_head), layout)]
            shares = softmax([score(head, i, j, k) for j, k in pairs])
            products = [share * v_head[j] * w_head[k] for share, (j, k) in zip(shares, pairs, strict=True)]
            rows.append(torch.stack(products).sum(dim=0))
        heads.append(torch.stack(rows))
    return heads


def keys(i: int, n: int, layout: Layout) -> list[int]:
    """The positions that position i may attend to."""
    seen = [j for j in range(n) if (not layout.causal or j <= i) and (layout.n_keys is None or j < layout.n_keys)]
    if layout.n_shared is None:
        return seen
    shared = range(layout.n_shared)
    blocks = [range(first, first + layout.block) for first in range(layout.n_shared, n, layout.block)]
    own = next((block for block in blocks if i in block), shared)
    return [j for j in seen if j in shared or j in own]


def softmax(scores: list[Tensor]) -> Tensor:
    """Weights that add up to one."""
    exponentials = torch.stack(scores).exp()
    return exponentials / exponentials.sum()


def turn(x: Float[Tensor, " e"], position: int, layout: Layout) -> Float[Tensor, " e"]:
    """Rotary positions as complex numbers: channel c is the real, channel c + e/2 the imaginary part."""
    half = len(x) // 2
    if not layout.rope or not half:
        return x
    place = position
    if layout.n_shared is not None:
        while place >= layout.n_shared + layout.block:  # as if it were in the first block
            place -= layout.block
    turned = torch.complex(x[:half], x[half : 2 * half]) * _turns(place, half)
    return torch.cat([turned.real, turned.imag, x[2 * half :]])


@functools.cache
def _turns(place: int, half: int) -> Tensor:
    angles = [place * 10000.0 ** (-c / half) for c in range(half)]
    return torch.tensor([complex(math.cos(a), math.sin(a)) for a in angles], dtype=torch.complex128)


def combine(inner: Float[Tensor, "n d"], base: Float[Tensor, "n d"], how: str) -> Float[Tensor, "n d"]:
    """Combine an inner output with its input: `residual_norm`, `residual`, `norm` or `none`."""
    joined = inner + base if "residual" in how else inner
    if "norm" in how:
        joined = joined / (joined.square().mean(dim=1, keepdim=True) + torch.finfo(joined.dtype).eps).sqrt()
    return joined


def paths(n: int, layout: Layout) -> list[list[int]]:
    """The sequences of a layout: one of all positions, or for each block the shared beginning and the block."""
    if layout.n_shared is None or layout.n_shared >= n:
        return [list(range(n))]
    shared = list(range(layout.n_shared))
    firsts = range(layout.n_shared, n, layout.block)
    return [shared + list(range(first, min(first + layout.block, n))) for first in firsts]


def along_paths(sequence: Callable[[Tensor], Tensor], x: Float[Tensor, "n d"], layout: Layout) -> Float[Tensor, "n d"]:
    """What a function of one sequence gives for each sequence of a layout; what they share is computed again."""
    out = torch.zeros_like(x)
    for path in paths(len(x), layout):
        out = out.index_put((torch.tensor(path),), sequence(x[path]))
    return out


def convolve(x: Float[Tensor, "n d"], weight: Float[Tensor, "s d"]) -> Float[Tensor, "n d"]:
    """A causal convolution of each channel, place by place."""
    seen = [[weight[s] * x[t - s] for s in range(len(weight)) if s <= t] for t in range(len(x))]
    return torch.stack([torch.stack(parts).sum(dim=0) for parts in seen])
