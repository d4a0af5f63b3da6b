"""What can go wrong for a user: one line on stderr and one exit code for each kind."""

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path


class NexusBenchError(Exception):
    """A mistake or a failure that the user can act on; the message says what to do next."""

    exit_code = 1


class UsageError(NexusBenchError):
    """The command line makes no sense, or would overwrite something else."""

    exit_code = 2


class ConfigError(NexusBenchError):
    """A suite, a task or an attention has a setting that is not possible."""

    exit_code = 3


class CorruptArtefactError(NexusBenchError):
    """A file that nexus-bench wrote is truncated, edited or unreadable."""

    exit_code = 4


class StorageError(NexusBenchError):
    """The disk is full, a folder cannot be written, a file cannot be read."""

    exit_code = 5


class CheckFailedError(NexusBenchError):
    """A check failed: a guess beats a ceiling, a solver denies a label, or a run got worse."""

    exit_code = 6


class FailedCellsError(NexusBenchError):
    """Some cells of a run failed; the others are done and kept."""

    exit_code = 7


def in_one_line(error: BaseException) -> str:
    """An unexpected error and where it was raised."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0] if said else 'no message'} ({Path(where.filename).name}:{where.lineno})"


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The one-line message for an unknown name, with the closest known one."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"unknown {kind} '{name}'; {hint}known: {', '.join(names)}"
