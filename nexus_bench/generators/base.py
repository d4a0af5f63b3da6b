"""The contract of a task family: arrays of examples whose hop count is true.

Axis letters: g graphs, f facts, a roles of a fact, q queries of a graph, r roles of a query.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.parts.facts import look_up
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.registry import Registry
from nexus_bench.streams import Int, Mask, integers, permutations


class Role(NamedTuple):
    """One column of a fact or of a query, and the vocabulary its ids belong to."""

    name: str
    vocabulary: str


class Schema(NamedTuple):
    """What the columns of a task mean.

    Attributes:
        fact: The roles of a fact, one a column.
        query: The roles of a query, one a column.
        answer: The vocabulary of the answers; its size is the number of classes.
        vocabularies: Size of each vocabulary; ids run from 0 to size - 1.
    """

    fact: tuple[Role, ...]
    query: tuple[Role, ...]
    answer: str
    vocabularies: dict[str, int]

    @property
    def n_classes(self) -> int:
        """How many answers there are to choose from."""
        return self.vocabularies[self.answer]


class Examples(NamedTuple):
    """A batch of graphs, each with its facts and labelled queries.

    Attributes:
        facts: Array (g, f, a) of symbol ids, the facts of a graph in random order.
        query: Array (g, q, r) of what is asked; the queries of a graph are distinct.
        answer: Array (g, q) of class ids.
        hop: Array (g, q), the true number of facts that derive the answer.
    """

    facts: Int
    query: Int
    answer: Int
    hop: Int

    @property
    def n_graphs(self) -> int:
        """How many graphs the batch holds."""
        return len(self.facts)

    def take(self, index: slice | np.ndarray) -> "Examples":
        """The chosen graphs."""
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
    """What the facts alone say about each query.

    Attributes:
        answer: Array (g, q) of class ids.
        hop: Array (g, q), how many look-ups derive the answer.
        rows: Array (g, q, h) of the facts that derive it, in the order of the reasoning, as row numbers of
            `facts`; -1 after the last. A look-up that finds nothing counts as a hop and has no row.
    """

    answer: Int
    hop: Int
    rows: Int


class TaskParams(BaseModel):
    """Parameters that every family has; a family adds its own. Defaults live in `tasks/<name>.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    n_queries: int = Field(ge=1, description="Labelled queries a graph.")


ParamsT = TypeVar("ParamsT", bound=TaskParams)


class Generator(ABC, Generic[ParamsT]):
    """A task family: draws whole batches, solves them again from the facts, and states what can be guessed.

    Args:
        params: The family's parameters.
        hops: The hop counts to ask for, each 1 or more.
        largest_hop: What graphs and vocabularies have room for, the largest of `hops` if None; a split with other
            hops is of the same size.
        patterns: Which relation patterns to ask for, of `nexus_bench.generators.parts.patterns`; those of families that
            `has_patterns`.

    Raises:
        ConfigError: A hop count is out of range for the size of the graphs.
    """

    name: ClassVar[str]
    version: ClassVar[int]  # raised by hand when the same parameters give other bytes
    Params: ClassVar[type[TaskParams]]
    sized_by: ClassVar[str | None] = None  # the parameter that makes graphs larger, and nothing else harder
    has_patterns: ClassVar[bool] = False  # whether a path is a pattern of words, some of which can be held out

    def __init__(
        self, params: ParamsT, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        self.params = params
        self.patterns = patterns
        self.hops = hops
        self.largest_hop = max(hops) if largest_hop is None else largest_hop
        if self.largest_hop > self.max_hop:
            raise ConfigError(
                f"{self.name}: hops must be in 1..{self.max_hop}, got {self.largest_hop}; "
                f"{self.advice_for_hop(self.largest_hop)}"
            )

    @property
    @abstractmethod
    def max_hop(self) -> int:
        """The largest hop count that is true at these parameters."""

    @abstractmethod
    def advice_for_hop(self, hop: int) -> str:
        """What to change so that `hop` becomes possible, as `raise n_nodes to 36`."""

    @property
    def n_queries(self) -> int:
        """Labelled queries a graph."""
        return self.params.n_queries

    @property
    def distractors(self) -> str:
        """The kind of facts off the path; `none` for families without a choice."""
        return str(getattr(self.params, "distractors", "none"))

    @property
    def reasoning(self) -> str:
        """`depth`, or `aggregation` where facts can be put together in any order."""
        return "depth"

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The roles and vocabularies of the task."""

    @property
    @abstractmethod
    def n_facts(self) -> int:
        """Facts a graph."""

    @property
    def vocab_size(self) -> int:
        """Names that facts are made of: the size of the largest vocabulary of a fact."""
        return max(self.schema.vocabularies[role.vocabulary] for role in self.schema.fact)

    @property
    def kept_symbols(self) -> dict[str, int]:
        """The parameters, as they are here, that keep the vocabularies when the size of a graph changes."""
        return {}

    @property
    @abstractmethod
    def n_worlds(self) -> int:
        """How many distinct sets of facts there are, or a lower bound."""

    @abstractmethod
    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw a batch, without a Python loop over graphs and with draws from `nexus_bench.streams` alone."""

    @abstractmethod
    def solve(self, facts: Int, query: Int) -> Solution:
        """Derive every answer again from the facts alone, sharing no step with `sample`.

        Args:
            facts: Array (g, f, a), in any order; ids in range, but otherwise perhaps not what `sample` draws.
            query: Array (g, q, r).

        Returns:
            Answers, hops and derivations; an answer that cannot be derived is -1.
        """

    @abstractmethod
    def chance(self, hop: int) -> float:
        """Accuracy of the best guess that knows which answers are possible, but follows no fact."""

    @abstractmethod
    def partial_input(self, hop: int) -> float:
        """Ceiling of the best guess at `hop` when one fact of the derivation is hidden."""

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """Which facts could have lent the hidden fact their last symbol, under the law of the family.

        The audit hides one fact of a derivation, gives it the last symbol of one of these, drawn evenly, and
        solves again: that is the guess of a solver that knows all facts but the hidden one.

        Args:
            facts: Array (g, f, a).
            query: Array (g, 1, r).
            solution: Of these queries.
            at: Array (g), the row of the hidden fact.

        Returns:
            Array (g, f). Where a family deals last symbols without repeats, the hidden fact is one of its own kind and
            is true as well; where it draws each by itself, leave the hidden fact out. By default, every fact that is
            not elsewhere on the derivation, the hidden one among them.
        """
        on_path: Mask = (solution.rows[:, 0, :, None] == np.arange(facts.shape[1])).any(axis=1)  # g f
        on_path[np.arange(len(at)), at] = False
        return ~on_path

    def check_patterns(self) -> None:
        """Refuse to hold patterns out where there are too few.

        Raises:
            ConfigError: There are too few, or the family has none.
        """
        if not self.has_patterns:
            raise ConfigError(f"{self.name}: has no relation patterns to hold out; leave pattern_ood out")

    def symbol(self, vocabulary: str, index: int) -> str:
        """How a symbol is written for people; a hop count is a number."""
        return str(index) if vocabulary == "hop" else f"{vocabulary}{index}"

    def deal_hops(self, n_graphs: int, rng: np.random.Generator) -> Int:
        """The hops of the queries, dealt evenly: array (g, q)."""
        first = integers(rng, n_graphs, 1, high=len(self.hops))
        dealt = first + np.arange(self.n_queries, dtype=np.int32)
        hops: Int = np.array(self.hops, dtype=np.int32)[dealt % len(self.hops)]
        return hops

    def deal_distinct(self, hop: Int, n: int, rng: np.random.Generator) -> Int:
        """For each query one of n, such as a chain to ask of, never the same twice at a hop of a graph: array (g, q).

        Args:
            hop: From `deal_hops`; at most n queries a hop.
            n: How many there are to deal.
            rng: Draws the order.
        """
        order = permutations(rng, len(hop) * len(self.hops), n).reshape(len(hop), -1)
        return look_up(order, np.searchsorted(self.hops, hop) * n + self.rounds)

    def deal_verdicts(self, hop: Int, rng: np.random.Generator) -> Int:
        """No (0) or yes (1), in turn at every hop of a graph, the first one drawn: array (g, q)."""
        first = integers(rng, len(hop), self.largest_hop + 1, high=2)
        return (look_up(first, hop) + self.rounds) % np.int32(2)

    @property
    def rounds(self) -> Int:
        """How many queries of the same hop a query comes after: array (q)."""
        return np.arange(self.n_queries, dtype=np.int32) // np.int32(len(self.hops))


GENERATORS: Registry[type[Generator[Any]]] = Registry(
    "task", package="nexus_bench.generators", group="nexus_bench.tasks", requires=("name", "version", "Params")
)
