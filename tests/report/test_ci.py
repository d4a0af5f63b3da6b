"""What GitHub, Jenkins and GitLab are told."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from nexus_bench.errors import StorageError
from nexus_bench.report.ci import Case, github_lines, github_summary, junit_xml

MIB = 1024 * 1024


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_without_github_nothing_is_written_or_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    github_summary("# title\n")
    github_lines("error", [("title", "message")])
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_summaries_are_appended_a_blank_line_apart(summary: Path) -> None:
    github_summary("# one")
    github_summary("# two\n\n")
    assert summary.read_text() == "# one\n\n# two\n"
    summary.write_text("unfinished")
    github_summary("# three")
    assert summary.read_text() == "unfinished\n\n# three\n"


def test_a_long_summary_is_cut_at_a_line_and_says_how_much_is_left_out(summary: Path) -> None:
    summary.write_text("before\n")
    lines = [f"{i:06d} " + "é" * 90 for i in range(9_000)]  # few enough characters, too many bytes
    github_summary("\n".join(lines))
    text = summary.read_text()
    assert 1_023_000 < summary.stat().st_size <= 1_024_000 < MIB
    before, blank, *kept, empty, note = text.splitlines()
    assert (before, blank, empty) == ("before", "", "")
    assert kept == lines[: len(kept)]
    assert note == f"{9_000 - len(kept):,} more lines are left out: GitHub shows at most 1 MiB per step."


def test_a_full_summary_is_left_as_it_is(summary: Path) -> None:
    summary.write_bytes(b"x" * MIB)
    github_summary("# title\n")
    assert summary.read_bytes() == b"x" * MIB


def test_a_summary_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    with pytest.raises(StorageError, match=f"^{tmp_path}: cannot be written: Is a directory"):
        github_summary("# title\n")


@pytest.mark.parametrize("variable", ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"])
def test_error_lines_are_escaped_as_github_reads_them(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "true")
    github_lines("error", [("a: b, 5%", "fell: 5%, by\r\nmuch"), ("plain", "%0A")])
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "::error title=a%3A b%2C 5%25::fell: 5%25, by%0D%0Amuch\n::error title=plain::%250A\n"


@pytest.mark.parametrize(("n", "n_shown", "last"), [(10, 10, "t9"), (11, 10, "2 more"), (500, 10, "491 more")])
def test_ten_error_lines_are_all_that_github_shows(
    n: int, n_shown: int, last: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    github_lines("error", [(f"t{i}", "m") for i in range(n)])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == n_shown
    assert lines[0] == "::error title=t0::m" and lines[-1].startswith(f"::error title={last}::")


def test_junit_counts_what_it_holds() -> None:
    made = [
        Case("task", "good", output="fine"),
        Case("task", "bad <&> \x00", failure='fell "far"'),
        Case("other", "gone", skipped="not there"),
    ]
    text = junit_xml("a suite", made)
    assert text == junit_xml("a suite", made), "no time in it"
    root = ET.fromstring(text)
    assert root.tag == "testsuites" and root.attrib == {"tests": "3", "failures": "1", "errors": "0"}
    (suite,) = root
    assert suite.attrib == {"name": "a suite", "tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    assert [case.attrib for case in suite] == [
        {"classname": "task", "name": "good"},
        {"classname": "task", "name": "bad <&> ?"},
        {"classname": "other", "name": "gone"},
    ]
    assert [[(e.tag, e.get("message"), e.text) for e in case] for case in suite] == [
        [("system-out", None, "fine")],
        [("failure", 'fell "far"', 'fell "far"')],
        [("skipped", "not there", "not there")],
    ]
