"""From results to a report: which rows belong to one section, and the tables, notes and figures of each section."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from nexus_bench.analysis.compare_models import (
    Declaration,
    DeclaredPairs,
    declared_pairs,
    matched_pairs,
    model_pairs,
    tested_in_order,
)
from nexus_bench.analysis.reached import seeds_reached
from nexus_bench.analysis.select_recipes import select_recipes, with_grids
from nexus_bench.analysis.summary import (
    REACHED,
    SETTING,
    accuracy_by_hop,
    reach_by_model,
    steps_to_reach,
    still_rising,
)
from nexus_bench.io.columns import COMPARISON_COLUMNS, HOP_OOD, SCORED, TEST, VAL
from nexus_bench.io.hops import parse_hops
from nexus_bench.report import pair_tables, tables
from nexus_bench.report.charts import figures
from nexus_bench.report.charts.palette import Palette, palette_of
from nexus_bench.report.charts.plotting import Picture
from nexus_bench.report.charts.task_drawing import task_pictures
from nexus_bench.report.crossed import crossed_sections
from nexus_bench.report.parameters import parameter_sections
from nexus_bench.report.rows import beside_trained, on_one_axis, told_apart
from nexus_bench.report.section import Section as Section
from nexus_bench.report.training_costs import training_costs
from nexus_bench.report.words.facts import Facts
from nexus_bench.report.words.finding import finding
from nexus_bench.report.words.notes import below_chance_note, common_notes, modes_note, notes_of
from nexus_bench.report.words.orders import series_of
from nexus_bench.report.words.section_titles import apart, asked, named, that_differ


class Report(NamedTuple):
    """The whole report on some results.

    Attributes:
        title: Names the suites.
        sections: One per setting, one per further split of it, one per parameter that varies between settings, and one
            for datasets that are crossed with seeds.
        accuracy: `summary.accuracy_by_hop` of every split but validation.
        reach: `summary.reach_by_model` of the test split, with the hops of `hop_ood` where there are some.
        reached: `reached.seeds_reached` of every split but validation.
        comparisons: The pairs of `compare_models` of every setting, with their kind.
        finding: What all of this comes to, in sentences, the most important first.
        examples: A drawn example of each task.
        provenance: Where the results come from and how to make them again, in sentences; empty if not known.
    """

    title: str
    sections: list[Section]
    accuracy: pd.DataFrame
    reach: pd.DataFrame
    reached: pd.DataFrame
    comparisons: pd.DataFrame
    finding: list[str]
    examples: list[Picture]
    provenance: Sequence[str] = ()


class _Pairs(NamedTuple):
    """The pairs of models of one setting: those that were declared, those of the same size, and all of them."""

    declared: DeclaredPairs
    equal: pd.DataFrame
    every: pd.DataFrame


def build_report(
    results: pd.DataFrame,
    curves: pd.DataFrame,
    declarations: Sequence[Declaration] = (),
    *,
    places: pd.DataFrame | None = None,
    by: Sequence[str] = (),
    timing: pd.DataFrame | None = None,
) -> Report:
    """Summarise the rows of one or several results.csv.

    Args:
        results: Rows with every column of `columns.COLUMNS`; rows of the same cell are counted once.
        curves: As `read_curves` gives them; may be empty.
        declarations: What the runs declare to compare.
        places: As `read_places` gives them; None is of runs without sequences.
        by: Parameters to show accuracy against; without them, every parameter of a task that varies.
        timing: Rows of timing.csv; without them nothing is said of seconds.

    Raises:
        ConfigError: No row is of the test split, or two runs disagree on a cell.
        UsageError: A parameter of `by` does not vary.
    """
    results = told_apart(results)
    rows = beside_trained(select_recipes(with_grids(results)))
    labels = results.drop_duplicates("cell_id").set_index("cell_id")["model"]
    curves = curves[curves["cell_id"].isin(rows["cell_id"])].drop_duplicates(subset=["cell_id", "step", "hop"])
    curves = curves.assign(model=curves["cell_id"].map(labels))
    rows = rows[rows["split"] != VAL].assign(group=rows["split"].replace({HOP_OOD: TEST}))
    trained_size = results[results["split"] == VAL].drop_duplicates("cell_id").set_index("cell_id")["n_facts"]
    differ = that_differ(rows)
    parts = [part for _, part in rows.groupby([*SETTING, "group"], sort=False, dropna=False)]
    of_test = {i: on_one_axis(part) for i, part in enumerate(parts) if (part["split"] == TEST).any()}
    found = tested_in_order([declared_pairs(declarations, shared, among=rows) for shared in of_test.values()])
    declared_of = dict(zip(of_test, found, strict=True))
    names = [tables.names_of(part, _tested_beside(part, rows)) for part in parts]
    palette = palette_of(short for of_part in names for short in of_part.short.values())
    sections: list[Section] = []
    facts: list[Facts] = []
    firsts: list[pd.Series] = []  # a row of each of the facts
    compared: list[pd.DataFrame] = []
    reached: list[pd.DataFrame] = []
    suffixes: list[str] = []  # of the figures of each section
    for i, part in enumerate(parts):
        tested = part[part["split"] == TEST]
        reached.append(seeds_reached(part))
        if tested.empty:
            split = str(part["split"].iloc[0])
            title = f"{named(part, differ)}, {split}, {asked(part, trained_size)}"
            section = _further(part, title, reached[-1], names[i], palette)
        else:
            title = f"{named(part, differ)}, {asked(part, trained_size)}"
            shared, declared = of_test[i], declared_of[i]
            pairs = _Pairs(declared, matched_pairs(shared), model_pairs(shared))
            setting = {name: tested.iloc[0][name] for name in SETTING}
            kinds = {"declared": pairs.declared.pairs, "models": pairs.every, "matched": pairs.equal}
            compared += [of_kind.assign(kind=kind, **setting) for kind, of_kind in kinds.items()]
            steps = steps_to_reach(results[results["cell_id"].isin(tested["cell_id"])])
            of_these = curves[curves["cell_id"].isin(tested["cell_id"])]
            section = _main(part, title, reached[-1], pairs, steps, of_these, names[i], palette)
            section = section._replace(timed=training_costs(tested, timing))
            facts.append(_facts(shared, reached[-1], declared, of_these))
            firsts.append(tested.iloc[0])
        split = "" if len(tested) else f"-{part['split'].iloc[0]}"
        n_alike = suffixes.count(split)
        suffixes.append(split)
        suffix = split + (f"_{n_alike + 1}" if n_alike else "")
        pictures = [*section.pictures, *_places(places, part, section.title, names[i], palette)]
        pictures = [picture._replace(name=picture.name + suffix) for picture in pictures]
        sections.append(section._replace(pictures=pictures))
    tested = rows[(rows["group"] == TEST) & (rows["status"] != SCORED)]
    sections += [*parameter_sections(tested, by), *crossed_sections(tested)]
    return Report(
        title=f"nexus-bench: {', '.join(dict.fromkeys(results['suite']))}",
        sections=sections,
        accuracy=accuracy_by_hop(rows),
        reach=reach_by_model(on_one_axis(rows)),
        reached=pd.concat(reached, ignore_index=True),
        comparisons=_typed(pd.concat(compared, ignore_index=True)),
        finding=finding(
            [one._replace(setting=where) for one, where in zip(facts, apart(firsts), strict=True)],
            by=[section.said for section in sections if section.said],
        ),
        examples=task_pictures(rows),
    )


def shown_cells(results: pd.DataFrame) -> set[str]:
    """The cells that a report of these results shows: those of the recipe that is best on validation."""
    return set(select_recipes(results)["cell_id"])


def _typed(comparisons: pd.DataFrame) -> pd.DataFrame:
    """All columns are present, even if no pair has the same size or there is no pair at all."""
    names = [column.name for column in COMPARISON_COLUMNS]
    return comparisons.reindex(columns=names).astype({column.name: column.dtype for column in COMPARISON_COLUMNS})


def _main(
    rows: pd.DataFrame,
    title: str,
    reached: pd.DataFrame,
    pairs: _Pairs,
    steps: pd.DataFrame,
    curves: pd.DataFrame,
    names: tables.Names,
    palette: Palette,
) -> Section:
    """The section of the trained setting."""
    tested = rows[rows["split"] == TEST]
    accuracy, reach = accuracy_by_hop(rows), reach_by_model(on_one_axis(rows))
    made = [tables.reached(reached, accuracy, reach, names), tables.staircase(accuracy, reach, names)]
    if not pairs.declared.pairs.empty:
        made.append(pair_tables.declared(pairs.declared, names))
    if not pairs.equal.empty:
        made.append(pair_tables.matched(pairs.equal, names))
    if not pairs.every.empty:
        made.append(pair_tables.comparisons(pairs.every, names))
    made.append(tables.efficiency(reach, names))
    if not steps.empty:
        made.append(tables.steps_to_95(steps, names))
    made.append(tables.every_seed(rows, names))
    series = series_of(tested, names.short)
    short_accuracy, short_reach = (frame.assign(model=frame["model"].map(names.short)) for frame in (accuracy, reach))
    pictures = [
        figures.reach_by_order(short_reach, series, palette, title=title, largest=int(rows["hop"].max())),
        _seeds_by_hop(reached, names, title),
        figures.accuracy_by_hop(short_accuracy, palette, title=title, trained=_trained_hops(rows)),
        figures.order_by_hop(short_accuracy, series, title=title),
        figures.reach_by_cost(short_reach, palette, title=title),
        figures.learning_curves(curves.assign(model=curves["model"].map(names.short)), _orders(names), title=title),
    ]
    grids = dict(zip(tested["model"], tested["grid"], strict=True))
    notes = notes_of(names, reach, grids, still_rising(curves), pairs.declared, pairs.every)
    notes += modes_note(tested) + below_chance_note(rows, names, _trained_hops(rows))
    return Section(title, str(rows["task"].iloc[0]), made, notes, [p for p in pictures if p is not None])


def _facts(rows: pd.DataFrame, counts: pd.DataFrame, declared: DeclaredPairs, curves: pd.DataFrame) -> Facts:
    """What the finding is made of, of the trained setting; what it is called is not known yet.

    Args:
        rows: Those of `on_one_axis`.
        counts: `reached.seeds_reached`.
        declared: `compare_models.declared_pairs`.
        curves: Rows of curve.csv of these cells.
    """
    names, reach = tables.names_of(rows), reach_by_model(rows)
    return Facts(
        task=str(rows["task"].iloc[0]),
        setting="",
        counts=counts,
        names=names,
        series=series_of(rows, names.short),
        declared=declared,
        n_failed=dict(zip(reach["model"], reach["n_failed"], strict=True)),
        rising=still_rising(curves),
        trained=_trained_hops(rows),
    )


def _tested_beside(part: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The tested rows of the settings of a part: with all models, of which further questions may ask some alone."""
    tested = rows[rows["split"] == TEST]
    setting = tested.groupby([*SETTING], sort=False, dropna=False).ngroup()
    return tested[setting.isin(setting[tested["cell_id"].isin(part["cell_id"])])]


