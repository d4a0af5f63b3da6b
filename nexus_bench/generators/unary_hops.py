"""A hop count in unary: k ones, then zeros, so that a larger hop count needs no symbol unseen in training."""

from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples, Generator, Role, Schema, Solution
from nexus_bench.streams import Int, Mask

MARK = "mark"


class UnaryHops(Generator[Any]):
    """A family whose query writes its hop count as that many marks (unary); graphs, answers and streams are unchanged.

    Families whose query has no hop count are unchanged.

    Args:
        inner: The family, whose query holds the hop count as a number.
    """

    def __init__(self, inner: Generator[Any]) -> None:
        self.inner = inner
        self.name = inner.name  # type: ignore[misc]  # a class attribute for families, an instance attribute here
        self.version = inner.version  # type: ignore[misc]
        self._column = [role.vocabulary for role in inner.schema.query].index("hop") if _says_hop(inner) else None
        super().__init__(inner.params, inner.hops, largest_hop=inner.largest_hop, patterns=inner.patterns)

    @property
    def max_hop(self) -> int:
        """As in the family."""
        return self.inner.max_hop

    def advice_for_hop(self, hop: int) -> str:
        """As in the family."""
        return self.inner.advice_for_hop(hop)

    @property
    def n_queries(self) -> int:
        """As in the family."""
        return self.inner.n_queries

    @property
    def distractors(self) -> str:
        """As in the family."""
        return self.inner.distractors

    @property
    def reasoning(self) -> str:
        """As in the family."""
        return self.inner.reasoning

    @property
    def schema(self) -> Schema:
        """The role of the hop becomes as many roles for marks as the largest hop."""
        schema = self.inner.schema
        if self._column is None:
            return schema
        marks = tuple(Role(f"mark{i}", MARK) for i in range(1, self.largest_hop + 1))
        query = schema.query[: self._column] + schema.query[self._column + 1 :] + marks
        sizes = {name: size for name, size in schema.vocabularies.items() if name != "hop"}
        return Schema(schema.fact, query, schema.answer, sizes | {MARK: 2})

    @property
    def n_facts(self) -> int:
        """As in the family."""
        return self.inner.n_facts

    @property
    def kept_symbols(self) -> dict[str, int]:
        """As in the family."""
        return self.inner.kept_symbols

    @property
    def n_worlds(self) -> int:
        """As in the family."""
        return self.inner.n_worlds

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """The family's examples, their hop counts written as marks."""
        examples = self.inner.sample(n_graphs, rng)
        return examples._replace(query=self.to_marks(examples.query))

    def solve(self, facts: Int, query: Int) -> Solution:
        """As in the family, with the number of marks as the hop count."""
        return self.inner.solve(facts, self.to_numbers(query))

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """As in the family."""
        return self.inner.alike(facts, self.to_numbers(query), solution, at)

    def chance(self, hop: int) -> float:
        """As in the family."""
        return self.inner.chance(hop)

    def partial_input(self, hop: int) -> float:
        """As in the family."""
        return self.inner.partial_input(hop)

    def check_patterns(self) -> None:
        """As in the family."""
        self.inner.check_patterns()

    def symbol(self, vocabulary: str, index: int) -> str:
        """A mark is written as a stroke, its absence as a dot."""
        return ".|"[index] if vocabulary == MARK else self.inner.symbol(vocabulary, index)

    def to_numbers(self, query: Int) -> Int:
        """Queries (g, q, r) in the form of the family, from those with marks."""
        if self._column is None:
            return query
        hop = query[:, :, -self.largest_hop :].sum(axis=2, dtype=np.int32)
        return np.insert(query[:, :, : -self.largest_hop], self._column, hop, axis=2)

    def to_marks(self, query: Int) -> Int:
        """Queries (g, q, r) with marks, from those in the form of the family."""
        if self._column is None:
            return query
        hop = query[:, :, self._column, None]
        marks = (np.arange(self.largest_hop) < hop).astype(np.int32)
        return np.concatenate([np.delete(query, self._column, axis=2), marks], axis=2)


def _says_hop(generator: Generator[Any]) -> bool:
    return any(role.vocabulary == "hop" for role in generator.schema.query)
