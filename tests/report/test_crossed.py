"""Datasets crossed with seeds: a section where the same seeds were trained on several datasets, and nowhere else."""

import pandas as pd
import pytest

from nexus_bench.report.build import build_report
from nexus_bench.report.crossed import crossed_sections
from tests.made import curve, table

# Of order 2: accuracy at 2 hops on each dataset (row) at each seed (column)
ON = {"0a" * 16: [1.0, 0.2], "1b" * 16: [1.0, 0.4], "2c" * 16: [0.9, 0.2]}


def crossed(*, datasets: dict[str, list[float]] = ON) -> pd.DataFrame:
    parts = []
    for number, (dataset, accuracies) in enumerate(datasets.items()):
        cells = [("nexus, order 2", 0.1, seed, {1: 1.0, 2: value}) for seed, value in enumerate(accuracies)]
        cells += [("standard", 0.1, seed, {1: 1.0, 2: 0.1}) for seed in range(len(accuracies))]
        frame = table(*cells)
        names = frame["cell_id"] + f"-{number}"
        parts.append(frame.assign(cell_id=names, task_options=f"n_nodes=8; content_sha256={dataset}"))
    return pd.concat(parts, ignore_index=True)


def test_each_cell_and_the_shares_of_each_model_are_shown() -> None:
    results = crossed()
    (section,) = [one for one in build_report(results, curve(results)).sections if one.tables[0].name == "crossed"]
    assert section.title == "t, datasets crossed with seeds, trained on hops 1,2, 3 steps of 2 graphs, fact encoding"
    shares, cells = section.tables  # by hand, components .00083, .06083 and .00125
    assert [row.cells[:4] for row in shares.rows] == [
        ["nexus, order 2", "1%", "97%", "2%"],
        ["standard", "-", "-", "-"],
    ]
    assert [row.cells[:4] for row in cells.rows[:3]] == [
        ["nexus, order 2", "0a0a0a0a", "2 (1.000)", "1 (0.600)"],
        ["nexus, order 2", "1b1b1b1b", "2 (1.000)", "1 (0.700)"],
        ["nexus, order 2", "2c2c2c2c", "1 (0.950)", "1 (0.600)"],
    ]
    assert section.said.startswith(
        "t: variance of mean accuracy by dataset / by seed / left: nexus, order 2 1% / 97% / 2%"
    )


@pytest.mark.parametrize(
    "results",
    [
        crossed(datasets={"0a" * 16: [1.0, 0.2]}),
        crossed(datasets={dataset: found[:1] for dataset, found in ON.items()}),
        crossed().assign(task_options="n_nodes=8"),
        pd.concat(
            [
                one.assign(train_hops=hops)
                for hops, (_, one) in zip("123", crossed().groupby("task_options"), strict=True)
            ]
        ),
    ],
    ids=["one dataset", "one seed", "not stored", "other hops"],
)
def test_what_is_not_crossed_has_no_section(results: pd.DataFrame) -> None:
    assert crossed_sections(results) == []


@pytest.mark.parametrize("is_failed", [True, False], ids=["failed", "missing"])
def test_seeds_that_a_dataset_lacks_do_not_count(is_failed: bool) -> None:
    wide = crossed(datasets={dataset: [*found, 0.7] for dataset, found in ON.items()})
    is_cell = (wide["seed"] == 2) & wide["task_options"].str.contains("1b1b")
    lacking = wide.assign(accuracy=wide["accuracy"].mask(is_cell)) if is_failed else wide[~is_cell]
    (section,), (of_common,) = crossed_sections(lacking), crossed_sections(crossed())
    assert [row.cells for row in section.tables[0].rows] == [row.cells for row in of_common.tables[0].rows]
    assert section.tables[1].rows[1].cells == ["nexus, order 2", "1b1b1b1b", "2 (1.000)", "1 (0.700)", "-"]


def test_a_dataset_without_a_finished_cell_does_not_count() -> None:
    results = crossed(datasets={**ON, "3d" * 16: [0.5, 0.5]})
    failed = results.assign(accuracy=results["accuracy"].mask(results["task_options"].str.contains("3d3d")))
    (section,), (of_others,) = crossed_sections(failed), crossed_sections(crossed())
    assert [row.cells for row in section.tables[0].rows] == [row.cells for row in of_others.tables[0].rows]


@pytest.mark.parametrize("is_failed", [True, False], ids=["failed", "missing"])
def test_a_model_without_two_seeds_in_common_is_left_out(is_failed: bool) -> None:
    results = crossed()
    is_cell = (results["model"] == "standard") & (results["seed"] == 1) & results["task_options"].str.contains("1b1b")
    results = results.assign(accuracy=results["accuracy"].mask(is_cell)) if is_failed else results[~is_cell]
    (section,) = crossed_sections(results)
    assert {row.cells[0] for one in section.tables for row in one.rows} == {"nexus, order 2"}
