"""Spatial relations: where is one object from another, on a torus?"""

import functools
import itertools
import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts.bags import likeliest_product
from nexus_bench.generators.parts.facts import look_up, row_of, shuffled
from nexus_bench.streams import Int, Mask, integers

_LONGEST = 50  # most hops if n_objects is derived from the hops
_SPARE_OBJECTS = 3  # places for a query of the largest hop count, minus one
_UNITS = np.array(list(itertools.product((-1, 0, 1), repeat=2)), dtype=np.int32)  # east, north
_WORDS = ("southwest", "west", "northwest", "south", "same", "north", "southeast", "east", "northeast")


class SpatialParams(NamedParams):
    """The size of the torus, and the number of objects on it."""

    n_objects: int | None = Field(ge=2, le=10_000, description="Objects; null means the largest hop plus four.")
    side: int = Field(ge=3, le=30, description="Places around the torus, in both directions.")


@GENERATORS.register
class Spatial(NamedNodes[SpatialParams]):
    """A path of objects, neighbours one unit apart or at the same place; the answer is a displacement on the torus.

    A fact says where its second object lies from its first, along the path or against it. The two objects of a query
    are k facts apart, and no other path joins them. Displacements are uniform over the nine units, so with any one
    hidden every guess is right one time in nine. With three places per side the units are all possible displacements,
    and the answer is uniform at every hop. Sums need no order: aggregation rather than depth.

    Source: StepGame (Shi, Zhang and Lipani 2022, arXiv 2204.08292), on a torus, because in the plane long sums
    concentrate in the middle; in StepGame, the two objects at k = 10 are 3.99 facts apart on average.

    >>> from nexus_bench.streams import stream
    >>> params = SpatialParams(n_objects=5, side=3, vocab_size=15, n_queries=1)
    >>> family = Spatial(params, hops=(2,))
    >>> examples = family.sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[10, 3, 4], [1, 0, 2], [1, 4, 2], [0, 3, 3]]
    >>> family.symbol("unit", 7), family.symbol("displacement", 3)
    ('east', '1 east 0 north')
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[10, 0]], [1], [2])
    """

    name = "spatial"
    version = 1
    Params = SpatialParams
    sized_by = "n_objects"

    @property
    def n_nodes(self) -> int:
        """Objects per graph."""
        given = self.params.n_objects
        return self.largest_hop + 1 + _SPARE_OBJECTS if given is None else given

    @property
    def most_queries(self) -> int:
        """One per hop and place, for the hop with the fewest places."""
        return len(self.hops) * (self.n_nodes - self.largest_hop)

    @property
    def max_hop(self) -> int:
        """The facts of the path."""
        return _LONGEST if self.params.n_objects is None else self.params.n_objects - 1

    def advice_for_hop(self, hop: int) -> str:
        """One object per hop plus one."""
        return f"raise n_objects to {hop + 1}" if self.params.n_objects is not None else "ask for fewer hops"

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
        """One per pair of neighbours."""
        return self.n_nodes - 1

    @property
    def n_worlds(self) -> int:
        """Choices of symbols, units and orientations; a path and its reverse count once."""
        sentences: int = (2 * len(_UNITS)) ** self.n_facts
        return math.perm(self.node_vocab_size, self.n_nodes) * sentences // 2

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw the path, units and orientations, the order of the facts, then distinct pairs, in either order."""
        n, side = self.n_nodes, self.params.side
        thing = self.draw_names(n_graphs, rng)
        unit = integers(rng, n_graphs, n - 1, high=len(_UNITS))
        place = np.concatenate([np.zeros((n_graphs, 1, 2), dtype=np.int32), _UNITS[unit].cumsum(axis=1)], axis=1)
        is_turned = integers(rng, n_graphs, n - 1, high=2) == 1
        before, after = thing[:, :-1], thing[:, 1:]
        ends = [np.where(is_turned, after, before), np.where(is_turned, before, after)]
        facts = np.stack([*ends, np.where(is_turned, len(_UNITS) - 1 - unit, unit)], axis=2)

        hop = self.deal_hops(n_graphs, rng)
        drawn = look_up(integers(rng, n_graphs, self.largest_hop + 1, high=1 << 30), hop)
        first = (drawn + self.rounds) % (n - hop)
        is_back = integers(rng, n_graphs, self.n_queries, high=2) == 1
        start, goal = np.where(is_back, first + hop, first), np.where(is_back, first, first + hop)
        east, north = ((look_up(axis, goal) - look_up(axis, start)) % side for axis in (place[..., 0], place[..., 1]))
        query = np.stack([look_up(thing, start), look_up(thing, goal)], axis=2)
        return Examples(shuffled(facts, rng), query, (east * side + north).astype(np.int32), hop)

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
        """The likeliest sum of units of the graph, with the units known but no fact followed."""
        return _chance(self.params.side, self.n_facts, hop)

    def partial_input(self, hop: int) -> float:
        """One in nine, for the hidden unit; at least chance."""
        return max(1 / len(_UNITS), self.chance(hop))

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """Every fact off the path: units are drawn independently."""
        alike: Mask = super().alike(facts, query, solution, at) & (np.arange(self.n_facts) != at[:, None])
        return alike

    def symbol(self, vocabulary: str, index: int) -> str:
        """A unit is a compass direction; a displacement is a number of places east and north."""
        if vocabulary == "unit":
            return _WORDS[index]
        if vocabulary == "displacement":
            east, north = divmod(index, self.params.side)
            return f"{east} east {north} north"
        return super().symbol(vocabulary, index)


@functools.cache
def _chance(side: int, n_facts: int, hop: int) -> float:
    """Accuracy of the likeliest sum of units of the graph, each unit seen from either side."""
    places = np.stack(np.divmod(np.arange(side**2), side), axis=1)
    table = ((places[:, None] + places) % side) @ np.array([side, 1])
    letters = np.stack([(sign * _UNITS % side) @ np.array([side, 1]) for sign in (1, -1)], axis=1)
    return likeliest_product(table.astype(np.int32), letters.astype(np.int32), n_facts=n_facts, hop=hop)
