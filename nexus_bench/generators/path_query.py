"""Path queries: follow named relations from a start, as in queries of a knowledge graph."""

import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts import patterns
from nexus_bench.generators.parts.facts import look_up, shuffled
from nexus_bench.streams import Int, Mask, integers, permutations

_LONGEST = 50  # most hops if n_nodes is derived from the hops
_FEWEST_NODES = 12  # if n_nodes is derived from the hops


class PathQueryParams(NamedParams):
    """Size of a path_query graph."""

    n_nodes: int | None = Field(ge=3, le=1_000, description="Nodes; null means three per hop, at least 12.")
    n_relations: int = Field(ge=2, le=100, description="Relations, each a cycle over all nodes.")


@GENERATORS.register
class PathQuery(NamedNodes[PathQueryParams]):
    """Every relation is one uniform random cycle over the nodes; the answer is where the named relations lead.

    Start and words of a query are drawn without regard to the facts, so neither says anything about a fact that was not
    looked up. Words are drawn uniformly; then equal ones are moved next to each other, where the first of them stands.
    So a walk uses a relation once, for some steps in a row, and never uses a fact twice. It may come back to a node, as
    any walk does where relations meet; then another relation leads on. A hop is one fact. If a query repeats one word,
    its relation can be walked backwards in n_nodes - k facts, so hop counts are true only while k <= n_nodes / 3.

    Source: path queries (Guu, Miller and Liang 2015, "Traversing knowledge graphs in vector space",
    arXiv 1506.01094); cycles instead of a knowledge base, whose popular entities can be guessed.

    >>> from nexus_bench.streams import stream
    >>> params = PathQueryParams(n_nodes=6, n_relations=2, vocab_size=18, n_queries=1)
    >>> examples = PathQuery(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0, :5].tolist()
    [[3, 1, 10], [3, 0, 10], [6, 1, 4], [1, 0, 6], [10, 1, 6]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[10, 0, 0]], [0], [2])
    """

    name = "path_query"
    version = 2
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
        """One per node that a walk can begin at."""
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
        """Draw symbols, cycles over the nodes, words, the order of the facts; walks begin at the first nodes."""
        n, n_relations, n_queries = self.n_nodes, self.params.n_relations, self.n_queries
        names = self.draw_names(n_graphs, rng)
        cycle = permutations(rng, n_graphs * n_relations, n).reshape(n_graphs, -1, n)
        after = np.empty_like(cycle)
        np.put_along_axis(after, cycle, np.roll(cycle, -1, axis=2), axis=2)
        ends = after.reshape(n_graphs, -1)  # by relation, then by source
        relation, source = np.divmod(np.arange(ends.shape[1], dtype=np.int32), np.int32(n))
        columns = (names[:, source], np.broadcast_to(relation, ends.shape), look_up(names, ends))

        hop = self.deal_hops(n_graphs, rng)
        words = self._draw_words(hop, rng)
        start = np.broadcast_to(np.arange(n_queries, dtype=np.int32), hop.shape)
        node = start
        for step in range(self.largest_hop):
            word = np.minimum(words[:, :, step], n_relations - 1)
            node = np.where(step < hop, look_up(ends, word * np.int32(n) + node), node).astype(np.int32)
        facts = shuffled(np.stack(columns, axis=2), rng)
        query = np.concatenate([look_up(names, start)[:, :, None], words], axis=2)
        return Examples(facts, query, look_up(names, node), hop)

    def _draw_words(self, hop: Int, rng: np.random.Generator) -> Int:
        """Words of the required patterns, equal ones side by side: array (g, q, K)."""
        longest, n_relations = self.largest_hop, self.params.n_relations
        n_words = hop.ravel()
        words = np.empty((n_words.size, longest), dtype=np.int32)
        left = np.arange(n_words.size)
        while left.size:
            drawn = integers(rng, left.size, longest, high=n_relations)
            drawn[np.arange(longest) >= n_words[left, None]] = n_relations
            first = np.zeros_like(drawn)  # where the word of each place stands first
            for place in reversed(range(longest)):
                first[drawn == drawn[:, place, None]] = place
            words[left] = np.take_along_axis(drawn, first.argsort(axis=1, kind="stable"), axis=1)
            left = left[~patterns.is_among(self.patterns, words[left], n_words[left])]
        return words.reshape(*hop.shape, longest)

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
        """Any other node than the last but one of the walk: the last relation leads to each of them alike.

        At one hop that node is the start; at two hops of two relations, the start is the answer exactly this often.
        """
        return 1 / (self.n_nodes - 1)

    def partial_input(self, hop: int) -> float:
        """Elimination, by whatever facts that `hop` - 1 nodes of the walk stand in; of other nodes nothing is known.

        The hidden fact is of a relation of which up to 2 (hop - 1) facts are then known. They make paths of a cycle.
        All cycles that have these paths are equally likely, whatever is known of other relations, and each joins the
        node of the hidden fact to one of n_nodes - 1 - 2 (hop - 1) other paths, or more. The rest of the walk
        leads from different nodes to different answers.
        """
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
