"""The packages that task families and attention mechanisms come from, as manifests, cards and env.json name them."""

from nexus_bench.generators.base import GENERATORS
from nexus_bench.io.columns import Row
from nexus_bench.version import __version__

OURS: Row = {"package": "nexus-bench", "version": __version__, "licence": "MIT"}  # as in pyproject.toml


def task_origin(name: str) -> Row:
    """Package, version and licence of a task family."""
    origin = GENERATORS.origin(name)
    return OURS if origin is None else origin._asdict()
