"""The notes under the tables of a report: sentences on how they came about and what they show."""

from collections.abc import Sequence

import pandas as pd

from nexus_bench.analysis.compare_models import BETTER, TOO_FEW, WORSE
from nexus_bench.analysis.intervals import seeds_needed
from nexus_bench.io.options import only
from nexus_bench.io.plurals import counted
from nexus_bench.report.tables import Names

VARIANT = ", variant "  # in the label of a model
_MOST_NAMED = 4  # pairs named in one sentence


def notes_of(
    names: Names,
    reach: pd.DataFrame,
    rising: dict[str, tuple[int, int]],
    pairs: pd.DataFrame,
    n_equal: int,
    *,
    has_grid: bool,
    varied: Sequence[str],
) -> list[str]:
    """What a reader must know about the trained setting.

    Args:
        names: The display names of models.
        reach: `summary.reach_by_model`.
        rising: `summary.still_rising`.
        pairs: `compare_models.model_pairs`.
        n_equal: How many pairs of equal size there are.
        has_grid: Whether a model had several recipes.
        varied: The options of these recipes that are not the same everywhere.
    """
    notes = common_notes(names)
    if has_grid:
        recipes = zip(reach["model"], reach["lr"], reach["recipe_options"], strict=True)
        chosen = "; ".join(f"{names.short[m]}: {_recipe(lr, options, varied)}" for m, lr, options in recipes)
        what = "Recipes (learning rate and options)" if varied else "Learning rates"
        notes.append(f"{what} chosen on validation: {chosen}.")
    elif reach["lr"].notna().any():
        rates = ", ".join(f"{rate:g}" for rate in reach["lr"].dropna().unique())
        notes.append(f"Learning rate {rates}.")
    for model, n_solved, seeds in zip(reach["model"], reach["n_solved"], reach["seeds"], strict=True):
        if n_solved:
            short = names.short[model]
            notes.append(f"{short}: {n_solved} of {len(seeds)} seeds stopped early because validation stayed solved.")
    went_on = [f"{names.short[model]}: {n} of {n_cells} seeds" for model, (n, n_cells) in rising.items() if n]
    if went_on:
        notes.append(f"Validation was still rising when training ended. {'; '.join(went_on)}.")
    if reach["n_failed"].any():
        notes.append("Failed cells are left out of every figure.")
    return notes + _verdicts(pairs, n_equal, names)


def common_notes(names: Names) -> list[str]:
    """Notes for every split: what all models share, and what variants are."""
    notes = [f"All models: {', '.join(names.common)}."] if names.common else []
    if any(VARIANT in label for label in names.short):
        notes.append(
            "Variants of a model differ in a version of their attention or of nexus-bench, or are several sets of "
            "answers that were scored under one name."
        )
    return notes


def modes_note(rows: pd.DataFrame) -> list[str]:
    """A note if cells were trained in several modes, as the same cell has other rounding in another mode.

    Args:
        rows: Rows of results.csv, of one section.
    """
    cells = rows.dropna(subset=["mode"]).drop_duplicates("cell_id")
    counts = cells["mode"].value_counts(sort=False)
    if len(counts) < 2:
        return []
    named = ", ".join(f"{mode} ({counted(int(n), 'cell')})" for mode, n in counts.items())
    return [f"Cells were trained in several modes: {named}."]


def _recipe(lr: float, options: object, varied: Sequence[str]) -> str:
    return f"lr={lr:g}, {only(options, varied)}" if varied else f"{lr:g}"


def _verdicts(pairs: pd.DataFrame, n_equal: int, names: Names) -> list[str]:
    """The outcome of the tests of a section. If seeds are too few: how many are needed, also for models of one size."""
    if pairs.empty:
        return []
    n_tests, needed = len(pairs), seeds_needed(len(pairs))
    tests = f"{n_tests} comparisons of hop reach" if n_tests > 1 else "one comparison of hop reach"
    told = pairs[pairs["verdict"] != TOO_FEW]
    notes = []
    if len(told):
        better = [
            f"{names.short[ours]} than {names.short[theirs]}"
            for ours, theirs in (
                (pair["model"], pair["baseline"]) if pair["verdict"] == BETTER else (pair["baseline"], pair["model"])
                for _, pair in told[told["verdict"].isin([BETTER, WORSE])].iterrows()
            )
        ]
        said = f"reaches further: {_listed(better)}" if better else "no model is shown to reach further"
        notes.append(f"By {tests} (exact paired test, Holm): {said}.")
    if len(told) < n_tests:
        fewest = int(pairs["n_seeds"].min())
        notes.append(
            f"No model is called better where fewer than {needed} seeds are paired: with so few, no outcome of {tests} "
            f"could differ significantly from chance (there {'are' if fewest != 1 else 'is'} {fewest}; train with "
            f"--seeds {max(needed, seeds_needed(n_equal))})."
        )
    return notes


def _listed(items: list[str]) -> str:
    more = f"; and {len(items) - _MOST_NAMED} more pairs" if len(items) > _MOST_NAMED else ""
    return "; ".join(items[:_MOST_NAMED]) + more
