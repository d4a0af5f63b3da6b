"""From results to a report: which rows belong to one section, and the tables, notes and figures of each section."""

from typing import NamedTuple

import pandas as pd

from nexus_bench.analysis.compare_models import matched_pairs, model_pairs
from nexus_bench.analysis.select_recipes import select_recipes
from nexus_bench.analysis.summary import (
    LENGTH,
    MODEL,
    RECIPE,
    SETTING,
    accuracy_by_hop,
    reach_by_model,
    steps_to_reach,
    still_rising,
)
from nexus_bench.errors import ConfigError
from nexus_bench.io.columns import COMPARISON_COLUMNS, HOP_OOD, SCORED, TEST, VAL
from nexus_bench.io.hops import parse_hops
from nexus_bench.io.options import only, varying, without
from nexus_bench.report import figures, tables
from nexus_bench.report.notes import VARIANT, common_notes, modes_note, notes_of
from nexus_bench.report.orders import series_of
from nexus_bench.report.plotting import Picture
from nexus_bench.report.tables import Table

_SAME_LAW = (TEST, HOP_OOD)  # splits of the trained size: their hops share one axis
_DATA = ("n_val", "n_test", "hop_query", "size_ood", "content_sha256")  # options of how a task is presented and split


class Section(NamedTuple):
    """Tables, notes and figures of one setting and split.

    Attributes:
        title: The task, its size and how models were trained.
        task: The task family.
        tables: The first is accuracy by hop.
        notes: What a reader must know to read the tables.
        pictures: The figures.
    """

    title: str
    task: str
    tables: list[Table]
    notes: list[str]
    pictures: list[Picture]


class Report(NamedTuple):
    """The whole report on some results.

    Attributes:
        title: Names the suites.
        sections: One per setting, and one per further split of it.
        accuracy: `summary.accuracy_by_hop` of every split but validation.
        reach: `summary.reach_by_model` of the test split.
        comparisons: `comparison.model_pairs` and `comparison.matched_pairs` of every setting.
    """

    title: str
    sections: list[Section]
    accuracy: pd.DataFrame
    reach: pd.DataFrame
    comparisons: pd.DataFrame


