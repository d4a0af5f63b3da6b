"""How far weights could see under a causal mask, where a fact sees only the facts before it; facts are shuffled.

What weights that treat all names alike could know at most, with one-hot attention: a set of nodes for each position. It
is the recursion of docs/expressivity.md, with sets for intervals.
"""

import numpy as np
from numpy.typing import NDArray

Known = NDArray[np.bool_]  # (graphs, positions, nodes)


def answered(
    order: int, n: int, *, causal: bool, refine: str = "qk", mix: str = "first", graphs: int = 200, seed: int = 0
) -> list[float]:
    """The share of queries whose answer could be known, at 1 .. n - 1 hops on a ring of n nodes.

    Args:
        order: Levels of the nest, with `inner: reproject`.
        n: Facts, as many as nodes.
        causal: Facts see facts before them and themselves; the query sees all.
        refine: As the option of `nexus`.
        mix: As the option of `nexus`.
        graphs: Orders of the facts.
        seed: Of the orders.
    """
    generator = np.random.default_rng(seed)
    place = np.argsort(generator.random((graphs, n)), axis=1)  # of the fact from node i to node i + 1
    seen = np.ones((graphs, n + 1, n), dtype=bool)
    if causal:
        seen[:, :n] = place[:, None, :] <= place[:, :, None]
    fact = np.eye(n, dtype=bool) | np.roll(np.eye(n, dtype=bool), 1, axis=1)
    start = np.eye(1, n, dtype=bool)
    facts = np.broadcast_to(np.concatenate([fact, start]), (graphs, n + 1, n))
    known = facts
    for _ in range(order - 1):
        found = _fetched(known, facts, refine, seen)
        mixed = known if mix == "last" else facts
        known = mixed | _times(found, mixed[:, :n])
    found = _fetched(known, facts, refine, seen)
    values = known if "v" in refine else facts
    output = _times(found[:, n:], values[:, :n])[:, 0]
    return [float(share) for share in output.mean(axis=0)[1:]]


def _fetched(known: Known, facts: Known, refine: str, seen: Known) -> Known:
    """Which fact each position can single out: one that it sees, and with which it shares a node."""
    queries = known if "q" in refine else facts
    keys = (known if "k" in refine else facts)[:, :-1]
    return _times(queries, keys.transpose(0, 2, 1)) & seen


def _times(a: Known, b: Known) -> Known:
    return (a.astype(np.float32) @ b.astype(np.float32)) > 0.5
