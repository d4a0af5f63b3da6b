"""Families whose nodes are named anew in every graph, so that a model cannot learn what a name leads to."""

from abc import abstractmethod
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator, TaskParams
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.streams import Int, permutations


class NamedParams(TaskParams):
    """How many names and queries there are."""

    n_queries: int | None = Field(  # type: ignore[assignment]  # null depends on the size
        ge=1,
        description="Labelled queries a graph; null means as many as can be asked.",
    )
    vocab_size: int | None = Field(
        ge=1, le=100_000, description="Names to draw the nodes from; null means three a node."
    )


NamedT = TypeVar("NamedT", bound=NamedParams)


class NamedNodes(Generator[NamedT]):
    """A family over nodes 0..n_nodes-1 that get names before they are shown.

    Raises:
        ConfigError: There are fewer names than nodes, or fewer distinct queries than are asked for.
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
                f"{self.name}: n_queries must be at most {self.most_queries}, as many as a graph can be asked, "
                f"got {self.n_queries}; ask for fewer or make the graph larger"
            )

    @property
    @abstractmethod
    def n_nodes(self) -> int:
        """Nodes of a graph."""

    @property
    @abstractmethod
    def most_queries(self) -> int:
        """How many distinct queries a graph can be asked."""

    @property
    def n_queries(self) -> int:
        """As asked, or as many as can be."""
        return self.params.n_queries or self.most_queries

    @property
    def node_vocab_size(self) -> int:
        """Names to draw from."""
        return self.params.vocab_size or 3 * self.n_nodes

    @property
    def kept_symbols(self) -> dict[str, int]:
        """As many names."""
        return {"vocab_size": self.node_vocab_size}

    def draw_names(self, n_graphs: int, rng: np.random.Generator) -> Int:
        """The name of every node: array (g, n_nodes)."""
        return permutations(rng, n_graphs, self.node_vocab_size, k=self.n_nodes)


_LONGEST = 50  # hops, where the length of chains follows them


class ChainParams(NamedParams):
    """How long the chains of a graph are."""

    length: int | None = Field(ge=1, le=1_000, description="Facts of a chain; null means the largest hop and a few.")


ChainT = TypeVar("ChainT", bound=ChainParams)


class Chains(NamedNodes[ChainT]):
    """A family whose graphs are chains of equal length."""

    spare: ClassVar[int]  # facts of a chain beyond the largest hop, where its length follows that

    @property
    def length(self) -> int:
        """Facts of a chain."""
        return self.largest_hop + self.spare if self.params.length is None else self.params.length

    @property
    def max_hop(self) -> int:
        """The length of a chain."""
        return _LONGEST if self.params.length is None else self.params.length

    def advice_for_hop(self, hop: int) -> str:
        """A fact a hop."""
        return f"raise length to {hop}" if self.params.length is not None else "ask for fewer hops"
