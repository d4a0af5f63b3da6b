"""Distances in batches of small undirected graphs over the nodes 0..n-1.

Axis letters: g graphs, f edges, q goals, n nodes.
"""

import numpy as np
from numpy.typing import NDArray

from nexus_bench.streams import Int, Mask


def adjacency_of(edges: Int, n: int) -> NDArray[np.float32]:
    """1 where two nodes share an edge: array (g, n, n), from edges (g, f, 2)."""
    adjacency = np.zeros((len(edges), n, n), dtype=np.float32)
    shape = np.arange(len(edges))[:, None]
    adjacency[shape, edges[:, :, 0], edges[:, :, 1]] = 1
    adjacency[shape, edges[:, :, 1], edges[:, :, 0]] = 1
    return adjacency


def only_paths(adjacency: NDArray[np.float32], hops: tuple[int, ...]) -> tuple[Int, dict[int, Mask]]:
    """Distances, and the pairs that have exactly one shortest path.

    Args:
        adjacency: Array (t, n, n).
        hops: The hop counts of queries.

    Returns:
        Distances (t, n, n), and by hop an array (t, n, n) over starts and goals.
    """
    n_paths = np.broadcast_to(np.eye(adjacency.shape[1], dtype=np.float32), adjacency.shape)
    seen: Mask = n_paths > 0
    distance = np.where(seen, 0, max(hops) + 1).astype(np.int32)
    askable = {}
    for k in range(1, max(hops) + 1):
        n_paths = n_paths @ adjacency
        n_paths[seen] = 0
        reached = n_paths > 0
        seen |= reached
        distance[reached] = k
        if k in hops:
            askable[k] = n_paths == 1
    return distance, askable


def distances_to(ends: Int, goal: Int, n: int) -> Int:
    """Edges to the goals: array (g, q, n), -1 where there is no path."""
    adjacency = adjacency_of(ends, n)
    distance = np.full((*goal.shape, n), -1, dtype=np.int32)
    np.put_along_axis(distance, goal[:, :, None], 0, axis=2)
    for k in range(n):
        reached = (distance == k).astype(np.float32) @ adjacency
        new = (reached > 0) & (distance < 0)
        if not new.any():
            break
        distance[new] = k + 1
    return distance
