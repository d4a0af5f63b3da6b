"""Path queries: follow named relations from a start, as in queries of a knowledge graph."""

import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts import patterns
from nexus_bench.generators.parts.facts import look_up, shuffled
from nexus_bench.streams import Int, Mask, permutations, pick

_LONGEST = 50  # most hops if n_nodes is derived from the hops
_FEWEST_NODES = 12  # if n_nodes is derived from the hops
_MOST_ROUNDS = 64  # rounds of drawing walks of a pattern, before the graph is drawn again


class PathQueryParams(NamedParams):
    """Size of a path_query graph."""

    n_nodes: int | None = Field(ge=3, le=1_000, description="Nodes; null means three per hop, at least 12.")
    n_relations: int = Field(ge=2, le=100, description="Relations, each a cycle over all nodes.")


@GENERATORS.register
class PathQuery(NamedNodes[PathQueryParams]):
    """Every relation is one uniform random cycle over the nodes; the answer is where the named relations lead.

    The end of a query is drawn first, uniformly, so from the facts alone every node is equally likely as the answer.
    The words are drawn from the last to the first, each among the relations that lead back to a node not yet on the
    walk. A walk that meets a dead end is drawn again; a walk that repeats one word k times never meets one. So the
    k + 1 nodes of a walk are distinct, and no hop undoes another. A hop is one fact. If a query repeats one word, its
    relation can be walked backwards in n_nodes - k facts, so hop counts are true only while k <= n_nodes / 3.

    Source: path queries (Guu, Miller and Liang 2015, "Traversing knowledge graphs in vector space",
    arXiv 1506.01094); cycles instead of a knowledge base, whose popular entities can be guessed.

    >>> from nexus_bench.streams import stream
    >>> params = PathQueryParams(n_nodes=6, n_relations=2, vocab_size=18, n_queries=1)
    >>> examples = PathQuery(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0, :5].tolist()
    [[4, 1, 0], [3, 0, 10], [10, 1, 6], [4, 0, 0], [6, 1, 4]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[6, 0, 0]], [10], [2])
    """

    name = "path_query"
    version = 1
    Params = PathQueryParams
    sized_by = "n_nodes"
    has_patterns = True

    @property
    def n_nodes(self) -> int:
        """Nodes per graph."""
        given = self.params.n_nodes
        return max(_FEWEST_NODES, 3 * self.largest_hop) if given is None else given

    @property
    def most_queries(self) -> int:
        """One per node that a walk can end at."""
        return self.n_nodes

    @property
    def max_hop(self) -> int:
        """A third of the nodes: beyond that, the way back along one relation is short enough to help."""
        return _LONGEST if self.params.n_nodes is None else self.params.n_nodes // 3

    def advice_for_hop(self, hop: int) -> str:
        """Three nodes per hop."""
        return f"raise n_nodes {'' if self.params.n_nodes is None else f'from {self.params.n_nodes} '}to {3 * hop}"

    @property
    def distractors(self) -> str:
        """The facts of the relations that a query does not follow."""
        return "irrelevant"

    @property
    def schema(self) -> Schema:
        """Facts are (src, relation, dst), a query is (start, relation1, relation2, ...), the answer is a node."""
        words = tuple(Role(f"relation{place + 1}", "relation") for place in range(self.largest_hop))
        return Schema(
            fact=(Role("src", "node"), Role("relation", "relation"), Role("dst", "node")),
            query=(Role("start", "node"), *words),
            answer="node",
            vocabularies={"node": self.node_vocab_size, "relation": self.params.n_relations + 1},
        )

    @property
    def n_facts(self) -> int:
        """One edge per node and relation."""
        return self.n_nodes * self.params.n_relations

    @property
    def n_worlds(self) -> int:
        """Choices of symbols times cycles over them, one per relation."""
        cycles: int = math.factorial(self.n_nodes - 1) ** self.params.n_relations
        return math.comb(self.node_vocab_size, self.n_nodes) * cycles

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw symbols, then cycles over the nodes, then walks that end at the first nodes, whose symbols are random.

        A graph in which an end has no walk of the required patterns is drawn again.
        """
        examples = self._draw(n_graphs, rng)
        while (is_stuck := (examples.answer < 0).any(axis=1)).any():
            for array, fresh in zip(examples, self._draw(int(is_stuck.sum()), rng), strict=True):
                array[is_stuck] = fresh
        return examples

    def _draw(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Like `sample`, but the answer is -1 where no walk was found."""
        n, n_relations, n_queries = self.n_nodes, self.params.n_relations, self.n_queries
        names = self.draw_names(n_graphs, rng)
        cycle = permutations(rng, n_graphs * n_relations, n).reshape(n_graphs, -1, n)
        before = np.concatenate([cycle[:, :, -1:], cycle[:, :, :-1]], axis=2)
        relation = np.broadcast_to(np.arange(n_relations, dtype=np.int32)[:, None], cycle.shape)
        edges = np.stack([before, relation, cycle], axis=3).reshape(n_graphs, -1, 3)
        edges[:, :, 0] = look_up(names, edges[:, :, 0])
        edges[:, :, 2] = look_up(names, edges[:, :, 2])

        previous = np.empty_like(cycle)
        np.put_along_axis(previous, cycle, before, axis=2)
        hop = self.deal_hops(n_graphs, rng)
        end = np.broadcast_to(np.arange(n_queries, dtype=np.int32), hop.shape)
        start, words = self._walk_back(previous, end, hop, rng)
        query = np.concatenate([look_up(names, np.maximum(start, 0))[:, :, None], words], axis=2)
        return Examples(shuffled(edges, rng), query, np.where(start >= 0, look_up(names, end), -1), hop)

    def _walk_back(self, previous: Int, end: Int, hop: Int, rng: np.random.Generator) -> tuple[Int, Int]:
        """Starts (g, q) and words (g, q, K) of walks over distinct nodes; queries at a dead end are drawn again.

        Walks of other patterns are drawn again too, up to a limit; after that the start is -1.
        """
        graph = np.repeat(np.arange(len(end)), end.shape[1])
        start = end.flatten()
        words = np.full((start.size, self.largest_hop), self.params.n_relations, dtype=np.int32)
        relations = np.arange(self.params.n_relations)
        left = np.arange(start.size)
        n_rounds = 0
        while left.size and (self.patterns == patterns.ALL or n_rounds < _MOST_ROUNDS):
            n_rounds += 1
            node, n_steps = end.ravel()[left], hop.ravel()[left]
            seen = np.zeros((left.size, self.n_nodes), dtype=np.bool_)
            is_stuck = np.zeros(left.size, dtype=np.bool_)
            for step in range(int(n_steps.max())):
                rows = np.flatnonzero(step < n_steps)
                seen[rows, node[rows]] = True
                reached = previous[graph[left[rows], None], relations, node[rows, None]]  # query, relation
                word = pick(rng, ~seen[rows[:, None], reached])
                is_stuck[rows] |= word < 0
                words[left[rows], n_steps[rows] - 1 - step] = word
                node[rows] = reached[np.arange(rows.size), word]
            start[left] = node
            left = left[is_stuck | ~patterns.is_among(self.patterns, words[left], n_steps)]
        start[left] = -1
        return start.reshape(end.shape), words.reshape(*end.shape, -1)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Walk word by word; each fact is found by its source and relation among the sorted facts."""
        n_graphs, n_facts, _ = facts.shape
        n_relations = self.params.n_relations
        graph = np.arange(n_graphs, dtype=np.int64)[:, None] * self.node_vocab_size
        key = ((graph + facts[:, :, 0]) * n_relations + facts[:, :, 1]).ravel()
        order = key.argsort(kind="stable")
        key = key[order]
        node, words = query[:, :, 0], query[:, :, 1:]
        rows = np.full(words.shape, -1, dtype=np.int32)
        for step in range(words.shape[2]):
            is_asked = words[:, :, step] < n_relations
            wanted = (graph + node) * n_relations + words[:, :, step]
            place = np.minimum(np.searchsorted(key, wanted), key.size - 1)
            is_found = is_asked & (node >= 0) & (key[place] == wanted)
            row = (order[place] % n_facts).astype(np.int32)
            rows[:, :, step] = np.where(is_found, row, -1)
            node = np.where(is_found, look_up(facts[:, :, 2], row), np.where(is_asked, -1, node))
        return Solution(node, (words < n_relations).sum(axis=2, dtype=np.int32), rows)

    def chance(self, hop: int) -> float:
        """Any node of the graph except the start."""
        return 1 / (self.n_nodes - 1)

    def partial_input(self, hop: int) -> float:
        """Elimination: the first `hop` nodes of the walk and hop - 1 before them along the last relation are known."""
        return 1 / (self.n_nodes - 1 - 2 * (hop - 1))

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """Facts of the same relation that are not elsewhere on the derivation."""
        relation = look_up(facts[:, :, 1], at[:, None])
        alike: Mask = super().alike(facts, query, solution, at) & (facts[:, :, 1] == relation)
        return alike

    def check_patterns(self) -> None:
        """A word is a relation."""
        patterns.check_enough(self.name, self.params.n_relations, advice="raise n_relations to 4")

    def symbol(self, vocabulary: str, index: int) -> str:
        """An unused word of a query is a dash."""
        is_unused = vocabulary == "relation" and index == self.params.n_relations
        return "-" if is_unused else super().symbol(vocabulary, index)
