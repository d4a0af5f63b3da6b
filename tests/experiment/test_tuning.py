"""Suites of two stages: what is tried, what is chosen, and that nothing of it reaches the report."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_bench.experiment import runner
from nexus_bench.experiment.events import Event, Failure
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.jobs import Job
from nexus_bench.experiment.plan import RunPlan, make_plan
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.runner import run_plan
from nexus_bench.experiment.suite import Suite, make_suite, suite_of, with_chosen
from nexus_bench.io.config import parse_yaml, to_yaml
from nexus_bench.io.read_results import read_results
from nexus_bench.io.seal import replace_sealed
from nexus_bench.training.spec import CellSpec
from tests.conftest import Command, assert_fails
from tests.paths import EXAMPLES
from tests.small import TINY

RATES = (1e-3, 3e-3, 1e-2)
TUNED = TINY + "tune: {lr: [1e-3, 3e-3, 1e-2], seeds: 2}\n"
DIVERGING = TINY + "tune: {lr: [1e30, 1e-3], seeds: 2}\n"
TRAIN = ["train", "suite.yaml", "--executor", "inline", "--quiet"]


def suite(text: str = TUNED) -> Suite:
    return make_suite(parse_yaml(text, where="x"), where="x")


def test_tuning_comes_first_on_seeds_that_follow_those_of_the_suite() -> None:
    tuned = suite()
    assert [(cell.train.lr, cell.seed) for cell in tuned.cells if cell.model.attention == "standard"] == [
        (lr, seed) for lr in RATES for seed in (2, 3)
    ]
    assert set(tuned.purposes.values()) == {"tuning"} and tuned.n_later == 2 * 2


def test_a_suite_that_is_not_tuned_is_measured_at_once() -> None:
    plain = suite(TINY)
    assert set(plain.purposes.values()) == {"measured"} and plain.n_later == 0
    assert suite(TINY + "tune: false\n").cells == plain.cells


def test_every_combination_of_several_values_is_tried() -> None:
    both = suite(TINY + "tune: {lr: [1e-3, 3e-3], weight_decay: [0.0, 0.1, 1.0]}\n")
    tried = [(cell.train.lr, cell.train.weight_decay) for cell in both.cells if cell.model.attention == "standard"]
    assert tried == [(lr, decay) for lr in (1e-3, 3e-3) for decay in (0.0, 0.1, 1.0)]


def validate(folder: RunFolder, cell: CellSpec, right: int, *, test: int = 0) -> None:
    """A made-up record of a cell: so many of 10 validation examples of each hop are answered right."""
    about = {"cell_id": cell.cell_id, "mode": "deterministic", "status": "trained"}
    rows = [
        about | {"split": split, "hop": hop, "n_correct": n, "n_examples": 10}
        for split, n in (("val", right), ("test", test))
        for hop in (1, 2)
    ]
    folder.cells.save(CellResult(cell.cell_id, rows, [], {"cell_id": cell.cell_id}, b""))


def rates_chosen(folder: RunFolder) -> set[float]:
    cells = with_chosen(suite(), folder)
    return {cell.train.lr for cell in cells.cells if cells.purposes[cell.cell_id] == "measured"}


def validate_all(folder: RunFolder, right: dict[float, int], *, test: dict[float, int] | None = None) -> None:
    for cell in suite().cells:
        if cell.train.lr in right:
            validate(folder, cell, right[cell.train.lr], test=(test or {}).get(cell.train.lr, 0))


def test_the_recipe_that_is_best_on_validation_is_measured(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    validate_all(folder, {1e-3: 4, 3e-3: 7, 1e-2: 5}, test={1e-3: 10})
    cells = with_chosen(suite(), folder)
    measured = cells.cells[len(suite().cells) :]
    assert [(cell.label, cell.train.lr, cell.seed) for cell in measured] == [
        (label, 3e-3, seed)
        for label in ("standard, d_model 16", "nexus, order 2, refine qk, d_model 16")
        for seed in (0, 1)
    ], "test accuracy, which is better at 0.001, has no part in it"
    assert len({cell.cell_id for cell in cells.cells}) == 12 + 4 and cells.n_later == 0


def test_of_equally_good_recipes_the_first_is_measured(tmp_path: Path) -> None:
    validate_all(RunFolder(tmp_path), {1e-3: 4, 3e-3: 7, 1e-2: 7})
    assert rates_chosen(RunFolder(tmp_path)) == {3e-3}


def test_nothing_is_measured_before_all_is_tried(tmp_path: Path) -> None:
    validate_all(RunFolder(tmp_path), {1e-3: 4, 3e-3: 7})
    assert rates_chosen(RunFolder(tmp_path)) == set()


def test_a_recipe_of_which_a_cell_failed_is_the_worst(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    validate_all(folder, {1e-3: 0, 3e-3: 9, 1e-2: 0})
    for cell in suite().cells:
        if cell.train.lr == 3e-3 and cell.seed == 3:
            shutil.rmtree(folder.cells.weights(cell.cell_id).parent)
            folder.cells.save_failure(cell.cell_id, "lost")
    assert rates_chosen(folder) == {1e-3}


@pytest.fixture
def trained(command: Command) -> Path:
    Path("suite.yaml").write_text(TUNED)
    done = command(*TRAIN)
    assert done.returncode == 0, done.stderr
    return Path("runs/tiny")


def test_all_commands_see_both_stages_of_a_run(command: Command, trained: Path) -> None:
    results = read_results(trained)
    states = json.loads(command("status", "runs/tiny", "--json").stdout)["cells"]
    cells = suite_of(RunFolder(trained)).cells
    assert [state["cell_id"] for state in states] == [cell.cell_id for cell in cells] == [*results["cell_id"].unique()]
    assert {state["state"] for state in states} == {"done"}
    seeds = results.groupby("purpose")["seed"].unique().map(sorted).to_dict()
    assert seeds == {"tuning": [2, 3], "measured": [0, 1]}
    planned = json.loads(command(*TRAIN, "--dry-run", "--json").stdout)
    assert len(planned["cells"]) == 16 and planned["n_later"] == 0
    assert command("eval", "runs/tiny", "--n-facts", "7", "--quiet").returncode == 0
    asked = read_results(trained)
    asked = asked[asked["split"].str.startswith("eval_")]
    assert asked.groupby("purpose")["seed"].unique().map(sorted).to_dict() == seeds


def test_a_grid_that_grows_without_another_choice_keeps_what_was_measured(command: Command, trained: Path) -> None:
    before = read_results(trained)
    done = command(*TRAIN, "tune={lr: [1e-7, 1e-3, 3e-3, 1e-2], seeds: 2}")  # nothing is learned at 1e-7
    assert done.returncode == 0, done.stderr
    after = read_results(trained)
    measured = [table[table["purpose"] == "measured"].reset_index(drop=True) for table in (before, after)]
    assert measured[0].equals(measured[1])
    assert set(after[after["purpose"] == "tuning"]["lr"]) == {1e-7, 1e-3, 3e-3, 1e-2}


def test_the_report_of_a_tuned_run_shows_what_was_measured(command: Command, trained: Path) -> None:
    report = json.loads(command("report", "runs/tiny", "--json").stdout)["report"]
    assert [len(row["seeds"]) for row in report["accuracy"]] == [2] * 4
    (notes,) = report["notes"].values()
    (said,) = (note for note in notes if note.startswith("Learning rates chosen"))
    assert said.startswith("Learning rates chosen on validation of 2 other seeds from 0.001, 0.003, 0.01: standard: ")


def test_a_copy_without_its_cells_tells_the_same_suite(trained: Path) -> None:
    shutil.copytree(trained, "copy", ignore=shutil.ignore_patterns("cells"))
    assert suite_of(RunFolder(Path("copy"))).cells == suite_of(RunFolder(trained)).cells


def test_a_tuned_run_is_compared_by_what_it_measured(command: Command, trained: Path) -> None:
    rows = json.loads(command("compare", "runs/tiny", "runs/tiny", "--json").stdout)["rows"]
    assert [row["n_seeds"] for row in rows] == [2] * 4 and {row["verdict"] for row in rows} == {"ok"}


def test_a_dry_run_says_how_many_cells_will_follow(command: Command) -> None:
    Path("suite.yaml").write_text(TUNED)
    *_, planned, later = command(*TRAIN, "--dry-run").stdout.splitlines()
    assert planned.startswith("12 of 12 cells to train")
    assert later == "then 4 more cells, within that time: each model with the recipe that is best on validation"
    assert json.loads(command(*TRAIN, "--dry-run", "--json").stdout)["n_later"] == 4


SECONDS = (
    "timing.csv",
    "result.json",
    "seal.json",
)  # differ in how long training took, as checkpoints of failed cells do


class StoppedError(Exception):
    """Stands in for a process that is killed."""


def stop_after(n: int) -> Callable[[Event], None]:
    ended: list[Event] = []

    def on_event(event: Event) -> None:
        if isinstance(event, CellResult | Failure):
            ended.append(event)
            if len(ended) == n:
                raise StoppedError

    return on_event


def train_in(folder: RunFolder, plan: RunPlan, on_event: Callable[[Event], None]) -> RunPlan:
    failed = run_plan(plan, folder, Execution(executor="inline"), data=None, on_event=on_event)
    return make_plan(plan.suite, folder, failed=[failure.cell_id for failure in failed])


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize(("text", "code"), [(TUNED, 0), (DIVERGING, 7)])
def test_a_run_stopped_in_either_stage_goes_on_to_the_same_bytes(
    stage: int, text: str, code: int, command: Command
) -> None:
    Path("suite.yaml").write_text(text)
    assert command(*TRAIN, "--out", "whole").returncode == code
    folder, plan = RunFolder(Path("stopped")), make_plan(suite(text), RunFolder(Path("stopped")))
    if stage == 2:
        plan = train_in(folder, plan, lambda event: None)
        assert len(plan.to_do) == 4
    with pytest.raises(StoppedError):
        train_in(folder, plan, stop_after(2))
    assert command(*TRAIN, "--out", "stopped").returncode == code
    for path in Path("whole").rglob("*"):
        if path.is_file() and path.name not in (".lock", *SECONDS) and "checkpoints" not in path.parts:
            assert (Path("stopped") / path.relative_to("whole")).read_bytes() == path.read_bytes(), path
    ids = {path.name for path in Path("whole/cells").iterdir()}
    assert ids == {path.name for path in Path("stopped/cells").iterdir()}


def test_a_rate_that_diverges_is_told_and_not_chosen(command: Command) -> None:
    Path("suite.yaml").write_text(DIVERGING)
    done = command(*TRAIN)
    assert done.returncode == 7 and "error: 4 of 12 cells failed, for the reasons above" in done.stderr
    after = done.stdout.partition("Not decided")[2]
    assert after.count("\nFailed: ") == 4 and after.index("\nFailed: ") < after.index("\nreport "), (
        "told again at the end"
    )
    results = read_results(Path("runs/tiny"))
    assert set(results[results["purpose"] == "measured"]["lr"]) == {1e-3}
    assert set(results[results["status"] == "failed"]["purpose"]) == {"tuning"}


def test_tuned_and_measured_cells_are_never_stacked_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a measured cell would be in another stack, with other rounding, in a run that was stopped."""
    folder = RunFolder(tmp_path / "run")
    validate_all(folder, {1e-3: 4, 3e-3: 7})
    for cell in suite().cells:
        if cell.train.lr == 1e-2:
            folder.cells.save_failure(cell.cell_id, "lost")
    folder.write_spec(suite().config)
    plan = make_plan(suite(), folder)
    assert len(plan.to_do) == 4 + 4, "failed cells are tried again, beside what is to be measured"
    stacks: list[set[str]] = []

    def remember(jobs: list[Job], execution: Execution) -> None:
        stacks.extend({plan.suite.purposes[cell.cell_id] for cell in job.cells} for job in jobs)
        raise StoppedError

    monkeypatch.setattr(runner, "_events", remember)
    monkeypatch.setattr(RunFolder, "write_tables", lambda *arguments, **more: None)
    with pytest.raises(StoppedError):
        run_plan(plan, folder, Execution("deterministic", stack=8), data=None, on_event=lambda event: None)
    assert stacks == [{"tuning"}, {"tuning"}, {"measured"}, {"measured"}]


