"""Scripts that write pages of the documentation: what they are given is checked, and told in one line."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from tests.boards import NEAR, run_of

VERDICT = "nexus_bench.report.verdict"
PAPER = "nexus_bench.report.verdict.paper"
MECHANISMS = "nexus_bench.report.leaderboard.mechanisms"
PICTURES = "nexus_bench.inspection.task_pictures"


def _run(module: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [module, *words])
    if module != VERDICT:  # a package, which stays as it is: what is run is its `__main__`
        monkeypatch.delitem(sys.modules, module, raising=False)
    runpy.run_module(module, run_name="__main__")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (VERDICT, ""),
        (VERDICT, "a b page.md"),
        (VERDICT, "a b c page.md more"),
        (VERDICT, "a b c --help"),
        (PAPER, "a b c"),
        (PAPER, "a b c d paper.pdf more"),
        (MECHANISMS, ""),
        (MECHANISMS, "page.md"),
        (MECHANISMS, "a -h"),
        (PICTURES, ""),
        (PICTURES, "a b"),
    ],
)
def test_other_paths_than_a_script_takes_are_one_line(
    module: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        _run(module, words.split(), monkeypatch)
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.count("\n") == 1
    assert told.startswith(f"error: got {words or 'no paths'}; write `python -m {module} ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "words", "said"),
    [
        (VERDICT, "runs runs page.md", "the page says that there is no verdict"),
        (MECHANISMS, "runs page.md", "the page is made without it"),
    ],
)
def test_runs_that_are_not_there_are_told_and_a_file_in_their_place_is_refused(
    module: str,
    words: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run_of(Path("runs"), {"standard": [NEAR]})
    Path("page.md").write_text("before")
    _run(module, f"nowhere {words}".split(), monkeypatch)
    assert capsys.readouterr().err == f"note: nowhere: is not there; {said}\n"
    assert Path("page.md").read_text() != "before"
    assert module != VERDICT or "so there is no verdict" in Path("page.md").read_text()
    Path("page.md").unlink()
    shutil.rmtree("runs")
    Path("runs").touch()
    with pytest.raises(SystemExit) as ended:
        _run(module, f"nowhere {words}".split(), monkeypatch)
    assert ended.value.code == 5 and not Path("page.md").exists()
    assert capsys.readouterr().err == "error: runs: is not a folder; give one that holds runs\n"


def test_the_numbers_of_the_paper_without_a_study_are_told_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_of(Path("runs"), {"standard": [NEAR]})
    _run(PAPER, "nowhere runs elsewhere .".split(), monkeypatch)
    assert json.loads(Path("numbers.json").read_text()) == {"has_results": False}
    assert capsys.readouterr().err == (
        "note: nowhere: is not there; the paper says that there are no results\n"
        "note: elsewhere: is not there; the page is made without it\n"
    )


@pytest.mark.parametrize("module", [VERDICT, MECHANISMS])
def test_a_page_is_kept_where_no_folder_holds_results(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty/run").mkdir(parents=True)
    Path("page.md").write_text("before")
    for words in ("nowhere nowhere nowhere page.md", "nowhere empty empty page.md"):
        with pytest.raises(SystemExit) as ended:
            _run(module, words.split(), monkeypatch)
        named = ", ".join(dict.fromkeys(words.split()[:-1]))
        said = "no results of a run are there, so nothing is written; give folders that hold runs"
        assert (ended.value.code, capsys.readouterr().err) == (5, f"error: {named}: {said}\n")
    assert Path("page.md").read_text() == "before"