def _places(
    places: pd.DataFrame | None, rows: pd.DataFrame, title: str, names: tables.Names, palette: Palette
) -> list[Picture]:
    """The figures of sequences of a section."""
    if places is None or places.empty:
        return []
    own = places.merge(rows[["cell_id", "split"]].drop_duplicates(), on=["cell_id", "split"])
    labels = rows.drop_duplicates("cell_id").set_index("cell_id")["model"].map(names.short)
    chance = dict(zip(rows["hop"].tolist(), rows["chance"].tolist(), strict=True))
    own = own.drop_duplicates(["cell_id", "split", "hop", "by", "first"]).assign(model=own["cell_id"].map(labels))
    return figures.accuracy_by_places(own, _orders(names), chance, palette, title=title)


def _seeds_by_hop(reached: pd.DataFrame, names: tables.Names, title: str) -> Picture | None:
    counts = reached[reached["threshold"] == REACHED]
    return figures.seeds_by_hop(counts.assign(model=counts["model"].map(names.short)), _orders(names), title=title)


def _orders(names: tables.Names) -> dict[str, int]:
    return {names.short[label]: order for label, order in names.orders.items()}


def _further(rows: pd.DataFrame, title: str, reached: pd.DataFrame, names: tables.Names, palette: Palette) -> Section:
    """The section of a split outside the training distribution."""
    accuracy = accuracy_by_hop(rows)
    made = [
        tables.reached(reached, accuracy, pd.DataFrame(), names),
        tables.staircase(accuracy, pd.DataFrame(), names),
        tables.every_seed(rows, names),
    ]
    short = accuracy.assign(model=accuracy["model"].map(names.short))
    drawn = [
        _seeds_by_hop(reached, names, title),
        figures.accuracy_by_hop(short, palette, title=title, trained=_trained_hops(rows)),
    ]
    notes = common_notes(names) + below_chance_note(rows, names, _trained_hops(rows))
    return Section(title, str(rows["task"].iloc[0]), made, notes, [p for p in drawn if p is not None])


def _trained_hops(rows: pd.DataFrame) -> tuple[int, ...]:
    first = rows.iloc[0]
    return () if first["encoding"] == "text" else parse_hops(first["train_hops"])
