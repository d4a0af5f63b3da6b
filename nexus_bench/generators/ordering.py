"""Ordering: which of two items is greater, given only comparisons of neighbours?"""

import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts.facts import look_up, shuffled, walk_until
from nexus_bench.streams import Int, permutations

_LONGEST = 50  # most hops if n_items is derived from the hops
_SPARE_ITEMS = 3  # places for a query of the largest hop count, minus one


class OrderingParams(NamedParams):
    """The size of an order."""

    n_items: int | None = Field(ge=4, le=10_000, description="Items; null means three per hop plus four.")


@GENERATORS.register
class Ordering(NamedNodes[OrderingParams]):
    """A chain of comparisons between neighbours; the answer is whether the first item of the query is the greater one.

    A hop is one comparison. The two items are k comparisons apart, and each is at least k from the ends of the chain.
    So any k - 1 comparisons connect neither the two items nor an item to an end, and say nothing. If all comparisons
    but one are known, the chain is in two pieces. One way to join them puts the items k comparisons apart, the other
    n_items - k. Queries never have that many hops, so the distribution alone tells which way is right, and the
    partial-input ceiling is 1. This is unavoidable for an order.

    Queries without facts say nothing, even all of a graph together: the chain turned around has the same probability
    and the same queries, and every answer is the opposite.

    Source: transitive inference (Bryant and Trabasso 1971, Nature 232); the distance to the ends is new here.

    >>> from nexus_bench.streams import stream
    >>> params = OrderingParams(n_items=7, vocab_size=21, n_queries=1)
    >>> examples = Ordering(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[19, 18], [4, 19], [1, 4], [3, 0], [10, 3], [0, 1]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[4, 0]], [0], [2])
    """

    name = "ordering"
    version = 2
    Params = OrderingParams
    sized_by = "n_items"

    @property
    def n_nodes(self) -> int:
        """Items per graph."""
        given = self.params.n_items
        return 3 * self.largest_hop + 1 + _SPARE_ITEMS if given is None else given

    @property
    def most_queries(self) -> int:
        """One per hop and place, for the hop with the fewest places."""
        return len(self.hops) * (self.n_nodes - 3 * self.largest_hop)

    @property
    def max_hop(self) -> int:
        """A third of the comparisons: the path, and as many beyond either item."""
        return _LONGEST if self.params.n_items is None else (self.params.n_items - 1) // 3

    def advice_for_hop(self, hop: int) -> str:
        """Three items per hop plus one."""
        return f"raise n_items to {3 * hop + 1}" if self.params.n_items is not None else "ask for fewer hops"

    @property
    def schema(self) -> Schema:
        """Facts are (greater, lesser), a query is (first, second), the answer is no (0) or yes (1)."""
        return Schema(
            fact=(Role("greater", "node"), Role("lesser", "node")),
            query=(Role("first", "node"), Role("second", "node")),
            answer="verdict",
            vocabularies={"node": self.node_vocab_size, "verdict": 2},
        )

    @property
    def n_facts(self) -> int:
        """One comparison per pair of neighbours."""
        return self.n_nodes - 1

    @property
    def n_worlds(self) -> int:
        """Choices of symbols in order."""
        return math.perm(self.node_vocab_size, self.n_nodes)

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw the order, then the order of the facts, then distinct places, and answers as balanced as possible."""
        item = self.draw_names(n_graphs, rng)
        facts = shuffled(np.stack([item[:, :-1], item[:, 1:]], axis=2), rng)
        hop = self.deal_hops(n_graphs, rng)
        n_rounds = int(self.rounds[-1]) + 1
        places = [k + permutations(rng, n_graphs, self.n_nodes - 3 * k, k=n_rounds) for k in self.hops]
        at = np.searchsorted(self.hops, hop) * n_rounds + self.rounds
        place = look_up(np.concatenate(places, axis=1), at.astype(np.int32))
        verdict = self.deal_verdicts(hop, rng)
        greater, lesser = look_up(item, place), look_up(item, place + hop)
        query = np.stack([np.where(verdict == 1, greater, lesser), np.where(verdict == 1, lesser, greater)], axis=2)
        return Examples(facts, query, verdict, hop)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Walk down from either item; the one from which the other is reached is the greater."""
        first, second = query[:, :, 0], query[:, :, 1]
        met, hop, rows = self._walk_down(facts, first, second)
        met_back, hop_back, rows_back = self._walk_down(facts, second, first)
        answer = np.where(met >= 0, 1, np.where(met_back >= 0, 0, -1)).astype(np.int32)
        is_back = (met < 0) & (met_back >= 0)
        rows = np.where(is_back[:, :, None], rows_back, rows)
        return Solution(answer, np.where(is_back, hop_back, hop), rows)

    def chance(self, hop: int) -> float:
        """Yes or no."""
        return 1 / 2

    def partial_input(self, hop: int) -> float:
        """Two pieces of a chain: only one way to join them has a hop count that occurs."""
        return 1.0

    def _walk_down(self, facts: Int, start: Int, goal: Int) -> tuple[Int, Int, Int]:
        greater, lesser = facts[:, :, 0], facts[:, :, 1]
        size, n_steps = self.node_vocab_size, self.largest_hop
        return walk_until(greater, lesser, start, size=size, n_steps=n_steps, arrives=lambda node: node == goal)

    def symbol(self, vocabulary: str, index: int) -> str:
        """An answer is no or yes."""
        return ("no", "yes")[index] if vocabulary == "verdict" else super().symbol(vocabulary, index)
