"""What can go wrong for a user: one line on stderr and one exit code for each kind."""

import difflib
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

# Each gives what other packages registered so far: its kind and name in words, and its class
OTHERS: list[Callable[[], list[tuple[str, type]]]] = []


class NexusBenchError(Exception):
    """A mistake or a failure that the user can act on; the message says what to do next."""

    exit_code = 1
    is_told = False  # whether the command has shown each fault on the page of CI by itself

    def _render_traceback_(self) -> list[str]:
        """In a notebook the message alone: it says what to do."""
        return [f"{type(self).__name__}: {self}"]


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
    is_told = True


class FailedCellsError(NexusBenchError):
    """Some cells of a run failed; the others are done and kept."""

    exit_code = 7
    is_told = True


def in_one_line(error: BaseException) -> str:
    """An unexpected error and where it was raised.

    A library's line says little, so before it comes that of a package which extends this one, or else of this one.
    """
    steps = [
        (str(frame.f_globals.get("__name__")).partition(".")[0], Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    theirs = {entry.__module__.partition(".")[0] for classes in OTHERS for _, entry in classes()} & {
        s[0] for s in steps
    }
    package, file, line = steps[-1]
    shown = [f"{file.name}:{line}"]
    if theirs or package in sys.stdlib_module_names or "site-packages" in file.parts:
        own = theirs or {__name__.partition(".")[0]}
        shown = [f"{file.name}:{line}" for package, file, line in steps if package in own][-1:] + shown
    where = ", in ".join(dict.fromkeys(shown))
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0] if said else 'no message'} ({where})"


def blame(error: BaseException) -> str | None:
    """One line that says whose an unexpected error is; None if no task or attention of another package ran into it.

    Args:
        error: The error as it was caught: the frames that it came through say which method of which class was called.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    others = [other for classes in OTHERS for other in classes()]
    of_class = [(what, entry, frame) for frame in frames for what, entry in others if _is_method_of(entry, frame)]
    in_module = [
        (what, entry, frame)
        for frame in frames
        for what, entry in others
        if frame.f_globals.get("__name__") == entry.__module__
    ]
    for what, entry, frame in [one for one in of_class if one in in_module][:1] or of_class[-1:] or in_module[:1]:
        package = entry.__module__.partition(".")[0]
        failed = f"{what} of {package}: {frame.f_code.co_qualname} failed with {in_one_line(error)}"
        return f"{failed}{REPAIR}"
    return None


def _is_method_of(entry: type, frame: FrameType) -> bool:
    """Whether a frame is a method of this class, its own or an inherited one."""
    owner = frame.f_locals.get("self", frame.f_locals.get("cls"))
    return owner is entry or type(owner) is entry


REPAIR = "; repair or uninstall its package"  # what to do about a package of others
_USUAL = {  # what others call a setting or an option, and what is written here; with "=" the value is another, too
    "dim": "d_model", "width": "d_model", "hidden_size": "d_model", "n_embd": "d_model", "epochs": "steps=N",
    "n_epochs": "steps=N", "max_epochs": "steps=N", "n_steps": "steps", "max_steps": "steps", "iterations": "steps",
    "heads": "n_heads", "num_heads": "n_heads", "n_head": "n_heads", "layers": "n_layers", "depth": "n_layers",
    "num_layers": "n_layers", "n_layer": "n_layers", "loops": "n_loops", "learning_rate": "lr", "bs": "batch_size",
    "batch": "batch_size", "nodes": "n_nodes", "num_nodes": "n_nodes", "seed": "seeds", "n_seeds": "seeds",
    "num_seeds": "seeds", "num_hops": "hops", "n_hops": "hops", "hop": "hops", "orders": "order", "wd": "weight_decay",
    "warmup": "warmup_steps", "model": "attention", "models": "attention", "attentions": "attention",
    "mechanism": "attention", "tasks": "task", "family": "task", "dataset": "data", "data_dir": "data",
    "output": "out", "output_dir": "out", "out_dir": "out", "save_dir": "out", "run_dir": "out",
    "n_workers": "workers", "num_workers": "workers", "jobs": "workers", "gpu": "device=cuda", "gpus": "device=cuda",
    "n_gpus": "device=cuda", "cuda": "device=cuda", "cpu": "device=cpu", "precision": "mode=bfloat16",
    "dtype": "mode=bfloat16", "bf16": "mode=bfloat16", "fp16": "mode=bfloat16", "amp": "mode=bfloat16",
    "wandb": "logger=wandb", "mlflow": "logger=mlflow", "config": "suite", "n_train": "n",
}  # fmt: skip


class OwnName(NamedTuple):
    """What nexus-bench calls an option that other tools call by another name.

    Attributes:
        name: The name here.
        value: Its value; empty if it is the one that was given.
    """

    name: str
    value: str


def own_name(name: str) -> OwnName:
    """The name here of an option of other tools, with its value if it stands for one; any other name stays."""
    here, _, value = _USUAL.get(name, name).partition("=")
    return OwnName(here, value)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The one-line message for an unknown name, with the closest known one."""
    names = sorted(known)
    close = [meant for meant in own_name(name) if meant in names] or difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"unknown {kind} '{name}'; {hint}known: {', '.join(names)}"
