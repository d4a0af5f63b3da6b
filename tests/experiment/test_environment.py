"""What cells were trained in is kept for each of them, and said where a folder mixes it."""

import json
from itertools import chain, repeat
from pathlib import Path

import pandas as pd
import pytest
import torch

import nexus_bench as nb
from nexus_bench.experiment import runner
from nexus_bench.experiment.cell_environments import kept_note
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.seal import check_sealed
from nexus_bench.report.output import report
from tests.conftest import Command
from tests.small import TINY


@pytest.fixture
def mixed(command: Command, tmp_path: Path) -> Path:
    """A run of two cells in mode single, and two more in mode deterministic."""
    (tmp_path / "tiny.yaml").write_text(TINY.replace("  - {attention: nexus, order: 2}\n", ""))
    line = ["train", "tiny.yaml", "--executor", "inline", "--device", "cpu", "--out", "run"]
    assert command(*line).returncode == 0
    again = command(*line, "--seeds", "4", "--mode", "deterministic")
    assert again.returncode == 0
    told = f"kept 2 cells that were trained in mode single on cpu with PyTorch {torch.__version__}; this run trains in"
    assert [told in line for line in again.stderr.splitlines()].count(True) == 1
    return tmp_path / "run"


def test_every_environment_is_kept_and_every_cell_names_its_own(mixed: Path, command: Command) -> None:
    held = json.loads((mixed / "env.json").read_text())
    assert held["format"] == 2
    assert [one["mode"] for one in held["environments"]] == ["single", "deterministic"]
    assert held["environments"][0]["attentions"]["standard"]["package"] == "nexus-bench"
    timing = pd.read_csv(mixed / "timing.csv")
    assert timing[["mode", "environment"]].to_numpy().tolist() == [["single", 1]] * 2 + [["deterministic", 2]] * 2
    before = (mixed / "env.json").read_bytes()
    again = command("train", "tiny.yaml", "--executor", "inline", "--seeds", "4", "--device", "cpu", "--out", "run")
    assert "kept 2 cells that were trained in mode deterministic on cpu" in again.stderr
    assert (mixed / "env.json").read_bytes() == before
    assert "Cells were trained in several modes: single (2 cells), deterministic (2 cells)." in again.stdout
    states = json.loads(command("status", "run", "--json").stdout)["cells"]
    assert [state["trained"].split(" on ")[0] for state in states] == ["in mode single"] * 2 + [
        "in mode deterministic"
    ] * 2
    shown = " ".join(command("status", "run").stdout.split())
    assert "trained" in shown.split("cell_id")[1].splitlines()[0]


def test_the_file_of_an_older_version_is_the_first_entry(tmp_path: Path) -> None:
    (tmp_path / "env.json").write_text(json.dumps({"format": 2, "mode": "single", "torch": "2.0"}))
    folder = RunFolder(tmp_path)
    assert folder.environments() == [{"mode": "single", "torch": "2.0"}]
    assert folder.add_environment({"mode": "tf32"}, "2026-11-28") == 2
    assert folder.add_environment({"mode": "single", "torch": "2.0"}, "2026-11-28") == 1
    assert json.loads((tmp_path / "env.json").read_text())["environments"] == [
        {"mode": "single", "torch": "2.0"},
        {"mode": "tf32", "first_day": "2026-11-28", "last_day": "2026-11-28"},
    ]


def test_another_day_is_no_other_environment(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    days = ["2026-11-28", "2026-12-01", "2026-11-30", "2026-11-27"]
    assert [folder.add_environment({"mode": "single"}, day) for day in days] == [1, 1, 1, 1]
    assert folder.environments() == [{"mode": "single", "first_day": "2026-11-27", "last_day": "2026-12-01"}]
    check_sealed(tmp_path, ["env.json"])
    assert folder.add_environment({"mode": "tf32"}, "2026-12-02") == 2
    assert folder.environments()[0]["last_day"] == "2026-12-01"


def test_a_run_over_days_tells_them_and_a_report_made_again_has_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    trained = (
        (1, ["2026-11-27"], "mode single, trained 2026-11-27."),
        (2, ["2026-11-28", "2026-11-29"], "mode single, trained 2026-11-27 to 2026-11-29."),
    )
    for seeds, days, told in trained:
        clock = chain(days, repeat(days[-1]))  # a run that begins on one day ends on the next
        monkeypatch.setattr(runner, "today", lambda clock=clock: next(clock))
        run = nb.train(
            task="pointer_chase", attention="standard", hops=1, n_nodes=6, steps=2, n_val=32, n_test=32,
            seeds=seeds, out=out, device="cpu", mode="single", executor="inline", quiet=True,
        )  # fmt: skip
        assert [told in line for line in run.report().markdown.splitlines()].count(True) == 1
    assert list(pd.read_csv(out / "timing.csv")["environment"]) == [1, 1]
    once, again = (tmp_path / name for name in ("once", "again"))
    for folder in (once, again):
        report([out], folder)
    names = ("report.md", "report.html")
    assert [(once / name).read_bytes() for name in names] == [(again / name).read_bytes() for name in names]
    assert "trained 2026-11-27 to 2026-11-29" in (once / "report.html").read_text()


def test_the_same_environment_needs_no_word() -> None:
    now = {"mode": "single", "device": "cpu", "torch": "2.13"}
    assert kept_note(["in mode single on cpu with PyTorch 2.13"] * 3, now) is None
    assert kept_note(["in mode single on cpu with PyTorch 2.11"], now) == (
        "kept 1 cell that was trained in mode single on cpu with PyTorch 2.11; this run trains in mode single on cpu "
        "with PyTorch 2.13"
    )


def test_cells_that_differ_in_the_recipe_alone_are_shown_apart_and_found(command: Command, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY.replace("seeds: 2", "seeds: 1"))
    line = ["train", "tiny.yaml", "--executor", "inline", "--quiet", "--out", "run", "--set", "lr=1e-3,3e-3"]
    assert command(*line).returncode == 0
    states = json.loads(command("status", "run", "--json").stdout)["cells"]
    assert [state["title"].split(" | ", 2)[2] for state in states] == ["lr 0.001 | seed 0", "lr 0.003 | seed 0"] * 2
    found = json.loads(command("inspect", "run", "--cell", "order 2 | seed 0 | lr 0.003", "--json").stdout)
    assert found["cell"] == states[3]["cell_id"]
    chosen = command("inspect", "run", "--cell", "order 2", "--json")
    assert chosen.returncode == 0
    assert chosen.stderr.startswith(
        "2 recipes; taking the one that is best on validation: pointer_chase hops 1-2 | nexus"
    )
    assert chosen.stderr.count("\n") == 1
