"""What is said of a command line that cannot be read: one line, with the command that works."""

from collections.abc import Sequence
from typing import Any

from nexus_bench.cli.examples import EXAMPLES

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


def mistake(error: Any, arguments: Sequence[str]) -> str:
    """One line for an error of Typer.

    Args:
        error: The error.
        arguments: The command line.
    """
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "nexus-bench"
    said = error.format_message().rstrip(".")
    command = " ".join(where.split()[1:])
    if name := getattr(error, "option_name", None):
        hint = _setting(name, context, arguments)
        if hint:
            return f"no option {name}; {hint}"
    unknown = context is not None and said.startswith("No such command")
    if unknown and (meant := _MEANT.get(next((word for word in arguments if f"'{word}'" in said), ""))):
        return f"{said.partition('. Did you')[0]}; write `nexus-bench {meant}`"
    if unknown or command not in EXAMPLES:
        return f"{said}; see `{where} -h`"
    return f"{said}; as in `nexus-bench {EXAMPLES[command][0]}`; see `{where} -h`"


def _setting(option: str, context: Any, arguments: Sequence[str]) -> str | None:
    """How a setting is written that was given as an option, such as `--d-model 64`; None if it is none."""
    takes_settings = context is not None and any("--set" in param.opts for param in context.command.params)
    if not takes_settings:
        return None
    key = option.lstrip("-").replace("-", "_")
    if key not in _known_settings():
        return None
    given = [word for word in arguments if word == option or word.startswith(f"{option}=")]
    value = "VALUE"
    if given and "=" in given[0]:
        value = given[0].partition("=")[2]
    elif given and list(arguments).index(given[0]) + 1 < len(arguments):
        value = list(arguments)[list(arguments).index(given[0]) + 1]
    return f"it is a setting: write {key}={value}"


def _known_settings() -> set[str]:
    from nexus_bench.attention.base import ATTENTIONS
    from nexus_bench.data.task import task_keys
    from nexus_bench.experiment.suite import taken_names
    from nexus_bench.generators.base import GENERATORS
    from nexus_bench.model.spec import model_keys

    of_tasks = (key for name in GENERATORS.own_names() for key in task_keys(name).all)
    of_models = (key for name in ATTENTIONS.own_names() for key in model_keys(name).all)
    return {*taken_names(), *of_tasks, *of_models}
