"""The size of a grid: its axes, its seeds, and how many cells it may span."""

import itertools
import math
from collections.abc import Container, Iterable
from typing import Any

from nexus_bench.errors import ConfigError
from nexus_bench.io.config import LARGEST, Config

MOST_CELLS = 100_000
WHOLE = ("hops", "hop_ood")  # lists of a task that are values, not axes


def grid_points(entry: Config, where: str, whole: Container[str] = ()) -> list[Config]:
    """Every combination of the values that are lists, except those in `whole`.

    Raises:
        ConfigError: A list is empty, or there are too many combinations.
    """
    axes = [v if isinstance(v, list) and k not in whole else [v] for k, v in entry.items()]
    for key, axis in zip(entry, axes, strict=True):
        if not axis:
            raise ConfigError(f"{where}: {key} is an empty list; give at least one value")
    check_size(n_points(entry, whole), where=where)
    return [dict(zip(entry, point, strict=True)) for point in itertools.product(*axes)]


def n_points(entry: Config, whole: Container[str] = ()) -> int:
    """The number of `grid_points`, without making them."""
    return math.prod(len(value) for key, value in entry.items() if isinstance(value, list) and key not in whole)


def with_recipe(entry: Config, train: Config) -> tuple[Config, Config]:
    """An entry of `tasks` without a recipe of its own, and the recipe of the suite with that."""
    return {key: value for key, value in entry.items() if key != "train"}, train | entry.get("train", {})


def n_cells(tasks: Iterable[tuple[Config, Config]], models: Iterable[Config], n_trials: int) -> int:
    """The number of cells that a suite spans, without making them.

    Args:
        tasks: Entries of `tasks`, each as `with_recipe` divides it.
        models: Entries of `models`, each with the values common to all models.
        n_trials: How often each of their combinations is trained: once per seed, without tuning.
    """
    n_tasks = sum(n_points(task, whole=WHOLE) * n_points(train) for task, train in tasks)
    return n_tasks * sum(n_points(model) for model in models) * n_trials


def check_size(n_cells: int, *, where: str) -> None:
    """Refuse a grid that is too large, before it is spanned.

    Raises:
        ConfigError: It has more than `MOST_CELLS` cells.
    """
    if n_cells > MOST_CELLS:
        raise ConfigError(f"{where}: a suite has at most {MOST_CELLS:,} cells, got {n_cells:,}; divide it")


def read_seeds(config: Config, *, where: str) -> list[int]:
    """The value of `seeds` of a suite: a count, or a list, whose order says nothing.

    Raises:
        ConfigError: It is neither, a seed is out of range, or is given twice.
    """
    seeds: Any = config.get("seeds", 1)
    if type(seeds) is int and 1 <= seeds <= MOST_CELLS:
        return list(range(seeds))
    if isinstance(seeds, list) and seeds and all(type(seed) is int and 0 <= seed <= LARGEST for seed in seeds):
        if len(set(seeds)) < len(seeds):
            raise ConfigError(f"{where}: seeds {seeds} contain a seed twice; remove one")
        return sorted(seeds)
    raise ConfigError(
        f"{where}: seeds must be a count from 1 to {MOST_CELLS}, or a list of integers from 0 to 2**63 - 1, "
        f"got {seeds!r}"
    )