def test_a_comparison_that_selects_no_model_ends_in_one_line(command: Command) -> None:
    Path("suite.yaml").write_text(TINY + 'comparisons: [{model: "order 3", baseline: standard}]\n')
    assert_fails(
        command(*TRAIN), 3, "suite.yaml: comparisons: 'order 3' selects no model of: standard, d_model 16; nexus"
    )
    assert command(*TRAIN, "--set", "comparisons=false", "--dry-run").returncode == 0


def test_what_a_suite_declares_is_tested_in_its_report(command: Command) -> None:
    Path("suite.yaml").write_text(TINY + 'comparisons: [{model: "order 2", baseline: standard}]\n')
    assert command(*TRAIN).returncode == 0
    kinds = [
        row["kind"] for row in json.loads(command("report", "runs/tiny", "--json").stdout)["report"]["comparisons"]
    ]
    assert kinds == ["declared", "models", "matched"]
    assert "Declared comparisons" in Path("runs/tiny/report.md").read_text()


def test_a_tuned_run_that_was_stopped_before_its_first_cell_goes_on(tmp_path: Path) -> None:
    header = (EXAMPLES / "quick" / "results.csv").read_text().splitlines(keepends=True)[0]
    replace_sealed(tmp_path, {"spec.yaml": to_yaml(suite().config), "results.csv": header})
    assert make_plan(suite(), RunFolder(tmp_path)).to_do == list(suite().cells)
