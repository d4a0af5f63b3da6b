"""What examples are drawn by: a family at one setting, and how its queries write the hop count.

A family's query holds the hop count as a number. Written as that many marks (unary), a larger hop count brings no
symbol that training never showed. That is a step on examples: worlds, answers and streams stay the same.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples, Generator, Role, Schema, Solution
from nexus_bench.generators.parts.returned_values import is_count
from nexus_bench.generators.sequences import SequenceFamily
from nexus_bench.streams import Int
from nexus_bench.text.render import TextExample, TextRenderer

NUMBER, UNARY = "number", "unary"  # how a query writes its hop count
MARK = "mark"  # the vocabulary of marks


class Law:
    """A family at one setting, as datasets and models see it.

    Args:
        family: Draws and solves; its queries hold the hop count as a number, or not at all.
        hop_query: NUMBER leaves the queries as they are; UNARY writes the hop count as marks.
    """

    def __init__(self, family: Generator[Any], hop_query: str = NUMBER) -> None:
        self.family = family
        vocabularies = [role.vocabulary for role in family.schema.query]
        self._column = vocabularies.index("hop") if hop_query == UNARY and "hop" in vocabularies else None

    @cached_property
    def schema(self) -> Schema:
        """The family's, with as many marks in place of the hop count as the largest hop."""
        schema = self.family.schema
        if self._column is None:
            return schema
        marks = tuple(Role(f"mark{i}", MARK) for i in range(1, self.family.largest_hop + 1))
        query = schema.query[: self._column] + schema.query[self._column + 1 :] + marks
        sizes = {name: size for name, size in schema.vocabularies.items() if name != "hop"}
        return Schema(schema.fact, query, schema.answer, sizes | {MARK: 2})

    @property
    def most_labels(self) -> int | None:
        """Places of a sequence that have a label, at most; None if the family asks queries.

        Raises:
            ConfigError: The family says no number from 1 to the tokens of a sequence.
        """
        if not isinstance(self.family, SequenceFamily):
            return None
        return is_count(self.family.name, "most_labels", self.family.most_labels, self.family.n_facts)

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """A batch of the family's examples, as they are shown."""
        return self.shown(self.family.sample(n_graphs, rng))

    def solve(self, facts: Int, query: Int) -> Solution:
        """The family's solution of shown queries (g, q, r)."""
        return self.family.solve(facts, self._numbers(query))

    def labels(self, facts: Int, query: Int) -> tuple[Int, Int]:
        """The family's answers and hops of shown queries (g, q, r)."""
        return self.family.labels(facts, self._numbers(query))

    def symbol(self, vocabulary: str, index: int) -> str:
        """How a symbol is written for people; a mark is a stroke, its absence a dot."""
        return ".|"[index] if vocabulary == MARK else self.family.symbol(vocabulary, index)

    def shown(self, examples: Examples) -> Examples:
        """The family's examples as datasets and models see them."""
        if self._column is None:
            return examples
        hop = examples.query[:, :, self._column, None]
        marks = (np.arange(self.family.largest_hop) < hop).astype(np.int32)
        return examples._replace(query=np.concatenate([np.delete(examples.query, self._column, axis=2), marks], axis=2))

    def numbered(self, examples: Examples) -> Examples:
        """Shown examples as the family draws them: the inverse of `shown`."""
        return examples._replace(query=self._numbers(examples.query))

    def _numbers(self, query: Int) -> Int:
        if self._column is None:
            return query
        largest = self.family.largest_hop
        hop = query[:, :, -largest:].sum(axis=2, dtype=np.int32)
        return np.insert(query[:, :, :-largest], self._column, hop, axis=2)


def text_examples(
    renderer: TextRenderer, law: Law, examples: Examples, *, first_graph: int = 0
) -> Iterator[TextExample]:
    """Examples of a law in English.

    Args:
        renderer: The renderer of the law's family.
        law: What the examples were drawn by.
        examples: The graphs.
        first_graph: The number of the first one in its split.
    """
    return renderer.render(law.numbered(examples), first_graph=first_graph, chosen_by=examples.query)
