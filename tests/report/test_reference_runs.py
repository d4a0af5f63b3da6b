"""The published runs of the reference study and of its controls: whole, of the bundled suites, and as the page says."""

import re
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import make_suite, select_suite, with_chosen
from nexus_bench.io.columns import COLUMNS, TUNING
from nexus_bench.io.csv_files import read_csv
from nexus_bench.io.record_seals import check_records
from tests.paths import ROOT

STUDY = sorted(path.parent for path in (ROOT / "runs" / "reference").glob("*/seal.json"))
CONTROLS = sorted(path.parent for path in (ROOT / "runs" / "recipes").glob("*/seal.json"))
STAGES = ("adaptive", "none", "long-adaptive", "long-none")


@pytest.mark.parametrize("folder", [*STUDY, *CONTROLS], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_run_is_whole(folder: Path) -> None:
    check_records(folder)


@pytest.mark.parametrize("folder", STUDY, ids=lambda path: path.name)
def test_the_runs_of_the_study_are_of_its_suite_with_all_of_their_cells(folder: Path) -> None:
    selected = select_suite("reference", task=folder.name, attention=None, data=None, settings={})
    suite = with_chosen(make_suite(selected.config, selected.where), RunFolder(folder))
    cells = read_csv(folder / "results.csv", COLUMNS).drop_duplicates("cell_id")
    assert set(cells["cell_id"]) == {cell.cell_id for cell in suite.cells}
    assert (cells["purpose"] == TUNING).sum() == 9 * 8 and len(cells) == 9 * (8 + 12)


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
