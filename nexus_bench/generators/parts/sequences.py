"""Tasks of sequences: the facts of a graph are tokens in their order, and any token may have an answer."""

from typing import TYPE_CHECKING, Any

from nexus_bench.errors import ConfigError

if TYPE_CHECKING:
    from nexus_bench.generators.base import Generator

NOTHING = -1  # in the place of a token that a sequence does not have, or of the answer of a token that has none


def refuse_sequences(family: "Generator[Any]") -> None:
    """Refuse a task of sequences where it must be told in English, as tasks with queries alone can be.

    Raises:
        ConfigError: It is a task of sequences.
    """
    if family.schema.is_sequence:
        raise ConfigError(
            f"{family.name}: is a task of sequences, which can be trained; English texts are of tasks with queries "
            "alone"
        )
