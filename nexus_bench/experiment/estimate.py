"""How long a run will take, from a few steps of the engine that will run."""

import heapq
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from nexus_bench.data.splits import HeldOut
from nexus_bench.experiment.cuts import cut
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.jobs import Job, engine_of
from nexus_bench.experiment.plan import RunPlan
from nexus_bench.experiment.sources import open_sources
from nexus_bench.io.columns import VAL
from nexus_bench.model.costs import cost_of
from nexus_bench.model.scoring import EVALUATION_GRAPHS
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.spec import CellSpec

_MOST_STEPS = 20  # of an engine, or fewer if they take too long
_MOST_SECONDS = 1.0
_BUDGET = 30.0  # seconds in which engines begin to be timed; those that are left are reckoned by their operations


class Estimate(NamedTuple):
    """How long a run will take at most, if no cell ends early.

    Attributes:
        cells: cell_id -> its share of the seconds of its job.
        seconds: Of the whole command, all processes side by side, with their start, and with the cells that follow once
            recipes are chosen.
    """

    cells: dict[str, float]
    seconds: float


class EngineTimes(NamedTuple):
    """The seconds of an engine: before its second step, for each further step, for an evaluation on validation."""

    setup: float
    step: float
    evaluation: float


def estimate(plan: RunPlan, execution: Execution, data: Path | None) -> Estimate:
    """Time a few steps of the distinct engines that the plan needs, of as many as there is time for."""
    stacks = _stacks(plan, execution)
    if not stacks:
        return Estimate({}, 0.0)
    shapes = [_shape(stack) for stack in stacks]
    paces = _paces(dict(zip(shapes, stacks, strict=True)), execution, data)
    jobs = [_seconds(stack, paces[shape]) for stack, shape in zip(stacks, shapes, strict=True)]
    cells = {cell.cell_id: seconds / len(stack) for stack, seconds in zip(stacks, jobs, strict=True) for cell in stack}
    is_inline = execution.executor == "inline"
    n_places = 1 if is_inline else len(execution.places)
    start = _start_up()
    starts = (1 if is_inline else 2) * start  # of the command, and of the processes that train
    whole = side_by_side(jobs, n_places)
    if execution.device == "cuda":  # processes take turns on a GPU, and set up beside it
        setups = [paces[shape].setup for shape in shapes]
        whole = max(whole, min(setups) + (sum(jobs) - sum(setups)) / execution.n_devices)
        n_places = execution.n_devices
    if n_later := plan.suite.n_later:  # of the same models, in processes of their own
        whole += side_by_side([sum(jobs) / len(cells)] * n_later, n_places)
        starts += 0 if is_inline else start
    return Estimate(cells, starts + whole)


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


def _stacks(plan: RunPlan, execution: Execution) -> list[tuple[CellSpec, ...]]:
    """The cells of each job, in the order in which jobs begin."""
    wanted = [cell.cell_id for cell in plan.to_do]
    how = {"mode": execution.mode, "stack": execution.stack, "n_devices": execution.n_devices}
    return [
        stack
        for purpose in dict.fromkeys(plan.suite.purposes.values())
        for stack in cut([c for c in plan.suite.cells if plan.suite.purposes[c.cell_id] == purpose], wanted, (), **how)  # type: ignore[arg-type]
    ]


def _shape(stack: Sequence[CellSpec]) -> str:
    """What stacks have in common that need engines of the same pace."""
    first = stack[0]
    return repr((first.task, first.model, first.train.batch_size, first.train.reuse, len(stack)))


def _kind(stack: Sequence[CellSpec]) -> tuple[str, str, str]:
    """What engines have in common whose seconds are roughly in proportion to their operations.

    Canon layers move memory, and have hardly any.
    """
    return stack[0].task.task, stack[0].model.attention, stack[0].model.canon


def _paces(stacks: Mapping[str, Sequence[CellSpec]], execution: Execution, data: Path | None) -> dict[str, EngineTimes]:
    """The pace of each shape: one of every kind is timed before a second one of any, until there is no time left."""
    began = time.perf_counter()
    seen: Counter[tuple[str, str, str]] = Counter()
    turn: dict[str, int] = {}
    for shape, stack in stacks.items():
        turn[shape] = seen[_kind(stack)]
        seen[_kind(stack)] += 1
    timed: dict[str, EngineTimes] = {}
    for shape in sorted(stacks, key=lambda shape: turn[shape]):
        if not timed or time.perf_counter() - began < _BUDGET:
            timed[shape] = _paced(stacks[shape], execution, data)
    known = [(stacks[shape], pace) for shape, pace in timed.items()]
    return {shape: timed[shape] if shape in timed else _like(stack, known) for shape, stack in stacks.items()}


def _paced(stack: Sequence[CellSpec], execution: Execution, data: Path | None) -> EngineTimes:
    """Time the engine of a job: at least two steps, and what is scored at once in an evaluation."""
    device = "cuda:0" if execution.device == "cuda" else execution.device
    job = Job(tuple(stack), frozenset(), execution.mode, device, None, data)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        began = time.perf_counter()
        sources = open_sources(stack, data)
        n_val = sources[0].held_out[VAL].examples.n_graphs
        for source in sources:
            law, examples = source.held_out[VAL]
            source.held_out[VAL] = HeldOut(law, examples.take(slice(EVALUATION_GRAPHS)))
        engine = engine_of([TrainingRow(cell, source) for cell, source in zip(stack, sources, strict=True)], job)
        engine.advance()
        if device != "cpu":
            engine.scores()  # compiles, and waits for the device
        steady = time.perf_counter()
        first = engine.step
        while engine.step - first < _MOST_STEPS and time.perf_counter() - steady < _MOST_SECONDS:
            engine.advance()
        if device != "cpu":
            torch.cuda.synchronize()
        stepped = time.perf_counter()
        engine.scores()
        scored = time.perf_counter()
        engine.close()
    finally:
        torch.set_num_threads(n_threads)
    evaluation = (scored - stepped) * n_val / min(n_val, EVALUATION_GRAPHS)
    return EngineTimes(steady - began, (stepped - steady) / (engine.step - first), evaluation)


def _seconds(stack: Sequence[CellSpec], pace: EngineTimes) -> float:
    """The seconds of a job; splits are scored at its end, as validation is."""
    recipe, task = stack[0].train, stack[0].task
    n_evaluations = -(-recipe.steps // recipe.eval_every) + len(task.laws()) * task.n_test / task.n_val
    return pace.setup + recipe.steps * pace.step + n_evaluations * pace.evaluation


def _operations(stack: Sequence[CellSpec]) -> float:
    """The floating-point operations of a step of a stack; of a mechanism that cannot be counted, its parameters."""
    cost = cost_of(stack[0].model, stack[0].task)
    return float(len(stack) * stack[0].train.batch_size * (cost.compute or cost.parameters))


def _like(stack: Sequence[CellSpec], timed: Sequence[tuple[Sequence[CellSpec], EngineTimes]]) -> EngineTimes:
    """The pace of an engine that was not timed: in proportion to its operations, that of the nearest one of its kind.

    Where none of its kind was timed, that of the nearest one of any.
    """
    operations = _operations(stack)
    alike = [one for one in timed if _kind(one[0]) == _kind(stack)] or timed
    counted = [(_operations(other), pace) for other, pace in alike]
    known, pace = min(counted, key=lambda one: abs(one[0] - operations))
    return EngineTimes(pace.setup, pace.step * operations / known, pace.evaluation * operations / known)
