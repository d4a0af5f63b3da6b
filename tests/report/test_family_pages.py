"""A report of several tasks has a page for each, in which every row has an anchor of its own."""

import re
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.io.columns import TIMING_COLUMNS
from nexus_bench.io.read_results import read_results
from nexus_bench.report.build import Report, build_report
from nexus_bench.report.charts import plotting
from nexus_bench.report.charts.plotting import RenderedFigure
from nexus_bench.report.family_pages import family_pages
from nexus_bench.report.output import read_report, to_markdown, write_report
from tests.made import cells_of, curve
from tests.paths import EXAMPLES


def timed(results: pd.DataFrame, seconds: float) -> pd.DataFrame:
    cells = results.drop_duplicates("cell_id").reset_index(drop=True)
    frame = cells.assign(device="cuda:0", train_seconds=seconds).reindex(columns=[one.name for one in TIMING_COLUMNS])
    return frame.astype({one.name: one.dtype for one in TIMING_COLUMNS})


@pytest.fixture
def of_two(results: pd.DataFrame) -> Report:
    """Two tasks, one of which can be drawn; cells took 30 seconds."""
    other = results.assign(task="pointer_chase", cell_id="u-" + results["cell_id"], train_hops="1,2", n_queries=2)
    both = pd.concat([results, other], ignore_index=True).assign(steps_done=4000, task_options="n_nodes=12")
    return build_report(both, curve(both), timing=timed(both, 30.0))


def test_each_task_has_a_page_with_its_example_its_tables_and_its_figures(of_two: Report) -> None:
    pages = family_pages(of_two)
    assert list(pages) == ["t.md", "pointer_chase.md"]
    page = pages["pointer_chase.md"]
    assert "](../figures/task_pointer_chase.svg)" in page and "task_" not in pages["t.md"], "which is no task here"
    (section,) = [one for one in of_two.sections if one.task == "pointer_chase"]
    assert all(f"### {table.title}" in page for table in section.tables)
    shown = [picture.name for picture in section.pictures if f"](../figures/{picture.name}.svg)" in page]
    assert shown == ["seeds_by_hop_2"], "not the large ones"
    assert f"## {section.title}" in page and f"## {section.title}" not in pages["t.md"]


def test_every_row_has_an_anchor_of_its_own(of_two: Report) -> None:
    for page in family_pages(of_two).values():
        rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| model")]
        anchors = [re.findall(r'^\| <a id="([\w-]+)"></a>', row) for row in rows]
        assert all(anchors) and len(rows) == len({anchor for (anchor,) in anchors}) > 10


def test_the_report_links_to_its_pages_and_writes_them(
    of_two: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plotting, "_drawn", lambda spec: RenderedFigure(b"", "<svg/>"))
    assert "[t](families/t.md), [pointer_chase](families/pointer_chase.md)" in to_markdown(of_two)
    files = write_report(of_two, tmp_path)
    assert tmp_path / "families" in files
    assert {path.name: path.read_text() for path in (tmp_path / "families").iterdir()} == family_pages(of_two)
    short = (tmp_path / "report.md").read_text()
    assert "[t](families/t.md)" in short and "### " not in short, "its tables are on the pages"
    assert "![" not in "".join(family_pages(of_two, with_figures=False).values())


def test_the_report_of_one_task_is_its_page(results: pd.DataFrame, tmp_path: Path) -> None:
    one = build_report(results, curve(results), timing=timed(results, 30.0))
    assert family_pages(one) == {} and "families/" not in to_markdown(one)


def test_what_training_took_stands_on_the_page_alone(of_two: Report) -> None:
    table = of_two.sections[0].timed
    assert table is not None
    assert table.columns == ["model", "hop reach", "seconds", "hops/minute", "TFLOP", "hops/PFLOP", "seeds"]
    # 4,000 steps of 2 MFLOP are 0.008 TFLOP
    assert cells_of(table) == [
        ["standard", "1.0", "30.0", "2.00", "0.0", "125000.0", "2"],
        ["nexus, order 2", "2.0", "30.0", "4.00", "0.0", "250000.0", "1"],
    ], "the failed seed is left out"
    assert "What training took" in family_pages(of_two)["t.md"]
    assert "What training took" not in to_markdown(of_two), "which two runs of the same cells would make differ"


def test_seconds_of_a_run_are_those_of_its_timing() -> None:
    run = EXAMPLES / "staircase"
    timed_ = read_report([run]).sections[0].timed
    assert timed_ is not None
    seconds = pd.read_csv(run / "timing.csv").groupby("model", sort=False)["train_seconds"].mean()
    assert [row.cells[2] for row in timed_.rows] == [f"{value:.1f}" for value in seconds]
    results = read_results(run)
    assert build_report(results, curve(results)).sections[0].timed is None, "without timing.csv"
