"""The explorations beside the reference study, and how their page writes what they show."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from nexus_bench.analysis.summary import reaches_of
from nexus_bench.io.columns import COLUMNS, TUNING
from nexus_bench.io.csv_files import read_csv
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "reference_study.md").read_text()
TEXT = " ".join(PAGE.split())  # so that a sentence may run over several lines
BESIDE = ROOT / "runs" / "beside"
SUITES = {"reference-wide": 468, "reference-flat": 160, "reference-lion": 84}
WIDE = ("pointer_chase", "ancestor", "kinship")
FLAT = ("pointer_chase", "path_query", "ancestor", "variable_chain")


@cache
def trained(folder: Path) -> pd.DataFrame:
    """The rows of a run, its models named as on the page: without what all models of the study share."""
    rows = read_csv(folder / "results.csv", COLUMNS)
    shared = r", (?:refine qk|curriculum adaptive|canon ACD|position rope|d_model 128|n_heads 4|flat)(?=,|$)"
    name = rows["model"].str.replace(shared, "", regex=True)
    return rows.assign(name=name.str.replace("delta_net.*", "DeltaProduct, tokens", regex=True))


@cache
def measured(folder: Path) -> pd.DataFrame:
    """The rows of the test split of the cells that were not trained to choose a rate."""
    rows = trained(folder)
    return rows[(rows["split"] == "test") & (rows["purpose"] != TUNING)]


def studied(task: str) -> pd.DataFrame:
    return measured(ROOT / "runs" / "reference" / task)


@cache
def beside(suite: str, task: str) -> pd.DataFrame:
    rows = measured(BESIDE / suite)
    return rows[rows["task"] == task]


def reaches(rows: pd.DataFrame, model: str) -> list[int]:
    """The hop reach of a model on each of its seeds."""
    return list(map(int, reaches_of(rows[rows["name"] == model], ["seed"])))


def reach(rows: pd.DataFrame, model: str) -> str:
    """Its mean, as the page writes it."""
    found = reaches(rows, model)
    return f"{sum(found) / len(found):.2f}"


def at(rows: pd.DataFrame, model: str, hop: int) -> float:
    """Mean accuracy of a model at one hop count."""
    return float(rows[(rows["name"] == model) & (rows["hop"] == hop)]["accuracy"].mean())


def rate(lr: float) -> str:
    return f"{lr:.0e}".replace("e-0", "e-")


def one(rows: pd.DataFrame, model: str, column: str) -> float:
    """What all cells of a model have in a column."""
    (value,) = rows[rows["name"] == model][column].unique()
    return float(value)


def costs(tables: Sequence[pd.DataFrame], model: str) -> str:
    """Parameters in thousands and GFLOP of a step, in the order of the families."""
    parameters = ", ".join(f"{one(rows, model, 'n_params') / 1e3:.0f}" for rows in tables)
    operations = ", ".join(f"{one(rows, model, 'flops_per_step') / 1e9:.1f}" for rows in tables)
    return f"{parameters} | {operations}"


def wide_row(tables: Sequence[pd.DataFrame], model: str) -> str:
    means = " | ".join(reach(rows, model) for rows in tables)
    rates = ", ".join(rate(one(rows, model, "lr")) for rows in tables)
    (n_seeds,) = {len(reaches(rows, model)) for rows in tables}
    return f"| {model} | {n_seeds} | {means} | {rates} | {costs(tables, model)} |"


def flat_row(tables: Sequence[pd.DataFrame], model: str) -> str:
    means = " | ".join(
        f"{reach(rows, model)} ({reach(studied(task), model)})" for rows, task in zip(tables, FLAT, strict=True)
    )
    rates = ", ".join(rate(one(rows, model, "lr")) for rows in tables)
    return f"| {model} | {means} | {rates} | {costs(tables, model)} |"


def lion_row(model: str) -> str:
    tables = [beside("reference-lion", "pointer_chase"), studied("pointer_chase")]
    told = (f"{reach(rows, model)} | {rate(one(rows, model, 'lr'))}" for rows in tables)
    return f"| {model} | {' | '.join(told)} | {costs(tables[:1], model)} |"


def page_says(sentence: str) -> None:
    assert sentence in TEXT, sentence


def rows_after(heading: str) -> list[str]:
    """The lines of the table under a heading of the page, without its head."""
    section = PAGE.split(f"### {heading}\n")[1].split("\n##")[0]
    return re.findall(r"^\|.*\|$", section, flags=re.MULTILINE)[2:]


def models(tables: Sequence[pd.DataFrame]) -> list[str]:
    return list(dict.fromkeys(name for rows in tables for name in rows["name"]))


def choices(suite: str) -> "pd.Series[float]":
    """The rate of every model in every family."""
    cells = measured(BESIDE / suite).drop_duplicates(["task", "name"])
    return cells.set_index(["task", "name"])["lr"]
