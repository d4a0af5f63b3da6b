"""Facts as tables, read for whole batches: look-ups, shuffles, and walks from fact to fact.

Axis letters: g graphs, f facts, a roles of a fact, q queries of a graph.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nexus_bench.streams import Int, Mask, permutations


def look_up(table: Int, columns: Int) -> Int:
    """`table[g, columns[g, i]]` for every graph g: array of the shape of `columns`."""
    return table.ravel().take(columns + _first_places(*table.shape))  # three times as fast as take_along_axis


def shuffled(facts: Int, rng: np.random.Generator) -> Int:
    """The facts (g, f, a) of every graph, each graph in its own random order."""
    n_graphs, n_facts, n_roles = facts.shape
    order = permutations(rng, n_graphs, n_facts) + _first_places(n_graphs, n_facts)
    return facts.reshape(-1, n_roles).take(order, axis=0)


def row_of(symbols: Int, size: int) -> Int:
    """The row in which each symbol stands in a column of facts.

    Args:
        symbols: Array (g, f), one role of the facts.
        size: Size of the vocabulary of the role.

    Returns:
        Array (g, size) of row numbers, -1 for a symbol that does not occur; one of its rows if it occurs often.
    """
    n_graphs, n_facts = symbols.shape
    rows = np.full(n_graphs * size, -1, dtype=np.int32)
    rows[symbols + _first_places(n_graphs, size)] = np.arange(n_facts, dtype=np.int32)
    return rows.reshape(n_graphs, size)


def follow(row_of_symbol: Int, ends: Int, node: Int) -> tuple[Int, Int]:
    """One step from each node along its fact.

    Args:
        row_of_symbol: Array (g, size), from `row_of`.
        ends: Array (g, f), the role of the facts that a step leads to.
        node: Array (g, ...), -1 for nowhere.

    Returns:
        The rows of the facts, and the nodes they lead to; -1 for both where there is no fact.
    """
    row = np.where(node >= 0, look_up(row_of_symbol, node), -1)
    return row, np.where(row >= 0, look_up(ends, row), -1)


def walk(starts: Int, ends: Int, node: Int, hop: Int, *, size: int, n_steps: int) -> tuple[Int, Int]:
    """Make as many steps from each node as its hop count.

    Args:
        starts: Array (g, f), the role of the facts that a step begins at.
        ends: Array (g, f), the role that it leads to.
        node: Array (g, q).
        hop: Array (g, q), at most `n_steps`.
        size: Size of the vocabulary of both roles.
        n_steps: Length of the longest walk.

    Returns:
        The nodes walked to (g, q), -1 where a fact is missing, and the rows of the facts (g, q, n_steps), -1 beyond.
    """
    row_of_start = row_of(starts, size)
    rows = np.full((*node.shape, n_steps), -1, dtype=np.int32)
    for step in range(n_steps):
        row, after = follow(row_of_start, ends, node)
        rows[:, :, step] = np.where(step < hop, row, -1)
        node = np.where(step < hop, after, node)
    return node, rows


def walk_until(
    starts: Int, ends: Int, node: Int, *, size: int, n_steps: int, arrives: Callable[[Int], Mask]
) -> tuple[Int, Int, Int]:
    """Steps from each node along its facts until one arrives.

    Args:
        starts: Array (g, f), the role of the facts that a step begins at.
        ends: Array (g, f), the role that it leads to.
        node: Array (g, q).
        size: Size of the vocabulary of both roles.
        n_steps: Length of the longest walk.
        arrives: Whether a walk ends at nodes (g, q); never called with -1.

    Returns:
        The nodes arrived at (g, q), -1 where no such node is within reach; the steps made (g, q), which are the facts
        found if there is no such node; and the rows of the facts (g, q, n_steps), -1 beyond.
    """
    row_of_start = row_of(starts, size)
    rows = np.full((*node.shape, n_steps), -1, dtype=np.int32)
    arrived = np.full(node.shape, -1, dtype=np.int32)
    for step in range(n_steps):
        row, node = follow(row_of_start, ends, node)
        rows[:, :, step] = row
        is_there = (node >= 0) & arrives(node)
        arrived[is_there] = node[is_there]
        node = np.where(is_there, -1, node).astype(np.int32)
    return arrived, (rows >= 0).sum(axis=2, dtype=np.int32), rows


def _first_places(n_rows: int, n_columns: int) -> NDArray[np.int64]:
    """Where each row begins in the flattened table: array (n_rows, 1)."""
    return np.arange(0, n_rows * n_columns, n_columns, dtype=np.int64)[:, None]
