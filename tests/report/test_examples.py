"""The runs of the repository: small, whole, and with the reports that this code makes of them (`make figures`)."""

import functools
import re
import subprocess
from pathlib import Path

import pytest

from nexus_bench.io.packed import is_there
from nexus_bench.io.record_seals import check_records
from nexus_bench.report.build import Report
from nexus_bench.report.output import read_report, to_csvs, to_markdown
from nexus_bench.report.page.report_page import to_html
from tests.paths import EXAMPLES, ROOT

MOST_BYTES = 12_000_000  # of all runs
MOST_OF_A_TABLE = 512 * 1024  # larger ones are packed; a forge does not show them anyway
RUNS = [
    "matched",
    "quick",
    "retrofit/arc_easy",
    "retrofit/kinship",
    "retrofit/kinship_order3",
    "retrofit/piqa",
    "retrofit/pointer_chase",
    "staircase",
]


@functools.cache
def made(name: str) -> Report:
    return read_report([EXAMPLES / name])


def kept() -> list[Path]:
    """The files below runs/ that the repository keeps; all that are there where it is no repository."""
    listed = subprocess.run(["git", "ls-files", "-z", "runs"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0")[:-1]
    return [ROOT / name for name in names] or [path for path in (ROOT / "runs").rglob("*") if path.is_file()]


def test_all_runs_are_small_and_large_tables_are_packed() -> None:
    sizes = {path: path.stat().st_size for path in kept()}
    assert 100_000 < sum(sizes.values()) <= MOST_BYTES
    assert [path for path, size in sizes.items() if path.suffix == ".csv" and size > MOST_OF_A_TABLE] == []
    assert not [path for path in sizes if path.name == "report.html"], "each holds Vega, of 0.4 MB"


def test_every_run_with_tables_is_in_make_figures() -> None:
    found = {path.parent.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("seal.json")}
    assert sorted(found) == RUNS
    (line,) = re.findall(r"for run in ([\w/ ]+); do", (ROOT / "Makefile").read_text())
    assert sorted(line.split()) == RUNS


@pytest.mark.parametrize("name", RUNS)
def test_every_run_is_whole(name: str) -> None:
    check_records(EXAMPLES / name)
    assert all(is_there(EXAMPLES / name / table) for table in ("results.csv", "curve.csv", "timing.csv"))
    assert made(name).sections, "its seals hold"


@pytest.mark.parametrize("run", sorted((ROOT / "runs" / "beside").iterdir()), ids=lambda path: path.name)
def test_every_run_without_a_report_is_whole(run: Path) -> None:
    check_records(run)
    assert all(is_there(run / table) for table in ("results.csv", "curve.csv", "timing.csv"))


@pytest.mark.parametrize("name", RUNS)
def test_reports_are_what_this_code_makes_of_their_results(name: str) -> None:
    text = (EXAMPLES / name / "report.md").read_text()
    assert text == to_markdown(made(name))
    for file, table in to_csvs(made(name)).items():
        assert (EXAMPLES / name / file).read_text() == table, file
    named = set(re.findall(r"\]\((figures/\w+\.svg)\)", text))
    assert {f"figures/{path.name}" for path in (EXAMPLES / name / "figures").glob("*.svg")} == named


@pytest.mark.parametrize("name", RUNS)
def test_pages_are_small(name: str) -> None:
    assert len(to_html(made(name), downloads=to_csvs(made(name))).encode()) < 600_000


def test_the_page_of_a_study_of_hundreds_of_cells_is_small() -> None:
    """With what repeats written twice, as JSON of rows and CSV, or the library not packed, it would be larger."""
    report = read_report([ROOT / "runs" / "beside" / "rivals", EXAMPLES / "matched"])
    assert len(set(report.accuracy["model"])) > 40
    assert len(to_html(report, downloads=to_csvs(report)).encode()) < 950_000


@pytest.mark.slow
def test_one_page_of_all_runs_of_the_study_is_below_two_megabytes() -> None:
    report = read_report(sorted(path.parent for path in (ROOT / "runs" / "reference").glob("*/seal.json")))
    html = to_html(report, downloads=to_csvs(report))
    assert html.count("<tr") > 3_000 and len(html.encode()) < 2_000_000


def test_figures_are_what_this_code_draws() -> None:
    (section,) = made("quick").sections
    for picture in section.pictures:
        assert (EXAMPLES / "quick" / "figures" / f"{picture.name}.svg").read_text() == picture.svg, picture.name
