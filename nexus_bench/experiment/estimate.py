"""How long a run will take, from a few steps of the engine that will run."""

import heapq
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from nexus_bench.experiment.cuts import cut
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.jobs import Job, engine_of
from nexus_bench.experiment.plan import Plan
from nexus_bench.experiment.sources import open_sources
from nexus_bench.model.costs import cost_of
from nexus_bench.training.row import Row
from nexus_bench.training.spec import CellSpec

_MOST_STEPS = 20  # of an engine, or fewer if they take too long
_MOST_SECONDS = 1.0
_BUDGET = 60.0  # seconds for all engines; those that are left are reckoned by their operations


class Estimate(NamedTuple):
    """How long a run will take at most, if no cell ends early.

    Attributes:
        cells: cell_id -> its share of the seconds of its job.
        seconds: Of the whole command, all processes side by side, with their start.
    """

    cells: dict[str, float]
    seconds: float


class Pace(NamedTuple):
    """The seconds of an engine: before its second step, for each further step, for an evaluation on validation."""

    setup: float
    step: float
    evaluation: float


def estimate(plan: Plan, execution: Execution, data: Path | None) -> Estimate:
    """Time a few steps of every distinct engine that the plan needs."""
    began = time.perf_counter()
    paces: dict[str, Pace] = {}
    timed: list[tuple[float, Pace]] = []  # operations of a step, and the pace
    jobs: list[float] = []
    cells: dict[str, float] = {}
    for stack in _stacks(plan, execution):
        shape = repr((stack[0].task, stack[0].model, stack[0].train.batch_size, stack[0].train.reuse, len(stack)))
        if shape not in paces and (not timed or time.perf_counter() - began < _BUDGET):
            paces[shape] = _paced(stack, execution, data)
            timed.append((_operations(stack), paces[shape]))
        seconds = _seconds(stack, paces[shape] if shape in paces else _like(timed, _operations(stack)))
        jobs.append(seconds)
        cells |= dict.fromkeys((cell.cell_id for cell in stack), seconds / len(stack))
    if not jobs:
        return Estimate(cells, 0.0)
    is_inline = execution.executor == "inline"
    starts = (1 if is_inline else 2) * _start_up()  # of the command, and of the processes that train
    return Estimate(cells, starts + side_by_side(jobs, 1 if is_inline else len(execution.places)))


def side_by_side(jobs: Sequence[float], n_places: int) -> float:
    """When the last of some jobs ends, in seconds: each begins as soon as a process is free, in their order."""
    ends = [0.0] * max(1, n_places)
    for seconds in jobs:
        heapq.heappush(ends, heapq.heappop(ends) + seconds)
    return max(ends)


def _start_up() -> float:
    """The seconds in which a process starts and imports what training needs."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {engine_of.__module__}"], check=False)
    return time.perf_counter() - began


def _stacks(plan: Plan, execution: Execution) -> list[tuple[CellSpec, ...]]:
    """The cells of each job, in the order in which jobs begin."""
    wanted = [cell.cell_id for cell in plan.to_do]
    how = {"mode": execution.mode, "stack": execution.stack, "n_devices": execution.n_devices}
    return [
        stack
        for purpose in dict.fromkeys(plan.suite.purposes.values())
        for stack in cut([c for c in plan.suite.cells if plan.suite.purposes[c.cell_id] == purpose], wanted, (), **how)  # type: ignore[arg-type]
    ]


def _paced(stack: Sequence[CellSpec], execution: Execution, data: Path | None) -> Pace:
    """Time the engine of a job."""
    device = "cuda:0" if execution.device == "cuda" else execution.device
    job = Job(tuple(stack), frozenset(), execution.mode, device, None, data)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        began = time.perf_counter()
        rows = [Row(cell, source) for cell, source in zip(stack, open_sources(stack, data), strict=True)]
        engine = engine_of(rows, job)
        engine.advance()
        engine.scores()  # waits for the device
        steady = time.perf_counter()
        first = engine.step
        while engine.step - first < _MOST_STEPS and time.perf_counter() - steady < _MOST_SECONDS:
            engine.advance()
        engine.scores()
        stepped = time.perf_counter()
        engine.scores()
        evaluation = time.perf_counter() - stepped
        engine.close()
    finally:
        torch.set_num_threads(n_threads)
    return Pace(steady - began, max(0.0, stepped - steady - evaluation) / (engine.step - first), evaluation)


def _seconds(stack: Sequence[CellSpec], pace: Pace) -> float:
    """The seconds of a job; splits are scored at its end, as validation is."""
    recipe, task = stack[0].train, stack[0].task
    n_evaluations = -(-recipe.steps // recipe.eval_every) + len(task.laws()) * task.n_test / task.n_val
    return pace.setup + recipe.steps * pace.step + n_evaluations * pace.evaluation


def _operations(stack: Sequence[CellSpec]) -> float:
    """The floating-point operations of a step of a stack; of a mechanism that cannot be counted, its parameters."""
    cost = cost_of(stack[0].model, stack[0].task)
    return float(len(stack) * stack[0].train.batch_size * (cost.compute or cost.parameters))


def _like(timed: Sequence[tuple[float, Pace]], operations: float) -> Pace:
    """The pace of an engine that was not timed: that of the one nearest in operations, in proportion to them."""
    known, pace = min(timed, key=lambda one: abs(one[0] - operations))
    return Pace(pace.setup, pace.step * operations / known, pace.evaluation * operations / known)
