"""Families whose nodes get new symbols in every graph, so that a model cannot learn where a symbol leads."""

from abc import abstractmethod
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator, TaskParams
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.streams import Int, permutations


class NamedParams(TaskParams):
    """The size of the vocabulary and the number of queries."""

    n_queries: int | None = Field(  # type: ignore[assignment]  # null depends on the size
        ge=1,
        description="Labelled queries per graph; null means as many as there can be.",
    )
    vocab_size: int | None = Field(
        ge=1, le=100_000, description="Size of the vocabulary that nodes are drawn from; null means three per node."
    )


NamedT = TypeVar("NamedT", bound=NamedParams)


class NamedNodes(Generator[NamedT]):
    """A family over nodes 0..n_nodes-1, which get symbols of the vocabulary before they are shown.

    Raises:
        ConfigError: The vocabulary is smaller than the number of nodes, or `n_queries` than distinct queries.
    """

    def __init__(
        self, params: NamedT, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)
        if self.node_vocab_size < self.n_nodes:
            raise ConfigError(
                f"{self.name}: vocab_size must be at least the {self.n_nodes} nodes of a graph, "
                f"got {self.node_vocab_size}; raise vocab_size to {self.n_nodes}"
            )
        if self.n_queries > self.most_queries:
            raise ConfigError(
                f"{self.name}: n_queries must be at most {self.most_queries}, as many as a graph can have, "
                f"got {self.n_queries}; ask for fewer or make the graph larger"
            )

    @property
    @abstractmethod
    def n_nodes(self) -> int:
        """Nodes per graph."""

    @property
    @abstractmethod
    def most_queries(self) -> int:
        """The number of distinct queries of a graph."""

    @property
    def n_queries(self) -> int:
        """The given number, or as many as possible."""
        return self.params.n_queries or self.most_queries

    @property
    def node_vocab_size(self) -> int:
        """Size of the vocabulary that nodes are drawn from."""
        return self.params.vocab_size or 3 * self.n_nodes

    @property
    def kept_symbols(self) -> dict[str, int]:
        """The size of the vocabulary."""
        return {"vocab_size": self.node_vocab_size}

    def draw_names(self, n_graphs: int, rng: np.random.Generator) -> Int:
        """The symbol of every node: array (g, n_nodes)."""
        return permutations(rng, n_graphs, self.node_vocab_size, k=self.n_nodes)


_LONGEST = 50  # most hops if the length of chains is derived from the hops


class ChainParams(NamedParams):
    """The length of the chains of a graph."""

    length: int | None = Field(ge=1, le=1_000, description="Facts per chain; null means the largest hop plus a few.")


ChainT = TypeVar("ChainT", bound=ChainParams)


class Chains(NamedNodes[ChainT]):
    """A family whose graphs are chains of equal length."""

    spare: ClassVar[int]  # facts per chain beyond the largest hop, if the length is derived from the hops

    @property
    def length(self) -> int:
        """Facts per chain."""
        return self.largest_hop + self.spare if self.params.length is None else self.params.length

    @property
    def max_hop(self) -> int:
        """The length of a chain."""
        return _LONGEST if self.params.length is None else self.params.length

    def advice_for_hop(self, hop: int) -> str:
        """One fact per hop."""
        return f"raise length to {hop}" if self.params.length is not None else "ask for fewer hops"
