"""Shortest path: which neighbour of the start lies on the only shortest path to the goal?"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts.distances import adjacency_of, distances_to, only_paths
from nexus_bench.generators.parts.facts import look_up, shuffled
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.streams import Int, Mask, integers, permutations

# Fewest nodes, by degree, at which most random graphs have 20 or more pairs 1, 2, 3, ... hops apart with one path only.
_FEWEST_NODES = {3: (12, 12, 16, 24, 32, 48, 72, 128), 4: (12, 12, 24, 48, 96)}
# Accuracy of the best guess with one edge of the path exchanged, by degree, at 1, 2, 3, ... hops: computed on graphs of
# the fewest nodes, with a margin of .02 or more; it is lower with more nodes. docs/measurements.md has the figures.
_PARTIAL = {3: (1.0, 0.62, 0.62, 0.64, 0.72, 0.75, 0.78, 0.84), 4: (1.0, 0.61, 0.54, 0.55, 0.62)}
_COPIES = 32  # graphs of the same shape per batch; part of the definition of the data
_MOST_ROUNDS = 200  # rounds of drawing shapes, before the size is reported as too small
_SOLVED_AT_ONCE = 2048  # graphs; bounds memory


class ShortestPathParams(NamedParams):
    """Size of a shortest_path graph."""

    degree: int = Field(ge=3, le=4, description="Edges of every node.")
    n_nodes: int | None = Field(
        ge=12, le=1000, description="Nodes, an even number; null means as many as the hops need."
    )


class _Shapes(NamedTuple):
    """Random regular graphs over the nodes 0..n-1, t of them.

    Attributes:
        edges: Array (t, f, 2).
        neighbours: Array (t, n, degree).
        distance: Array (t, n, n), edges between two nodes, capped at the largest hop plus one.
        pairs: By hop, array (p, 2) of the pairs (start, goal) that queries can have, shape after shape.
        first_pair: By hop, where the pairs of each shape begin: array (t + 1).
    """

    edges: Int
    neighbours: Int
    distance: Int
    pairs: dict[int, Int]
    first_pair: dict[int, NDArray[np.int64]]


@GENERATORS.register
class ShortestPath(NamedNodes[ShortestPathParams]):
    """A random regular graph; exactly one shortest path, of k edges, leads to the goal; its first node is the answer.

    Every node has the same number of neighbours, so counts say nothing, and any neighbour of the start may be right.
    If the answer were the distance, each hop count would be its own class. At one hop the goal is the answer. Edges
    have no direction; each is one fact, written in either orientation. A hop is one edge.

    In a finite graph the neighbours of the start are not equivalent: if a far edge of the path is hidden, by exchanging
    its end with that of another edge, few exchanges could have led to such a graph, and most of them agree on the first
    step. The partial-input ceiling is that of the guess that weighs all of them; it falls as n_nodes grows.

    Shapes are drawn from a random Hamiltonian cycle and a random perfect matching (degree 3) or two such cycles (degree
    4), kept if no edge is double: distributions close to the uniform one (Wormald, 1999, "Models of random regular
    graphs", section 4). Each shape serves 32 graphs of a batch, each with its own symbols, order of facts and pairs.
    Every single example is an exact draw, but the graphs of a batch are not independent: 32 of them share a shape.

    Source: shortest paths as in CLRS (Velickovic et al., 2022, https://arxiv.org/abs/2205.15659), bfs.

    >>> from nexus_bench.streams import stream
    >>> params = ShortestPathParams(degree=3, n_nodes=12, vocab_size=36, n_queries=1)
    >>> examples = ShortestPath(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0, :5].tolist()
    [[20, 0], [2, 33], [33, 6], [28, 33], [27, 29]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[2, 20]], [28], [2])
    """

    name = "shortest_path"
    version = 1
    Params = ShortestPathParams
    sized_by = "n_nodes"

    def __init__(
        self, params: ShortestPathParams, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)
        if self.n_nodes % 2:
            raise ConfigError(f"{self.name}: n_nodes must be even, got {self.n_nodes}; raise n_nodes by one")

    @property
    def most_queries(self) -> int:
        """As many as nodes; there are more pairs than that."""
        return self.n_nodes

    @property
    def max_hop(self) -> int:
        """The largest hop with enough pairs."""
        table = _FEWEST_NODES[self.params.degree]
        n_nodes: int | None = self.params.n_nodes
        return len(table) if n_nodes is None else sum(fewest <= n_nodes for fewest in table)

    def advice_for_hop(self, hop: int) -> str:
        """The number of nodes that the hop needs, if it was measured."""
        table = _FEWEST_NODES[self.params.degree]
        return f"raise n_nodes to {table[hop - 1]}" if hop <= len(table) else "ask for fewer hops, or degree 3"

    @property
    def distractors(self) -> str:
        """Every other edge leads off the path."""
        return "branches"

    @property
    def schema(self) -> Schema:
        """Facts are edges (end1, end2), a query is (start, goal), the answer is a node."""
        return Schema(
            fact=(Role("end1", "node"), Role("end2", "node")),
            query=(Role("start", "node"), Role("goal", "node")),
            answer="node",
            vocabularies={"node": self.node_vocab_size},
        )

    @property
    def n_facts(self) -> int:
        """Every edge once."""
        return self.n_nodes * self.params.degree // 2

    @property
    def n_worlds(self) -> int:
        """Only the choices of symbols; each allows many graphs, and every edge has two orientations."""
        return math.comb(self.node_vocab_size, self.n_nodes) << self.n_facts

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw shapes, then symbols, the orientation and the order of the facts, then pairs of the shape."""
        shapes = self._draw_shapes(-(-n_graphs // _COPIES), rng)
        shape = np.arange(n_graphs) // _COPIES
        name = self.draw_names(n_graphs, rng)
        edges = shapes.edges[shape]
        bits = integers(rng, n_graphs, -(-self.n_facts // 31), high=1 << 31)
        column = np.arange(self.n_facts)
        turned = bits[:, column // 31] >> (column % 31).astype(np.int32) & 1
        difference = (edges[:, :, 1] - edges[:, :, 0]) * turned
        ends = (edges[:, :, 0] + difference, edges[:, :, 1] - difference)
        facts = shuffled(np.stack([look_up(name, end) for end in ends], axis=2), rng)

        hop = self.deal_hops(n_graphs, rng)
        asked = np.empty((*hop.shape, 2), dtype=np.int32)
        left = np.arange(n_graphs)
        while left.size:  # until the queries of each graph are distinct
            words = integers(rng, left.size, hop.shape[1], high=1 << 31).astype(np.int64)
            for k in self.hops:
                g, q = np.nonzero(hop[left] == k)
                first = shapes.first_pair[k]
                n_pairs = first[shape[left[g]] + 1] - first[shape[left[g]]]
                asked[left[g], q] = shapes.pairs[k][first[shape[left[g]]] + (words[g, q] * n_pairs >> 31)]
            key = np.sort(asked[left, :, 0] * self.n_nodes + asked[left, :, 1], axis=1)
            left = left[(key[:, 1:] == key[:, :-1]).any(axis=1)]
        start, goal = asked[:, :, 0], asked[:, :, 1]
        steps = shapes.neighbours[shape[:, None], start]  # g q d
        nearer = shapes.distance[shape[:, None, None], steps, goal[:, :, None]] == hop[:, :, None] - 1
        step = np.take_along_axis(steps, nearer.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
        query = np.stack([look_up(name, start), look_up(name, goal)], axis=2)
        return Examples(facts, query, look_up(name, step), hop)

    def _draw_shapes(self, n_shapes: int, rng: np.random.Generator) -> _Shapes:
        """Shapes without double edges that have enough pairs at every hop."""
        n, degree = self.n_nodes, self.params.degree
        wanted = 2 * -(-self.n_queries // len(self.hops))
        kept: list[tuple[Int, Int, dict[int, Mask]]] = []
        n_kept = 0
        for _ in range(_MOST_ROUNDS):
            edges = self._simple(n_shapes + 8, rng)
            distance, askable = only_paths(adjacency_of(edges, n), self.hops)
            enough = np.all([np.count_nonzero(mask, axis=(1, 2)) >= wanted for mask in askable.values()], axis=0)
            kept.append((edges[enough], distance[enough], {k: mask[enough] for k, mask in askable.items()}))
            n_kept += int(enough.sum())
            if n_kept >= n_shapes:
                break
        else:
            raise ConfigError(
                f"{self.name}: {n} nodes have too few pairs {max(self.hops)} hops apart; "
                "raise n_nodes or ask for fewer hops or queries"
            )
        edges, distance = (np.concatenate([part[i] for part in kept])[:n_shapes] for i in (0, 1))
        pairs, first_pair = {}, {}
        for k in self.hops:
            shape, start, goal = np.nonzero(np.concatenate([part[2][k] for part in kept])[:n_shapes])
            pairs[k] = np.stack([start, goal], axis=1).astype(np.int32)
            first_pair[k] = np.searchsorted(shape, np.arange(n_shapes + 1))
        neighbours = np.nonzero(adjacency_of(edges, n))[2].reshape(n_shapes, n, degree).astype(np.int32)
        return _Shapes(edges, neighbours, distance, pairs, first_pair)

    def _simple(self, n_shapes: int, rng: np.random.Generator) -> Int:
        """Edges (t, f, 2) of random shapes, without those shapes that have a double edge."""
        n = self.n_nodes
        cycle = np.arange(n, dtype=np.int32)
        base = np.stack([cycle, (cycle + 1) % n], axis=1)
        other = permutations(rng, 4 * n_shapes, n)
        other = np.stack([other, np.roll(other, -1, axis=1)], axis=2)
        if self.params.degree == 3:
            other = other[:, ::2]
        edges = np.concatenate([np.broadcast_to(base, (len(other), n, 2)), other], axis=1)
        key = np.sort(edges.min(axis=2) * n + edges.max(axis=2), axis=1)
        simple: Int = edges[(key[:, 1:] != key[:, :-1]).all(axis=1)][:n_shapes]
        return simple

    def solve(self, facts: Int, query: Int) -> Solution:
        """Breadth-first search from the goal, then down the distances from the start, the first fact listed first."""
        parts = [
            self._solve(facts[i : i + _SOLVED_AT_ONCE], query[i : i + _SOLVED_AT_ONCE])
            for i in range(0, len(facts), _SOLVED_AT_ONCE)
        ]
        width = max(part.rows.shape[2] for part in parts)
        rows = [np.pad(p.rows, ((0, 0), (0, 0), (0, width - p.rows.shape[2])), constant_values=-1) for p in parts]
        return Solution(
            np.concatenate([p.answer for p in parts]), np.concatenate([p.hop for p in parts]), np.concatenate(rows)
        )

    def _solve(self, facts: Int, query: Int) -> Solution:
        present = np.zeros((len(facts), self.node_vocab_size), dtype=np.bool_)
        np.put_along_axis(present, facts.reshape(len(facts), -1), True, axis=1)
        node_of = present.cumsum(axis=1, dtype=np.int32) - 1  # symbols of the graph, numbered
        ends = look_up(node_of, facts.reshape(len(facts), -1)).reshape(facts.shape)
        start, goal = (look_up(node_of, query[:, :, i]) for i in (0, 1))
        n = int(node_of.max()) + 1
        distance = distances_to(ends, goal, n)  # g q n

        node = start
        hop = np.take_along_axis(distance, start[:, :, None], axis=2)[:, :, 0]
        answer = np.full(hop.shape, -1, dtype=np.int32)
        rows = np.full((*hop.shape, max(int(hop.max()), self.largest_hop)), -1, dtype=np.int32)
        at_end = [np.take_along_axis(distance, ends[:, None, :, i], axis=2) for i in (0, 1)]  # g q f
        for step in range(int(hop.max())):
            nearer = hop[:, :, None] - step - 1
            leaves = [(ends[:, None, :, i] == node[:, :, None]) & (at_end[1 - i] == nearer) for i in (0, 1)]
            walks = (step < hop) & (leaves[0] | leaves[1]).any(axis=2)
            row = np.where(walks, (leaves[0] | leaves[1]).argmax(axis=2), -1).astype(np.int32)
            side = np.where(np.take_along_axis(leaves[0], row[:, :, None], axis=2)[:, :, 0], 1, 0)
            rows[:, :, step] = row
            node = np.where(walks, look_up(ends.reshape(len(ends), -1), 2 * np.maximum(row, 0) + side), node)
            if step == 0:
                first = look_up(facts.reshape(len(facts), -1), 2 * np.maximum(row, 0) + side)
                answer = np.where(walks, first, -1).astype(np.int32)
        return Solution(answer, hop, rows)

    def chance(self, hop: int) -> float:
        """Any neighbour of the start; at one hop the goal is in the query and is the answer."""
        return 1.0 if hop == 1 else 1 / self.params.degree

    def partial_input(self, hop: int) -> float:
        """The first step that most graphs have in which undoing one exchange leaves one shortest path: computed."""
        return _PARTIAL[self.params.degree][hop - 1]

    @property
    def n_nodes(self) -> int:
        """Nodes per graph."""
        given: int | None = self.params.n_nodes
        return _FEWEST_NODES[self.params.degree][self.largest_hop - 1] if given is None else given
