"""The notes under the tables of a report: sentences on how they came about and what they show."""

from collections.abc import Mapping, Sequence

import pandas as pd

from nexus_bench.analysis.compare_models import BETTER, NOT_TESTED, TOO_FEW, WORSE, DeclaredPairs
from nexus_bench.analysis.intervals import seeds_needed
from nexus_bench.analysis.power import needs
from nexus_bench.analysis.select_recipes import Grid
from nexus_bench.io.columns import SCORED
from nexus_bench.io.hops import format_hops
from nexus_bench.io.options import only
from nexus_bench.io.plurals import counted, first_of, from_to
from nexus_bench.report.rows import VARIANT
from nexus_bench.report.tables import Names

AT_EDGE, RISING = "The best learning rate of", "Validation was still rising"  # how two notes begin
_MOST_NAMED = 4  # pairs named in one sentence
_ENOUGH = 50  # right guesses by chance, so that half of them is no accident


def notes_of(
    names: Names,
    reach: pd.DataFrame,
    grids: Mapping[str, Grid],
    rising: Mapping[str, tuple[int, int]],
    declared: DeclaredPairs,
    every: pd.DataFrame,
) -> list[str]:
    """What a reader must know about the trained setting.

    Args:
        names: The display names of models.
        reach: `summary.reach_by_model`.
        grids: Model -> the recipes that its own was chosen from.
        rising: `summary.still_rising`.
        declared: `compare_models.declared_pairs`.
        every: `compare_models.model_pairs`.
    """
    notes = common_notes(names)
    notes += _recipes(names, reach, grids)
    for model, n_solved, seeds in zip(reach["model"], reach["n_solved"], reach["seeds"], strict=True):
        if n_solved:
            short = names.short[model]
            notes.append(f"{short}: {n_solved} of {len(seeds)} seeds stopped early because validation stayed solved.")
    went_on = [f"{names.short[model]}: {n} of {n_cells} seeds" for model, (n, n_cells) in rising.items() if n]
    if went_on:
        notes.append(f"{RISING} when training ended. {'; '.join(went_on)}.")
    if reach["n_failed"].any():
        notes.append("Failed cells are left out of every figure.")
    return notes + _verdicts(declared, every, names)


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


def below_chance_note(rows: pd.DataFrame, names: Names, trained: Sequence[int]) -> list[str]:
    """A note if models are far below chance at hops on which they were not trained, or may not have been.

    Questions without choices have no chance, and no note.

    Args:
        rows: Rows of results.csv, of one section.
        names: The display names of models.
        trained: The hops of training; a curriculum may not have come to all of them.
    """
    measured = rows[(rows["status"] != SCORED) & rows["accuracy"].notna() & rows["chance"].notna()]
    is_sure = measured["hop"].isin(trained) & (measured["curriculum"].fillna("none") == "none")
    low: dict[str, list[int]] = {}
    for _, cells in measured[~is_sure].groupby(["model", "hop"], sort=False):
        first, chance = cells.iloc[0], cells["chance"].mean()
        if cells["accuracy"].mean() < chance / 2 and cells["n_examples"].sum() * chance >= _ENOUGH:
            low.setdefault(names.short[str(first["model"])], []).append(int(first["hop"]))
    if not low:
        return []
    listed = "; ".join(f"{name} at {format_hops((*hops,))} hop{'s' * (hops != [1])}" for name, hops in low.items())
    return [
        f"Less than half of chance: {listed}. Chance is a guess among the possible answers. A model falls below it "
        "where it gives the answer of another hop count, on which it was trained, or does not know which answers are "
        "possible."
    ]


