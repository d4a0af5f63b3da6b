"""Guesses at the next node that is said, from what can be counted in a list of edges."""

import numpy as np

from nexus_bench.streams import Int, Mask


def share_of_the_likeliest(tokens: Int, label: Int, is_asked: Mask, n_nodes: int) -> tuple[float, int]:
    """How often a guess is right that is told whether the next node depends on others.

    It knows of each node whether it does, and the order in which nodes first stand before one that depends on them. Of
    those that are alike and were not said, it takes the likeliest by this order.

    Args:
        tokens: Array (g, n): a mark, edges of two nodes, a mark n_nodes + 1, a node, a mark, then nodes that are said.
        label: Array (g, n), the next node.
        is_asked: Array (g, n), at which places it is guessed.
        n_nodes: Nodes are numbers below it.

    Returns:
        The share, and of how many.
    """
    (n_rows, n), g = tokens.shape, np.arange(len(tokens))
    query_at = (tokens == n_nodes + 1).argmax(axis=1)
    stands = np.full((n_rows, n_nodes + 1), n)  # where each node first stands before another; n if it was said
    depends = np.zeros((n_rows, n_nodes + 1), dtype=np.bool_)
    for place in range(n - 2, 0, -1):
        rows = np.flatnonzero(place < query_at)
        if place % 2:
            stands[rows, tokens[rows, place]] = place
        else:
            depends[rows, tokens[rows, place]] = True
    counts = np.zeros((n_nodes + 1, n_nodes + 1))  # by how many nodes are alike, and how many of them come first
    for nth in range(n_nodes):
        at = np.minimum(query_at + 2 + nth, n - 1)
        if nth:
            stands[g, tokens[g, at]] = n
        rows = np.flatnonzero(is_asked[g, at] & (at == query_at + 2 + nth))
        said = label[rows, at[rows]]
        alike = (stands[rows] < n) & (depends[rows] == depends[rows, said][:, None])
        before = (alike & (stands[rows] < stands[rows, said][:, None])).sum(axis=1)
        np.add.at(counts, (alike.sum(axis=1), before), 1)
    total = int(counts.sum())
    return float(counts.max(axis=1).sum() / max(1, total)), total
