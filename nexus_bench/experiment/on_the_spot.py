"""A suite without a file: one that there is, with other tasks or other models."""

from pathlib import Path
from typing import Any

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.task import known_tasks, task_keys
from nexus_bench.errors import UsageError
from nexus_bench.io.bundled import bundled
from nexus_bench.io.config import LONGEST_NAME, Config

BASELINE = "standard"


def changed(
    suite: Config, *, task: str | None, attention: str | None, has_order: bool, has_data: bool, is_default: bool
) -> Config:
    """A suite with the tasks and the attentions of a command line in the place of its own.

    A task or an attention that the suite has keeps its settings there; a task only if the suite was asked for. Without
    an order to say otherwise, the baseline is trained beside the attentions that are asked for.

    Args:
        suite: The configuration of the suite.
        task: Names of tasks, separated by commas; None keeps those of the suite.
        attention: Names of attentions, separated by commas; None keeps the models of the suite.
        has_order: Whether the attention orders are given: then no baseline is added.
        has_data: Whether a dataset will replace the tasks, and be named in the suite's name.
        is_default: Whether the suite was not asked for; then its name is used only where nothing else is.

    Raises:
        ConfigError: A task is unknown.
    """
    tasks, attentions = names_in(task), names_in(attention)
    for name in tasks:
        task_keys(name)  # it must be known before a name is made of it
    parts = [] if is_default and attentions and (tasks or has_data) else [str(suite.get("suite"))]
    name = "-".join([*parts, *tasks, *attentions]).replace("+", "-")  # of a hybrid
    suite = {key: value for key, value in suite.items() if key != "summary"} | {"suite": name[:LONGEST_NAME]}
    if tasks:
        suite |= {"tasks": [one for name in tasks for one in _entries({} if is_default else suite, "task", name)]}
    if attentions:
        if not has_order and BASELINE not in attentions:
            attentions.insert(0, BASELINE)
        models = [entry for name in attentions for entry in _entries(suite, "attention", name)]
        suite = {key: value for key, value in suite.items() if key not in ("comparisons", "matched")}
        suite |= {"models": models}
    return suite


def names_in(text: str | None) -> list[str]:
    """The names of a list with commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def suite_or_tasks(suite: str | None, task: str | None) -> tuple[str | None, str | None]:
    """The suite, and the tasks in the place of its own; names of tasks that are no suite are tasks.

    Raises:
        UsageError: Tasks are given in both ways.
    """
    if suite is None or suite in bundled("suite") or Path(suite).exists():
        return suite, task
    if not set(suite.split(",")) <= set(known_tasks()):
        return suite, task
    if task is not None:
        raise UsageError(f"'{suite}' and '{task}' are tasks; write `nexus-bench train --task {suite},{task}`")
    return None, suite


def refuse_name_of_something_else(suite: str) -> None:
    """Say how it is given, if the name of a suite is that of an attention.

    Raises:
        UsageError: It is.
    """
    if suite not in bundled("suite") and suite in ATTENTIONS.names():
        raise UsageError(f"'{suite}' is an attention; write `nexus-bench train --attention {suite}`")


def _entries(suite: Config, kind: str, name: str) -> list[Config]:
    """The entries of a suite for a task or an attention, also where it is one of a list, or a new one."""
    entries = suite.get("tasks" if kind == "task" else "models")
    entries = entries if isinstance(entries, list) else []
    of_name = [entry for entry in entries if isinstance(entry, dict) and name in _listed(entry.get(kind))]
    return [entry | {kind: name} for entry in of_name] or [{kind: name}]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