def build_report(results: pd.DataFrame, curves: pd.DataFrame) -> Report:
    """Summarise the rows of one or several results.csv.

    Args:
        results: Rows with every column of `columns.COLUMNS`; rows of the same cell are counted once.
        curves: Rows with every column of `columns.CURVE_COLUMNS`; may be empty.

    Raises:
        ConfigError: No row is of the test split, or two runs disagree on a cell.
    """
    results = _once(results)
    if not (results["split"] == TEST).any():
        raise ConfigError("a report shows the test split, of which these results have no row; read their results.csv")
    results = _with_variants(results)
    curves = curves.drop_duplicates(subset=["cell_id", "step", "hop"])
    labels = results.drop_duplicates("cell_id").set_index("cell_id")["model"]
    curves = curves.assign(model=curves["cell_id"].map(labels))
    rows = _beside_trained(select_recipes(_with_tried(results)))
    rows = rows[rows["split"] != VAL].assign(group=rows["split"].replace({HOP_OOD: TEST}))
    trained_size = results[results["split"] == VAL].drop_duplicates("cell_id").set_index("cell_id")["n_facts"]
    differ = _that_differ(rows)
    sections: list[Section] = []
    compared: list[pd.DataFrame] = []
    suffixes: list[str] = []  # of the figures of each section
    for _, part in rows.groupby([*SETTING, "group"], sort=False, dropna=False):
        tested = part[part["split"] == TEST]
        if tested.empty:
            split = str(part["split"].iloc[0])
            section = _further(part, f"{_named(part, differ)}, {split}, {_asked(part, trained_size)}")
        else:
            title = f"{_named(part, differ)}, {_asked(part, trained_size)}"
            pairs, equal = model_pairs(tested), matched_pairs(tested)
            setting = {name: tested.iloc[0][name] for name in SETTING}
            compared += [pairs.assign(kind="models", **setting), equal.assign(kind="matched", **setting)]
            steps = steps_to_reach(results[results["cell_id"].isin(tested["cell_id"])])
            of_these = curves[curves["cell_id"].isin(tested["cell_id"])]
            section = _main(part, title, pairs, equal, steps, of_these)
        split = "" if len(tested) else f"-{part['split'].iloc[0]}"
        n_alike = suffixes.count(split)
        suffixes.append(split)
        suffix = split + (f"_{n_alike + 1}" if n_alike else "")
        pictures = [picture._replace(name=picture.name + suffix) for picture in section.pictures]
        sections.append(section._replace(pictures=pictures))
    return Report(
        title=f"nexus-bench: {', '.join(dict.fromkeys(results['suite']))}",
        sections=sections,
        accuracy=accuracy_by_hop(rows),
        reach=reach_by_model(rows[rows["split"] == TEST]),
        comparisons=_typed(pd.concat(compared, ignore_index=True)),
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
    pairs: pd.DataFrame,
    equal: pd.DataFrame,
    steps: pd.DataFrame,
    curves: pd.DataFrame,
) -> Section:
    """The section of the trained setting."""
    tested = rows[rows["split"] == TEST]
    accuracy, reach = accuracy_by_hop(rows), reach_by_model(tested)
    names = tables.names_of(accuracy)
    made = [tables.staircase(accuracy, reach, names)]
    if not equal.empty:
        made.append(tables.matched(equal, names))
    if not pairs.empty:
        made.append(tables.comparisons(pairs, names))
    made.append(tables.efficiency(reach, names))
    if not steps.empty:
        made.append(tables.steps_to_95(steps, names))
    made.append(tables.every_seed(rows, names))
    series = series_of(tested, names.short)
    short_accuracy, short_reach = (frame.assign(model=frame["model"].map(names.short)) for frame in (accuracy, reach))
    pictures = [
        figures.accuracy_by_hop(short_accuracy, title=title, trained=_trained_hops(rows)),
        figures.order_by_hop(short_accuracy, series, title=title),
        figures.reach_by_order(short_reach, series, title=title, largest=int(tested["hop"].max())),
        figures.reach_by_cost(short_reach, title=title),
        figures.learning_curves(curves.assign(model=curves["model"].map(names.short)), title=title),
    ]
    has_grid = bool((tested["n_recipes"] > 1).any())
    varied = sorted({key for keys in tested["tried_options"] for key in keys.split()})
    notes = notes_of(names, reach, still_rising(curves), pairs, len(equal), has_grid=has_grid, varied=varied)
    notes += modes_note(tested)
    return Section(title, str(rows["task"].iloc[0]), made, notes, [p for p in pictures if p is not None])


def _further(rows: pd.DataFrame, title: str) -> Section:
    """The section of a split outside the training distribution."""
    accuracy = accuracy_by_hop(rows)
    names = tables.names_of(accuracy)
    made = [tables.staircase(accuracy, pd.DataFrame(), names), tables.every_seed(rows, names)]
    short = accuracy.assign(model=accuracy["model"].map(names.short))
    picture = figures.accuracy_by_hop(short, title=title, trained=_trained_hops(rows))
    return Section(title, str(rows["task"].iloc[0]), made, common_notes(names), [picture])


def _asked(rows: pd.DataFrame, trained_size: pd.Series) -> str:
    """The size of the task, how long models were trained on it, and the encoding."""
    first = rows.iloc[0]
    how = "evaluated at" if first["encoding"] == "text" else "trained on"
    trained = f"{how} hops {first['train_hops']}"
    sizes = trained_size[trained_size.index.isin(rows["cell_id"])].dropna().unique()
    if set(sizes) - {first["n_facts"]}:
        trained += f" with {', '.join(str(size) for size in sizes)} facts"
    length = "" if pd.isna(first["steps"]) else f", {first['steps']:,} steps of {first['batch_size']} graphs"
    if not pd.isna(first["reuse"]) and first["reuse"] != 1:
        length += f", each used {first['reuse']} times"
    return (
        f"{first['n_facts']} facts, vocabulary of {first['vocab_size']}, {trained}{length}, "
        f"{first['encoding']} encoding"
    )


