"""A plan is timed by the engine that will run."""

from pathlib import Path

import pytest

from nexus_bench.experiment import estimate as estimates
from nexus_bench.experiment.estimate import Pace, estimate, side_by_side
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.plan import Plan, make_plan
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.config import parse_yaml
from nexus_bench.training.engine import Single
from nexus_bench.training.stacked import Stacked
from tests.small import TINY


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(make_suite(parse_yaml(TINY, where="test"), where="test"), RunFolder(tmp_path / "run"))


@pytest.mark.parametrize(("mode", "other"), [("single", Stacked), ("deterministic", Single)])
def test_the_engine_that_will_run_is_timed_and_no_other(
    mode: str, other: type, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other, "__init__", None)
    told = estimate(plan, Execution(mode), None)
    assert told.cells.keys() == {cell.cell_id for cell in plan.to_do} and min(told.cells.values()) > 0
    assert told.seconds > sum(told.cells.values())


def test_jobs_are_of_the_size_of_stacks_and_share_their_seconds(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def paced(stack: tuple[object, ...], *others: object) -> Pace:
        sizes.append(len(stack))
        return Pace(10.0, 1.0, 4.0)

    monkeypatch.setattr(estimates, "_paced", paced)
    monkeypatch.setattr(estimates, "_start_up", lambda: 3.0)
    told = estimate(plan, Execution("deterministic"), None)
    assert sizes == [2, 2]  # two models, two seeds each
    whole = 10 + 20 * 1 + (2 + 16 / 8) * 4  # 20 steps, 2 evaluations, and the test split, twice as large
    assert set(told.cells.values()) == {whole / 2}
    assert told.seconds == 2 * whole + 2 * 3, "one process after the command"
    assert estimate(plan, Execution("deterministic", n_workers=2), None).seconds == whole + 2 * 3
    assert estimate(plan, Execution("deterministic", "cpu", "inline"), None).seconds == 2 * whole + 3


def test_without_time_for_an_engine_it_is_reckoned_by_its_operations(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "_BUDGET", 0.0)
    monkeypatch.setattr(estimates, "_paced", lambda *given: Pace(0.0, 1.0, 0.0))
    operations = {"standard": 100.0, "nexus": 250.0}
    monkeypatch.setattr(estimates, "_operations", lambda stack: operations[stack[0].model.attention])
    told = estimate(plan, Execution("single"), None)
    assert {round(told.cells[cell.cell_id]) for cell in plan.to_do if cell.model.attention == "standard"} == {20}
    assert {round(told.cells[cell.cell_id]) for cell in plan.to_do if cell.model.attention == "nexus"} == {50}


def test_a_job_begins_as_soon_as_a_process_is_free() -> None:
    assert side_by_side([5.0, 4.0, 3.0, 2.0], 1) == 14
    assert side_by_side([5.0, 4.0, 3.0, 2.0], 2) == 7
    assert side_by_side([5.0, 4.0], 8) == 5


def test_nothing_to_do_takes_no_time(plan: Plan) -> None:
    assert estimate(plan._replace(to_do=[]), Execution("single"), None) == ({}, 0.0)
