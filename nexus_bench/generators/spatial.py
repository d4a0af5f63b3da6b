"""Spatial relations: where is one object from another, on a torus?"""

import itertools
import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts.facts import look_up, row_of, shuffled
from nexus_bench.streams import Int, Mask, integers, permutations

_LONGEST, _MOST_FACTS = 50, 10_000
_UNITS = np.array(list(itertools.product((-1, 0, 1), repeat=2)), dtype=np.int32)  # east, north
_WORDS = ("southwest", "west", "northwest", "south", "same", "north", "southeast", "east", "northeast")


class SpatialParams(NamedParams):
    """The size of the torus, and the number of sets of stretches."""

    n_sets: int = Field(ge=2, le=100, description="Sets of stretches of the path; a set has nine stretches.")
    side: int = Field(ge=3, le=30, description="Places around the torus, in both directions.")


@GENERATORS.register
class Spatial(NamedNodes[SpatialParams]):
    """A path of objects, neighbours one unit apart or at the same place; the answer is a displacement on the torus.

    The path is cut into stretches as long as the largest hop count, and each query is about two objects k facts apart
    on a stretch of its own. The stretches belong to `n_sets` sets of nine, whose turns alternate. At each place of the
    stretches of a set, every unit occurs exactly once, in random order, and places are independent. So the units of a
    stretch are uniform and independent, while their counts in the whole graph say nothing. A fact says where its second
    object lies from its first, along the path or against it, alike at one place of a set: read against the path, the
    nine units are the nine units again.

    Facts that share a place of a set are at least two stretches apart, and before and after all stretches the path has
    spare facts, as many as the largest hop count, with units of their own. So a walk of at most k facts onward from
    either object, or inward from an end of the path, meets none that shares a place of a set with the k facts between
    the two. With one of these unknown, nine displacements are equally likely: every guess is right one time in nine.
    (Where a fact is missing altogether, the counts of all others name its unit.) No second path joins the two objects.
    With three places per side the units are all possible displacements, and the answer is uniform at every hop. Sums
    need no order: aggregation rather than depth.

    Source: StepGame (Shi, Zhang and Lipani 2022, arXiv 2204.08292), on a torus, because in the plane long sums
    concentrate in the middle; in StepGame, the two objects at k = 10 are 3.99 facts apart on average.

    >>> from nexus_bench.streams import stream
    >>> params = SpatialParams(n_sets=2, side=3, vocab_size=63, n_queries=2)
    >>> family = Spatial(params, hops=(1,))
    >>> examples = family.sample(1, stream("doctest"))
    >>> examples.facts[0, :4].tolist()
    [[19, 18, 6], [59, 4, 4], [34, 24, 5], [52, 28, 6]]
    >>> family.symbol("unit", 7), family.symbol("displacement", 3)
    ('east', '1 east 0 north')
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[4, 25], [24, 59]], [4, 1], [1, 1])
    """

    name = "spatial"
    version = 2
    Params = SpatialParams
    sized_by = "n_sets"

    @property
    def n_nodes(self) -> int:
        """Objects per graph."""
        return self.n_facts + 1

    @property
    def most_queries(self) -> int:
        """One per stretch."""
        return self.params.n_sets * len(_UNITS)

    @property
    def max_hop(self) -> int:
        """Stretches are as long as needed, up to 10,000 facts."""
        return min(_LONGEST, _MOST_FACTS // (self.most_queries + 2))

    def advice_for_hop(self, hop: int) -> str:
        """No parameter would help."""
        return "ask for fewer hops"

    @property
    def reasoning(self) -> str:
        """A sum can be taken in any order."""
        return "aggregation"

    @property
    def distractors(self) -> str:
        """The rest of the path."""
        return "irrelevant"

    @property
    def schema(self) -> Schema:
        """Facts are (from, to, unit), a query is (from, to), the answer is a displacement."""
        return Schema(
            fact=(Role("from", "node"), Role("to", "node"), Role("unit", "unit")),
            query=(Role("from", "node"), Role("to", "node")),
            answer="displacement",
            vocabularies={"node": self.node_vocab_size, "unit": len(_UNITS), "displacement": self.params.side**2},
        )

    @property
    def n_facts(self) -> int:
        """The stretches, and as much as one stretch before and after them."""
        return (self.most_queries + 2) * self.largest_hop

    @property
    def n_worlds(self) -> int:
        """Choices of symbols in order, a path and its reverse counted once; a lower bound."""
        return math.perm(self.node_vocab_size, self.n_nodes) // 2

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw the path, units and directions, the order of the facts, then a stretch and a place on it per query."""
        thing = self.draw_names(n_graphs, rng)
        unit, is_turned = self._draw_units(n_graphs, rng)
        place = np.concatenate([np.zeros((n_graphs, 1, 2), dtype=np.int32), _UNITS[unit].cumsum(axis=1)], axis=1)
        before, after = thing[:, :-1], thing[:, 1:]
        ends = [np.where(is_turned, after, before), np.where(is_turned, before, after)]
        facts = np.stack([*ends, np.where(is_turned, len(_UNITS) - 1 - unit, unit)], axis=2)

        hop = self.deal_hops(n_graphs, rng)
        stretch = permutations(rng, n_graphs, self.most_queries, k=self.n_queries)
        offset = integers(rng, n_graphs, self.n_queries, high=1 << 30) % (self.largest_hop - hop + 1)
        first = (stretch + 1) * np.int32(self.largest_hop) + offset
        is_back = integers(rng, n_graphs, self.n_queries, high=2) == 1
        start, goal = np.where(is_back, first + hop, first), np.where(is_back, first, first + hop)
        side = self.params.side
        east, north = ((look_up(axis, goal) - look_up(axis, start)) % side for axis in (place[..., 0], place[..., 1]))
        query = np.stack([look_up(thing, start), look_up(thing, goal)], axis=2)
        return Examples(shuffled(facts, rng), query, (east * side + north).astype(np.int32), hop)

    def _draw_units(self, n_graphs: int, rng: np.random.Generator) -> tuple[Int, Mask]:
        """The units along the path and whether each fact is told against it: arrays (g, f)."""
        n_sets, longest = self.params.n_sets, self.largest_hop
        order = permutations(rng, n_graphs * n_sets * longest, len(_UNITS)).reshape(n_graphs, n_sets * longest, -1)
        on_stretches = order.transpose(0, 2, 1).reshape(n_graphs, -1)  # by stretch of its set, set, place
        turned = np.tile(integers(rng, n_graphs, n_sets * longest, high=2), len(_UNITS))
        spare_unit = integers(rng, n_graphs, 2 * longest, high=len(_UNITS))
        spare_turned = integers(rng, n_graphs, 2 * longest, high=2)
        unit, is_turned = (
            np.concatenate([spare[:, :longest], middle, spare[:, longest:]], axis=1)
            for spare, middle in ((spare_unit, on_stretches), (spare_turned, turned))
        )
        return unit, is_turned == 1

    def solve(self, facts: Int, query: Int) -> Solution:
        """Follow the path from one object in both directions until the other is reached, adding up units."""
        arcs = np.concatenate([facts, facts[:, :, [1, 0, 2]]], axis=1)
        arcs[:, self.n_facts :, 2] = len(_UNITS) - 1 - facts[:, :, 2]
        n_arcs = arcs.shape[1]
        one = row_of(arcs[:, :, 0], self.node_vocab_size)
        backwards = row_of(arcs[:, ::-1, 0], self.node_vocab_size)
        other = np.where(backwards >= 0, n_arcs - 1 - backwards, -1)
        start, goal = query[:, :, 0], query[:, :, 1]
        ways = [self._walk(arcs, (one, other), table, start, goal) for table in (one, other)]
        is_found = ways[0].answer >= 0
        answer, hop = (np.where(is_found, a, b) for a, b in zip(ways[0][:2], ways[1][:2], strict=True))
        return Solution(answer, hop, np.where(is_found[:, :, None], ways[0].rows, ways[1].rows))

    def _walk(self, arcs: Int, leave: tuple[Int, Int], first: Int, node: Int, goal: Int) -> Solution:
        """One direction along the path: no step goes back."""
        n_facts, side = self.n_facts, self.params.side
        rows = np.full((*node.shape, self.largest_hop), -1, dtype=np.int32)
        total = np.zeros((*node.shape, 2), dtype=np.int32)
        answer = np.full(node.shape, -1, dtype=np.int32)
        arc = look_up(first, node)
        for step in range(self.largest_hop):
            is_on = (arc >= 0) & (answer < 0)
            rows[:, :, step] = np.where(is_on, arc % n_facts, -1)
            total += np.where(is_on[:, :, None], _UNITS[look_up(arcs[:, :, 2], arc)], 0)
            node = look_up(arcs[:, :, 1], arc)
            there = total % side
            answer = np.where(is_on & (node == goal), there[:, :, 0] * side + there[:, :, 1], answer)
            one, other = (look_up(table, node) for table in leave)
            onward = np.where(one % n_facts == arc % n_facts, other, one)
            arc = np.where(is_on & (onward % n_facts != arc % n_facts), onward, -1)
        return Solution(answer, (rows >= 0).sum(axis=2, dtype=np.int32), rows)

    def chance(self, hop: int) -> float:
        """The likeliest sum of uniform units: east and north are independent sums of -1, 0 and 1 around the torus."""
        side = self.params.side
        ways = [1] + [0] * (side - 1)
        for _ in range(hop):
            ways = [ways[i - 1] + ways[i] + ways[(i + 1) % side] for i in range(side)]
        n_words: int = len(_UNITS) ** hop
        return max(ways) * max(ways) / n_words

    def partial_input(self, hop: int) -> float:
        """One in nine, for the hidden unit: with three or more places per side, nine units are nine displacements."""
        return 1 / len(_UNITS)

    def symbol(self, vocabulary: str, index: int) -> str:
        """A unit is a compass direction; a displacement is a number of places east and north."""
        if vocabulary == "unit":
            return _WORDS[index]
        if vocabulary == "displacement":
            east, north = divmod(index, self.params.side)
            return f"{east} east {north} north"
        return super().symbol(vocabulary, index)
