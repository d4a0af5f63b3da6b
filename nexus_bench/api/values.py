"""Values as Python gives them: checked, and turned into what YAML holds; messages as Python writes them."""

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nexus_bench.errors import NexusBenchError, UsageError
from nexus_bench.io.config import MOST_GRAPHS
from nexus_bench.io.renames import KEY, PYTHON, present_name

Hops = int | str | Sequence[int]
# Options of `nexus-bench train` that are no arguments
OF_COMMAND = ("logger", "tensorboard", "stack", "scheduler", "log_every", "curve_points", "dry_run", "print_config")
_FUNCTIONS = {"train": "train", "gen": "generate", "show": "show"}  # command -> the function that does the same
_OF_A_TASK = ("gen", "show")
_METHODS = {"eval": "evaluate", "inspect": "inspect", "report": "report", "open": "report().open"}  # of a run
_COMMAND = re.compile(r"(`nexus-bench [^`]*`)")
_OPTION = re.compile(r"(?<![\w/.-])--(?:set (?=\w+=))?([a-z][a-z-]*)")


def plain(value: Any) -> Any:
    """Tuples, ranges and arrays as lists, numbers of NumPy as Python's, keys by their present names; all else stays."""
    if isinstance(value, Mapping):
        return {present_name(KEY, key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    return value


def present_attribute(name: str) -> str:
    """The name that an attribute of the package has today; an old one is told by a `DeprecationWarning`."""
    return present_name(PYTHON, name)


def whole(name: str, value: Any, *, least: int, most: int = MOST_GRAPHS) -> int:
    """A whole number, also one of NumPy, as Python's.

    Raises:
        UsageError: It is not one, or out of range.
    """
    number = plain(value)
    if type(number) is not int or not least <= number <= most:
        raise UsageError(f"{name} must be a whole number from {least} to {most}, got {value!r}")
    return number


def whole_or_none(name: str, value: Any, *, least: int, most: int = MOST_GRAPHS) -> int | None:
    """As `whole`; None stays."""
    return None if value is None else whole(name, value, least=least, most=most)


def text(name: str, value: Any) -> str:
    """A text.

    Raises:
        UsageError: It is something else.
    """
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a text, got {value!r}")
    return value


def path(name: str, value: Any) -> Path:
    """A path.

    Raises:
        UsageError: It is something else.
    """
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name} must be a path, got {value!r}")
    return Path(value)


def path_or_none(name: str, value: Any) -> Path | None:
    """As `path`; None stays."""
    return None if value is None else path(name, value)


def names(name: str, value: Any) -> str | None:
    """A name, or a sequence of names, as a command line writes them; None stays.

    Raises:
        UsageError: It is something else, or empty.
    """
    if value is None:
        return None
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, Sequence) or not all(isinstance(one, str) for one in listed):
        raise UsageError(f"{name} must be a name or a list of names, got {value!r}")
    if not any(one.strip() for one in listed):
        raise UsageError(f"{name} is empty; give a name, or omit it")
    return ",".join(listed)


@contextmanager
def in_python() -> Iterator[None]:
    """Let errors name what a program writes: calls in the place of commands, `n_facts` in the place of `--n-facts`.

    A command without a call of its own stays. As a decorator, of all that a function raises.
    """
    try:
        yield
    except NexusBenchError as error:
        parts = _COMMAND.split(str(error))
        parts[::2] = (_OPTION.sub(lambda found: found[1].replace("-", "_"), part) for part in parts[::2])
        parts[1::2] = (f"`{as_call(command[1:-1])}`" for command in parts[1::2])
        error.args = ("".join(parts),)
        raise


def as_call(command: str) -> str:
    """The call that does what a command does; the command itself where there is none.

    >>> as_call("nexus-bench train --data mine -o runs/a")
    'nexus_bench.train(data="mine", out="runs/a")'
    >>> as_call("nexus-bench eval runs/a --n-facts 24"), as_call("nexus-bench verify mine")
    ('nexus_bench.open("runs/a").evaluate(n_facts=24)', 'nexus-bench verify mine')
    """
    try:
        _, name, *words = shlex.split(command)
    except ValueError:  # a path with a quotation mark
        return command
    named: dict[str, str] = {}
    alone = []
    while words:
        word = words.pop(0)
        key, has_value, value = word.lstrip("-").partition("=")
        if word.startswith("-") and not has_value:
            value = words.pop(0) if words else ""
        if word.startswith("-") or has_value:
            named[("out" if key == "o" else key).replace("-", "_")] = value
        else:
            alone.append(word)
    if len(alone) > 1 or "" in named.values() or any(key in OF_COMMAND for key in named):
        return command
    given = [f"{key}={_written(value)}" for key, value in named.items()]
    if name in _FUNCTIONS:
        first = alone or (["..."] if name in _OF_A_TASK else [])
        return f"nexus_bench.{_FUNCTIONS[name]}({', '.join([*map(_written, first), *given])})"
    if name in _METHODS:
        run = f"nexus_bench.open({_written(alone[0])})" if alone else "run"
        return f"{run}.{_METHODS[name]}({', '.join(given)})"
    return command


def _written(value: str) -> str:
    return value if value.isdecimal() or value == "..." else json.dumps(value, ensure_ascii=False)
