"""What a logger does, and how it imports a package that may not be installed."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from nexus_bench.errors import UsageError
from nexus_bench.training.spec import CellSpec


class Logger(Protocol):
    """Takes the curves of cells, several at a time."""

    def log(self, cell: CellSpec, title: str, metrics: Mapping[str, float], step: int) -> None:
        """Take values of a cell, such as `accuracy/2 hops`, at an optimiser step."""

    def end(self, cell: CellSpec, *, has_failed: bool) -> None:
        """A cell has ended; it may be that nothing was logged of it."""

    def close(self) -> None:
        """No more cells come."""


def imported(module: str, *, logger: str, install: str) -> Any:
    """A module that a logger needs.

    Args:
        module: Its name.
        logger: The name of the logger.
        install: What to install for it.

    Raises:
        UsageError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"--logger {logger} needs {install}; pip install {install}, or use --logger csv") from error
