"""Runs a suite in its folder: skips what is done, resumes what is begun, keeps every result as it comes."""

import os
import platform
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy
import torch

from nexus_bench import __version__
from nexus_bench.cells import Job, failed_result, open_source
from nexus_bench.data.splits import VAL
from nexus_bench.errors import StorageError, UsageError
from nexus_bench.evaluate import score
from nexus_bench.executor import Event, Failure, run_inline, run_processes
from nexus_bench.results import CellResult, Row, RunFolder
from nexus_bench.spec import CellSpec
from nexus_bench.suite import Suite
from nexus_bench.train import State

_PROBE_STEPS = 20  # or as many as fit in
_PROBE_SECONDS = 1.0


class Plan(NamedTuple):
    """What a run will do.

    Attributes:
        suite: The grid.
        done: Cells that need no more training.
        to_do: The others, in order.
    """

    suite: Suite
    done: list[CellSpec]
    to_do: list[CellSpec]


def make_plan(suite: Suite, folder: RunFolder) -> Plan:
    """Which cells of a suite a folder lacks.

    Raises:
        UsageError: The folder holds something else.
    """
    folder.check(suite.name)
    done = [cell for cell in suite.cells if folder.finished(cell.run_id)]
    return Plan(suite, done, [cell for cell in suite.cells if not folder.finished(cell.run_id)])


def run_plan(
    plan: Plan, folder: RunFolder, *, device: str, n_workers: int, data: Path | None, on_event: Callable[[Event], None]
) -> list[Failure]:
    """Train what is to do.

    Args:
        plan: From `make_plan`.
        folder: Where the results go.
        device: `cpu` or `cuda`.
        n_workers: Processes at a time; 0 trains in this process.
        data: Dataset folder to train on; None means the endless stream of the task.
        on_event: Told of every evaluation, result and failure.

    Returns:
        The cells that failed.

    Raises:
        ConfigError: The data is too small for its splits or for a batch.
        CorruptArtefactError: The dataset is damaged.
        StorageError: A result or a checkpoint cannot be written; what was done before is kept.
        UsageError: The folder holds something else.
    """
    name, config, cells = plan.suite
    run_ids = [cell.run_id for cell in cells]
    by_id = {cell.run_id: cell for cell in cells}
    _check_sources(plan.to_do, data)
    jobs = [Job(cell, device, folder.checkpoint(cell.run_id), data) for cell in plan.to_do]
    failures: list[Failure] = []
    with folder.writing(name, config):
        if jobs:
            folder.write_environment(_environment(device))
        events = run_processes(jobs, n_workers=n_workers) if n_workers else run_inline(jobs)
        with closing(events):
            for event in events:
                if isinstance(event, CellResult):
                    folder.save(event)
                    folder.write_tables(name, run_ids)
                elif isinstance(event, Failure):
                    if event.exit_code == StorageError.exit_code:
                        raise StorageError(event.reason)
                    failures.append(event)
                on_event(event)
        folder.write_tables(name, run_ids, [failed_result(by_id[failure.run_id]) for failure in failures])
    return failures


def estimate_seconds(plan: Plan, *, device: str, data: Path | None) -> dict[str, float]:
    """How long each cell to do will take at most, from a few timed steps of each distinct model.

    Returns:
        run_id -> seconds for one worker, if all steps are needed.
    """
    per_step: dict[str, float] = {}
    seconds: dict[str, float] = {}
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for cell in plan.to_do:
        shape = repr((cell.task, cell.model, cell.train.batch_size))
        if shape not in per_step:
            per_step[shape] = _time_a_step(cell, device, data)
        seconds[cell.run_id] = per_step[shape] * cell.train.steps
    torch.set_num_threads(n_threads)
    return seconds


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(name: str) -> str:
    """`auto` becomes `cuda` where there is one, else `cpu`.

    Raises:
        UsageError: The name is unknown, or there is no such device.
    """
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if has_cuda else "cpu"
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device must be auto, cpu or cuda, got '{name}'")
    if name == "cuda" and not has_cuda:
        raise UsageError("device cuda is not available here; use --device cpu")
    return name


def _check_sources(cells: list[CellSpec], data: Path | None) -> None:
    """Open every source once, so that what is wrong with the data is told before anything is trained."""
    distinct = {repr((cell.task, cell.train.batch_size)): cell for cell in cells}
    for cell in distinct.values():
        open_source(cell, data).batch(0, cell.train.batch_size)


def _time_a_step(cell: CellSpec, device: str, data: Path | None) -> float:
    state = State(cell, open_source(cell, data), torch.device(device))
    state.advance()  # the first step pays for set-up
    started = time.perf_counter()
    first = state.step
    while state.step - first < _PROBE_STEPS and time.perf_counter() - started < _PROBE_SECONDS:
        state.advance()
    step_seconds = (time.perf_counter() - started) / (state.step - first)
    started = time.perf_counter()
    score(state.model, state.source.held_out[VAL].examples, state.schema, cell.model.encoding)
    return step_seconds + (time.perf_counter() - started) / cell.train.eval_every


def _environment(device: str) -> Row:
    return {
        "nexus_bench": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads_per_cell": 1,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }
