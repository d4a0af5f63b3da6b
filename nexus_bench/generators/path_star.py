"""Path star: which arm of a star leads to the goal?"""

import math
from typing import Literal

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts.facts import follow, look_up, row_of, shuffled
from nexus_bench.streams import Int, Mask, permutations

_LONGEST = 50  # most hops if the length of arms is derived from the hops


class PathStarParams(NamedParams):
    """Size of a path_star graph."""

    n_arms: int = Field(ge=2, le=100, description="Arms per star; with branches, also the number of stars per graph.")
    arm_length: int | None = Field(ge=2, le=100, description="Edges per arm; null means the largest hop, at least 2.")
    distractors: Literal["none", "branches"] = Field(
        description="A single star, or look-alike stars that share its arms."
    )


@GENERATORS.register
class PathStar(NamedNodes[PathStarParams]):
    """Arms of equal length leave a centre; the answer is the first node on the way from the centre to the goal.

    A single star (`distractors: none`, the published form) is a control: the node k - 1 steps back from the goal is the
    answer, whatever the centre, so its partial-input ceiling is 1. With `branches` there are as many stars as arms.
    Arm j of every star leads from its own first node to a second node that all stars share, and goes on from there.
    Walking back then ends at as many candidates as there are stars, and only the facts of the centre tell which one is
    right. At one hop the goal is the answer. A hop is one edge.

    Source: Bachmann and Nagarajan, "The pitfalls of next-token prediction" (2024, https://arxiv.org/abs/2403.06963),
    section 4; the look-alike stars are new here.

    >>> from nexus_bench.streams import stream
    >>> params = PathStarParams(n_arms=2, arm_length=2, distractors="branches", vocab_size=30, n_queries=1)
    >>> examples = PathStar(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[26, 1], [0, 1], [28, 26], [28, 3], [10, 0], [3, 25], [10, 27], [27, 25]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[10, 1]], [0], [2])
    """

    name = "path_star"
    version = 1
    Params = PathStarParams
    sized_by = "n_arms"

    @property
    def n_stars(self) -> int:
        """Centres per graph."""
        return self.params.n_arms if self.params.distractors == "branches" else 1

    @property
    def most_queries(self) -> int:
        """One per star and arm."""
        return self.n_stars * self.params.n_arms

    @property
    def max_hop(self) -> int:
        """The largest hop is the length of an arm."""
        return _LONGEST if self.params.arm_length is None else self.params.arm_length

    def advice_for_hop(self, hop: int) -> str:
        """One edge per hop."""
        return f"raise arm_length to {hop}" if self.params.arm_length is not None else "ask for fewer hops"

    @property
    def schema(self) -> Schema:
        """Facts are (src, dst), a query is (centre, goal), the answer is a node."""
        return Schema(
            fact=(Role("src", "node"), Role("dst", "node")),
            query=(Role("centre", "node"), Role("goal", "node")),
            answer="node",
            vocabularies={"node": self.node_vocab_size},
        )

    @property
    def n_facts(self) -> int:
        """Two edges per arm and star, and the shared rest of each arm."""
        n_arms = self.params.n_arms
        return 2 * self.n_stars * n_arms + n_arms * (self._arm_length - 2)

    @property
    def n_worlds(self) -> int:
        """Choices of symbols for the nodes, up to swaps of stars and of arms."""
        alike = math.factorial(self.n_stars) * math.factorial(self.params.n_arms)
        return math.perm(self.node_vocab_size, self.n_nodes) // alike

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw symbols, the order of the facts, then a star, an arm and a depth for each query."""
        n_arms = self.params.n_arms
        name = self.draw_names(n_graphs, rng)
        edges = self._edges()
        facts = shuffled(name.take(edges, axis=1), rng)

        drawn = permutations(rng, n_graphs, self.most_queries, k=self.n_queries)
        star, arm = drawn // n_arms, drawn % n_arms
        hop = self.deal_hops(n_graphs, rng)
        first = self._head(star, arm)
        goal = np.where(hop == 1, first, self._on_arm(arm, hop))
        query = np.stack([look_up(name, star), look_up(name, goal)], axis=2)
        return Examples(facts, query, look_up(name, first), hop)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Walk forwards from every first node of the centre until one walk reaches the goal."""
        row_of_src = row_of(facts[:, :, 0], self.node_vocab_size)
        centre, goal = query[:, :, 0], query[:, :, 1]
        answer = np.full(centre.shape, -1, dtype=np.int32)
        hop = np.zeros(centre.shape, dtype=np.int32)
        rows = np.full((*centre.shape, self._arm_length), -1, dtype=np.int32)
        leaves = facts[:, None, :, 0] == centre[:, :, None]  # g q f: the facts that leave the centre
        nth = leaves.cumsum(axis=2)
        for arm in range(int(nth.max(initial=0))):
            row = np.where(nth[:, :, -1] > arm, (nth > arm).argmax(axis=2), -1).astype(np.int32)
            walked = np.full_like(rows, -1)
            first = node = np.where(row >= 0, look_up(facts[:, :, 1], row), -1)
            for depth in range(self._arm_length):
                walked[:, :, depth] = row
                found = (row >= 0) & (node == goal) & (answer < 0)
                answer = np.where(found, first, answer)
                hop = np.where(found, depth + 1, hop)
                rows[found] = walked[found]
                row, node = follow(row_of_src, facts[:, :, 1], node)
        return Solution(answer, hop, rows)

    def chance(self, hop: int) -> float:
        """Any arm; at one hop the goal is in the query and is the answer."""
        return 1.0 if hop == 1 else 1 / self.params.n_arms

    def partial_input(self, hop: int) -> float:
        """Any arm, or any star; in a single star, walking back reveals the arm."""
        return 1.0 if hop == 1 or self.n_stars == 1 else 1 / self.params.n_arms

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """Edges of the same depth: for a first edge those of the same arm, for a second one those of the same star."""
        row_of_src, row_of_dst = (row_of(facts[:, :, side], self.node_vocab_size) for side in (0, 1))
        # g f: an edge into the node where this one begins, and that edge's own start; -1 at a centre
        enters, centre = follow(row_of_dst, facts[:, :, 0], facts[:, :, 0])
        after = facts[:, :, 1]
        n_after = np.zeros(after.shape, dtype=np.int32)  # edges that follow on the arm: depth from the other end
        node = after
        for _ in range(self._arm_length):
            row, node = follow(row_of_src, facts[:, :, 1], node)
            n_after += row >= 0
        _, joined = follow(row_of_src, facts[:, :, 1], after)  # the second node of the arm
        hidden = at[:, None]
        same_depth = (n_after == look_up(n_after, hidden)) & ((enters < 0) == (look_up(enters, hidden) < 0))
        is_first = look_up(enters, hidden) < 0
        is_second = look_up(n_after, hidden) == self._arm_length - 2
        same_arm = joined == look_up(joined, hidden)
        same_star = centre == look_up(centre, hidden)
        alike: Mask = same_depth & np.where(is_first, same_arm, ~is_second | same_star)
        return alike

    @property
    def _arm_length(self) -> int:
        return max(2, self.largest_hop) if self.params.arm_length is None else self.params.arm_length

    @property
    def n_nodes(self) -> int:
        """Nodes per graph."""
        n_arms = self.params.n_arms
        return self.n_stars * (1 + n_arms) + n_arms * (self._arm_length - 1)

    def _head(self, star: Int, arm: Int) -> Int:
        """The first node of an arm of a star, as a number; centres come before."""
        return self.n_stars + star * self.params.n_arms + arm

    def _on_arm(self, arm: Int, depth: Int) -> Int:
        """The node at depth 2 or more of an arm, as a number."""
        first = self.n_stars * (1 + self.params.n_arms)
        return first + arm * (self._arm_length - 1) + depth - 2

    def _edges(self) -> Int:
        """Array (f, 2): the facts of a graph before symbols and order are drawn."""
        star, arm = (axis.ravel() for axis in np.mgrid[: self.n_stars, : self.params.n_arms].astype(np.int32))
        heads = self._head(star, arm)
        tail_arm, depth = (
            axis.ravel() for axis in np.mgrid[: self.params.n_arms, 2 : self._arm_length].astype(np.int32)
        )
        pairs = (
            (star, heads),
            (heads, self._on_arm(arm, np.full_like(arm, 2))),
            (self._on_arm(tail_arm, depth), self._on_arm(tail_arm, depth + 1)),
        )
        return np.concatenate([np.stack(pair, axis=1) for pair in pairs])
