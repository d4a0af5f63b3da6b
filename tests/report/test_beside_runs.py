"""The explorations beside the reference study: whole, of the bundled suites, and in the tables of their page."""

import json

import pandas as pd
import pytest

from nexus_bench.analysis.summary import still_rising
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import with_chosen
from nexus_bench.io.columns import TUNING
from nexus_bench.io.record_seals import check_records
from tests.beside import (
    BESIDE,
    FLAT,
    SUITES,
    TEXT,
    WIDE,
    beside,
    choices,
    flat_row,
    lion_row,
    measured,
    models,
    one,
    page_says,
    rows_after,
    studied,
    trained,
    wide_row,
)
from tests.paths import ROOT
from tests.suites import select


def test_the_tables_of_the_page_are_those_of_the_runs() -> None:
    studies, wide = [studied(task) for task in WIDE], [beside("reference-wide", task) for task in WIDE]
    flat = [beside("reference-flat", task) for task in FLAT]
    shown = [line.split(" | ")[0][2:] for line in rows_after("Further models")[:9]]
    assert sorted(shown) == sorted(models(studies))
    assert rows_after("Further models") == [
        *(wide_row(studies, model) for model in shown),
        *(wide_row(wide, model) for model in models(wide)),
    ]
    assert rows_after("On tokens") == [flat_row(flat, model) for model in models(flat)]
    assert rows_after("Another optimiser") == [
        lion_row(model) for model in models([beside("reference-lion", "pointer_chase")])
    ]


def seeds_and_rates(rows: pd.DataFrame) -> tuple[int, int, int]:
    """Seeds that are measured, rates that were tried, and seeds that these were chosen on."""
    tuning = rows[rows["purpose"] == TUNING]
    return rows[rows["purpose"] != TUNING]["seed"].nunique(), tuning["lr"].nunique(), tuning["seed"].nunique()


def test_the_page_says_how_many_seeds_rates_and_hops_there_were() -> None:
    studies = [trained(ROOT / "runs" / "reference" / task) for task in WIDE]
    assert {seeds_and_rates(rows) for rows in studies} == {(12, 4, 2), (12, 5, 2)}
    wide, flat, lion = (trained(BESIDE / suite) for suite in SUITES)
    assert [seeds_and_rates(rows) for rows in (wide, flat, lion)] == [(4, 2, 1), (6, 2, 1), (6, 4, 2)]
    assert (
        [rows["hop"].max() for rows in studies] == [5, 4, 4] == [beside("reference-wide", t)["hop"].max() for t in WIDE]
    )
    page_says(
        "The upper nine models are those of the study, with its 12 seeds and 4 or 5 rates on two others; the models "
        "below have 4 seeds and 2 rates on one. Most that was asked: 5 hops of `pointer_chase`, 4 of the others."
    )
    assert sorted(flat["hop"].unique()) == [1, 2, 3] and {row.d_model for row in flat.itertuples()} == {64}
    assert [studied(task)["hop"].max() for task in FLAT] == [5, 3, 4, 5]
    page_says("hops 1-3, width 64, 6 seeds, two rates on one. Graphs are smaller than in the study; in brackets")
    page_says("on facts, where 5, 3, 4 and 5 hops were asked.")
    assert [f"{lr:g}" for lr in sorted(lion["lr"].unique())] == ["3e-05", "0.0001", "0.0003", "0.001"]
    page_says("rates from 3e-5 to 1e-3, chosen on two seeds. Lion has 6 seeds here, AdamW the 12 of the study.")


@pytest.mark.parametrize("suite", SUITES)
def test_every_exploration_is_whole_and_of_its_suite(suite: str) -> None:
    folder = BESIDE / suite
    check_records(folder)
    cells = trained(folder).drop_duplicates("cell_id")
    assert set(cells["cell_id"]) == {cell.cell_id for cell in with_chosen(select(suite), RunFolder(folder)).cells}
    assert (
        len(cells) == SUITES[suite] and set(cells["status"]) <= {"trained", "solved"} and set(cells["mode"]) == {"tf32"}
    )


def cells_by_gpu(suite: str) -> pd.DataFrame:
    """One row a cell, with its GPU."""
    gpus = [one["device"] for one in json.loads((BESIDE / suite / "env.json").read_text())["environments"]]
    timing = pd.read_csv(BESIDE / suite / "timing.csv.gz")[["cell_id", "environment"]]
    cells = trained(BESIDE / suite).drop_duplicates("cell_id").merge(timing, on="cell_id")
    return cells.assign(gpu=[gpus[int(which) - 1] for which in cells["environment"]])


def test_the_page_says_which_gpu_trained_how_many_cells() -> None:
    wide = cells_by_gpu("reference-wide")
    is_tuning, is_h200 = wide["purpose"] == TUNING, wide["gpu"] == "NVIDIA H200"
    assert (
        f"`reference-wide`: {(~is_h200).sum()} cells were trained on H100 and {is_h200.sum()} on H200; of those to "
        f"choose a rate all but {(is_tuning & is_h200).sum()} on H100, of the measured ones "
        f"{(~is_tuning & is_h200).sum()} of {(~is_tuning).sum()} on H200."
    ) in TEXT
    flat = cells_by_gpu("reference-flat")["gpu"].value_counts()
    assert f"({flat['NVIDIA H100 80GB HBM3']} cells on H100, {flat['NVIDIA H200']} on H200)" in TEXT
    assert set(cells_by_gpu("reference-lion")["gpu"]) == {"NVIDIA H200"} and "(all cells on H200)" in TEXT


def rising(suite: str) -> dict[str, int]:
    """By family, the measured cells that were still rising."""
    curves = pd.read_csv(BESIDE / suite / "curve.csv.gz")
    cells = measured(BESIDE / suite).drop_duplicates("cell_id")
    return {
        str(task): sum(n for n, _ in still_rising(curves[curves["cell_id"].isin(of_task["cell_id"])]).values())
        for task, of_task in cells.groupby("task")
    }


def test_the_page_says_which_rates_were_best_and_how_many_cells_were_still_rising() -> None:
    wide, flat, lion = map(choices, SUITES)
    n_rising = rising("reference-wide")
    assert f"1e-3 in {(wide == 1e-3).sum()} choices, 3e-3 in {(wide == 3e-3).sum()}." in TEXT
    assert len(wide) == (wide.isin([1e-3, 3e-3])).sum()
    narrow = [name for name in wide.index.unique("name") if name.startswith("standard, n_loops 3, inject, d_model")]
    assert len(narrow) == 2 and set(wide.loc[:, narrow]) == {3e-3}
    page_says(
        "All of three narrow loops are at 3e-3 and may come further above it; below 1e-3, where three layers were"
    )
    three = [one(studied(task), "standard, n_layers 3", "lr") for task in WIDE]
    assert sum(lr < 1e-3 for lr in three) == 2
    assert f"{sum(n_rising.values())} of 312 cells, {n_rising['kinship']} of them of `kinship`" in TEXT
    assert f"at 3e-3 in {(flat == 3e-3).sum()} of {len(flat)} choices" in TEXT and set(flat) == {1e-3, 3e-3}
    assert rising("reference-flat") == {"pointer_chase": 2} | dict.fromkeys(sorted(set(FLAT) - {"pointer_chase"}), 0)
    assert "still rising on 2 of 120 cells, both of order 3 on `pointer_chase`" in TEXT
    assert set(lion) == {1e-4} and rising("reference-lion") == {"pointer_chase": 1}
    assert "The best rate is 1e-4 for all, inside of the grid. Validation was still rising on 1 of 36 cells" in TEXT
