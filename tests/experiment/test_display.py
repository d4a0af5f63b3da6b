"""What a terminal shows while cells are trained."""

import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from nexus_bench.experiment import display as displays
from nexus_bench.experiment import notebook
from nexus_bench.experiment.display import Display
from nexus_bench.experiment.estimate import Estimate
from nexus_bench.experiment.events import CellBegun, Progress
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.plan import make_plan
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.config import parse_yaml
from nexus_bench.model.costs import cost_of
from nexus_bench.model.scoring import HopScore
from nexus_bench.training.recipe import Point
from tests.small import TINY


def test_the_live_view_tells_the_sustained_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    shown = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(displays.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(displays, "Console", lambda **given: shown)
    suite = make_suite(parse_yaml(TINY, where="test"), where="test")
    first, second, *_ = suite.cells
    with Display(make_plan(suite, RunFolder(tmp_path)), Execution(), tmp_path, quiet=False) as display:
        display.on_event(CellBegun(first.cell_id))
        now[0] += 2
        for cell, step in ((first, 10), (second, 10), (first, 20)):
            display.on_event(Progress(cell.cell_id, Point(step, {1: HopScore(8, 4, 0.5)})))
        with shown.capture() as captured:
            shown.print(display._view())
    tflops = 1e-12 * 30 * 4 * cost_of(first.model, first.task).counted / 2
    assert f"sustained: 15 model-steps/s, {tflops:.3g} TFLOP/s" in captured.get()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_time_that_is_left_is_told_also_where_evaluations_are_far_apart(
    is_terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    shown = Console(file=io.StringIO(), force_terminal=is_terminal, width=80)
    monkeypatch.setattr(displays.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(displays, "Console", lambda **given: shown)
    suite = make_suite(parse_yaml(TINY.replace("seeds: 2", "seeds: 1"), where="test"), where="test")
    first, second = suite.cells  # of 20 steps each
    told = []
    with Display(make_plan(suite, RunFolder(tmp_path)), Execution(), tmp_path, quiet=False) as display:
        display.on_event(CellBegun(first.cell_id))
        for seconds, cell, step in ((50, first, 20), (150, second, 10), (100, second, 20)):
            now[0] += seconds  # of the first cell half was made before it was stopped
            display.on_event(Progress(cell.cell_id, Point(step, {1: HopScore(8, 4, 0.5)})))
            with shown.capture() as captured:
                shown.print(display._view())
            told.append(captured.get())
    said = shown.file.getvalue()  # type: ignore[attr-defined]
    if is_terminal:
        assert [text.split(" left ")[1].split("\n")[0].strip() for text in told] == ["0:01:40", "0:01:40", "0:00:00"]
        assert "at the speed so far" not in said
    else:
        assert [line for line in said.splitlines() if " left " in line] == [
            "after 3 min 20 s: about 1 min 40 s left at the speed so far"
        ]


def test_a_notebook_shows_one_view_that_replaces_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, str, str]] = []

    def note(how: str) -> Any:
        return lambda data, raw, display_id: shown.append((how, display_id, data["text/plain"]))

    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    ipython = ModuleType("IPython.display")
    monkeypatch.setattr(ipython, "display", note("display"), raising=False)
    monkeypatch.setattr(ipython, "update_display", note("update"), raising=False)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython)
    monkeypatch.setattr(displays, "Console", lambda **given: Console(file=io.StringIO(), force_jupyter=True))
    monkeypatch.setattr(notebook, "_SECONDS", -1)
    suite = make_suite(parse_yaml(TINY, where="test"), where="test")
    cell = suite.cells[0]
    with Display(make_plan(suite, RunFolder(tmp_path)), Execution(), tmp_path, quiet=False, log_every=10) as display:
        display.on_event(CellBegun(cell.cell_id))
        display.on_event(Progress(cell.cell_id, Point(10, {1: HopScore(8, 4, 0.5)})))
    assert [how for how, *_ in shown] == ["display", "update", "update"]
    assert len({name for _, name, _ in shown}) == 1
    first, *lines = shown[-1][2].splitlines()
    assert first.endswith("step 10 | validation accuracy (loss) by hop  1: 0.500 (0.500)")
    assert any(line.startswith("running: ") and line.endswith("step 10") for line in lines)
    shown.clear()
    with Display(make_plan(suite, RunFolder(tmp_path)), Execution(), tmp_path, quiet=True) as display:
        display.on_event(CellBegun(cell.cell_id))
    assert not shown


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("seeds: 6, comparisons: matched", "2 declared comparisons need 7 seeds; with 6 none can be shown"),
        (
            "seeds: 5, comparisons: {model: order 2, baseline: standard}",
            "1 declared comparison needs 6 seeds; with 5 none",
        ),
        ("seeds: 7, comparisons: matched", None),
        ("seeds: 1", None),
    ],
)
def test_it_is_told_before_training_that_seeds_are_too_few_for_what_is_declared(
    settings: str, told: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = "[{attention: standard}, {attention: nexus, order: [2, 3]}]"
    config = f"{{suite: few, tasks: [{{task: pointer_chase, hops: 2, n_nodes: 6}}], models: {models}, {settings}}}"
    folder = RunFolder(tmp_path)
    plan = make_plan(make_suite(parse_yaml(config, where="few"), where="few"), folder)
    displays.print_plan(plan, Estimate({}, 0.0), Execution(), folder)
    out = capsys.readouterr().out
    assert told in out if told else "declared" not in out
