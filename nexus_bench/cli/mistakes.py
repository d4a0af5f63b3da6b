"""What is said of a command line that cannot be read: one line, with the command that works."""

from collections.abc import Sequence
from typing import Any

from nexus_bench.cli.examples import EXAMPLES
from nexus_bench.errors import own_name

_MEANT = {  # commands that people expect -> what they are here
    "ci": "compare BASE NEW",
    "dashboard": "status RUN --watch",
    "datasets": "list tasks",
    "diff": "compare BASE NEW",
    "download": "gen TASK",
    "evaluate": "eval RUN",
    "gate": "compare BASE NEW",
    "generate": "gen TASK",
    "help": "-h",
    "ls": "runs",
    "models": "list attentions",
    "plot": "report RUN",
    "ps": "status RUN",
    "resume": "train SUITE",
    "run": "train SUITE",
    "sweep": "train --lr 1e-3,3e-3",
    "tasks": "list tasks",
    "version": "--version",
    "watch": "status RUN --watch",
}


_OMIT = "lists with commas span a grid, as lr=1e-3,3e-3; omit it"
_NOT_NEEDED = {  # options that people expect -> why there is none
    "--multirun": _OMIT,
    "-m": _OMIT,
    "--resume": "the same command goes on with what is not done; omit it",
}


def mistake(error: Any, arguments: Sequence[str]) -> str:
    """One line for an error of Typer.

    Args:
        error: The error.
        arguments: The command line.
    """
    context = getattr(error, "ctx", None)
    command = " ".join(context.command_path.split()[1:]) if context else _command_of(arguments)
    where = f"nexus-bench {command}".rstrip()
    said = error.format_message().rstrip(".")
    option = getattr(error, "option_name", None) or ""
    if option and context is not None and (hint := _meant(option, context.command, arguments)):
        return f"no option {option}; {hint}"
    unknown = context is not None and said.startswith("No such command")
    if unknown and (meant := _MEANT.get(next((word for word in arguments if f"'{word}'" in said), ""))):
        return f"{said.partition('. Did you')[0]}; write `nexus-bench {meant}`"
    if unknown or command not in EXAMPLES:
        return f"{said}; see `{where} -h`"
    example = next((line for line in EXAMPLES[command] if f"{option} " in line), EXAMPLES[command][0])
    return f"{said}; as in `nexus-bench {example}`; see `{where} -h`"


def _command_of(arguments: Sequence[str]) -> str:
    """The command that a command line begins with."""
    return next((name for n in (2, 1) if (name := " ".join(arguments[:n])) in EXAMPLES), "")


def _meant(option: str, command: Any, arguments: Sequence[str]) -> str | None:
    """What is written in the place of an option that is unknown: `--d-model 64`, `--layers 2`; None if nobody knows."""
    if option in _NOT_NEEDED:
        return _NOT_NEEDED[option]
    name, value = own_name(option.lstrip("-").replace("-", "_"))
    value = value or _value_of(option, arguments)
    options = {of_it: param for param in command.params for of_it in param.opts}
    here = "--" + name.replace("_", "-")
    if here in options:
        return f"write {here}" if options[here].is_flag else f"write {here} {value}"
    if "--set" in options and name in _known_settings():
        return f"it is a setting: write {name}={value}"
    return None


def _value_of(option: str, arguments: Sequence[str]) -> str:
    """The value that an option was given; VALUE if it was given none."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == option:
            return value if equals else "VALUE" if following.startswith("--") or not following else following
    return "VALUE"


def _known_settings() -> set[str]:
    from nexus_bench.attention.base import ATTENTIONS
    from nexus_bench.data.task import task_keys
    from nexus_bench.experiment.suite import taken_names
    from nexus_bench.generators.base import GENERATORS
    from nexus_bench.model.spec import model_keys

    of_tasks = (key for name in GENERATORS.own_names() for key in task_keys(name).all)
    of_models = (key for name in ATTENTIONS.own_names() for key in model_keys(name).all)
    return {*taken_names(), *of_tasks, *of_models}
