"""Reachability: does a path of directed edges lead from the start to the goal?"""

import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import ChainParams, Chains
from nexus_bench.generators.parts.facts import follow, look_up, row_of, shuffled, walk
from nexus_bench.streams import Int, Mask, integers, permutations


class ReachableParams(ChainParams):
    """Size of a reachable graph."""

    n_chains: int = Field(ge=2, le=100, description="Chains of equal length per graph.")


@GENERATORS.register
class Reachable(Chains[ReachableParams]):
    """Equal chains; for `yes` the goal lies k edges after the start, for `no` at the same depth of another chain.

    A `no` example is a `yes` example in which the chain has swapped tails with another chain at a cut between start and
    goal. The place of the cut does not matter, since chains are alike before and after it, so the goal of a `no` is
    drawn from the other chain directly. Start and goal have the same depths for both answers and equally often an edge
    on either side, so all facts but one say nothing. The hop count is the offset k for both answers: k facts lead from
    the start to the goal, or to the node at the same depth of the wrong chain.

    Source: s-t connectivity of two chains, the 1-versus-2-cycle problem of parallel computation (in transformers:
    Sanford, Hsu and Telgarsky, 2024, "Transformers, parallel computation, and logarithmic depth",
    https://arxiv.org/abs/2402.09268).

    >>> from nexus_bench.streams import stream
    >>> params = ReachableParams(n_chains=2, length=3, vocab_size=24, n_queries=2)
    >>> examples = Reachable(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[19, 18], [0, 1], [4, 19], [3, 0], [10, 3], [18, 22]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[10, 0], [3, 22]], [1, 0], [2, 2])
    """

    name = "reachable"
    version = 1
    spare = 3  # starts are spread over spare + 1 nodes
    Params = ReachableParams
    sized_by = "n_chains"

    @property
    def distractors(self) -> str:
        """The other chains look alike and are not connected."""
        return "disconnected"

    @property
    def most_queries(self) -> int:
        """One per node that can be a start."""
        return self.params.n_chains * self._n_starts

    @property
    def schema(self) -> Schema:
        """Facts are (src, dst), a query is (start, goal), the answer is no (0) or yes (1)."""
        return Schema(
            fact=(Role("src", "node"), Role("dst", "node")),
            query=(Role("start", "node"), Role("goal", "node")),
            answer="verdict",
            vocabularies={"node": self.node_vocab_size, "verdict": 2},
        )

    @property
    def n_facts(self) -> int:
        """The edges of all chains."""
        return self.params.n_chains * self.length

    @property
    def n_worlds(self) -> int:
        """Choices of symbols for the nodes, up to swaps of chains."""
        return math.perm(self.node_vocab_size, self.n_nodes) // math.factorial(self.params.n_chains)

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw symbols, the order of the facts, distinct starts, and answers as balanced as possible at every hop."""
        n_chains, n_nodes = self.params.n_chains, self.length + 1
        name = self.draw_names(n_graphs, rng)
        edges = np.arange(self.n_nodes, dtype=np.int32).reshape(n_chains, n_nodes)
        facts = shuffled(name.take(np.stack([edges[:, :-1].ravel(), edges[:, 1:].ravel()], axis=1), axis=1), rng)

        drawn = permutations(rng, n_graphs, self.most_queries, k=self.n_queries)
        chain, depth = drawn // self._n_starts, drawn % self._n_starts
        hop = self.deal_hops(n_graphs, rng)
        verdict = self.deal_verdicts(hop, rng)
        other = integers(rng, *hop.shape, high=n_chains - 1) + 1
        goal_chain = np.where(verdict == 1, chain, (chain + other) % n_chains)
        start, goal = chain * n_nodes + depth, goal_chain * n_nodes + depth + hop
        query = np.stack([look_up(name, start), look_up(name, goal)], axis=2)
        return Examples(facts, query, verdict, hop)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Find the depths of start and goal by walking back, then walk their difference from the start."""
        row_of_dst = row_of(facts[:, :, 1], self.node_vocab_size)
        start, goal = query[:, :, 0], query[:, :, 1]
        hop = self._depth(facts, row_of_dst, goal) - self._depth(facts, row_of_dst, start)
        size, n_steps = self.node_vocab_size, self.length
        node, rows = walk(facts[:, :, 0], facts[:, :, 1], start, hop, size=size, n_steps=n_steps)
        answer = np.where(hop > 0, node == goal, -1).astype(np.int32)
        return Solution(answer, hop, rows)

    def chance(self, hop: int) -> float:
        """Yes or no."""
        return 1 / 2

    def partial_input(self, hop: int) -> float:
        """Yes or no: the answer was drawn independently of the other facts."""
        return 1 / 2

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """The edges at the same depth of every chain."""
        row_of_dst = row_of(facts[:, :, 1], self.node_vocab_size)
        depth = self._depth(facts, row_of_dst, facts[:, :, 0])
        alike: Mask = depth == look_up(depth, at[:, None])
        return alike

    def _depth(self, facts: Int, row_of_dst: Int, node: Int) -> Int:
        depth = np.zeros(node.shape, dtype=np.int32)
        for _ in range(self.length):
            row, node = follow(row_of_dst, facts[:, :, 0], node)
            depth += row >= 0
        return depth

    @property
    def _n_starts(self) -> int:
        """Depths of a chain that have a node as many edges further on as the largest hop."""
        return self.length - self.largest_hop + 1

    @property
    def n_nodes(self) -> int:
        """Nodes per graph."""
        return self.params.n_chains * (self.length + 1)

    def symbol(self, vocabulary: str, index: int) -> str:
        """An answer is no or yes."""
        return ("no", "yes")[index] if vocabulary == "verdict" else super().symbol(vocabulary, index)
