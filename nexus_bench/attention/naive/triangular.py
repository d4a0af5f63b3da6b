"""Triangular attention, pair by pair and triangle by triangle."""

import math

import torch
from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import keys, project, softmax, turn
from nexus_bench.attention.triangular import Triangular


def heads(module: Triangular, x: Tensor, layout: Layout) -> Tensor:
    """The whole output (n, d): states of pairs have more than one matrix behind their heads."""
    n, n_heads = len(x), module.n_heads
    first, second = (torch.stack([side.weight @ row for row in x]) for side in (module.first, module.second))
    of_first, of_second = (project(module.projections, side, "qkvw") for side in (first, second))

    def projected(letter: int, head: int, i: int, j: int) -> Tensor:
        """What a projection makes of the state of (i, j); queries and keys are turned, each part by its own place."""
        parts = (of_first[letter][head][i], i), (of_second[letter][head][j], j)
        return sum((turn(part, at, layout) if letter < 2 else part for part, at in parts), torch.zeros(()))

    rows = []
    for i in range(n):
        seen = keys(i, n, layout)
        updates = {}
        for j in seen:
            closed = []
            for h in range(n_heads):
                scores = [
                    projected(0, h, i, mid) @ projected(1, h, mid, j) / math.sqrt(x.shape[1] // n_heads) for mid in seen
                ]
                values = [projected(2, h, i, mid) * projected(3, h, mid, j) for mid in seen]
                closed.append(torch.stack([s * v for s, v in zip(softmax(scores), values, strict=True)]).sum(dim=0))
            updates[j] = module.update.weight @ torch.cat(closed)
        found = []
        for h, asking in enumerate((module.ask.weight @ x[i]).chunk(n_heads)):
            at = slice(h * len(asking), (h + 1) * len(asking))
            parts = {j: (turn(first[i, at], i, layout), turn(second[j, at], j, layout)) for j in seen}
            scores = [
                (turn(asking, i, layout) @ sum(parts[j]) + asking @ updates[j][at]) / math.sqrt(len(asking))
                for j in seen
            ]
            states = torch.stack([first[i, at] + second[j, at] + updates[j][at] for j in seen])
            found.append(softmax(scores) @ states)
        rows.append(module.out.weight @ torch.cat(found))
    return torch.stack(rows)
