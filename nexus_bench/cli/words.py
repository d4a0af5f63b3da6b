"""Words after a command: names, and settings as `key=value`; what has an option of its own can be given either way."""

import re
from typing import Annotated, NamedTuple, Optional

import typer

from nexus_bench.cli.choices import ATTENTIONS, tasks
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

_SETTING = re.compile(r"\+{0,2}[A-Za-z_][\w.-]*=")
_SECTION = re.compile(r"\+{0,2}((train|models?|tasks?)\.(?=\w))?")  # as Hydra writes train.steps=10 and +steps=10

_COUNTED = ("order", "seeds")  # several can be written as hop counts are: 1-3
_RANGE = re.compile(r"(?<![\d.e-])([0-9]+)-([0-9]+)(?![\d.-])")
_MOST_DIGITS = 4
_SPACED = re.compile(r"\s*[-+]?\.?\d[-+.eE\d]*(\s+[-+]?\.?\d[-+.eE\d]*)+\s*")


class NamesAndSettings(NamedTuple):
    """The words after a command, told apart.

    Attributes:
        names: The words that are no settings.
        settings: `key=value` texts, of words and of `--set`.
    """

    names: list[str]
    settings: list[str]


def is_setting(word: str) -> bool:
    """Whether a word is `key=value`."""
    return _SETTING.match(word) is not None


def without_section(setting: str) -> str:
    """A setting without what Hydra writes before its key, and with the key as it is written here."""
    key, equals, value = _SECTION.sub("", setting, count=1).partition("=")
    return key.replace("-", "_") + equals + value


def read_words(words: list[str] | None, settings: list[str] | None = None, **options: str | None) -> NamesAndSettings:
    """Tell names from settings.

    Args:
        words: The words after a command.
        settings: The values of `--set`.
        options: Options that are settings, such as `steps="10"`; None if not given.
    """
    named = [word for word in words or [] if not is_setting(word)]
    own = [without_section(word) for word in words or [] if is_setting(word)]
    told = [f"{key}={value}" for key, value in options.items() if value is not None]
    return NamesAndSettings(named, [_with_commas(setting) for setting in (*(settings or []), *own, *told)])


def _with_commas(setting: str) -> str:
    """A setting whose values are written as hop counts are, or with spaces, as a list with commas."""
    key, equals, value = setting.partition("=")
    if key in _COUNTED and len(found := _RANGE.findall(value)) and all(_in_range(*ends) for ends in found):
        value = _RANGE.sub(lambda ends: ",".join(map(str, range(int(ends[1]), int(ends[2]) + 1))), value)
    return key + equals + (",".join(value.split()) if _SPACED.fullmatch(value) else value)


def _in_range(first: str, last: str) -> bool:
    return len(last) <= _MOST_DIGITS and int(first) <= int(last)


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
        whole = f"{command} {found[0]}"
        if what == "suite":
            whole = _with_their_options(found, command)
        raise UsageError(
            f"give one {what}, got {' and '.join(found)}; write `nexus-bench {whole}`, and settings as key=value"
        )
    return found[0] if found else None


def _with_their_options(names: list[str], command: str) -> str:
    """A command with names that are not all of suites: those of tasks and attentions as options."""
    from nexus_bench.generators.base import GENERATORS

    known = set(GENERATORS.names())
    of_tasks = [name for name in names if set(name.split(",")) <= known]
    mechanisms = [name for name in names if set(name.split(",")) <= set(ATTENTIONS)]
    suites = [name for name in names if name not in (*of_tasks, *mechanisms)][:1]
    parts = [*suites, *(["--task", ",".join(of_tasks)] if of_tasks else [])]
    return " ".join([command, *parts, *(["--attention", ",".join(mechanisms)] if mechanisms else [])])


def one_task(names: list[str], option: str | None, *, command: str, default: str | None = None) -> str:
    """The task of a command that takes one.

    Raises:
        UsageError: There is none, or there are several.
    """
    task = one_name(names, option, what="task", command=command) or default
    if task is None:
        raise UsageError(f"name a task, as in `nexus-bench {command} pointer_chase`; `nexus-bench list tasks` has all")
    if "," in task:
        each = " and ".join(f"`nexus-bench {command} {name.strip()}`" for name in task.split(",") if name.strip())
        raise UsageError(f"{command} takes one task, got {task}; write one command for each: {each}")
    return task


def no_names(given: NamesAndSettings, *, command: str) -> None:
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
