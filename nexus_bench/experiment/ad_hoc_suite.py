"""A suite without a file: one that there is, with other tasks or other models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.manifest import MANIFEST
from nexus_bench.data.task import known_tasks, task_keys
from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.io.bundled import bundled, read_bundled
from nexus_bench.io.config import LONGEST_NAME, Config, read_config
from nexus_bench.io.hops import format_hops, parse_hops
from nexus_bench.io.read_results import SPEC, check_run, command_of, of_no_suite
from nexus_bench.io.seal import SEAL
from nexus_bench.model.spec import model_keys

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


def run_named(suite: str) -> Path | None:
    """The run folder that is named in the place of a suite; None if it is something else."""
    return Path(suite) if suite not in bundled("suite") and (Path(suite) / SPEC).is_file() else None


def find_suite(name_or_path: str) -> tuple[Config, str]:
    """The configuration of a suite, and its name in error messages.

    Args:
        name_or_path: A YAML file, a run folder, or a bundled name.

    Raises:
        ConfigError: There is none of that name, the YAML is wrong, or the run is one of `retrofit` or `pretrain`.
        CorruptArtefactError: It is a run folder that lacks its suite.
        UsageError: It is the name of something else.
    """
    if name_or_path.endswith((".yaml", ".yml")) or Path(name_or_path).is_file():
        return read_config(Path(name_or_path)), name_or_path
    if (home := run_named(name_or_path)) is not None:
        if (command := command_of(home)) is not None:
            raise of_no_suite(home, command)
        return read_config(home / SPEC), str(home / SPEC)
    if name_or_path not in bundled("suite") and (Path(name_or_path) / SEAL).is_file():
        check_run(Path(name_or_path))  # says that its suite is missing
    if (Path(name_or_path) / MANIFEST).is_file():
        raise UsageError(f"{name_or_path}: is a dataset; write `nexus-bench train --data {name_or_path}`")
    if "/" in name_or_path or "\\" in name_or_path:
        known = ", ".join(sorted(bundled("suite")))
        what = "neither a .yaml file nor a bundled name nor a run folder"
        raise ConfigError(f"suite '{name_or_path}' is {what}; known: {known}")
    _refuse_name_of_something_else(name_or_path)
    return read_bundled("suite", name_or_path), f"suite {name_or_path}"


def without_trained(entry: Config) -> Config:
    """An entry of `tasks` without the further hops that it trains on."""
    try:
        trained, further = parse_hops(entry["hops"]), parse_hops(entry["hop_ood"])
    except (KeyError, ConfigError):  # what is wrong is told when the entry is read
        return entry
    left = [hop for hop in further if hop not in trained]
    return entry if len(left) == len(further) else entry | {"hop_ood": left or None}


def no_longer_further(before: Config, after: Config) -> tuple[str, ...]:
    """What a user is told of further hops that `without_trained` left out.

    Args:
        before: The suite without the hop counts that were asked for.
        after: The suite with them.
    """
    told = (
        f"{new.get('task')}: further hops (hop_ood): {_hops(new)}; the suite has {_hops(old)}, of which some are "
        "trained now; hop_ood=HOPS asks for others"
        for old, new in zip(before["tasks"], after["tasks"], strict=True)
        if old.get("hop_ood") != new.get("hop_ood")
    )
    return tuple(dict.fromkeys(told))


def without_baseline(models: list[Config], attention: str | None) -> tuple[str, ...]:
    """What a user is told if orders were given, and so no baseline came along.

    Args:
        models: The models of the suite, as its configuration has them.
        attention: The attentions that were asked for, separated by commas.
    """
    names = names_in(attention)
    orders = [order for entry in models for order in _listed(entry.get("order"))]
    if not names or BASELINE in names or 1 in orders or all(order is None for order in orders):
        return ()
    return (f"no baseline is trained; attention={','.join([BASELINE, *names])} adds it",)


def _hops(entry: Config) -> str:
    further = entry.get("hop_ood")
    return "none" if further is None else format_hops(parse_hops(further))


def _refuse_name_of_something_else(suite: str) -> None:
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


def tell_whose_it_is(key: str, tasks: Sequence[Config], models: Sequence[Config]) -> None:
    """Refuse a setting that other tasks or attentions have than those of a suite.

    Raises:
        ConfigError: Others have it.
    """
    kinds = ((tasks, "task", known_tasks(), task_keys), (models, "attention", ATTENTIONS.names(), model_keys))
    for entries, kind, names, keys_of in kinds:
        if owners := [name for name in names if key in keys_of(name).own]:
            asked = ", ".join(dict.fromkeys(str(entry.get(kind)) for entry in entries))
            own = ", ".join(sorted(set().union(*(keys_of(name).own for name in asked.split(", ") if name in names))))
            has = f" (options: {own})" if own else ""
            raise ConfigError(
                f"{key} is not an option of {asked}{has}; omit it, or choose one that has it: {', '.join(owners)}"
            )
