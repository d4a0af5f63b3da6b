"""Entries of registered families, as far as each goes."""

from nexus_bench.bench.generators import entry_for_hops
from nexus_bench.data.gallery import is_of_sequences
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS

GRAPHS = tuple(name for name in GENERATORS.names() if not is_of_sequences(name))
SEQUENCES = tuple(name for name in GENERATORS.names() if is_of_sequences(name))


def up_to_hops(name: str, most: int) -> dict[str, object]:
    """An entry with hops 1 to `most`, or as many of them as the family can have."""
    for largest in range(most, 0, -1):
        try:
            return entry_for_hops(name, tuple(range(1, largest + 1)))
        except ConfigError:
            continue
    raise AssertionError(f"{name} has no hop counts")
