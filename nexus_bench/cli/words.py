"""Words after a command: names, and settings as `key=value`; what has an option of its own can be given either way."""

import re
from typing import Annotated, Any, NamedTuple, Optional

import typer

from nexus_bench.cli.choices import tasks
from nexus_bench.errors import UsageError

Words = Annotated[
    Optional[list[str]],
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as n_nodes=20; as --set."),
]
TaskWords = Annotated[
    Optional[list[str]],
    typer.Argument(
        metavar="[TASK] [KEY=VALUE]...",
        help="The task, as with --task, and settings, such as n_nodes=20.",
        autocompletion=tasks,
    ),
]

_SETTING = re.compile(r"[A-Za-z_][\w.]*=")
_SECTION = re.compile(r"(train|models?|tasks?)\.(?=\w)")  # as Hydra writes train.steps=10


class Given(NamedTuple):
    """What words say.

    Attributes:
        names: Those that are no settings.
        settings: `key=value` texts, of words and of `--set`.
    """

    names: list[str]
    settings: list[str]


def read_words(words: list[str] | None, settings: list[str] | None = None, **options: str | None) -> Given:
    """Tell names from settings.

    Args:
        words: The words after a command.
        settings: The values of `--set`.
        options: Options that are settings, such as `steps="10"`; None if not given.
    """
    named = [word for word in words or [] if not _SETTING.match(word)]
    own = [_SECTION.sub("", word, count=1) for word in words or [] if _SETTING.match(word)]
    told = [f"{key}={value}" for key, value in options.items() if value is not None]
    return Given(named, [*(settings or []), *own, *told])


def one_name(names: list[str], option: str | None, *, what: str, command: str) -> str | None:
    """The name that is given as a word or by an option; None if neither is.

    Args:
        names: The words that are no settings.
        option: The value of the option `--<what>`.
        what: What is named, such as `task`.
        command: The command, to show how it is written.

    Raises:
        UsageError: There are several.
    """
    found = list(dict.fromkeys([*names, *([] if option is None else [option])]))
    if len(found) > 1:
        raise UsageError(
            f"give one {what}, got {' and '.join(found)}; write `nexus-bench {command} {found[0]}`, and settings as "
            "key=value"
        )
    return found[0] if found else None


def one_task(names: list[str], option: str | None, *, command: str, default: str | None = None) -> str:
    """The task of a command that takes one.

    Raises:
        UsageError: There is none, or there are several.
    """
    task = one_name(names, option, what="task", command=command) or default
    if task is None:
        raise UsageError(f"name a task, as in `nexus-bench {command} pointer_chase`; `nexus-bench list tasks` has all")
    if "," in task:
        first = task.split(",")[0].strip()
        raise UsageError(f"{command} takes one task, got {task}; write one command for each: `{command} {first}`")
    return task


def no_names(given: Given, *, command: str) -> Any:
    """Refuse words that are no settings.

    Raises:
        UsageError: There are some.
    """
    if given.names:
        raise UsageError(
            f"{command}: '{given.names[0]}' is no setting; write key=value, or see `nexus-bench {command} -h`"
        )


def split_commas(names: list[str] | None) -> list[str]:
    """Names given one by one or as a list with commas."""
    return [part for name in names or [] for part in name.split(",") if part]
