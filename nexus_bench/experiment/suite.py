"""A suite: the grid of cells that a YAML file or a command line spans.

A value written as a list is an axis of the grid. Cells come in a fixed order: tasks, then models, then training
recipes, then seeds. A task can have values of the recipe of its own, under `train` in its entry. A suite that is tuned
begins with the cells of tuning; those of the best recipes follow once these are done (`tuning.py`).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from nexus_bench.analysis.declared import check_declared, read_declared
from nexus_bench.data.manifest import read_manifest, spec_of
from nexus_bench.data.task import TaskSpec, make_task, task_keys
from nexus_bench.errors import ConfigError, UsageError, unknown_name
from nexus_bench.experiment.ad_hoc_suite import changed, find_suite, suite_or_tasks, tell_whose_it_is, without_trained
from nexus_bench.experiment.grid import WHOLE, check_size, grid_points, n_cells, read_seeds, with_recipe
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.tuning import Choice, Tuning, choice_of, chosen, read_tuning
from nexus_bench.io.columns import MEASURED, TUNING
from nexus_bench.io.config import LONGEST_NAME, NOT_IN_NAMES, Config, check_name
from nexus_bench.io.entries import Keys, validate
from nexus_bench.io.read_results import command_of, of_no_suite
from nexus_bench.model.build import models_by_shape
from nexus_bench.model.matching import with_baselines
from nexus_bench.model.spec import ModelSpec, model_keys
from nexus_bench.training.spec import CellSpec, TrainSpec
from nexus_bench.training.titles import titles_of

_KEYS = ("suite", "summary", "tasks", "model", "models", "train", "tune", "seeds", "matched", "comparisons")
_SETTABLE = {"suite", "tune", "seeds", "matched", "comparisons"}  # keys that are values by themselves
_BESIDES = {"task", "attention", "data", "out", "device", "mode", "executor", "workers"}  # what `train` takes, too


class Suite(NamedTuple):
    """A named grid.

    Attributes:
        name: Name of the suite, and of its run folder.
        config: The configuration it was made from, as plain YAML data.
        cells: The cells in their fixed order; of a suite that is tuned first those of tuning, then, once the recipes
            are chosen, those that are measured.
        seeds: The seeds that are measured.
        choices: Of a suite that is tuned: the recipes to choose from, for each task and model.
        notes: What a user is told of it before training.
        asked: The seeds to train now; what others have is kept as it is. None: all.
    """

    name: str
    config: Config
    cells: tuple[CellSpec, ...]
    seeds: tuple[int, ...]
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()
    asked: tuple[int, ...] | None = None

    @property
    def titles(self) -> dict[str, str]:
        """The title of every cell, by cell_id."""
        return titles_of(self.cells)

    @property
    def purposes(self) -> dict[str, str]:
        """Cell id -> `tuning` or `measured`, in the order of the cells."""
        measured = set(self.seeds)
        return {cell.cell_id: MEASURED if cell.seed in measured else TUNING for cell in self.cells}

    @property
    def n_later(self) -> int:
        """How many cells follow once the recipes are chosen."""
        is_chosen = MEASURED in self.purposes.values()
        return 0 if is_chosen else len(self.choices) * len(self.seeds)


class Selected(NamedTuple):
    """A configuration, and its name in error messages."""

    config: Config
    where: str


def select_suite(
    suite: str | None, *, task: str | None, attention: str | None, data: Path | None, settings: Config
) -> Selected:
    """The configuration that a command line selects.

    Args:
        suite: A YAML path, a bundled name, a run folder, or tasks; None means `quick`.
        task: Tasks in the place of those of the suite, separated by commas.
        attention: Attentions in the place of the models of the suite, separated by commas (`ad_hoc_suite.py`).
        data: A dataset folder that replaces the tasks of the suite.
        settings: Overrides, for `apply_settings`.

    Raises:
        ConfigError: A name, a key or the YAML is wrong.
        CorruptArtefactError: The dataset's manifest is missing, truncated or edited.
        UsageError: The options contradict each other.
    """
    suite, task = suite_or_tasks(suite, task)
    if data is not None and (task or "hops" in settings):
        raise UsageError("--data determines task and hops; omit --task and --hops")
    config, where = find_suite(suite or "quick")
    if task or attention:
        where = "train"
        given = {"has_order": "order" in settings, "has_data": data is not None, "is_default": suite is None}
        config = changed(config, task=task, attention=attention, **given)
    if data is not None:
        config = _on_dataset(config, data)
    return Selected(apply_settings(config, settings, where), where)


def apply_settings(config: Config, settings: Config, where: str = "suite") -> Config:
    """Override values of a suite by name, wherever they are.

    Args:
        config: The configuration of the suite.
        settings: Names such as `steps`, `d_model`, `order`, `n_nodes`, `seeds`; a list is an axis.
        where: Name of the configuration in error messages.

    Returns:
        A changed copy, without the summary of the suite; further hops that are trained now are left out.

    Raises:
        ConfigError: No part of the suite has a value of that name.
    """
    if not settings:
        return config
    config = {k: dict(value) if isinstance(value, dict) else value for k, value in config.items() if k != "summary"}
    tasks = [dict(entry) for entry in _entries(config, "tasks", where)]
    models = [dict(entry) for entry in _entries(config, "models", where)]
    config |= {"tasks": tasks, "models": models, "train": dict(_section(config, "train", where))}
    homes = [(config, _SETTABLE), (config["train"], set(TrainSpec.model_fields))]
    for entry in (entry for entry in tasks if "train" in entry):
        entry["train"] = dict(_section(entry, "train", where))
        homes.append((entry["train"], set(entry["train"])))  # else its own value would stay
    homes += [(entry, _keys(entry, "task", task_keys)) for entry in tasks]
    homes += [(entry, _keys(entry, "attention", model_keys)) for entry in models]
    for key, value in settings.items():
        found = [home for home, keys in homes if key in keys]
        if not found:
            tell_whose_it_is(key, tasks, models)
            known = set().union(*(keys for _, keys in homes)) - {"content_sha256"}  # which is not for people
            raise ConfigError(unknown_name("setting", key, known | _BESIDES))
        for home in found:
            home[key] = value
    if "hops" in settings and "hop_ood" not in settings:
        config["tasks"] = [without_trained(entry) for entry in tasks]
    return config


def taken_names() -> set[str]:
    """The names by which `--set` finds what is no parameter of a task: of suites, models and recipes."""
    return {*_KEYS, *_SETTABLE, *ModelSpec.model_fields, *TrainSpec.model_fields}


def make_suite(config: Config, where: str) -> Suite:
    """Validate a configuration and span its grid.

    Args:
        config: `suite`, `tasks`, `models`, and optionally `summary`, `model` (values common to all models),
            `train`, `tune` (values of the recipe to choose from), `seeds` (a count, or a list), `matched` (true: add
            the baselines of `matching.with_baselines`), `comparisons` (those that the suite is about). `train` in an
            entry of `tasks` has the values of the recipe that are others for this task.
        where: Name of the configuration in error messages.

    Raises:
        ConfigError: Something in it is unknown, missing, not allowed, or spans the same cell twice.
    """
    for key in config:
        if key not in _KEYS:
            raise ConfigError(f"{where}: {unknown_name('key', key, _KEYS)}")
    if "suite" not in config:
        raise ConfigError(f"{where}: suite is missing; it names the run")
    if not isinstance(summary := config.get("summary", ""), str):
        raise ConfigError(f"{where}: summary must be one line of text, got {summary!r}")
    name = check_name(config["suite"], what=f"{where}: suite")
    common = _section(config, "model", where)
    seeds = read_seeds(config, where=where)
    entries = {key: _entries(config, key, where) for key in ("tasks", "models")}
    trained = [_trained(config, entry, where) for entry in entries["tasks"]]
    tuning = read_tuning(config, seeds, train={k: v for one in trained for k, v in one.train.items()}, where=where)
    n_trials = len(seeds) + (len(tuning.values) * len(tuning.seeds) if tuning else 0)
    of_models = [common | entry for entry in entries["models"]]
    size = n_cells([(one.task, one.train) for one in trained], of_models, n_trials)
    check_size(size, where=where)  # before it is spanned
    points = [point for entry in of_models for point in grid_points(entry, where)]
    tasks = [
        (make_task(point, where=where), _recipes(one, tuning))
        for one in trained
        for point in grid_points(one.task, where, whole=WHOLE)
    ]
    has_baselines = config.get("matched", False)
    if type(has_baselines) is not bool:
        raise ConfigError(f"{where}: matched must be true or false, got {has_baselines!r}")
    models_of = models_by_shape(points, [task for task, _ in tasks], where=where)

    def models_for(task: TaskSpec) -> Sequence[ModelSpec]:
        models = models_of[task.law().schema.is_sequence]
        return with_baselines(models, task) if has_baselines else models

    choices = tuple(
        choice_of(task, model, to_try, tuning.seeds if tuning else seeds)
        for task, recipes in tasks
        for model in models_for(task)
        for to_try in recipes
    )
    cells = tuple(cell for choice in choices for cell in choice.cells)
    seen: set[str] = set()
    for cell in cells:
        if cell.cell_id in seen:
            raise ConfigError(f"{where}: the grid holds the same cell twice: {cell.title}; remove one")
        seen.add(cell.cell_id)
    declared = read_declared(config.get("comparisons"), where=where)
    for task, _ in tasks if declared.asked else ():
        check_declared(declared, list(dict.fromkeys(cell.label for cell in cells if cell.task == task)), where=where)
    return Suite(name, config, cells, tuple(seeds), choices if tuning else ())


def with_chosen(suite: Suite, folder: RunFolder) -> Suite:
    """The suite with the cells that are measured, if its folder tells which recipes are the best.

    Raises:
        CorruptArtefactError: A record of the folder was edited.
    """
    best = chosen(suite.choices, folder) if suite.choices else None
    if best is None:
        return suite
    tuning = tuple(cell for choice in suite.choices for cell in choice.cells)
    measured = tuple(
        CellSpec(task=cell.task, model=cell.model, train=cell.train, seed=seed) for cell in best for seed in suite.seeds
    )
    return suite._replace(cells=tuning + measured)


def suite_of(folder: RunFolder) -> Suite:
    """The suite of a run folder, with the recipes that were chosen there.

    Raises:
        ConfigError: It is not one for this version, or the run is one of `retrofit` or `pretrain`.
        CorruptArtefactError: spec.yaml or a record of it was edited.
        StorageError: It is not a run folder.
    """
    spec = folder.read_spec()
    if (command := command_of(folder.path)) is not None:
        raise of_no_suite(folder.path, command)
    return with_chosen(make_suite(spec, where=str(folder.path / "spec.yaml")), folder)


def _on_dataset(config: Config, folder: Path) -> Config:
    manifest = read_manifest(folder)
    task = spec_of(manifest).model_dump(mode="json", exclude={"params", "content_sha256"}) | manifest["params"]
    suffix = f"-{NOT_IN_NAMES.sub('-', folder.resolve().name)}"
    name = str(config.get("suite")).removesuffix(suffix) + suffix
    return config | {"suite": name[:LONGEST_NAME], "tasks": [task | {"content_sha256": manifest["content_sha256"]}]}


class _Trained(NamedTuple):
    """An entry of `tasks` without its `train`, the recipe of the suite with that, and its name in error messages."""

    task: Config
    train: Config
    where: str


def _trained(config: Config, entry: Config, where: str) -> _Trained:
    train = _section(config, "train", where)
    if "train" in entry:
        where = f"{where}: {entry.get('task')}"
        _section(entry, "train", where)
    return _Trained(*with_recipe(entry, train), f"{where}: train")


def _recipes(one: _Trained, tuning: Tuning | None) -> list[list[TrainSpec]]:
    """The recipes of a task, and of each those to choose from."""
    values = tuning.values if tuning else [{}]
    points = grid_points(one.train, one.where)
    return [[validate(TrainSpec, point | value, where=one.where) for value in values] for point in points]


def _keys(entry: Config, kind: str, keys_of: Callable[[str], Keys]) -> set[str]:
    """The keys that can be set in an entry, whose name can itself be an axis."""
    names = entry.get(kind)
    return {key for name in (names if isinstance(names, list) else [names]) for key in keys_of(str(name)).all}


def _entries(config: Config, key: str, where: str) -> list[Config]:
    entries = config.get(key)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{where}: {key} must be a list of entries, each beginning with `- {key[:-1]}: ...`")
    return entries


def _section(config: Config, key: str, where: str) -> Config:
    section = config.get(key, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{where}: {key} must hold `key: value` lines, got {section!r}")
    return section
