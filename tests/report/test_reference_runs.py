"""The published runs of the reference study and of its controls: whole, of the bundled suites, and as the page says."""

import re
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.analysis.crossed import variance_shares
from nexus_bench.analysis.summary import reaches_of
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import make_suite, select_suite, with_chosen
from nexus_bench.io.columns import COLUMNS, TUNING
from nexus_bench.io.csv_files import read_csv
from nexus_bench.io.record_seals import check_records
from nexus_bench.report.output import read_report
from tests.paths import ROOT

STUDY = sorted(path.parent for path in (ROOT / "runs" / "reference").glob("*/seal.json"))
CONTROLS = sorted(path.parent for path in (ROOT / "runs" / "recipes").glob("*/seal.json"))
CHALLENGES = sorted(path.parent for path in (ROOT / "runs" / "challenges").glob("*/seal.json"))
RATES = {"group_word": 6, "kinship": 4, "variable_chain": 4, "path_query": 4, "k_hop_induction": 4, "spatial": 4}
STAGES = ("adaptive", "none", "long-adaptive", "long-none")


@pytest.mark.parametrize("folder", [*STUDY, *CONTROLS, *CHALLENGES], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_run_is_whole(folder: Path) -> None:
    check_records(folder)


@pytest.mark.parametrize("folder", STUDY, ids=lambda path: path.name)
def test_the_runs_of_the_study_are_of_its_suite_with_all_of_their_cells(folder: Path) -> None:
    tune = RunFolder(folder).read_spec()["tune"]  # a grid that had to grow
    selected = select_suite("reference", task=folder.name, attention=None, data=None, settings={"tune": tune})
    suite = with_chosen(make_suite(selected.config, selected.where), RunFolder(folder))
    cells = read_csv(folder / "results.csv", COLUMNS).drop_duplicates("cell_id")
    assert set(cells["cell_id"]) == {cell.cell_id for cell in suite.cells}
    n_rates = RATES.get(folder.name, 5)
    assert (cells["purpose"] == TUNING).sum() == 9 * 2 * n_rates and len(cells) == 9 * (2 * n_rates + 12)


def test_the_study_is_whole_and_no_best_rate_lies_at_an_edge() -> None:
    assert len(STUDY) == 13
    for folder in STUDY:
        cells = read_csv(folder / "results.csv", COLUMNS)
        rates = sorted(cells[cells["purpose"] == TUNING]["lr"].unique())
        chosen = set(cells[cells["purpose"] != TUNING]["lr"])
        assert not chosen & {rates[0], rates[-1]} or len(rates) == 6, folder.name


def controls(folder: Path) -> tuple[str, ...]:
    """The row of the page on one run of controls."""
    results = read_csv(folder / "results.csv", COLUMNS)
    results = results[results["split"] == "test"]
    kind = results["model"].str.extract(r"(n_layers|n_loops)")[0].rename("kind")
    lowest = results.groupby([kind, "lr", "seed"])["accuracy"].min().unstack("seed")
    task, stage = re.fullmatch(r"(\w+?)-([a-z-]+)", folder.name).groups()  # type: ignore[union-attr]
    told = [task, str(results["hop"].max()), stage]
    for name in ("n_layers", "n_loops"):
        of_kind: pd.DataFrame = lowest.loc[name]
        rate = of_kind.min(axis=1).idxmax()
        told.append(", ".join(f"{value:.2f}" for value in of_kind.loc[rate]) + f" ({rate:g})")
    return (*told, "yes" if (lowest.min(axis=1) >= 0.95).any() else "no")


def test_the_page_says_what_every_control_reached() -> None:
    page = (ROOT / "docs" / "reference_study.md").read_text()
    row = r"^\| `(\w+)` \| (\d) \| ([a-z-]+) \| (.+) \| (.+) \| (yes|no) \|$"
    assert sorted(re.findall(row, page, flags=re.MULTILINE)) == sorted(map(controls, CONTROLS))
    assert f"{sum(read_csv(path / 'results.csv', COLUMNS)['cell_id'].nunique() for path in CONTROLS)} cells" in page


def test_each_family_is_trained_by_the_first_recipe_that_serves_or_by_the_first_of_all() -> None:
    found: dict[str, list[tuple[int, str]]] = {}
    for task, _, stage, _, _, serves in map(controls, CONTROLS):
        found.setdefault(task, []).append((STAGES.index(stage), serves))
    chosen = {task: next((at for at, serves in sorted(tried) if serves == "yes"), 0) for task, tried in found.items()}
    selected = select_suite("reference", task=None, attention=None, data=None, settings={})
    cells = {cell.task.task: cell.train for cell in make_suite(selected.config, selected.where).cells}
    assert chosen == {
        task: STAGES.index(("long-" if train.batch_size == 128 else "") + train.curriculum)
        for task, train in cells.items()
    }


def test_the_page_says_how_far_cells_of_crossed_datasets_came_and_what_they_differ_by() -> None:
    runs = sorted((ROOT / "runs" / "beside").glob("crossed-d?"))
    results = pd.concat(
        [read_csv(run / "results.csv", COLUMNS).assign(dataset=run.name) for run in runs], ignore_index=True
    )
    results = results[results["split"] == "test"]
    page = (ROOT / "docs" / "reference_study.md").read_text()
    for name, said in {"n_loops 2": "two loops", "order 2": "order 2", "order 3": "order 3"}.items():
        cells = results[results["model"].str.contains(name)]
        reaches = reaches_of(cells, ["dataset", "seed"]).value_counts().sort_index()
        shares = variance_shares(cells.groupby(["dataset", "seed"])["accuracy"].mean().unstack().to_numpy())
        reach = ", ".join(f"{hops} in {n}" for hops, n in reaches.items())
        data, weights = (
            f"{share:.0%} ({f'{p:.{digits}f}'[1:]})"
            for share, p, digits in (
                (shares.data, shares.p_data, 2),
                (shares.weights, shares.p_weights, 3 if shares.p_weights < 0.01 else 2),
            )
        )
        assert f"| {said} | {reach} | {data} | {weights} | {shares.rest:.0%} |" in page


def test_another_gpu_gives_the_same_declared_comparisons() -> None:
    first, again = (
        read_report([ROOT / "runs" / where]).comparisons.query("kind == 'declared'").set_index(["model", "baseline"])
        for where in ("reference/variable_chain", "beside/variable_chain-again")
    )
    assert list(first.index) == list(again.index) and len(first) == 6
    assert list(first["verdict"]) == list(again["verdict"]) and (first["p_holm"] < 0.05).all()
    reaches = [
        reaches_of(results[(results["split"] == "test") & (results["purpose"] != TUNING)], ["model", "seed"])
        for results in (
            read_csv(ROOT / "runs" / where / "results.csv", COLUMNS)
            for where in ("reference/variable_chain", "beside/variable_chain-again")
        )
    ]
    assert int((reaches[0] == reaches[1]).sum()) == 106 and len(reaches[0]) == 108
