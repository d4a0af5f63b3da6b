"""Suites of two stages: every model is trained with every recipe on seeds of its own, then with the best of them.

The best is that of the largest validation accuracy, as a mean over hops and tuning seeds. Test examples, and the seeds
that are reported, have no part in the choice.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError, unknown_name
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.columns import COLUMNS, FAILED, VAL, Row
from nexus_bench.io.config import LARGEST, Config
from nexus_bench.io.csv_files import read_csv, rows_of
from nexus_bench.io.packed import is_there
from nexus_bench.model.spec import ModelSpec
from nexus_bench.training.spec import CellSpec, TrainSpec

# What neither makes another model nor another setting
TUNABLE = ("lr", "warmup_steps", "weight_decay", "clip_norm", "optimizer")
_MOST_SEEDS, _MOST_RECIPES = 10_000, 10_000
_WORST = -1.0  # of a recipe of which a cell failed


class Tuning(NamedTuple):
    """What is tried, and on which seeds."""

    values: list[Config]
    seeds: list[int]


class Choice(NamedTuple):
    """One model on one task, of whose recipes one is chosen.

    Attributes:
        trials: For each recipe, its cells on the tuning seeds.
    """

    trials: tuple[tuple[CellSpec, ...], ...]

    @property
    def cells(self) -> tuple[CellSpec, ...]:
        """The cells of all recipes, one recipe after the other."""
        return tuple(cell for trial in self.trials for cell in trial)


def choice_of(task: TaskSpec, model: ModelSpec, recipes: Sequence[TrainSpec], seeds: Sequence[int]) -> Choice:
    """One model on one task: its cells with each recipe, on each of these seeds."""
    return Choice(
        tuple(tuple(CellSpec(task=task, model=model, train=recipe, seed=seed) for seed in seeds) for recipe in recipes)
    )


def read_tuning(config: Config, seeds: Sequence[int], *, train: Config, where: str) -> Tuning | None:
    """The value of `tune` of a suite: lists of values of the recipe, and `seeds`, how many tuning seeds.

    Args:
        config: The configuration of the suite; without `tune`, or with false, nothing is tuned.
        seeds: The seeds of the suite; those of tuning follow the largest.
        train: The recipe of the suite.
        where: Name of the configuration in error messages.

    Raises:
        ConfigError: A key or value is not allowed.
    """
    tune: Any = config.get("tune")
    if tune is None or tune is False:
        return None
    if not isinstance(tune, dict) or not set(tune) - {"seeds"}:
        raise ConfigError(f"{where}: tune must be such as `{{lr: [1e-3, 3e-3], seeds: 2}}`, or false, got {tune!r}")
    values = {key: value for key, value in tune.items() if key != "seeds"}
    for key, value in values.items():
        if key not in TUNABLE:
            raise ConfigError(f"{where}: tune: {unknown_name('key', key, (*TUNABLE, 'seeds'))}")
        if not isinstance(value, list) or len(value) < 2:
            raise ConfigError(f"{where}: tune: {key} must be a list of two or more values, got {value!r}")
        if twice := [one for place, one in enumerate(value) if one in value[:place]]:
            raise ConfigError(f"{where}: tune: {key} holds {twice[0]!r} twice; remove one")
        if key in train:
            raise ConfigError(
                f"{where}: {key} is tuned, and given under train as well; omit it there, or set tune=false"
            )
    n_seeds = tune.get("seeds", 1)
    if type(n_seeds) is not int or not 1 <= n_seeds <= _MOST_SEEDS:
        raise ConfigError(f"{where}: tune: seeds must be a count from 1 to {_MOST_SEEDS}, got {n_seeds!r}")
    first = max(seeds) + 1
    if first + n_seeds > LARGEST:
        raise ConfigError(
            f"{where}: tune: its seeds follow the largest of the suite, {first - 1}; use smaller ones there"
        )
    n_points = math.prod(len(value) for value in values.values())
    if n_points > _MOST_RECIPES:
        raise ConfigError(f"{where}: tune: at most {_MOST_RECIPES:,} recipes can be tried, got {n_points:,}; omit some")
    points = [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]
    return Tuning(points, list(range(first, first + n_seeds)))


def chosen(choices: Sequence[Choice], folder: RunFolder) -> list[CellSpec] | None:
    """A cell of the best recipe of each choice; None as long as a tuning cell is neither done nor failed.

    Of equally good recipes the first is taken. One of which a cell failed counts as the worst.

    Raises:
        CorruptArtefactError: A record of the folder was edited.
    """
    cell_ids = [cell.cell_id for choice in choices for cell in choice.cells]
    validated = _validated(folder, cell_ids)
    if not all(cell_id in validated for cell_id in cell_ids):
        return None
    return [max(choice.trials, key=lambda trial: _mean(trial, validated))[0] for choice in choices]


def _mean(trial: Sequence[CellSpec], validated: Mapping[str, list[float]]) -> float:
    accuracies = [validated[cell.cell_id] for cell in trial]
    if not all(accuracies):
        return _WORST
    return math.fsum(itertools.chain(*accuracies)) / sum(len(by_hop) for by_hop in accuracies)


def _validated(folder: RunFolder, cell_ids: Sequence[str]) -> dict[str, list[float]]:
    """Cell id -> validation accuracy by hop; empty if the cell failed. Cells that are still to do are missing.

    A copy of a run without the records of its cells has the same in results.csv.
    """
    if not folder.cells.path.exists() and is_there(folder.results_csv):
        results = read_csv(folder.results_csv, COLUMNS)  # perhaps without rows
        known = results[results["cell_id"].isin(cell_ids)]
        return {str(cell_id): _accuracies(rows_of(rows)) for cell_id, rows in known.groupby("cell_id", sort=False)}
    done = {cell_id: folder.cells.record(cell_id)["rows"] for cell_id in cell_ids if folder.cells.finished(cell_id)}
    failed = [cell_id for cell_id in cell_ids if folder.cells.failure(cell_id) is not None]
    return {cell_id: [] for cell_id in failed} | {cell_id: _accuracies(rows) for cell_id, rows in done.items()}


def _accuracies(rows: Sequence[Row]) -> list[float]:
    return [row["n_correct"] / row["n_examples"] for row in rows if row["split"] == VAL and row["status"] != FAILED]
