"""Of several recipes of a model (learning rates, weight decays), the one that reports show: the best on validation."""

from typing import Any, NamedTuple

import pandas as pd

from nexus_bench.analysis.summary import RECIPE, SETTING
from nexus_bench.io.columns import FAILED, SCORED, TUNING, VAL
from nexus_bench.io.options import varying

_MODEL = [*SETTING, "model"]


class Grid(NamedTuple):
    """The recipes that one was chosen from.

    Attributes:
        rates: The learning rates, ascending.
        options: The options of the recipe that were not the same everywhere.
        n_tuning: Seeds that were trained only to choose; 0 if the choice was made on the seeds that are shown.
        n_failed: Cells that choose and failed.
        is_sure: Whether a recipe was left of which no such cell failed.
    """

    rates: tuple[float, ...]
    options: tuple[str, ...]
    n_tuning: int
    n_failed: int
    is_sure: bool

    @property
    def is_choice(self) -> bool:
        """Whether there was more than one recipe."""
        return len(self.rates) > 1 or bool(self.options)


def is_tuning(results: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows are of cells that were trained only to choose a recipe."""
    return (results["purpose"] == TUNING).fillna(False).astype(bool)


def _apart(results: pd.DataFrame) -> pd.DataFrame:
    """The results without cells of tuning at seeds that are measured, as another run may have tuned with them."""
    tuning = is_tuning(results)
    measured = pd.MultiIndex.from_frame(results.loc[~tuning, [*_MODEL, "seed"]].drop_duplicates())
    shared = pd.MultiIndex.from_frame(results[[*_MODEL, "seed"]]).isin(measured)
    return results[~(tuning & shared)]


def select_recipes(results: pd.DataFrame) -> pd.DataFrame:
    """Keep, for every setting and model, the training recipe that is best on validation, with all of its splits.

    Where a suite is tuned, the cells trained for tuning choose, and only the measured ones are kept. A recipe of which
    a cell that chooses failed comes after those of which none did, the fewer failed the earlier. Test accuracy is never
    used, nor a tuning cell of a seed that is measured. Of equally good recipes the first in the order of the results is
    kept. Answers of other models have no recipe, and are all kept.
    """
    results = _apart(results)
    tuning = is_tuning(results)
    val = results[(results["split"] == VAL) & ~tuning]
    recipe = [*_MODEL, *RECIPE]
    scores = _scores(val, recipe)
    trials = _scores(results[(results["split"] == VAL) & tuning], recipe)
    tried = scores[recipe].merge(trials, on=recipe, how="left")
    scores = scores.where(tried["failed"].isna(), tried)
    scores = scores.sort_values(["failed", "accuracy"], ascending=[True, False], kind="stable")
    best = scores.drop_duplicates(_MODEL)
    chosen = val.merge(best[recipe], on=recipe)["cell_id"]
    return results[results["cell_id"].isin(chosen) | (results["status"] == SCORED)]


def _scores(val: pd.DataFrame, recipe: list[str]) -> pd.DataFrame:
    """Of each recipe the share of rows whose cells failed, and the mean accuracy of the others."""
    accuracy = val.groupby(recipe, sort=False, dropna=False)["accuracy"]
    failed = 1 - accuracy.count() / accuracy.size()
    return pd.DataFrame({"failed": failed, "accuracy": accuracy.mean()}).reset_index()


def with_grids(results: pd.DataFrame) -> pd.DataFrame:
    """The results with a further column `grid`: the `Grid` of the model, from all of its cells.

    Where another run measured what this one tuned with, a recipe may be left of which no cell of tuning counts.
    """
    results = _apart(results)
    tuning = is_tuning(results)
    grids: dict[Any, Grid] = {}
    for _, group in results.groupby(_MODEL, sort=False, dropna=False):
        trials = group[tuning[group.index]]
        choosing = group if trials.empty else trials
        failed = choosing.assign(is_lost=choosing["status"] == FAILED).groupby(list(RECIPE), dropna=False)["is_lost"]
        n_failed = choosing.loc[choosing["status"] == FAILED, "cell_id"].nunique()
        rates = tuple(sorted(float(rate) for rate in group["lr"].dropna().unique()))
        options = tuple(varying(group["recipe_options"]))
        grid = Grid(rates, options, int(trials["seed"].nunique()), n_failed, not failed.any().all())
        grids |= dict.fromkeys(group.index, grid)
    return results.assign(grid=pd.Series(grids, dtype=object))
