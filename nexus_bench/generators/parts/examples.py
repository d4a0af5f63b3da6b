"""What examples are made of: roles, vocabularies, arrays of graphs with labelled queries, and solutions.

Axis letters: g graphs, f facts, a roles of a fact, q queries of a graph, r roles of a query, h hops.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nexus_bench.streams import Int


class Role(NamedTuple):
    """One column of a fact or of a query, and the vocabulary its ids belong to."""

    name: str
    vocabulary: str


class Schema(NamedTuple):
    """The meaning of the columns of a task.

    Attributes:
        fact: The roles of a fact, one per column.
        query: The roles of a query, one per column; a sequence has no queries, and every token may have an answer.
        answer: The vocabulary of the answers; its size is the number of classes.
        vocabularies: Size of each vocabulary; ids run from 0 to size - 1.
    """

    fact: tuple[Role, ...]
    query: tuple[Role, ...]
    answer: str
    vocabularies: dict[str, int]

    @property
    def n_classes(self) -> int:
        """Number of possible answers."""
        return self.vocabularies[self.answer]

    @property
    def is_sequence(self) -> bool:
        """Whether the facts of a graph are the tokens of a sequence, in their order."""
        return not self.query

    @property
    def called(self) -> tuple[str, str, str]:
        """What a graph is called, what its facts are, and what its examples are, of a graph or of a sequence."""
        return ("sequence", "tokens", "labels") if self.is_sequence else ("graph", "facts", "examples")

    @property
    def written(self) -> tuple[str, str]:
        """The methods that a family's author writes to draw examples, and to derive their labels again."""
        return ("`draw`", "`derive`") if self.is_sequence else ("`sample`", "`solve`")

    def at(self, graph: int, query: int | None) -> str:
        """Where an example is, in words; all is numbered from 0."""
        if self.is_sequence:
            return f"sequence {graph}" + ("" if query is None else f", place {query} (from 0)")
        return f"graph {graph}" + ("" if query is None else f", query {query}")


class Examples(NamedTuple):
    """A batch of graphs, each with its facts and labelled queries.

    Of a sequence the facts are the tokens, one role each, in their order. Shorter sequences end with tokens NOTHING.
    There is a query without roles for every token, and its answer is NOTHING and its hop 0 where there is no label.

    Attributes:
        facts: Array (g, f, a) of symbol ids, the facts of a graph in random order.
        query: Array (g, q, r) of symbol ids; the queries of a graph are distinct.
        answer: Array (g, q) of class ids.
        hop: Array (g, q), the true number of facts that derive the answer.
    """

    facts: Int
    query: Int
    answer: Int
    hop: Int

    @property
    def n_graphs(self) -> int:
        """Number of graphs in the batch."""
        return len(self.facts)

    def take(self, index: slice | np.ndarray) -> "Examples":
        """The selected graphs."""
        return Examples(*(array[index] for array in self))

    def one_query_per_graph(self) -> "Examples":
        """The same examples, the facts repeated for each query."""
        n_graphs, n_queries = self.answer.shape
        return Examples(
            facts=np.repeat(self.facts, n_queries, axis=0),
            query=self.query.reshape(n_graphs * n_queries, 1, -1),
            answer=self.answer.reshape(-1, 1),
            hop=self.hop.reshape(-1, 1),
        )

    @staticmethod
    def concatenate(parts: Sequence["Examples"]) -> "Examples":
        """Several batches as one."""
        return Examples(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


class Solution(NamedTuple):
    """The solution of each query, derived from the facts alone.

    Attributes:
        answer: Array (g, q) of class ids.
        hop: Array (g, q), the number of look-ups that derive the answer.
        rows: Array (g, q, h) of the facts that derive it, in the order of the reasoning, as row numbers of
            `facts`; -1 after the last. A look-up that finds nothing counts as a hop and has no row.
    """

    answer: Int
    hop: Int
    rows: Int
