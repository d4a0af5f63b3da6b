"""What cells were trained in is kept for each of them, and said where a folder mixes it."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from nexus_bench.experiment.recorded import kept_note
from nexus_bench.experiment.run_folder import RunFolder
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
    assert folder.add_environment({"mode": "tf32"}) == 2
    assert folder.add_environment({"mode": "single", "torch": "2.0"}) == 1
    assert json.loads((tmp_path / "env.json").read_text())["environments"] == [
        {"mode": "single", "torch": "2.0"},
        {"mode": "tf32"},
    ]


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
