"""Datasets crossed with seeds: the section of models that were trained on several datasets with the same seeds."""

from typing import Any

import pandas as pd

from nexus_bench.analysis.crossed import Shares, variance_shares
from nexus_bench.analysis.summary import SETTING, reaches_of
from nexus_bench.io.options import option_values, without
from nexus_bench.report import tables
from nexus_bench.report.section import Section
from nexus_bench.report.words.notes import common_notes
from nexus_bench.report.words.section_titles import words_of

_DATASET = "content_sha256"  # the option that tells settings of stored datasets apart
_SHOWN = 8  # digits of it, as Git shows of a commit
_LEAST = 2  # datasets and seeds


def crossed_sections(rows: pd.DataFrame) -> list[Section]:
    """A section for each setting that was trained on at least two stored datasets with at least two seeds in common.

    Args:
        rows: Rows of the test split and of further hops, one recipe per model.
    """
    datasets = {text: option_values(text).get(_DATASET) for text in rows["task_options"].unique()}
    stored = rows.assign(dataset=rows["task_options"].map(datasets)).dropna(subset=["dataset"])
    alike = {text: without(text, [_DATASET]) for text in datasets}
    stored = stored.assign(task_options=stored["task_options"].map(alike))
    parts = [part for _, part in stored.groupby(list(SETTING), sort=False, dropna=False)]
    sections = [_section(part) for part in parts if part["dataset"].nunique() >= _LEAST]
    return [section for section in sections if section is not None]


def _section(rows: pd.DataFrame) -> Section | None:
    """The tables of one setting; None if no model has two seeds in common on two datasets."""
    names = tables.names_of(rows)
    key = ["model", "dataset", "seed"]
    cells = pd.DataFrame(
        {
            "reach": reaches_of(rows, key),
            "accuracy": rows.groupby(key, sort=False)["accuracy"].agg(lambda found: found.mean(skipna=False)),
        }
    ).reset_index()
    crossed = {label: cells[cells["model"] == label] for label in names.short}
    shares = {label: found for label, own in crossed.items() if (found := _shares(own)) is not None}
    if not shares:
        return None
    first = rows.iloc[0]
    title = (
        f"{first['task']}, datasets crossed with seeds, trained on hops {first['train_hops']}, "
        f"{first['steps']:,} steps of {first['batch_size']} {words_of(first)[1]}, {first['encoding']} encoding"
    )
    made = [_shares_table(shares, names), _cells_table({label: crossed[label] for label in shares}, names)]
    return Section(title, str(first["task"]), made, common_notes(names), [], _said(str(first["task"]), shares, names))


def _shares(cells: pd.DataFrame) -> Shares | None:
    """The shares of the variance of mean accuracy of one model, over the seeds that no dataset lacks.

    Datasets without any finished cell are left out. None if fewer than two datasets or seeds are left.
    """
    table = cells.pivot(index="dataset", columns="seed", values="accuracy").dropna(axis=0, how="all").dropna(axis=1)
    return variance_shares(table.to_numpy(dtype=float)) if min(table.shape) >= _LEAST else None


def _shares_table(shares: dict[str, Shares], names: tables.Names) -> tables.Table:
    rows = []
    for label, of in shares.items():
        told = [_percent(of.data), _percent(of.weights), _percent(of.rest)]
        told += [tables.number(value, 3) for value in (of.p_data, of.p_weights)]
        rows.append(names.row([label], [names.short[label], *told]))
    about = (
        "The variance between cells of accuracy, as a mean over the hops asked, in three parts: that of the dataset, "
        "its test split included; that of the seed, which fixes the weights and the order of the data; and what is "
        "left. The parts are the components of a two-way random model, estimated from the seeds that no dataset lacks. "
        "The p values are of F tests that the first or the second makes no difference, uncorrected. Dashes: all cells "
        "are equal."
    )
    columns = ["model", "dataset", "seed", "left", "p (dataset)", "p (seed)"]
    return tables.Table("crossed", "Variance by dataset and by seed", about, columns, rows, [])


def _cells_table(crossed: dict[str, pd.DataFrame], names: tables.Names) -> tables.Table:
    seeds = sorted({int(seed) for cells in crossed.values() for seed in cells["seed"]})
    rows = []
    for label, cells in crossed.items():
        for dataset, own in cells.groupby("dataset", sort=False):
            at = {int(cell["seed"]): cell for _, cell in own.iterrows()}
            told = [_cell(at.get(seed)) for seed in seeds]
            rows.append(names.row([label], [names.short[label], str(dataset)[:_SHOWN], *told]))
    about = (
        "Hop reach of every cell, and in brackets its accuracy as a mean over the hops asked. A row is a dataset, by "
        f"the first {_SHOWN} digits of its content hash; a column is a seed. A dash: not trained, or failed."
    )
    return tables.Table("crossed_cells", "Every cell", about, ["model", "dataset", *map(str, seeds)], rows, [])


def _said(task: str, shares: dict[str, Shares], names: tables.Names) -> str:
    each = [
        f"{names.short[label]} {_percent(of.data)} / {_percent(of.weights)} / {_percent(of.rest)}"
        for label, of in shares.items()
    ]
    return f"{task}: variance of mean accuracy by dataset / by seed / left: {'; '.join(each)}."


def _cell(cell: "pd.Series[Any] | None") -> str:
    return "-" if cell is None or pd.isna(cell["accuracy"]) else f"{cell['reach']} ({cell['accuracy']:.3f})"


def _percent(share: float) -> str:
    return "-" if pd.isna(share) else f"{share:.0%}"