def _recipes(names: Names, reach: pd.DataFrame, grids: Mapping[str, Grid]) -> list[str]:
    """The recipes, what they were chosen from and how, and which learning rates lie at an edge of their grid."""
    rows = reach[reach["lr"].notna()]
    rates = dict(zip(rows["model"], rows["lr"], strict=True))
    options = dict(zip(rows["model"], rows["recipe_options"], strict=True))
    if not any(grids[model].is_choice for model in rates):
        fixed = ", ".join(f"{rate:g}" for rate in dict.fromkeys(rates.values()))
        return [f"Learning rate {fixed}."] if fixed else []
    notes = []
    for grid in dict.fromkeys(grids[model] for model in rates):
        of_grid = [model for model in rates if grids[model] == grid]
        chosen = (f"{names.short[model]}: {_recipe(rates[model], options[model], grid)}" for model in of_grid)
        tried = ", ".join(f"{rate:g}" for rate in grid.rates)
        what = "Recipes (learning rate and options)" if grid.options else "Learning rates"
        others = f" of {counted(grid.n_tuning, 'other seed')}" if grid.n_tuning else ""
        notes.append(f"{what} chosen on validation{others} from {tried}: {'; '.join(chosen)}.")
        if grid.is_choice and grid.n_failed:
            lost = "; ".join(f"{grid.n_failed} of {names.short[model]}" for model in of_grid)
            last = "a recipe of which one fails comes after all others"
            if not grid.is_sure:
                last = "no recipe was without, so the choice says little"
            notes.append(f"Of the cells that choose, {lost} failed: {last}.")
        at_edge = [names.short[model] for model in of_grid if rates[model] in (grid.rates[0], grid.rates[-1])]
        if at_edge and len(grid.rates) > 1:
            notes.append(f"{AT_EDGE} {'; of '.join(at_edge)} lies at the edge of the grid: {tried}.")
    return notes


def _recipe(rate: float, options: object, grid: Grid) -> str:
    return f"lr={rate:g}, {only(options, grid.options)}" if grid.options else f"{rate:g}"


def _verdicts(declared: DeclaredPairs, every: pd.DataFrame, names: Names) -> list[str]:
    """The outcome of the tests of a section: of what was declared, and then, as exploration, of every pair."""
    notes = []
    if not declared.pairs.empty:
        n = len(declared.pairs)
        tests = f"{n} declared comparisons of hop reach" if n > 1 else "the one declared comparison of hop reach"
        how = f"Holm over {counted(declared.n_tests, 'setting')}, in their order" if declared.in_order else "Holm"
        notes += _outcome(declared.pairs, names, f"By {tests}", tests, n_tests=declared.n_tests, how=how)
    if declared.untested:
        notes.append(f"Declared, but not one model each in these results: {'; '.join(declared.untested)}.")
    if not every.empty:
        n = len(every)
        tests = f"{n} comparisons of hop reach" if n > 1 else "one comparison of hop reach"
        notes += _outcome(
            every, names, f"Exploration, not declared before training, by {tests}", tests, n_tests=n, how="Holm"
        )
    return notes


def _outcome(pairs: pd.DataFrame, names: Names, by: str, tests: str, *, n_tests: int, how: str) -> list[str]:
    """What one family of tests shows. If seeds are too few: how many are needed."""
    needed = seeds_needed(n_tests)
    pairs = pairs[pairs["verdict"] != NOT_TESTED]
    tested = pairs[pairs["verdict"] != TOO_FEW]
    notes = []
    if len(tested):
        better = [
            f"{names.short[ours]} than {names.short[theirs]}"
            for ours, theirs in (
                (pair["model"], pair["baseline"]) if pair["verdict"] == BETTER else (pair["baseline"], pair["model"])
                for _, pair in tested[tested["verdict"].isin([BETTER, WORSE])].iterrows()
            )
        ]
        said = (
            f"reaches further: {first_of(better, _MOST_NAMED, 'pairs')}"
            if better
            else "no model is shown to reach further"
        )
        notes.append(f"{by} (exact paired test, {how}): {said}.")
    if len(tested) < len(pairs):
        fewest, most = (int(count) for count in pairs.loc[pairs["verdict"] == TOO_FEW, "n_seeds"].agg(["min", "max"]))
        there_are = f"there {'is' if most == 1 else 'are'} {from_to(fewest, most)}"
        notes.append(
            f"{by}: no model is called better where fewer than {needed} seeds are paired. With so few, no outcome of "
            f"{tests} could differ significantly from chance ({there_are}; {needs(n_tests)})."
        )
    return notes
