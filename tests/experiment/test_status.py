"""The status of runs whose cells were not kept."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from nexus_bench.experiment.events import Event, Progress
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.plan import make_plan
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.runner import run_plan
from nexus_bench.experiment.status import read_status
from nexus_bench.experiment.suite import make_suite, suite_of
from nexus_bench.io.config import parse_yaml
from tests.conftest import Command
from tests.paths import EXAMPLES
from tests.small import TINY


@pytest.mark.parametrize("name", ["quick", "staircase"])  # of the second neither the cells nor their seals were kept
def test_status_of_a_run_without_weights_says_what_is_recorded(command: Command, name: str) -> None:
    done = command("status", str(EXAMPLES / name))
    cells = json.loads(command("status", str(EXAMPLES / name), "--json").stdout)["cells"]
    n_here = len(list((EXAMPLES / name / "cells").glob("*/result.json")))
    assert Counter(cell["state"] for cell in cells) == Counter(done=n_here, recorded=len(cells) - n_here)
    assert all(cell["trained"] for cell in cells)
    counts = f"{n_here} done, {len(cells) - n_here} recorded, 0 running, 0 failed, 0 to do"
    assert done.stdout.split("\n")[0].strip() == f"{len(cells)} cells: {counts}"
    assert "the weights are not kept here" in done.stdout
    is_trained_again = (EXAMPLES / name / "cells").exists()  # of a copy all cells are restored
    assert ("`train` trains these cells again" in " ".join(done.stdout.split())) == is_trained_again
    idle = command("status", str(EXAMPLES / name), "--watch")
    goes_on = f"`nexus-bench train {EXAMPLES / name}` goes on"
    what = goes_on if is_trained_again else "all of its cells are done"
    assert idle.stderr == f"no process is training in {EXAMPLES / name}; {what}\n"


def test_a_cell_that_is_to_be_trained_again_is_not_recorded(command: Command) -> None:
    Path("tiny.yaml").write_text(TINY)
    line = "train tiny.yaml --executor inline --quiet --seeds 2 --attention standard suite=tiny -o run"
    assert command(*line.split()).returncode == 0
    run, folder = Path("run"), RunFolder(Path("run"))
    fewer = command(*line.replace("--seeds 2", "--seeds 1").split(), "--dry-run").stdout
    assert "1 cell that this grid lacks: left out of the tables, kept in cells/\n" in fewer
    assert "lacks" not in command(*line.split(), "--dry-run").stdout
    cell_id = suite_of(folder).cells[0].cell_id
    shutil.rmtree(run / "cells" / cell_id)
    assert [state.state for state in read_status(folder)].count("recorded") == 1
    assert "`train` trains these cells again" in " ".join(command("status", "run").stdout.split())
    assert "training 1 cell that was done and then deleted again\n" in command(*line.split(), "--dry-run").stdout
    with folder.writing("tiny", [cell_id]):
        assert "recorded" not in {state.state for state in read_status(folder)}


def test_status_says_from_which_step_a_stopped_cell_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    suite = make_suite(parse_yaml(TINY, where="test"), where="test")
    first, other, *_ = sorted(suite.cells, key=lambda cell: cell.seed)  # as they are trained
    run = RunFolder(tmp_path / "run")

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.cell_id == other.cell_id:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(make_plan(suite, run), run, Execution(executor="inline"), data=None, on_event=stop)
    told = {state.cell_id: (state.state, state.step) for state in read_status(run)}
    assert told.pop(first.cell_id) == ("done", None)
    state, step = told.pop(other.cell_id)
    assert state == "to do" and step in range(10, 20), "a busy machine makes some steps more before it stops"
    assert set(told.values()) == {("to do", None)}
    assert f"{step} of 20" in command("status", "run").stdout
    planned = command("train", "run", "--dry-run", "--executor", "inline", "--mode", "single").stdout
    assert f"{step} of 20" in planned and "\n1 cell goes on from a saved step\n" in planned
    for mode, steps in (("single", {None, step}), ("deterministic", {None})):
        document = json.loads(command("train", "run", "--dry-run", "--json", "--mode", mode).stdout)
        assert {cell["step"] for cell in document["cells"]} == steps
        assert [cell["cell_id"] for cell in document["cells"] if cell["step"]] == [other.cell_id] * (len(steps) - 1)
    assert "goes on" not in command("train", "run", "--dry-run", "--mode", "deterministic").stdout
