"""A plan is timed by the engine that will run."""

from pathlib import Path

import pytest

from nexus_bench.experiment import estimate as estimates
from nexus_bench.experiment.estimate import EngineTimes, estimate, side_by_side
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.plan import RunPlan, make_plan
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.config import parse_yaml
from nexus_bench.training.engine import Single
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.stacked import Stacked
from tests.small import TINY


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    return make_plan(make_suite(parse_yaml(TINY, where="test"), where="test"), RunFolder(tmp_path / "run"))


@pytest.mark.parametrize(("mode", "other"), [("single", Stacked), ("deterministic", Single)])
def test_the_engine_that_will_run_is_timed_and_no_other(
    mode: str, other: type, plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other, "__init__", None)
    told = estimate(plan, Execution(mode), None)
    assert told.cells.keys() == {cell.cell_id for cell in plan.to_do} and min(told.cells.values()) > 0
    assert told.seconds > sum(told.cells.values())


def test_jobs_are_of_the_size_of_stacks_and_share_their_seconds(plan: RunPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def paced(stack: tuple[object, ...], *others: object) -> EngineTimes:
        sizes.append(len(stack))
        return EngineTimes(10.0, 1.0, 4.0)

    monkeypatch.setattr(estimates, "_paced", paced)
    monkeypatch.setattr(estimates, "_start_up", lambda: 3.0)
    told = estimate(plan, Execution("deterministic"), None)
    assert sizes == [2, 2]  # two models, two seeds each
    whole = 10 + 20 * 1 + (2 + 16 / 8) * 4  # 20 steps, 2 evaluations, and the test split, twice as large
    assert set(told.cells.values()) == {whole / 2}
    assert told.seconds == 2 * whole + 2 * 3, "one process after the command"
    assert estimate(plan, Execution("deterministic", n_workers=2), None).seconds == whole + 2 * 3
    assert estimate(plan, Execution("deterministic", "cpu", "inline"), None).seconds == 2 * whole + 3


def test_processes_take_turns_on_a_gpu_and_set_up_beside_it(plan: RunPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "_paced", lambda *given: EngineTimes(10.0, 1.0, 4.0))
    monkeypatch.setattr(estimates, "_start_up", lambda: 3.0)
    turn = 20 * 1 + (2 + 16 / 8) * 4  # of each of two jobs
    for n_gpus, whole in ((1, 10 + 2 * turn), (2, 10 + turn)):
        monkeypatch.setattr("torch.cuda.device_count", lambda n=n_gpus: n)
        assert estimate(plan, Execution("tf32", "cuda", n_workers=2), None).seconds == whole + 2 * 3


@pytest.mark.parametrize(("n_workers", "seconds"), [(1, 8 * 20 + 4 * 20), (2, 4 * 20 + 2 * 20), (3, 3 * 20 + 2 * 20)])
def test_the_cells_that_follow_those_of_tuning_are_part_of_the_time(
    n_workers: int, seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "_paced", lambda *given: EngineTimes(0.0, 1.0, 0.0))
    monkeypatch.setattr(estimates, "_start_up", lambda: 3.0)
    tuned = make_suite(parse_yaml(TINY + "tune: {lr: [1e-3, 1e-2], seeds: 2}\n", where="test"), where="test")
    told = estimate(make_plan(tuned, RunFolder(tmp_path / "run")), Execution("single", n_workers=n_workers), None)
    assert (len(told.cells), tuned.n_later) == (8, 4)
    assert told.seconds == seconds + 3 * 3, "the command, and processes for either"


def test_without_time_for_an_engine_it_is_reckoned_by_its_operations(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "_BUDGET", 0.0)
    monkeypatch.setattr(estimates, "_paced", lambda *given: EngineTimes(0.0, 1.0, 0.0))
    operations = {"standard": 100.0, "nexus": 250.0}
    monkeypatch.setattr(estimates, "_operations", lambda stack: operations[stack[0].model.attention])
    told = estimate(plan, Execution("single"), None)
    assert {round(told.cells[cell.cell_id]) for cell in plan.to_do if cell.model.attention == "standard"} == {20}
    assert {round(told.cells[cell.cell_id]) for cell in plan.to_do if cell.model.attention == "nexus"} == {50}


class Clock:
    """A clock that goes on only where a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(estimates, "time", self)

    def perf_counter(self) -> float:
        return self.now

    def takes(self, seconds: float) -> None:
        self.now += seconds


def test_of_a_slow_engine_two_steps_and_one_batch_of_validation_are_timed(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, scored = Clock(monkeypatch), []

    class Slow:
        def __init__(self, rows: list[TrainingRow], job: object) -> None:
            self.step, self.rows = 0, rows

        def advance(self) -> None:
            self.step += 1
            clock.takes(50.0)

        def scores(self) -> None:
            scored.append(self.rows[0].source.held_out["val"].examples.n_graphs)
            clock.takes(9.0)

        def close(self) -> None:
            assert self.step == 2

    monkeypatch.setattr(estimates, "engine_of", Slow)
    monkeypatch.setattr(estimates, "EVALUATION_GRAPHS", 3)
    pace = estimates._paced(plan.to_do[:1], Execution("single"), None)
    assert scored == [3], "of 8"
    assert pace == EngineTimes(50.0, 50.0, 9.0 * 8 / 3)


def test_every_kind_of_engine_is_timed_before_a_second_one_and_none_begins_after_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, timed = Clock(monkeypatch), []
    models = "[{attention: standard, d_model: [16, 32]}, {attention: standard, canon: A, encoding: flat}, NEXUS]"
    head, _, tail = TINY.partition("models:")
    text = f"{head}models: {models.replace('NEXUS', '{attention: nexus}')}\n{tail[tail.index('train:') :]}"
    wide = make_plan(make_suite(parse_yaml(text, where="test"), where="test"), RunFolder(tmp_path / "run"))

    def paced(stack: tuple[CellSpec, ...], *others: object) -> EngineTimes:
        timed.append((stack[0].model.attention, stack[0].model.canon, stack[0].model.d_model))
        clock.takes(14.0)
        return EngineTimes(0.0, {"": 1.0, "A": 3.0}[stack[0].model.canon], 0.0)

    monkeypatch.setattr(estimates, "_paced", paced)
    monkeypatch.setattr(estimates, "_start_up", lambda: 0.0)
    operations = {("", 16): 100.0, ("", 32): 200.0, ("A", 16): 190.0}  # the wide one is nearest to another kind
    monkeypatch.setattr(
        estimates, "_operations", lambda stack: operations[stack[0].model.canon, stack[0].model.d_model]
    )
    told = estimate(wide, Execution("single"), None)
    assert timed == [("standard", "", 16), ("standard", "A", 16), ("nexus", "", 16)], "and not the wide one"
    seconds = {(cell.model.canon, cell.model.d_model): told.cells[cell.cell_id] for cell in wide.to_do}
    assert seconds == {("", 16): 20.0, ("", 32): 40.0, ("A", 16): 60.0}


def test_a_job_begins_as_soon_as_a_process_is_free() -> None:
    assert side_by_side([5.0, 4.0, 3.0, 2.0], 1) == 14
    assert side_by_side([5.0, 4.0, 3.0, 2.0], 2) == 7
    assert side_by_side([5.0, 4.0], 8) == 5


def test_nothing_to_do_takes_no_time(plan: RunPlan) -> None:
    assert estimate(plan._replace(to_do=[]), Execution("single"), None) == ({}, 0.0)
