"""The command `compare`: what it prints, writes and exits with."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.io.columns import COMPARE_COLUMNS
from nexus_bench.io.seal import replace_sealed
from tests.conftest import Command, assert_fails
from tests.made import at, results_of


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Runs `good`, and beside it `noisy`, `bad`, `broken` and `other`."""
    runs = {
        "good": {"a": at(1.0, 1.0, 1.0), "b": at(0.9, 0.9, 0.9), "gone": at(0.5, 0.5, 0.5)},
        "noisy": {"a": at(1.0, 1.0, 0.1), "b": at(0.9, 0.9, 0.9), "fresh": at(0.5, 0.5, 0.5)},
        "bad": {"a": at(1.0, 1.0, 0.1), "b": at(0.4, 0.5, 0.6)},
        "broken": {"a": at(1.0, None, 1.0), "b": at(0.9, 0.9, 0.9)},
        "other": {"z": at(1.0)},
    }
    for name, cells in runs.items():
        replace_sealed(tmp_path / name, {"results.csv": results_of(cells).assign(train_hops="1").to_csv(index=False)})
    return tmp_path


@pytest.mark.usefixtures("folders")
def test_compare_prints_writes_and_exits_6_on_a_regression(command: Command) -> None:
    result = command("compare", "good", "bad", "--junit", "xml/junit.xml")
    assert result.returncode == 6
    lines = result.stdout.splitlines()
    assert any("a, hop 1" in line and "within noise" in line for line in lines)
    assert any("b, hop 1" in line and "REGRESSION" in line for line in lines)
    assert lines[-6:] == [
        "2 comparisons: 1 regression, 1 within noise; not compared: 1 missing",
        "1 drop beyond 0.02 is within noise: its interval reaches 0 at 0.95; more seeds would tell",
        "of 2 intervals, noise alone would put about 0.05 below 0",
        "1 that the base has is not in the new run; --strict fails on that",
        "bad/compare.csv",
        "xml/junit.xml",
    ]
    assert result.stderr == (
        "error: of 2 comparisons, 1 fell by more than 0.02 and by more than noise; worst: t, b, hop 1: "
        "accuracy 0.900 -> 0.500 (-0.400, interval -0.648 to -0.152, 3 seeds); see bad/compare.csv\n"
    )
    suite = ET.parse("xml/junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert [(case.get("name"), [e.tag for e in case]) for case in suite] == [
        ("t, a, hop 1", ["system-out"]),
        ("t, b, hop 1", ["failure"]),
        ("t, gone, hop 1", ["skipped", "system-out"]),
    ]


@pytest.mark.usefixtures("folders")
def test_the_csv_has_its_columns_and_the_same_bytes_again(command: Command) -> None:
    command("compare", "good", "bad")
    first = Path("bad/compare.csv").read_bytes()
    command("compare", "good", "bad", "--out", "again")
    assert Path("again/compare.csv").read_bytes() == first
    found = pd.read_csv("bad/compare.csv", keep_default_na=False, dtype=str)
    assert list(found.columns) == [column.name for column in COMPARE_COLUMNS]
    assert found.iloc[1][["task", "model", "lr", "split", "hop", "metric", "n_seeds"]].tolist() == [
        *("t", "b", "0.1", "test", "1", "accuracy", "3")
    ]
    assert found.iloc[1][["base", "new", "difference", "low", "high", "confidence"]].tolist() == [
        *("0.9", "0.5", "-0.4", "-0.648414", "-0.151586", "0.95")
    ]
    assert found.iloc[1][["verdict", "base_seeds", "new_seeds", "note"]].tolist() == [
        *("regression", "0.9 0.9 0.9", "0.4 0.5 0.6", "")
    ]
    assert found.iloc[2][["verdict", "new", "difference", "confidence", "note"]].tolist() == [
        *("missing", "", "", "", "the new run has no such cell")
    ]


@pytest.mark.usefixtures("folders")
def test_a_run_compared_with_itself_holds_and_it_is_said_that_this_says_nothing(command: Command) -> None:
    said = "both are the same folder, so nothing can differ"
    for new in ("good", "bad/../good"):
        done = command("compare", "good", new, "--out", "o")
        assert (done.returncode, done.stderr) == (0, "") and f"\n{said}\n" in done.stdout
    shutil.copytree("good", "copy")
    assert said not in command("compare", "good", "copy").stdout
    assert json.loads(command("compare", "good", "good", "--json", "--out", "o").stdout)["conclusion"][-1] == said


@pytest.mark.usefixtures("folders")
def test_noise_is_no_regression_and_is_said(command: Command) -> None:
    result = command("compare", "good", "noisy")
    assert (result.returncode, result.stderr) == (0, "")
    assert "2 comparisons: 1 within noise, 1 ok; not compared: 1 missing, 1 new only\n" in result.stdout
    assert "1 drop beyond 0.02 is within noise: its interval reaches 0" in result.stdout
    assert "fresh" not in result.stdout and "fresh" in Path("noisy/compare.csv").read_text()
    assert "no mean fell by more than 0.5" in command("compare", "good", "bad", "--max-drop", "0.5").stdout


