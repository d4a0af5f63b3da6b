"""A family of one hop, as another package might bring it: the value of a key among pairs (associative recall)."""

import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import Examples, Generator, Role, Schema, Solution, TaskParams
from nexus_bench.generators.parts.facts import follow, look_up, row_of
from nexus_bench.streams import Int, permutations


class RecallParams(TaskParams):
    """Size of a graph."""

    n_pairs: int = Field(ge=1, le=100, description="Pairs of a key and a value.")
    n_keys: int = Field(ge=1, le=100, description="Keys that there are.")
    n_values: int = Field(ge=2, le=100, description="Values that there are.")


class Recall(Generator[RecallParams]):
    """Pairs of distinct keys and distinct values; the answer is the value of a key."""

    name = "recall"
    version = 1
    Params = RecallParams
    sized_by = "n_pairs"

    @property
    def max_hop(self) -> int:
        return 1

    def advice_for_hop(self, hop: int) -> str:
        return "ask for one hop"

    @property
    def schema(self) -> Schema:
        return Schema(
            fact=(Role("key", "key"), Role("value", "value")),
            query=(Role("key", "key"),),
            answer="value",
            vocabularies={"key": self.params.n_keys, "value": self.params.n_values},
        )

    @property
    def n_facts(self) -> int:
        return self.params.n_pairs

    @property
    def n_worlds(self) -> int:
        return math.comb(self.params.n_keys, self.params.n_pairs) * math.perm(self.params.n_values, self.params.n_pairs)

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        n = self.params.n_pairs
        keys = permutations(rng, n_graphs, self.params.n_keys, k=n)
        values = permutations(rng, n_graphs, self.params.n_values, k=n)
        asked = permutations(rng, n_graphs, n, k=self.n_queries)
        query = look_up(keys, asked)[:, :, None]
        return Examples(np.stack([keys, values], axis=2), query, look_up(values, asked), np.ones_like(asked))

    def solve(self, facts: Int, query: Int) -> Solution:
        row, value = follow(row_of(facts[:, :, 0], self.params.n_keys), facts[:, :, 1], query[:, :, 0])
        return Solution(value, np.ones_like(value), row[:, :, None])

    def chance(self, hop: int) -> float:
        """A value of the graph."""
        return 1 / self.params.n_pairs

    def partial_input(self, hop: int) -> float:
        return self.chance(hop)
