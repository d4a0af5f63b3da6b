"""Attention along chains, chain by chain."""

import math
from itertools import pairwise, product

import torch
from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import Heads, keys, project, softmax, turn
from nexus_bench.attention.tree import Tree


def heads(module: Tree, x: Tensor, layout: Layout) -> Heads:
    """The heads (n, e) that W_O is applied to."""
    n, folds = len(x), module.options.folds
    parts = project(module.projections, x, module.projections.letters)
    seen = [keys(i, n, layout) for i in range(n)]
    found = []
    for h in range(module.n_heads):
        queries = [part[h] for part in parts[: folds + 1]]
        values = [part[h] for part in parts[folds + 1 :]]
        turned = [torch.stack([turn(row, at, layout) for at, row in enumerate(query)]) for query in queries]
        links = [turned[a] @ turned[a + 1].T / math.sqrt(x.shape[1] // module.n_heads) for a in range(folds)]
        rows = []
        for i in range(n):
            chains = [chain for chain in product(range(n), repeat=folds) if _is_allowed((i, *chain), seen)]
            scores = [sum(links[a][(i, *chain)[a], chain[a]] for a in range(folds)) for chain in chains]
            shares = softmax([torch.as_tensor(score) for score in scores])
            row = torch.zeros_like(x[0, : values[0].shape[1]])
            for share, chain in zip(shares, chains, strict=True):
                last = chain[folds - len(values) :]
                row = row + share * torch.stack([own[at] for own, at in zip(values, last, strict=True)]).prod(dim=0)
            rows.append(row)
        found.append(torch.stack(rows))
    return found


def _is_allowed(chain: tuple[int, ...], seen: list[list[int]]) -> bool:
    return all(later in seen[earlier] for earlier, later in pairwise(chain))
