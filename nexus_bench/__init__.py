"""How many reasoning hops can one attention layer make, as a function of attention order?"""

from typing import TYPE_CHECKING, Any

from nexus_bench.version import __version__

__all__ = ["DTYPES", "__version__", "load"]

if TYPE_CHECKING:
    from nexus_bench.data.loading import load
    from nexus_bench.io.columns import DTYPES


def __getattr__(name: str) -> Any:
    """Import on first use, so that the help of a command does not wait for numpy."""
    if name == "DTYPES":
        from nexus_bench.io.columns import DTYPES

        return DTYPES
    if name == "load":
        from nexus_bench.data.loading import load

        return load
    raise AttributeError(f"module 'nexus_bench' has no attribute {name!r}")
