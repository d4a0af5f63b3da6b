"""Starting processes beside whatever program uses this package."""

import sys
import threading
from multiprocessing.process import BaseProcess
from types import ModuleType

_HIDING = threading.Lock()


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