@pytest.mark.usefixtures("folders")
def test_failed_cells_exit_6(command: Command) -> None:
    result = command("compare", "good", "broken")
    assert result.returncode == 6
    assert "a, hop 1" in result.stdout and "FAILED" in result.stdout
    assert "of 2 comparisons, 1 failed in the new run; worst: t, a, hop 1: " in result.stderr
    assert "failed at seed 1; see broken/compare.csv" in result.stderr


@pytest.mark.usefixtures("folders")
def test_a_folder_is_no_file_of_junit(command: Command) -> None:
    result = command("compare", "good", "noisy", "--junit", "good")
    assert result.returncode == 2 and "good: is a folder; --junit names a file, such as good/junit.xml" in result.stderr


@pytest.mark.usefixtures("folders")
def test_strict_fails_on_what_is_missing(command: Command) -> None:
    result = command("compare", "good", "noisy", "--strict", "--junit", "j.xml")
    assert result.returncode == 6
    assert "of 2 comparisons, 1 not in the new run; worst: t, gone, hop 1: " in result.stderr
    assert ET.parse("j.xml").getroot()[0].get("failures") == "1"


@pytest.mark.usefixtures("folders")
def test_json_is_one_document_without_nan(command: Command) -> None:
    result = command("compare", "good", "bad", "--json", "--metric", "reach")
    assert result.returncode == 0, "one of three seeds of a no longer reaches hop 1, and b never did"
    document = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))
    assert (document["schema_version"], document["metric"], document["max_drop"]) == (2, "reach", 0.02)
    assert [row["verdict"] for row in document["rows"]] == ["within noise", "ok", "missing"]
    assert document["rows"][0]["new_seeds"] == [1, 1, 0] and document["rows"][2]["new"] is None


@pytest.mark.usefixtures("folders")
def test_github_is_told(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    lines = command("compare", "good", "bad").stderr.splitlines()
    assert lines[0] == (
        "::error title=t%2C b%2C hop 1::accuracy 0.900 -> 0.500 (-0.400, interval -0.648 to -0.152, 3 seeds)"
    )
    assert lines[1].startswith("::warning title=t%2C a%2C hop 1::within noise: accuracy 1.000 -> 0.700 (-0.300,")
    assert len(lines) == 3 and lines[2].startswith("error: ")
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("## accuracy on test, bad compared with good: fails\n\n- 2 comparisons: 1 regression,")
    assert "\n| t, b, hop 1 | 0.900 | 0.500 | -0.400 | -0.648 to -0.152 | 3 | regression |  |\n" in text
    assert command("compare", "good", "good", "--out", "o").stderr == ""
    assert "\n## accuracy on test, good compared with good: holds\n" in (tmp_path / "summary.md").read_text()


@pytest.mark.usefixtures("folders")
def test_github_is_told_of_what_could_not_be_compared(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    told, error = command("compare", "good", "nowhere").stderr.splitlines()
    assert told.startswith("::error title=nexus-bench::nowhere: is not a run folder") and error.startswith("error: ")
    assert (tmp_path / "summary.md").read_text().startswith("**nexus-bench ended with exit code 5**: nowhere: is not")


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("compare good other", 3, "the runs share no cells of test: model a, b, gone in the base, model z in the new"),
        ("compare good bad --split tset", 3, "the base has no rows of split 'tset'; it has val, test"),
        ("compare good bad --metric acuracy", 2, "unknown metric 'acuracy'; did you mean 'accuracy'?"),
        ("compare good bad --max-drop -0.1", 2, "--max-drop must be 0 or more, and of accuracy at most 1; got -0.1"),
        ("compare good bad --max-drop nan", 2, "--max-drop must be 0 or more, and of accuracy at most 1; got nan"),
        ("compare good bad --max-drop 5", 2, "--max-drop must be 0 or more, and of accuracy at most 1; got 5"),
        ("compare good bad --confidence 1", 2, "--confidence must be from 0.5 to below 1, got 1"),
        ("compare good nowhere", 5, "nowhere: is not a run folder"),
        ("compare good", 2, "Missing argument 'NEW'"),
    ],
)
@pytest.mark.usefixtures("folders")
def test_a_wrong_comparison_is_one_line_of_error(line: str, code: int, message: str, command: Command) -> None:
    assert_fails(command(*line.split()), code, message)
    assert not list(Path().rglob("compare.csv"))


@pytest.mark.usefixtures("folders")
def test_comparing_needs_no_torch(tmp_path: Path) -> None:
    script = (
        "import sys; from nexus_bench import cli; code = cli.run(['compare', 'good', 'bad', '--junit', 'j.xml']); "
        "sys.exit(100 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 6, done.stderr
