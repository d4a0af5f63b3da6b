"""Scripts that write pages of the documentation: what they are given is checked, and told in one line."""

import runpy
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("module", "words"), [(VERDICT, "runs runs runs page.md"), (MECHANISMS, "runs page.md")])
def test_runs_that_are_not_there_are_told_and_a_file_in_their_place_is_refused(
    module: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _run(module, words.split(), monkeypatch)
    assert set(capsys.readouterr().err.splitlines()) == {"note: runs: is not there; the page is made without it"}
    Path("page.md").unlink()
    Path("runs").touch()
    with pytest.raises(SystemExit) as ended:
        _run(module, words.split(), monkeypatch)
    assert ended.value.code == 5 and not Path("page.md").exists()
    assert capsys.readouterr().err == "error: runs: is not a folder; give one that holds runs\n"
