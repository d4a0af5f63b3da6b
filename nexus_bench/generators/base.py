"""The contract of a task family: arrays of examples with their true hop counts.

Axis letters: g graphs, f facts, a roles of a fact, q queries of a graph, r roles of a query.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import BaseModel, Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.parts.examples import Examples as Examples
from nexus_bench.generators.parts.examples import Role as Role
from nexus_bench.generators.parts.examples import Schema as Schema
from nexus_bench.generators.parts.examples import Solution as Solution
from nexus_bench.generators.parts.facts import look_up
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.io.entries import STRICT
from nexus_bench.registry.table import Registry
from nexus_bench.streams import Int, Mask, integers, permutations


class FamilyParams(BaseModel):
    """The parameters of a family. Defaults live in `tasks/<name>.yaml`."""

    model_config = STRICT


class TaskParams(FamilyParams):
    """Parameters that every family of graphs has; a family adds its own."""

    n_queries: int = Field(ge=1, description="Labelled queries per graph.")


ParamsT = TypeVar("ParamsT", bound=FamilyParams)


class Generator(ABC, Generic[ParamsT]):
    """A task family: draws whole batches, solves them again from the facts, and declares what can be guessed.

    Args:
        params: The family's parameters.
        hops: The hop counts of the queries, each 1 or more.
        largest_hop: The hop count that graphs and vocabularies are sized for, the largest of `hops` if None; so a split
            with other hops has the same size.
        patterns: Which relation patterns queries have, see `nexus_bench.generators.parts.patterns`, or which facts they
            compose; only for families with `has_patterns`.

    Raises:
        ConfigError: A hop count is out of range for the size of the graphs.
    """

    name: ClassVar[str]
    version: ClassVar[int]  # raised by hand when the same parameters give different data
    Params: ClassVar[type[FamilyParams]]
    sized_by: ClassVar[str | None] = None  # the parameter that makes graphs larger and changes nothing else
    says_hop: ClassVar[bool] = False  # of a sequence: whether a token says the hop count, so that it must be trained
    has_patterns: ClassVar[bool] = False  # whether paths can be held out, by their words or facts

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
        """Labelled queries per graph; a sequence has one for every token."""
        return self.params.n_queries if isinstance(self.params, TaskParams) else self.n_facts

    @property
    def distractors(self) -> str:
        """The kind of facts off the path; `none` for families that offer no choice."""
        return str(getattr(self.params, "distractors", "none"))

    @property
    def reasoning(self) -> str:
        """`depth`, or `aggregation` if facts can be combined in any order."""
        return "depth"

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The roles and vocabularies of the task."""

    @property
    @abstractmethod
    def n_facts(self) -> int:
        """Facts per graph."""

    @property
    def vocab_size(self) -> int:
        """The size of the largest vocabulary among the roles of a fact."""
        return max(self.schema.vocabularies[role.vocabulary] for role in self.schema.fact)

    @property
    def kept_symbols(self) -> dict[str, int]:
        """The parameters, with their values here, that must be fixed to keep the vocabularies at another graph size."""
        return {}

    @property
    @abstractmethod
    def n_worlds(self) -> int:
        """The number of distinct sets of facts, or a lower bound."""

    @abstractmethod
    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw a batch, without a Python loop over graphs and with random numbers from `nexus_bench.streams` only."""

    @abstractmethod
    def solve(self, facts: Int, query: Int) -> Solution:
        """Derive every answer again from the facts alone, sharing no code with `sample`.

        Args:
            facts: Array (g, f, a), in any order; ids are in range, but facts may differ from what `sample` draws.
            query: Array (g, q, r).

        Returns:
            Answers, hops and derivations; an answer that cannot be derived is -1.
        """

    def labels(self, facts: Int, query: Int) -> tuple[Int, Int]:
        """Answers and hops as `solve` derives them: two arrays (g, q)."""
        return self.solve(facts, query)[:2]

    @abstractmethod
    def chance(self, hop: int) -> float:
        """Accuracy of the best guess that knows which answers are possible but follows no fact."""

    @abstractmethod
    def partial_input(self, hop: int) -> float:
        """The partial-input ceiling: accuracy of the best guess at `hop` when one fact of the derivation is hidden."""

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """Facts whose last symbol the hidden fact could have instead, under the distribution of the family.

        The audit hides one fact of a derivation, gives it the last symbol of one of these facts, drawn uniformly, and
        solves again: this is the guess of a solver that knows all facts but the hidden one.

        Args:
            facts: Array (g, f, a).
            query: Array (g, 1, r).
            solution: The solution of these queries.
            at: Array (g), the row of the hidden fact.

        Returns:
            Array (g, f). If a family draws last symbols without repeats, the hidden fact is itself one of the possible
            ones and is True as well; if it draws each independently, the hidden fact is False. The default is every
            fact that is not elsewhere on the derivation, including the hidden one.
        """
        on_path: Mask = (solution.rows[:, 0, :, None] == np.arange(facts.shape[1])).any(axis=1)  # g f
        on_path[np.arange(len(at)), at] = False
        return ~on_path

    def check_patterns(self) -> None:
        """Refuse to hold patterns out if there are too few.

        Raises:
            ConfigError: There are too few, or the family has none.
        """
        if not self.has_patterns:
            raise ConfigError(f"{self.name}: has no relation patterns to hold out; omit pattern_ood")

    def symbol(self, vocabulary: str, index: int) -> str:
        """A symbol as readable text; a hop count is a number."""
        return str(index) if vocabulary == "hop" else f"{vocabulary}{index}"

    def deal_hops(self, n_graphs: int, rng: np.random.Generator) -> Int:
        """The hops of the queries, as evenly distributed as possible: array (g, q)."""
        first = integers(rng, n_graphs, 1, high=len(self.hops))
        dealt = first + np.arange(self.n_queries, dtype=np.int32)
        hops: Int = np.array(self.hops, dtype=np.int32)[dealt % len(self.hops)]
        return hops

    def deal_distinct(self, hop: Int, n: int, rng: np.random.Generator) -> Int:
        """For each query one of n things, such as a chain, never the same twice at one hop of a graph: array (g, q).

        Args:
            hop: From `deal_hops`; at most n queries per hop.
            n: How many things there are.
            rng: Draws the order.
        """
        order = permutations(rng, len(hop) * len(self.hops), n).reshape(len(hop), -1)
        return look_up(order, np.searchsorted(self.hops, hop) * n + self.rounds)

    def deal_verdicts(self, hop: Int, rng: np.random.Generator) -> Int:
        """No (0) or yes (1), alternating at every hop of a graph, the first one drawn: array (g, q)."""
        first = integers(rng, len(hop), self.largest_hop + 1, high=2)
        return (look_up(first, hop) + self.rounds) % np.int32(2)

    @property
    def rounds(self) -> Int:
        """How many earlier queries have the same hop: array (q)."""
        return np.arange(self.n_queries, dtype=np.int32) // np.int32(len(self.hops))


GENERATORS: Registry[type[Generator[Any]]] = Registry(
    "task", package="nexus_bench.generators", group="nexus_bench.tasks", requires=("name", "version", "Params")
)
