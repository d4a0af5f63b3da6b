"""The contract of a model: whatever keeps it is built, trained, loaded, costed and saved as the own ones are.

Axis letters: b graphs, q queries of a graph, c classes.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from nexus_bench.attention.base import Mechanism
from nexus_bench.generators.base import Schema
from nexus_bench.model.batch import Batch
from nexus_bench.model.spec import ModelSpec


class Model(Mechanism[Any]):
    """A whole model.

    It is an ordinary module. Its state is its parameters, which are trained, and its buffers; several modules may
    share a parameter. One that is registered among the attentions, by its name, stands in suites where an attention
    does, and no transformer is built around it.

    Args:
        spec: The shape, and its own options.
        schema: The task's vocabularies.
        seq_len: Length of the longest sequence (`Batch.seq_len`), for tables of positions.
    """

    @abstractmethod
    def __init__(self, spec: ModelSpec, schema: Schema, *, seq_len: int) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, batch: Batch) -> Float[Tensor, "b q c"]:
        """Class scores at the positions that are read."""

    @property
    def longest(self) -> int | None:
        """The length of the longest sequence that it takes; None if it takes any."""
        return None

    @classmethod
    def seq_len_of(cls, weights: Mapping[str, Tensor]) -> int:
        """The `seq_len` that a model with these weights was built with; for models that have a table of positions."""
        return 1
