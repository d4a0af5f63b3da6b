import json
import re
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.columns import COLUMNS
from nexus_bench.errors import CorruptArtefactError, StorageError
from nexus_bench.report import build_report, to_csv, to_html, to_json, to_markdown, write_report
from nexus_bench.results import RunFolder
from tests.test_stats import table

EXAMPLES = Path(__file__).parent.parent / "runs" / "example"


@pytest.fixture
def results() -> pd.DataFrame:
    return table(
        ("standard, d 8", 0.1, 0, {1: 1.0, 2: 0.25}),
        ("standard, d 8", 0.1, 1, {1: 1.0, 2: 0.35}),
        ("nexus, order 2, d 8", 0.1, 0, {1: 1.0, 2: 1.0}),
        ("nexus, order 2, d 8", 0.1, 1, {1: None, 2: None}),
    )


def test_the_table_says_what_was_measured(results: pd.DataFrame) -> None:
    table_ = build_report(results).tables[0]
    assert table_.columns == ["model", "1 hop", "2 hops", "hop reach", "seeds", "parameters", "MFLOP/step"]
    assert table_.rows == [
        ["standard", "1.000 [1.000, 1.000]", "0.300 [0.000, 0.935]", "1.0 [1.0, 1.0]", "2", "1,000", "2"],
        ["nexus, order 2", "1.000", "1.000", "2.0", "1, 1 failed", "1,000", "2"],
    ]
    assert table_.references == [
        ["chance", "0.100", "0.100"],
        ["best shortcut", "0.120", "0.120"],
        ["elimination ceiling", "0.200", "0.200"],
    ]
    assert "All models: d 8." in table_.notes
    assert "Failed cells count nowhere." in table_.notes


def test_a_learning_rate_chosen_on_validation_is_said() -> None:
    report = build_report(table(("a", 0.1, 0, {1: 0.5}), ("a", 0.2, 0, {1: 0.6})))
    assert report.tables[0].notes[-1] == "Learning rates chosen on validation: a 0.2."


def test_the_same_cell_in_two_runs_counts_once(results: pd.DataFrame) -> None:
    twice = pd.concat([results, results], ignore_index=True)
    assert to_csv(build_report(twice)) == to_csv(build_report(results))


def test_the_same_results_give_the_same_bytes(results: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(build_report(results), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["accuracy_by_hop.png", "accuracy_by_hop.svg", "report.csv", "report.html", "report.md"]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_the_page_needs_no_other_file(results: pd.DataFrame) -> None:
    page = to_html(build_report(results))
    assert page.count("<svg") == 1
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "0.300 [0.000, 0.935]" in page


def test_names_from_results_cannot_inject_markup() -> None:
    page = to_html(build_report(table(("<script>alert(1)</script>", 0.1, 0, {1: 0.5}))))
    assert "<script>" not in page


def test_json_has_a_schema_version_and_null_for_what_is_missing(results: pd.DataFrame) -> None:
    document = json.loads(to_json(build_report(results)))
    assert document["schema_version"] == 1
    assert [row["mean"] for row in document["accuracy"]] == [1.0, 0.3, 1.0, 1.0]
    assert document["accuracy"][2]["low"] is None
    assert [row["seeds"] for row in document["reach"]] == [[1, 1], [2]]


def test_every_setting_has_a_table_and_figures_of_its_own(results: pd.DataFrame) -> None:
    report = build_report(pd.concat([results, results.assign(task="u", run_id=results["run_id"] + "u")]))
    assert [table_.title.split(",")[0] for table_ in report.tables] == ["t", "u"]
    assert set(report.figures) == {f"accuracy_by_hop_{i}.{suffix}" for i in (1, 2) for suffix in ("png", "svg")}
    assert to_markdown(report).count("![") == 2


@pytest.mark.parametrize("name", ["quick", "staircase"])
def test_committed_examples_are_what_report_makes_of_their_results(name: str) -> None:
    report = build_report(RunFolder(EXAMPLES / name).read_results())
    assert (EXAMPLES / name / "report.csv").read_text() == to_csv(report)
    assert (EXAMPLES / name / "report.md").read_text() == to_markdown(report)


def test_results_have_the_stated_columns_and_types() -> None:
    frame = RunFolder(EXAMPLES / "quick").read_results()
    assert list(frame.columns) == [column.name for column in COLUMNS]
    types = {column.name: column.dtype for column in COLUMNS}
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == types
    assert ((frame["n_correct"] / frame["n_examples"] - frame["accuracy"]).abs() < 1e-6).all()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text[: len(text) // 2], "is truncated"),
        (lambda text: text.replace("accuracy", "acuracy", 1), "lacks the columns accuracy"),
        (lambda text: text.replace(",1024,", ",many,", 1), "is truncated or edited"),
        (lambda text: "", "is truncated or edited"),
    ],
)
def test_damaged_results_are_named(edit: object, message: str, tmp_path: Path) -> None:
    text = (EXAMPLES / "quick" / "results.csv").read_text()
    (tmp_path / "results.csv").write_text(edit(text))  # type: ignore[operator]
    with pytest.raises(CorruptArtefactError, match=rf"results\.csv: {message}"):
        RunFolder(tmp_path).read_results()


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptArtefactError, match=r"results\.csv: is missing"):
        RunFolder(tmp_path).read_results()
    with pytest.raises(StorageError, match="is not a run folder; make one with `nexus-bench train`"):
        RunFolder(tmp_path / "nowhere").read_results()
