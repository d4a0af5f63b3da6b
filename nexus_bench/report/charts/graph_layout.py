"""Where the symbols of an example stand in a drawing of its facts: the same places on every machine.

Cycles and chains stand on one circle. What branches is placed so that distances in the drawing are like the numbers of
arrows between symbols (stress majorization), by sums, products and roots alone, which every processor rounds alike.

Source: Gansner, Koren and North 2004, "Graph drawing by stress majorization", equation 11.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import networkx as nx

_MOST_AROUND = 60  # names on a circle of radius 1; with more, the circle grows
_GAP = 0.6  # between unconnected parts of a graph
_ROUNDS = 200

Point = tuple[float, float]


class GraphLayout(NamedTuple):
    """Symbol -> its place, upwards; and the radius of the circle, None if what branches has no circle."""

    at: dict[str, Point]
    radius: float | None


def layout(ends: Sequence[tuple[str, str]]) -> GraphLayout:
    """The places of symbols.

    Args:
        ends: The symbols at both ends of each fact.

    Returns:
        A circle has its centre at 0 and a radius of 1 or more; a part that branches reaches from -1 to 1, and further
        parts stand beside it and below.
    """
    graph = nx.DiGraph(ends)
    parts = _parts(graph)
    walks = walks_of(ends)
    if walks:
        is_cycle = len(walks) == 1 and graph.has_edge(walks[0][-1], walks[0][0])
        ring = [name for walk in walks for name in (*walk, *([] if is_cycle else [None]))]
        radius = max(1.0, len(ring) / _MOST_AROUND)
        return GraphLayout(
            {name: at for name, at in zip(ring, _around(len(ring), radius), strict=True) if name}, radius
        )
    placed: dict[str, Point] = {}
    per_row = math.ceil(math.sqrt(len(parts)))
    for index, part in enumerate(parts):
        right, down = (2 + _GAP) * (index % per_row), (2 + _GAP) * (index // per_row)
        spread = _spread(nx.Graph(sorted(graph.subgraph(part).edges)))
        placed |= {name: (x + right, y - down) for name, (x, y) in spread.items()}
    return GraphLayout(placed, None)


def walks_of(ends: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The symbols of each cycle and chain in their order; none if anything branches."""
    graph = nx.DiGraph(ends)
    walks = [_walk_through(graph.subgraph(part)) for part in _parts(graph)]
    return walks if all(walks) else []


def _parts(graph: "nx.DiGraph[str]") -> list[set[str]]:
    """Connected parts, the largest first."""
    return sorted(nx.weakly_connected_components(graph), key=lambda part: (-len(part), min(part)))


def _around(n: int, radius: float) -> list[Point]:
    """Places on a circle, clockwise from the top."""
    turns = [-2 * math.pi * i / n + math.pi / 2 for i in range(n)]
    return [(round(radius * math.cos(turn), 12), round(radius * math.sin(turn), 12)) for turn in turns]


def _spread(part: "nx.Graph[str]") -> dict[str, Point]:
    """The places of a connected part, from -1 to 1."""
    names = list(nx.dfs_preorder_nodes(part, source=min(part), sort_neighbors=sorted))
    steps = dict(nx.all_pairs_shortest_path_length(part))
    at = _around(len(names), 1.0)
    for _ in range(_ROUNDS):
        for i, name in enumerate(names):
            x, y = at[i]
            right = up = whole = 0.0
            for j, other in enumerate(names):
                if i == j:
                    continue
                distance = steps[name][other]
                weight = 1 / (distance * distance)
                aside, above = x - at[j][0], y - at[j][1]
                share = distance / max(math.sqrt(aside * aside + above * above), 1e-9)
                right += weight * (at[j][0] + share * aside)
                up += weight * (at[j][1] + share * above)
                whole += weight
            at[i] = (right / whole, up / whole) if whole else (x, y)
    middle = [(max(axis) + min(axis)) / 2 for axis in zip(*at, strict=True)]
    size = max(max(abs(x - middle[0]), abs(y - middle[1])) for x, y in at) or 1.0
    return {name: ((x - middle[0]) / size, (y - middle[1]) / size) for name, (x, y) in zip(names, at, strict=True)}


def _walk_through(part: "nx.DiGraph[str]") -> list[str]:
    """The symbols of a cycle or a chain in order, whatever the direction of its arrows; empty if it branches."""
    joined = part.to_undirected()
    if any(len(set(joined[name]) - {name}) > 2 for name in joined):
        return []
    tips = [name for name in sorted(joined) if len(set(joined[name]) - {name}) < 2]
    sources = [name for name in tips if part.out_degree(name)]
    at = (sources or tips or sorted(joined))[0]
    walk = [at]
    while beside := [*(n for n in part[at] if n not in walk), *sorted(n for n in joined[at] if n not in walk)]:
        at = beside[0]
        walk.append(at)
    return walk
