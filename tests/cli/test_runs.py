"""Commands about run folders, and what `train` says first."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

import pytest
import rich.console
import yaml
from rich.console import Console

from nexus_bench.experiment import cell_environments, found_runs
from nexus_bench.experiment.found_runs import find_runs, finding_of
from nexus_bench.experiment.records import CellRecords
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.columns import TUNING
from nexus_bench.io.config import Config
from nexus_bench.io.read_results import read_results
from nexus_bench.io.record_seals import seal_records
from nexus_bench.io.seal import replace_sealed
from tests.conftest import Command, assert_fails
from tests.packs import pack
from tests.paths import EXAMPLES, ROOT
from tests.small import TINY

TUNED = ROOT / "runs" / "beside" / "reference-lion"


@pytest.fixture
def run(command: Command) -> Path:
    Path("tiny.yaml").write_text(TINY)
    done = command(*"train tiny.yaml --executor inline --quiet --seeds 1 --attention standard suite=tiny".split())
    assert done.returncode == 0, done.stderr
    return Path("runs/tiny")


def test_open_shows_the_report(run: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda page: shown.append(page) or True)
    assert command("open", str(run)).stdout == command("open").stdout == "runs/tiny/report.html\n"
    assert shown == 2 * [(run / "report.html").absolute().as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda page: False)
    alone = command("open", str(run))
    assert alone.stdout == "runs/tiny/report.html: no browser here; copy it to where there is one\n"
    (run / "report.html").unlink()
    assert command("open", str(run)).stdout == alone.stdout and (run / "report.html").is_file(), "it is made"
    assert_fails(command("open", str(run / "other.html")), 5, "other.html: is not a run folder; make one with")


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_what_is_not_a_run_folder_has_one_exit_code_in_every_command(folder: str, command: Command) -> None:
    Path("empty").mkdir()
    lines = ("status RUN", "open RUN", "report RUN", "leaderboard RUN", "leaderboard RUN --check", "compare RUN RUN")
    for line in (*lines, "eval RUN --hops 1", "inspect RUN", "predictions RUN", "reproduce loops --check RUN"):
        assert_fails(command(*line.replace("RUN", folder).split()), 5, f"{folder}: is not a run folder")


@pytest.mark.parametrize("begun", [False, True], ids=["finished", "begun"])
def test_a_run_of_pretrain_is_told_from_one_of_a_suite(begun: bool, command: Command) -> None:
    shutil.copytree(EXAMPLES / "pretrain" / "14m-order2-seed0", "p")
    if begun:
        for path in Path("p").iterdir():
            if path.name != "spec.yaml":
                path.unlink()
    held = {path.name: path.read_bytes() for path in Path("p").iterdir()}
    told = "p: is a run of `nexus-bench pretrain`, which has no cells; `losses` and `lm` read it"
    lines = ("status p", "open p", "report p", "eval p --hops 1", "inspect p", "predictions p", "compare p p")
    for line in (*lines, "leaderboard --check p", "train p", "reproduce loops --check p"):
        assert_fails(command(*line.split()), 3, told)
    assert_fails(command("train", "quick", "-o", "p"), 2, "p: holds a run of `nexus-bench pretrain`, which is kept")
    assert {path.name: path.read_bytes() for path in Path("p").iterdir()} == held


def test_a_run_of_pretrain_is_told_by_its_log_alone_also_a_packed_one(command: Command) -> None:
    Path("p").mkdir()
    Path("p/log.csv").write_text("step,tokens\n")
    pack(Path("p/log.csv"))
    assert_fails(command("leaderboard", "--check", "p"), 3, "p: is a run of `nexus-bench pretrain`")
    assert_fails(command("train", "quick", "-o", "p"), 2, "p: holds a run of `nexus-bench pretrain`, which is kept")


def test_watch_shows_a_run_until_nothing_trains_there(
    run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = command("status", str(run), "--watch")
    assert idle.stderr == "no process is training in runs/tiny; all of its cells are done\n"
    with monkeypatch.context() as patched:
        patched.setattr(CellRecords, "finished", lambda self, cell_id: False)
        patched.setattr(cell_environments, "cells_of_tables", lambda run: {"another"})
        idle = command("status", str(run), "--watch")
    assert idle.stderr == ("no process is training in runs/tiny; `nexus-bench train runs/tiny` goes on\n")
    left = [True] * 6  # asked before, by each turn, and by each reading of the states
    slept: list[float] = []
    monkeypatch.setattr(RunFolder, "is_written_to", lambda self: bool(left) and left.pop())
    monkeypatch.setattr(time, "sleep", slept.append)
    shown = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(rich.console, "Console", lambda **given: shown)
    watched = command("status", str(run), "--watch", "--every", "7")
    assert watched.returncode == 0 and slept.count(7.0) == 2
    assert "1 cell: 1 done" in watched.stdout
    assert_fails(command("status", str(run), "--watch", "--json"), 2, "write `nexus-bench status runs/tiny --json`")


def test_a_run_that_was_stopped_says_so(run: Path, command: Command) -> None:
    spec = run / "spec.yaml"
    config = command("train", str(spec), "--seeds", "3", "--print-config").stdout
    assert "seeds: 3" in config
    more = command("train", str(spec), "--seeds", "3", "--executor", "inline", "--quiet", "--out", str(run))
    assert more.returncode == 0
    (found,) = json.loads(command("runs", "--json").stdout)["runs"]
    assert (found["state"], found["n_cells"], found["n_planned"]) == ("done", 3, 3)
    (run / "checkpoints").mkdir()
    assert command("runs").stdout.split()[5:10] == ["runs/tiny", "stopped", "3", "of", "3"]


def test_a_run_that_lost_a_cell_is_not_done(run: Path, command: Command) -> None:
    spec = run / "spec.yaml"
    assert command("train", str(spec), "--seeds", "2", "--executor", "inline", "--quiet").returncode == 0
    cell, _ = (run / "cells").iterdir()
    shutil.rmtree(cell)
    (found,) = find_runs(Path("runs"))
    lost = "1 cell lacks its folder in cells/, and is trained again by `nexus-bench train runs/tiny`"
    assert (found.state, found.n_cells, found.problem) == ("stopped", 2, lost)
    assert f"\n  {lost}\n" in command("runs").stdout and "1 recorded" in command("status", str(run)).stdout
    shutil.rmtree(run / "cells")
    (found,) = find_runs(Path("runs"))
    assert (found.state, found.problem) == ("done", None), (
        "a copy of the tables has no cells, and `train` restores them"
    )


def test_a_copy_that_keeps_some_of_its_cells_is_done(tmp_path: Path) -> None:
    """The example keeps one of its nine cells, whose weights the page on inspection shows."""
    shutil.copytree(EXAMPLES / "quick", tmp_path / "quick")
    (found,) = find_runs(tmp_path)
    assert len(list((tmp_path / "quick" / "cells").iterdir())) == 1
    assert (found.state, found.n_cells, found.n_planned, found.problem) == ("done", 9, 9, None)
    seal_records(tmp_path / "quick", CellRecords(tmp_path / "quick" / "cells").record_names(["2068155cc9dcf72d"]))
    (found,) = find_runs(tmp_path)
    assert found.state == "stopped" and (found.problem or "").startswith("8 cells lack their folders"), "its seal knows"
    shutil.copy(EXAMPLES / "quick" / "seal.json", tmp_path / "quick" / "seal.json")
    shutil.rmtree(tmp_path / "quick" / "cells" / "2068155cc9dcf72d")
    assert find_runs(tmp_path)[0].state == "stopped", "nothing of them is kept"


def test_a_folder_that_cannot_be_listed_is_told(run: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Path("runs/theirs")
    closed.mkdir()
    listed = os.scandir

    def refused(path: str | Path) -> object:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refused)
    monkeypatch.setattr(webbrowser, "open", lambda page: False)
    found = find_runs(Path("runs"))
    assert [(one.path, one.state) for one in found] == [("runs/tiny", "done"), ("runs/theirs", "unreadable")]
    assert "unknown\n  runs/theirs: Permission denied\n" in command("runs").stdout
    assert command("open").stdout.startswith("runs/tiny/report.html"), "the newest run"
    with monkeypatch.context() as patched:
        patched.setattr(found_runs, "is_there", lambda path: refused(closed))
        assert find_runs(Path("runs"))[0].problem == "runs/theirs: Permission denied", "its files cannot be seen"


def test_cells_are_counted_with_the_recipes_that_tasks_have_of_their_own(tmp_path: Path) -> None:
    own = {"task": "reachable", "hops": [1, 2], "train": {"lr": [0.1, 0.2]}}
    suite: Config = {"suite": "own", "tasks": [own, {"task": "ancestor", "hops": "1-2", "train": {"steps": 7}}]}
    suite |= {"models": [{"attention": "nexus", "order": [1, 2]}], "train": {"lr": 0.3}, "seeds": 3}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "spec.yaml").write_text(yaml.safe_dump(suite))
    (found,) = find_runs(tmp_path)
    assert found.n_planned == len(make_suite(suite, where="test").cells) == (2 + 1) * 2 * 3


def test_a_tuned_run_that_lacks_cells_to_measure_is_not_done(tmp_path: Path) -> None:
    """Though how many cells choose the recipes is known to the run alone."""
    rows = read_results(TUNED)
    assert (rows["purpose"] == TUNING).any(), "the run is tuned"
    last = rows.loc[rows["purpose"] != TUNING, "cell_id"].iloc[-1]
    spec = (TUNED / "spec.yaml").read_text()
    for name, kept in (("whole", rows), ("less", rows[rows["cell_id"] != last])):
        (tmp_path / name).mkdir()
        replace_sealed(tmp_path / name, {"spec.yaml": spec, "results.csv": kept.to_csv(index=False)})
    found = {Path(run.path).name: run for run in find_runs(tmp_path)}
    assert {name: run.state for name, run in found.items()} == {"whole": "done", "less": "stopped"}
    assert found["whole"].n_planned is None and found["less"].n_cells == found["whole"].n_cells - 1


def test_runs_without_a_grid_are_not_counted_as_one() -> None:
    names = {Path(run.path).name: run for run in find_runs(EXAMPLES)}
    assert (names["arc_easy"].state, names["arc_easy"].n_planned, names["quick"].n_planned) == ("done", None, 9)
    assert not any(name.startswith("14m") for name in names), "these are of `pretrain`; `losses` compares them"


def test_the_finding_of_a_run_is_the_first_sentence_of_its_report(tmp_path: Path) -> None:
    assert finding_of(tmp_path) is None
    (tmp_path / "report.md").write_text("# nexus-bench: quick\n\n**Order m reached m hops \\[3 of 3\\].**\n\n- more\n")
    assert finding_of(tmp_path) == "Order m reached m hops [3 of 3]."
    (tmp_path / "report.md").write_text("# nexus-bench: quick\n\n## **bold**, but later\n")
    assert finding_of(tmp_path) is None


def test_runs_are_not_looked_for_among_the_cells_of_a_run(run: Path) -> None:
    inner = run / "cells" / "0" / "spec.yaml"
    inner.parent.mkdir()
    inner.write_text((run / "spec.yaml").read_text())
    (run / "nowhere").symlink_to(run / "gone")
    (found,) = find_runs(Path())
    assert found.path == str(run)
    assert found.n_bytes == sum(path.stat().st_size for path in run.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("is_terminal", "told"), [(True, "train: reachable"), (False, "train: reachable; starting PyTorch")]
)
def test_train_says_what_is_asked_before_pytorch_is_imported(is_terminal: bool, told: str, tmp_path: Path) -> None:
    script = (
        "import sys, rich.console; from nexus_bench.cli import run\n"
        "printed = rich.console.Console.print\n"
        "def spied(self, *args, **more):\n"
        "    printed(self, *args, **more); sys.exit(3 if 'torch' in sys.modules else 0)\n"
        "rich.console.Console.print = spied\n"
        f"rich.console.Console.is_terminal = {is_terminal}\n"
        "run(['train', '--task', 'reachable'])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, f"{told}\n")


def test_an_unknown_choice_is_told_before_pytorch_is_imported(tmp_path: Path) -> None:
    lines = (
        *(f"train --{option} nowhere" for option in ("device", "mode", "executor", "logger")),
        "train --logger csv,nowhere --dry-run",
        "train --tensorboard --logger nowhere --print-config",
        "eval RUN --hops 1 --device nowhere",
        "retrofit MODEL --task kinship --device nowhere",
        "reproduce loops --mode nowhere",
    )
    script = (
        "import sys; from nexus_bench.cli import run\n"
        f"codes = {{run(line.split()) for line in {lines}}}\n"
        "sys.exit(3 if 'torch' in sys.modules else codes != {2})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = [line.partition(" 'nowhere'; known: ")[0] for line in done.stderr.splitlines()]
    kinds = ("device", "mode", "executor", "logger", "logger", "logger", "device", "device", "mode")
    assert told == [f"error: unknown {kind}" for kind in kinds]


def test_a_run_whose_table_was_deleted_is_unreadable(run: Path, command: Command) -> None:
    (run / "results.csv").unlink()
    (found,) = find_runs(Path("runs"))
    assert found.state == "unreadable" and found.problem is not None and "results.csv: is missing" in found.problem
    assert_fails(command("status", str(run)), 4, found.problem)
