"""The status of runs whose cells were not kept."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.status import read_status
from nexus_bench.experiment.suite import suite_of
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
    idle = command("status", str(EXAMPLES / name), "--watch")
    assert idle.stderr == f"no process is training in {EXAMPLES / name}; all of its cells are done\n"


def test_a_cell_that_is_to_be_trained_again_is_not_recorded(command: Command) -> None:
    Path("tiny.yaml").write_text(TINY)
    line = "train tiny.yaml --executor inline --quiet --seeds 2 --attention standard suite=tiny -o run"
    assert command(*line.split()).returncode == 0
    run, folder = Path("run"), RunFolder(Path("run"))
    cell_id = suite_of(folder).cells[0].cell_id
    shutil.rmtree(run / "cells" / cell_id)
    assert [state.state for state in read_status(folder)].count("recorded") == 1
    with folder.writing("tiny", [cell_id]):
        assert "recorded" not in {state.state for state in read_status(folder)}
