"""A suite: the grid of cells that a YAML file or a command line spans.

A value written as a list is an axis of the grid. Cells come in a fixed order: tasks, then models, then training
recipes, then seeds.
"""

import itertools
from pathlib import Path
from typing import Any, NamedTuple

from nexus_bench.config import Config, bundled, check_name, read_bundled, read_config
from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.registry import unknown_name
from nexus_bench.spec import CellSpec, TrainSpec, make_model, make_task, model_keys, task_keys, validate

_KEYS = ("suite", "summary", "tasks", "model", "models", "train", "seeds")


class Suite(NamedTuple):
    """A named grid.

    Attributes:
        name: Also the name of the run folder.
        config: The configuration it was made from, as plain YAML data.
        cells: The cells in their fixed order.
    """

    name: str
    config: Config
    cells: tuple[CellSpec, ...]


def find_suite(name_or_path: str) -> tuple[Config, str]:
    """Read a suite's YAML by path or bundled name.

    Returns:
        The configuration, and what to call it in error messages.

    Raises:
        ConfigError: There is no such suite, or its YAML is invalid.
    """
    if name_or_path.endswith((".yaml", ".yml")) or Path(name_or_path).is_file():
        return read_config(Path(name_or_path)), name_or_path
    if "/" in name_or_path or "\\" in name_or_path:
        raise ConfigError(
            f"suite '{name_or_path}' is neither a .yaml file nor a bundled name; known: {', '.join(bundled('suite'))}"
        )
    return read_bundled("suite", name_or_path), f"suite {name_or_path}"


def apply_settings(config: Config, settings: Config) -> Config:
    """Override values of a suite, each by its own name wherever it stands.

    Args:
        config: The suite's configuration.
        settings: Names such as `steps`, `d_model`, `order`, `n_nodes`, `seeds`; a list is an axis.

    Returns:
        A changed copy.

    Raises:
        ConfigError: No part of the suite has a value of that name.
    """
    config = dict(config)
    tasks = [dict(entry) for entry in _entries(config, "tasks")]
    models = [dict(entry) for entry in _entries(config, "models")]
    known: set[str] = {"suite", "seeds"}
    for key, value in settings.items():
        homes: list[Config] = []
        if key in ("suite", "seeds"):
            homes = [config]
        if key in TrainSpec.model_fields:
            config["train"] = dict(_section(config, "train"))
            homes = [config["train"]]
        homes += [entry for entry in tasks if key in task_keys(str(entry.get("task"))).all]
        homes += [entry for entry in models if key in model_keys(str(entry.get("attention"))).all]
        if not homes:
            known.update(TrainSpec.model_fields)
            known.update(k for entry in tasks for k in task_keys(str(entry.get("task"))).all)
            known.update(k for entry in models for k in model_keys(str(entry.get("attention"))).all)
            raise ConfigError(f"--set: {unknown_name('key', key, known)}")
        for home in homes:
            home[key] = value
    return config | {"tasks": tasks, "models": models}


def make_suite(config: Config, *, where: str) -> Suite:
    """Validate a configuration and span its grid.

    Args:
        config: `suite`, `tasks`, `models`, and optionally `summary`, `model` (values common to all models),
            `train`, `seeds` (a count, or a list).
        where: What to name in an error message.

    Raises:
        ConfigError: Something in it is unknown, missing, not allowed, or spans the same cell twice.
    """
    for key in config:
        if key not in _KEYS:
            raise ConfigError(f"{where}: {unknown_name('key', key, _KEYS)}")
    name = check_name(config.get("suite"), what=f"{where}: suite")
    common = _section(config, "model")
    tasks = [
        make_task(point, where=where)
        for entry in _entries(config, "tasks", where)
        for point in _grid(entry, where, whole=("hops",))
    ]
    models = [
        make_model(point, where=where)
        for entry in _entries(config, "models", where)
        for point in _grid(common | entry, where)
    ]
    recipes = [
        validate(TrainSpec, point, where=f"{where}: train") for point in _grid(_section(config, "train", where), where)
    ]
    cells = tuple(
        CellSpec(task=task, model=model, train=recipe, seed=seed)
        for task, model, recipe, seed in itertools.product(tasks, models, recipes, _seeds(config, where))
    )
    seen: set[str] = set()
    for cell in cells:
        if cell.run_id in seen:
            raise ConfigError(f"{where}: the grid holds the same cell twice: {cell.title}; remove one")
        seen.add(cell.run_id)
    return Suite(name, config, cells)


def adhoc_config(*, task: str | None, attention: str | None) -> Config:
    """A suite for a command line without YAML: one task, one attention.

    Raises:
        UsageError: Only one of the two is given.
    """
    if task is None or attention is None:
        missing = "--task" if task is None else "--attention"
        raise UsageError(f"without a suite, give both --task and --attention; {missing} is missing")
    return {"suite": f"{task}-{attention}", "tasks": [{"task": task}], "models": [{"attention": attention}], "seeds": 3}


def _grid(entry: Config, where: str, whole: tuple[str, ...] = ()) -> list[Config]:
    """Every combination of the values that are lists, except those in `whole`."""
    axes = [v if isinstance(v, list) and k not in whole else [v] for k, v in entry.items()]
    for key, axis in zip(entry, axes, strict=True):
        if not axis:
            raise ConfigError(f"{where}: {key} is an empty list; give at least one value")
    return [dict(zip(entry, point, strict=True)) for point in itertools.product(*axes)]


def _entries(config: Config, key: str, where: str = "suite") -> list[Config]:
    entries = config.get(key)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{where}: {key} must be a list of entries, each beginning with `- {key[:-1]}: ...`")
    return entries


def _section(config: Config, key: str, where: str = "suite") -> Config:
    section = config.get(key, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{where}: {key} must hold `key: value` lines, got {section!r}")
    return section


def _seeds(config: Config, where: str) -> list[int]:
    seeds: Any = config.get("seeds", 1)
    if type(seeds) is int and seeds >= 1:
        return list(range(seeds))
    if isinstance(seeds, list) and seeds and all(type(seed) is int and seed >= 0 for seed in seeds):
        return seeds
    raise ConfigError(f"{where}: seeds must be a count of 1 or more, or a list of integers from 0, got {seeds!r}")
