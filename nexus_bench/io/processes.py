"""Starting processes beside whatever program uses this package."""

import multiprocessing
import sys
import threading
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import TYPE_CHECKING

from nexus_bench.errors import UsageError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext  # Windows has none

_HIDING = threading.Lock()


def fork_server(preload: str | None = None) -> "ForkServerContext":
    """A maker of processes that are forked from a server, which has imported what they need and holds nothing else.

    Args:
        preload: Name of the module that the server imports, once for all processes.

    Raises:
        UsageError: The system has no such server, as Windows.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise UsageError("processes are started by a fork server, which Windows lacks; use Linux, macOS or WSL")
    context = multiprocessing.get_context("forkserver")
    if preload is not None:
        context.set_forkserver_preload([preload])
    return context


def start_apart(process: BaseProcess) -> None:
    """Start a process that does not run the program of its parent again.

    Python lets a process that is not forked import its parent's main module first. A script that trains would train
    again there, unless all of it is under `if __name__ == "__main__"`. What we run is in modules of this package, so
    the main module is hidden while the process starts.
    """
    with _HIDING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = main
