"""A command line before it is parsed: an option or an argument that is said in another way becomes itself.

`order=2` is `--order 2`, `--run FOLDER` is the argument RUN, and no option of a list is given twice: only its last
would count. Of options with one value the last counts, as scripts that add to a line expect; an option and a `--set` of
its name are refused.
"""

import re
from collections.abc import Sequence
from typing import Any

from nexus_bench.cli.words import is_setting, without_section
from nexus_bench.errors import UsageError

_NUMBERS = re.compile(r"[-+]?\.?\d[-+.,eE\d]*")
_KEY = re.compile(r"[A-Za-z_][\w.]*")
_NO_OPTIONS = ("--suite",)  # as a setting it is the name of a run
_LISTS = ("TASKS", "NAMES", "ORDERS", "HOPS", "VALUES", "LENGTHS", "SEEDS")  # what stands for values of a list


def as_options(command: Any, arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, each in the one way that its parser knows.

    Args:
        command: The command, with its parameters.
        arguments: What is given to it.

    Raises:
        UsageError: An option of a list is given twice, an option is also a `--set`, or a setting or a list is written
            with spaces.
    """
    if list(arguments) == ["help"]:
        return ["--help"]
    options = {name: param for param in command.params if _is_option(param) for name in param.opts}
    named = {_option_of(param): param for param in command.params if not _is_option(param)}
    has_settings = "--set" in options
    said: list[str] = []
    given: dict[str, str] = {}  # an argument that was named -> its value
    values: dict[str, str] = {}  # an option -> its value
    settings: list[str] = []  # the values of `--set`
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            said += [word, *rest]
            break
        if has_settings:
            _refuse_spaces(word, rest)
            word = _as_option(word, options)
        name, value = _divided(word)
        if name in named and name not in options and (value is not None or rest):
            if name in given:
                raise UsageError(f"{name} is given twice; keep one")
            given[name] = rest.pop(0) if value is None else value
            continue
        said.append(word)
        option = options.get(name)
        if option is not None and not option.is_flag:
            if value is None and rest:
                value = rest.pop(0)
                said.append(value)
            if option.name in values and _is_list(option) and not option.multiple:
                raise UsageError(_twice(name, values[option.name], value or ""))
            values[option.name] = value or ""
            if name == "--set":
                settings.append(value or "")
        if has_settings and rest and _NUMBERS.fullmatch(rest[0]) and (_is_list(option) or is_setting(word)):
            raise UsageError(_with_commas(word if is_setting(word) else f"{name} {value}", rest))
    for setting in settings:
        _refuse_both(setting, options, values)
    first = list(named)[: len(given)]
    if given.keys() - set(first):
        raise UsageError(
            f"{max(given.keys() - set(first))} comes with {' and '.join(set(first) - given.keys())}; give both"
        )
    return [*(given[name] for name in first), *said]


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")


def _option_of(argument: Any) -> str:
    """The argument RUN as an option: --run."""
    word: str = argument.metavar or argument.name
    return "--" + word.strip("[]").lower()


def _divided(word: str) -> tuple[str, str | None]:
    """The name and the value of an option that is written as one word; of another word itself, and None."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return (word[:2], word[2:] or None) if word.startswith("-") else (word, None)


def _option_named(key: str, options: dict[str, Any]) -> str | None:
    """The option that says what a setting of this name would; None if there is none."""
    option = "--" + key.replace("_", "-")
    is_one = option in options and option not in _NO_OPTIONS and not options[option].is_flag
    return option if is_one else None


def _as_option(word: str, options: dict[str, Any]) -> str:
    if not is_setting(word):
        return word
    key, _, value = without_section(word).partition("=")
    option = _option_named(key, options)
    return word if option is None else f"{option}={value}"


def _is_list(option: Any) -> bool:
    return option is not None and option.metavar in _LISTS


def _refuse_both(setting: str, options: dict[str, Any], values: dict[str, str]) -> None:
    """Refuse a setting whose option is given as well."""
    option = _option_named(without_section(setting).partition("=")[0].strip(), options)
    if option is not None and options[option].name in values:
        raise UsageError(f"{option} {values[options[option].name]} and --set {setting} are both given; keep one")


def _twice(name: str, first: str, second: str) -> str:
    if first != second:
        return f"{name} is given twice; several values are written with commas: {name} {first},{second}"
    return f"{name} is given twice; keep one"


def _refuse_spaces(word: str, rest: list[str]) -> None:
    """Say how a setting is written, if it was with spaces or as YAML has it: `lr = 1e-3`, `steps: 10`."""
    following = rest[0] if rest else ""
    key, value = word.rstrip("=:"), ""
    if _KEY.fullmatch(word) and following.startswith("="):
        value = following.lstrip("=") or "".join(rest[1:2])
    elif word.endswith("=") and _NUMBERS.fullmatch(following):
        value = following
    elif word.endswith(":"):
        value = following
    elif ":" in word and _NUMBERS.fullmatch(word.partition(":")[2]):
        key, _, value = word.partition(":")
    if value and _KEY.fullmatch(key):
        raise UsageError(f"a setting is one word: write {key}={value}")


def _with_commas(begun: str, rest: list[str]) -> str:
    more = [begun]
    for word in rest:
        if not _NUMBERS.fullmatch(word):
            break
        more.append(word)
    return f"several values are written with commas: {','.join(word.strip(',') for word in more)}"
