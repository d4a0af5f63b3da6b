"""The contract of a task family: arrays of examples whose hop count is true.

Axis letters: g graphs, f facts, a roles of a fact, q queries of a graph, r roles of a query.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nexus_bench.errors import ConfigError
from nexus_bench.registry import Registry
from nexus_bench.streams import Int


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

    @staticmethod
    def concatenate(parts: Sequence["Examples"]) -> "Examples":
        """Several batches as one."""
        return Examples(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


class TaskParams(BaseModel):
    """Parameters that every family has; a family adds its own. Defaults live in `tasks/<name>.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    n_queries: int = Field(ge=1, description="Labelled queries a graph.")


ParamsT = TypeVar("ParamsT", bound=TaskParams)


class Generator(ABC, Generic[ParamsT]):
    """A task family: draws whole batches and states what can be known without reasoning.

    Args:
        params: The family's parameters.
        hops: The hop counts to ask for, each 1 or more.

    Raises:
        ConfigError: A hop count is out of range for the size of the graphs.
    """

    name: ClassVar[str]
    version: ClassVar[int]  # raised by hand when the same parameters give other bytes
    distractors: ClassVar[str] = "none"
    Params: ClassVar[type[TaskParams]]

    def __init__(self, params: ParamsT, hops: tuple[int, ...]) -> None:
        self.params = params
        self.hops = hops
        too_far = max(hops)
        if too_far > self.max_hop:
            raise ConfigError(
                f"{self.name}: hops must be in 1..{self.max_hop}, got {too_far}; {self.advice_for_hop(too_far)}"
            )

    @property
    @abstractmethod
    def max_hop(self) -> int:
        """The largest hop count that is true at these parameters."""

    @abstractmethod
    def advice_for_hop(self, hop: int) -> str:
        """What to change so that `hop` becomes possible, as `raise n_nodes to 36`."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The roles and vocabularies of the task."""

    @property
    @abstractmethod
    def n_facts(self) -> int:
        """Facts a graph."""

    @property
    def n_symbols(self) -> int:
        """Names that facts are made of: the size of the largest vocabulary of a fact."""
        return max(self.schema.vocabularies[role.vocabulary] for role in self.schema.fact)

    @property
    @abstractmethod
    def n_worlds(self) -> int:
        """How many distinct sets of facts there are, or a lower bound."""

    @abstractmethod
    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw a batch, without a Python loop over graphs and with draws from `nexus_bench.streams` alone."""

    @abstractmethod
    def chance(self, hop: int) -> float:
        """Accuracy of the best guess that knows which answers are possible, but follows no fact."""

    @abstractmethod
    def partial(self, hop: int) -> float:
        """Ceiling of what a solver can score at `hop` when it can only make `hop - 1` hops."""

    @abstractmethod
    def derivation(self, facts: Int, query: Int) -> tuple[int, ...]:
        """The facts that derive one answer.

        Args:
            facts: Array (f, a), one graph.
            query: Array (r), one query of it.

        Returns:
            Row numbers of `facts` in the order of the reasoning; as many as the query has hops.
        """

    def symbol(self, vocabulary: str, index: int) -> str:
        """How a symbol is written for people; a hop count is a number."""
        return str(index) if vocabulary == "hop" else f"{vocabulary}{index}"


GENERATORS: Registry[type[Generator[Any]]] = Registry(
    "task", package="nexus_bench.generators", requires=("name", "version", "Params")
)
