"""Random graphs of dependencies, and walks through them that say every node after those that it depends on.

Axis letters: g graphs, w nodes; a matrix (g, w, w) has a row for each node and a column for each that it depends on.
"""

import numpy as np

from nexus_bench.streams import Int, Mask, integers, permutations

_MOST = 4  # nodes that one depends on, and that depend on one


def draw_dags(n: Int, most: int, rng: np.random.Generator) -> Mask:
    """Which nodes depend on which, as the public generator of Brevo draws it.

    The first 1 to (n - 1) // 4 + 1 nodes depend on none. Every later one depends on 1 to 4 earlier ones, of those that
    fewer than 4 depend on.

    Args:
        n: Array (g), nodes of each graph, numbered from 0.
        most: Nodes of the largest.
        rng: The stream to draw from.

    Returns:
        Array (g, w, w); nodes of n and more depend on none.
    """
    n_graphs = len(n)
    split = integers(rng, n_graphs, most + 1, high=1 << 31).astype(np.int64)
    n_free = 1 + (split[:, most] * ((n - 1) // 4 + 1) >> 31)
    depends = np.zeros((n_graphs, most, most), dtype=np.bool_)
    n_out = np.zeros((n_graphs, most), dtype=np.int32)
    for node in range(1, most):
        order = permutations(rng, n_graphs, node)
        row = np.arange(0, n_graphs * most, most)[:, None]
        is_open = n_out.ravel().take(order + row) < _MOST
        n_chosen = 1 + (split[:, node] * np.minimum(is_open.sum(axis=1), _MOST) >> 31)
        n_chosen[(node < n_free) | (node >= n)] = 0
        chosen = is_open & (is_open.cumsum(axis=1) <= n_chosen[:, None])
        of = np.zeros((n_graphs, node), dtype=np.bool_)
        np.put_along_axis(of, order, chosen, axis=1)
        depends[:, node, :node] = of
        n_out[:, :node] += of
    return depends


def depths_first(place: Int, query: Int, nowhere: int) -> tuple[Int, Int]:
    """Every node that a query depends on, and the query, each after what it depends on: by a stack.

    Args:
        place: Array (g, w, w), where the edge between two nodes stands in a list; `nowhere` if there is none. Of
            several nodes that one depends on, that of the first edge comes first.
        query: Array (g).
        nowhere: More than any place.

    Returns:
        The nodes, array (g, w), -1 after the last; and how many edges tell each, array (g, w): those from the query to
        it on the stack, or one that leads from a node that was said to the only one that depends on it, and those from
        there.
    """
    n_graphs, n_nodes, _ = place.shape
    g = np.arange(n_graphs)
    n_of = (place < nowhere).sum(axis=1)  # nodes that depend on each
    only = (place < nowhere).argmax(axis=1)  # the one, if it is one
    said, hop = np.full((n_graphs, n_nodes), -1, dtype=np.int32), np.zeros((n_graphs, n_nodes), dtype=np.int32)
    was_said, leads_in = (np.zeros((n_graphs, n_nodes), dtype=np.bool_) for _ in range(2))
    stack, top, n_said = np.zeros((n_graphs, n_nodes), dtype=np.int64), np.zeros(n_graphs, dtype=np.int64), 0 * query
    stack[:, 0] = query
    is_open = np.ones(n_graphs, dtype=np.bool_)
    depth = np.arange(n_nodes)
    while is_open.any():
        node = stack[g, np.maximum(top, 0)]
        left = np.where(was_said, nowhere, place[g, node])
        first = left.argmin(axis=1)
        is_left = is_open & (left[g, first] < nowhere)
        rows = np.flatnonzero(is_left)
        top[rows] += 1
        stack[rows, top[rows]] = first[rows]
        rows = np.flatnonzero(is_open & ~is_left)
        of = node[rows]
        on_stack = leads_in[rows[:, None], stack[rows]] & (depth <= top[rows, None]) & (depth > 0)
        nearest = np.where(on_stack.any(axis=1), n_nodes - 1 - on_stack[:, ::-1].argmax(axis=1), 1)
        said[rows, n_said[rows]] = of
        hop[rows, n_said[rows]] = np.minimum(top[rows], 1 + top[rows] - nearest)
        n_said[rows] += 1
        was_said[rows, of] = True
        rows, of = rows[n_of[rows, of] == 1], of[n_of[rows, of] == 1]
        leads_in[rows, only[rows, of]] = True
        rows = np.flatnonzero(is_open & ~is_left)
        top[rows] -= 1
        is_open = top >= 0
    return said, hop
