"""What a logger does, and how it imports a package that may not be installed."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from nexus_bench.errors import UsageError
from nexus_bench.training.spec import CellSpec


class Logger(Protocol):
    """Takes the curves of cells, several at a time.

    It is made before the run folder is, and writes nothing there until it is told of a cell. Whatever it raises ends
    the command with one line.
    """

    def log(self, cell: CellSpec, title: str, metrics: Mapping[str, float], step: int) -> None:
        """Take values of a cell, such as `accuracy/2 hops`, at an optimiser step."""

    def end(self, cell: CellSpec, *, has_failed: bool) -> None:
        """A cell has ended; it may be that nothing was logged of it."""

    def close(self) -> None:
        """No more cells come."""


def imported(module: str, name: str, *, logger: str, install: str) -> Any:
    """A module that a logger needs.

    Args:
        module: Its name.
        name: What the logger uses of it; a folder of the same name, such as wandb leaves here, can be imported too.
        logger: The name of the logger.
        install: What to install for it.

    Raises:
        UsageError: It is not installed.
    """
    try:
        found = importlib.import_module(module)
        getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--logger {logger} needs {install}; pip install {install}, or use --logger csv") from error
    return found
