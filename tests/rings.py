"""A search for weights that reach further than those set by hand: soft attention, all names treated alike.

Weights that treat all names alike are small matrices between channels, times the identity on names. What is found on
one graph therefore holds whatever its nodes are called. The mechanism is the product's own; positions are facts, with
a source and a destination, and then queries, with a start and a mark for each hop count.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.layout import Layout
from nexus_bench.attention.nexus import Nexus
from nexus_bench.attention.nexus_options import NexusOptions

CHANNELS, HEADS = 4, 2
Edge = tuple[int, int]


def ring(n: int) -> list[Edge]:
    """Facts from every node to the next."""
    return [(node, (node + 1) % n) for node in range(n)]


def trees(n_trees: int, depth: int) -> list[Edge]:
    """Facts from child to parent: chains with a second child, a leaf, next to every node below the root."""
    edges: list[Edge] = []
    for _ in range(n_trees):
        above = len(edges) + len({parent for _, parent in edges} - {child for child, _ in edges})
        free = above + 1
        for _ in range(depth):
            edges += [(free, above), (free + 1, above)]
            above, free = free, free + 2
    return edges


def search(
    edges: Sequence[Edge],
    hops: Sequence[int],
    *,
    starts: int | None = None,
    restarts: int = 32,
    steps: int = 300,
    seed: int = 0,
    **reading: object,
) -> dict[int, Tensor]:
    """Mean probability of the right node after gradient descent, by hop: one number for each random beginning.

    Args:
        edges: Facts, each node the source of one at most.
        hops: Hop counts of the queries, trained together.
        starts: Queries begin at nodes below this one; None means wherever the walk is long enough.
        restarts: Beginnings.
        steps: Steps of Adam.
        seed: Of the beginnings.
        reading: Options of `nexus`; shared weights.
    """
    following, n_nodes = dict(edges), 1 + max(map(max, edges))
    queries = []
    for start in range(n_nodes if starts is None else starts):
        node: int | None = start
        for hop in range(1, max(hops) + 1):
            node = None if node is None else following.get(node)
            queries += [(start, hop, node)] if hop in hops and node is not None else []
    names = n_nodes + max(hops) + 1
    one_hot = torch.eye(names)
    written = torch.tensor([*edges, *((start, n_nodes + hop) for start, hop, _ in queries)])
    x = torch.zeros(1, len(written), CHANNELS, names)
    x[0, :, :2] = one_hot[written]
    target = torch.tensor([answer for _, _, answer in queries])
    nexus = Nexus(CHANNELS * names, HEADS, NexusOptions.model_validate(reading))
    generator = torch.Generator().manual_seed(seed)
    scale = 3.0 * torch.rand(restarts, 1, 1, 1, generator=generator)
    small = (scale * torch.randn(restarts, 5, CHANNELS, CHANNELS, generator=generator)).requires_grad_()

    def logits(weights: Tensor) -> Tensor:
        packed, out, readout = weights[:3].flatten(0, 1), weights[3], weights[4, 0]
        given = {"projections.packed.weight": torch.kron(packed, one_hot), "out.weight": torch.kron(out, one_hot)}
        found: Tensor = torch.func.functional_call(nexus, given, (x.flatten(2), Layout(n_keys=len(edges))))
        return torch.einsum("c,qcn->qn", readout, found[0, len(edges) :].unflatten(-1, (CHANNELS, names)))[:, :n_nodes]

    optimizer = torch.optim.Adam([small], lr=0.05)
    for _ in range(steps):
        loss = torch.func.vmap(lambda weights: F.cross_entropy(logits(weights), target))(small)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    with torch.no_grad():
        found = torch.func.vmap(logits)(small).softmax(dim=-1)
    right = found[:, torch.arange(len(queries)), target]
    asked = torch.tensor([hop for _, hop, _ in queries])
    return {hop: right[:, asked == hop].mean(dim=1) for hop in hops}