def _trained_hops(rows: pd.DataFrame) -> tuple[int, ...]:
    first = rows.iloc[0]
    return () if first["encoding"] == "text" else parse_hops(first["train_hops"])


def _once(results: pd.DataFrame) -> pd.DataFrame:
    """Each cell once, also where several runs share it.

    Raises:
        ConfigError: The runs disagree on a cell.
    """
    same = ["cell_id", "split", "hop"]
    distinct = results.drop_duplicates([*same, "n_correct", "n_examples"])
    for _, row in distinct[distinct.duplicated(same)].iterrows():
        raise ConfigError(
            f"the runs disagree on cell {row['cell_id']} ({row['model']}, seed {row['seed']}), at hop {row['hop']} of "
            f"{row['split']}; report each by itself, and compare them with `nexus-bench compare`"
        )
    return results.drop_duplicates(same, ignore_index=True)


def _with_variants(results: pd.DataFrame) -> pd.DataFrame:
    """Models of the same name that are not the same are variants of it, not further seeds of one.

    They have another version of their attention, or other values where its defaults have changed since; or their cells
    differ in nothing but their cell_id.
    """
    models = [*SETTING, "model"]
    again = results.groupby([*SETTING, *MODEL, "attention_version", *RECIPE, "seed", "split", "hop"], dropna=False)
    told_apart = results.assign(again=again.cumcount())
    kind = told_apart.groupby([*SETTING, *MODEL, "attention_version", "again"], dropna=False, sort=False).ngroup()
    kinds = kind.groupby([results[name] for name in models], dropna=False, sort=False)
    variant = kinds.transform(lambda group: pd.factorize(group)[0]) + 1
    named = results["model"] + VARIANT + variant.astype("string")
    return results.assign(model=results["model"].where(kinds.transform("nunique") == 1, named))


def _with_tried(results: pd.DataFrame) -> pd.DataFrame:
    """With how many recipes each model has been trained, and the options in which these differ."""
    recipe = results.groupby(list(RECIPE), dropna=False).ngroup()
    models = results.groupby([*SETTING, "model"], dropna=False)
    differ = {number: " ".join(varying(rows["recipe_options"])) for number, (_, rows) in enumerate(models)}
    number = models.ngroup()
    return results.assign(
        n_recipes=recipe.groupby(number).transform("nunique"), tried_options=number.map(differ).fillna("")
    )


def _that_differ(rows: pd.DataFrame) -> dict[str, tuple[list[str], list[str]]]:
    """Task -> the columns and the options in which its sections differ, and which their titles do not show anyway."""
    differ = {}
    for task, of_task in rows.groupby("task", sort=False):
        columns = [n for n in ("task_version", "distractors", "n_queries") if of_task[n].nunique(dropna=False) > 1]
        differ[str(task)] = columns, varying(of_task["task_options"])
    return differ


def _named(rows: pd.DataFrame, differ: dict[str, tuple[list[str], list[str]]]) -> str:
    """The task of a section, and the values that tell it from other sections of this task."""
    first = rows.iloc[0]
    columns, keys = differ[str(first["task"])]
    parts = [str(first["task"]), *(f"{name}={first[name]}" for name in columns)]
    return ", ".join(parts + ([only(first["task_options"], keys)] if keys else []))


def _beside_trained(results: pd.DataFrame) -> pd.DataFrame:
    """Answers from elsewhere stand with the models trained on the same task; where there are none, by themselves."""
    is_external = results["status"] == SCORED
    own = ["encoding", "task_options", *LENGTH]
    same = [*(name for name in SETTING if name not in own), "task_itself"]
    results = results.assign(task_itself=results["task_options"].map(lambda text: without(text, _DATA)))
    settings = results.loc[~is_external, [*SETTING, "task_itself"]].drop_duplicates()
    external = results[is_external].merge(settings, on=same, how="left", suffixes=("", "_trained"))
    if external.empty:
        return results
    is_beside = external["encoding_trained"].notna()
    external.loc[is_beside, "model"] += " (text)"
    for name in own:
        external[name] = external[f"{name}_trained"].fillna(external[name])
    return pd.concat([results[~is_external], external[results.columns]], ignore_index=True)
