"""Scripts that write pages of the documentation: the paths that they are given, and how they end."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from nexus_bench.errors import NexusBenchError, StorageError, UsageError
from nexus_bench.io.packed import is_there
from nexus_bench.io.read_results import RESULTS


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """Ends a script with one line and the exit code of its kind, as the command line does."""
    try:
        yield
    except NexusBenchError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


def paths_given(line: str, *, least: int, most: int | None = None) -> list[Path]:
    """The paths that a script was given.

    Args:
        line: How the script is called, with a word for each path.
        least: How many it needs.
        most: How many it takes; None: any number.

    Raises:
        UsageError: They are too few or too many, or one is an option.
    """
    words = sys.argv[1:]
    if len(words) < least or (most is not None and len(words) > most) or any(word.startswith("-") for word in words):
        raise UsageError(f"got {' '.join(words) or 'no paths'}; write `python -m {line}`")
    return [Path(word) for word in words]


def tell_absent(folders: Sequence[Path], *, may_all: bool = False, needed: Mapping[Path, str] | None = None) -> None:
    """Say in a line each which folders of a script are not there, of those that may be missing.

    Args:
        folders: Run folders, or folders of run folders.
        may_all: Whether a page is made also if none of them holds results; else what was written before is kept.
        needed: What is made where a folder is absent without which there is nothing to say.

    Raises:
        StorageError: One is something else than a folder, or none holds results.
    """
    if others := [folder for folder in folders if folder.exists() and not folder.is_dir()]:
        raise StorageError(f"{others[0]}: is not a folder; give one that holds runs")
    if not may_all and not any(is_there(run / RESULTS) for one in folders for run in (one, *one.glob("*/"))):
        named = ", ".join(dict.fromkeys(map(str, folders)))
        raise StorageError(
            f"{named}: no results of a run are there, so nothing is written; give folders that hold runs"
        )
    for folder in folders:
        if not folder.exists():
            made = (needed or {}).get(folder, "the page is made without it")
            sys.stderr.write(f"note: {folder}: is not there; {made}\n")
