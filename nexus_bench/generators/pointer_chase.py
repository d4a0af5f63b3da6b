"""Pointer chasing: follow a successor function k times from a start."""

import math
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from nexus_bench.generators.base import GENERATORS, Examples, Generator, Role, Schema, Solution, TaskParams
from nexus_bench.generators.parts.facts import look_up, walk
from nexus_bench.streams import Int, permutations


class PointerChaseParams(TaskParams):
    """Size of a pointer_chase graph."""

    n_nodes: int = Field(ge=3, le=10_000, description="Nodes of the cycle; there are as many facts.")
    vocab_size: int = Field(
        le=100_000, description="Size of the vocabulary that nodes are drawn from; null means three per node."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_n_nodes(cls, values: dict[str, Any]) -> dict[str, Any]:
        n_nodes = values.get("n_nodes")
        if type(n_nodes) is not int or n_nodes < 1:
            n_nodes = 1  # the check of n_nodes refuses the value; avoid further errors
        given = {key: value for key, value in values.items() if value is not None}
        return {"vocab_size": 3 * n_nodes, "n_queries": n_nodes} | given

    @model_validator(mode="after")
    def _sizes_fit(self) -> "PointerChaseParams":
        if self.vocab_size < self.n_nodes:
            raise ValueError(f"vocab_size must be at least n_nodes ({self.n_nodes}), got {self.vocab_size}")
        if self.n_queries > self.n_nodes:
            raise ValueError(f"n_queries must be at most n_nodes ({self.n_nodes}), got {self.n_queries}")
        return self


@GENERATORS.register
class PointerChase(Generator[PointerChaseParams]):
    """One uniform random cycle over the nodes; the answer is the node k steps after the start.

    The symbols of a graph are drawn from a vocabulary of `vocab_size` without replacement, so a model cannot learn
    where a symbol leads. Every symbol is once a source and once a destination, so no symbol stands out. A hop is one
    edge. The cycle can be walked backwards in n_nodes - k edges, so hop counts are true only while k <= n_nodes / 3.

    Source: the pointer chasing problem of communication complexity (Papadimitriou and Sipser, 1984); one cycle
    instead of a random function, because a random function has leaves, and leaves are never answers.

    >>> from nexus_bench.streams import stream
    >>> params = PointerChaseParams(n_nodes=6, vocab_size=18, n_queries=1)
    >>> examples = PointerChase(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[3, 0], [10, 3], [4, 6], [0, 1], [1, 4], [6, 10]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[4, 2]], [10], [2])
    """

    name = "pointer_chase"
    version = 1
    Params = PointerChaseParams
    sized_by = "n_nodes"

    @property
    def max_hop(self) -> int:
        """A third of the nodes: beyond that, the way back is short enough to help."""
        return self.params.n_nodes // 3

    def advice_for_hop(self, hop: int) -> str:
        """Three nodes per hop."""
        return f"raise n_nodes from {self.params.n_nodes} to {3 * hop}"

    @property
    def schema(self) -> Schema:
        """Facts are (src, dst), a query is (start, hop), the answer is a node."""
        return Schema(
            fact=(Role("src", "node"), Role("dst", "node")),
            query=(Role("start", "node"), Role("hop", "hop")),
            answer="node",
            vocabularies={"node": self.params.vocab_size, "hop": self.max_hop + 1},
        )

    @property
    def n_facts(self) -> int:
        """One edge per node."""
        return self.params.n_nodes

    @property
    def n_worlds(self) -> int:
        """Choices of symbols times cycles over them."""
        return math.comb(self.params.vocab_size, self.params.n_nodes) * math.factorial(self.params.n_nodes - 1)

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw cycles, then the order of the facts, then distinct starts with evenly distributed hops."""
        n, n_queries = self.params.n_nodes, self.params.n_queries
        cycle = permutations(rng, n_graphs, self.params.vocab_size, k=n)
        place = permutations(rng, n_graphs, n)
        facts = np.stack([look_up(cycle, place), look_up(cycle, (place + 1) % n)], axis=2)

        start = permutations(rng, n_graphs, n, k=n_queries)
        hop = self.deal_hops(n_graphs, rng)
        query = np.stack([look_up(cycle, start), hop], axis=2)
        return Examples(facts, query, look_up(cycle, (start + hop) % n), hop)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Walk edge by edge."""
        start, hop = query[:, :, 0], query[:, :, 1]
        size, n_steps = self.params.vocab_size, self.largest_hop
        node, rows = walk(facts[:, :, 0], facts[:, :, 1], start, hop, size=size, n_steps=n_steps)
        return Solution(node, hop, rows)

    def chance(self, hop: int) -> float:
        """Any node of the graph except the start."""
        return 1 / (self.params.n_nodes - 1)

    def partial_input(self, hop: int) -> float:
        """Elimination: hop - 1 nodes before and after the start are known, and are not the answer."""
        return 1 / (self.params.n_nodes - 1 - 2 * (hop - 1))
