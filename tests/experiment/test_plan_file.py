"""`status` tells the cells from what `train` kept of its plan, and without it finds them again."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from nexus_bench.experiment import plan_file, runner
from nexus_bench.experiment.plan_file import PLAN, PlannedCell, planned_cells, write_planned
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import suite_of
from nexus_bench.training.titles import titles_of
from tests.conftest import Command, assert_fails
from tests.small import TINY

LINE = "train tiny.yaml --executor inline --device cpu --quiet --seeds 2 -o run"


@pytest.fixture
def run(command: Command) -> Path:
    """A run of four cells, one of which was deleted."""
    Path("tiny.yaml").write_text(TINY)
    assert command(*LINE.split()).returncode == 0
    return Path("run")


def found(run: Path) -> list[PlannedCell]:
    """The cells as the suite of a run spans them."""
    cells = suite_of(RunFolder(run)).cells
    return [PlannedCell(cell.cell_id, titles_of(cells)[cell.cell_id], cell.train.steps) for cell in cells]


def test_train_keeps_the_cells_and_their_titles(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = found(run)
    monkeypatch.setattr("nexus_bench.experiment.suite.suite_of", None)  # so that it cannot be asked
    assert planned_cells(RunFolder(run)) == expected and len(expected) == 4


@pytest.mark.parametrize("line", ["status run", "status run --json", "runs .", "runs . --json"])
@pytest.mark.usefixtures("run")
def test_the_state_of_runs_is_told_without_pytorch(line: str, tmp_path: Path) -> None:
    script = (
        f"import sys; sys.modules['torch'] = None; from nexus_bench import cli; code = cli.run({line.split()!r}); "
        "sys.exit(code or ('torch' in sys.modules and sys.modules['torch'] is not None))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "done" in done.stdout


def test_a_plan_that_is_missing_damaged_or_of_something_else_is_not_used(
    run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, plan = found(run), (run / PLAN).read_text()
    (run / PLAN).unlink()
    assert planned_cells(RunFolder(run)) == expected
    (run / PLAN).write_text(plan.replace(expected[0].cell_id, "0" * 16))
    assert planned_cells(RunFolder(run)) == expected
    (run / PLAN).write_text("")
    assert planned_cells(RunFolder(run)) == expected
    assert command(*LINE.split(), "steps=7").returncode == 0  # other cells, and another spec.yaml
    again = found(run)
    assert planned_cells(RunFolder(run)) == again != expected
    (run / PLAN).write_text(plan)  # of before
    assert planned_cells(RunFolder(run)) == again
    write_planned(run, expected)
    assert planned_cells(RunFolder(run)) == expected
    monkeypatch.setattr(plan_file, "__version__", "0.0.1")
    assert planned_cells(RunFolder(run)) == again


def test_a_folder_in_the_place_of_the_plan_is_told_by_train_alone(run: Path, command: Command) -> None:
    expected = found(run)
    (run / PLAN).unlink()
    (run / PLAN).mkdir()
    assert planned_cells(RunFolder(run)) == expected
    told = command(*LINE.split())
    assert_fails(told, 5, f"{run / PLAN}: cannot be written: ")
    assert told.stderr.endswith("; move that folder away, or write elsewhere\n")


def test_a_suite_that_is_tuned_is_kept_once_its_recipes_are_chosen(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("tuned.yaml").write_text(TINY + "tune: {lr: [1e-3, 3e-3]}\n")
    run, seen = Path("run"), []

    def noted(run: Path, cells: Iterable[PlannedCell]) -> None:
        seen.append(list(cells))

    monkeypatch.setattr(runner, "write_planned", noted)
    assert command(*LINE.replace("tiny.yaml", "tuned.yaml").split()).returncode == 0
    assert seen == [found(run)] and len(seen[0]) == 2 * 2 + 2 * 2
