"""Runs a suite in its folder: skips what is done, resumes what is begun, keeps every result as it comes."""

import os
import platform
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import numpy
import torch

from nexus_bench.errors import FailedCellsError, StorageError, UsageError, unknown_name
from nexus_bench.experiment.events import Begun, Event, Failure, JobDone, Progress
from nexus_bench.experiment.executors.dask import run_dask
from nexus_bench.experiment.executors.inline import run_inline
from nexus_bench.experiment.executors.process import run_processes
from nexus_bench.experiment.folder import RunFolder
from nexus_bench.experiment.jobs import SINGLE, Job, make_jobs, open_source
from nexus_bench.experiment.records import CellResult, Row
from nexus_bench.experiment.result_rows import failed_result
from nexus_bench.experiment.suite import Suite
from nexus_bench.model.spec import CellSpec
from nexus_bench.training.engine import Single
from nexus_bench.training.stacked import MODES, MOST_MODELS
from nexus_bench.version import __version__

EXECUTORS = ("process", "inline", "dask")
_PROBE_STEPS = 20  # or as many as fit in
_PROBE_SECONDS = 1.0
_PROGRESS_SECONDS = 1.0  # between two notes of how far a run is
_TABLES_SHARE = 20  # tables are written again after this many times what it took


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


class Execution(NamedTuple):
    """How a plan is carried out.

    Attributes:
        mode: `single`, or one of the modes of `training.stacked`.
        device: `cpu` or `cuda`.
        executor: `process`, `inline` or `dask`.
        n_workers: Processes at a time on a CPU; on a GPU there is one a GPU.
        stack: Models in a stack, at most.
        scheduler: Of Dask; None starts a cluster on this machine.
    """

    mode: str = SINGLE
    device: str = "cpu"
    executor: str = "process"
    n_workers: int = 1
    stack: int = MOST_MODELS
    scheduler: str | None = None


def run_plan(
    plan: Plan, folder: RunFolder, execution: Execution, *, data: Path | None, on_event: Callable[[Event], None]
) -> list[Failure]:
    """Train what is to do.

    Args:
        plan: From `make_plan`.
        folder: Where the results go; nobody else writes there but checkpoints.
        execution: How.
        data: Dataset folder to train on; None means the endless stream of the task.
        on_event: Told of everything that happens.

    Returns:
        The cells that failed.

    Raises:
        ConfigError: The data is too small for its splits or for a batch.
        CorruptArtefactError: The dataset is damaged.
        StorageError: The tables cannot be written.
        UsageError: The folder holds something else, or is being written to.
    """
    _check_sources(plan.to_do, data)
    jobs = make_jobs(
        plan.suite.cells,
        [cell.run_id for cell in plan.done],
        mode=execution.mode,
        stack=execution.stack,
        device=execution.device,
        root=folder.path.absolute(),
        data=data.absolute() if data else None,
    )
    with folder.writing(plan.suite.name):
        run = _Run(plan, folder, execution, {job.job_id: job.wanted for job in jobs}, on_event)
        run.write_about()
        try:
            if jobs:
                with closing(_events(jobs, execution)) as events:
                    for event in events:
                        run.take(event)
                run.find_deleted()
        finally:
            run.write_tables()
    return list(run.failures.values())


class _Run:
    """The only writer of a run folder while it is trained."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        execution: Execution,
        wanted: dict[str, frozenset[str]],
        on_event: Callable[[Event], None],
    ) -> None:
        self.plan, self.folder, self.execution, self.on_event = plan, folder, execution, on_event
        self.wanted = wanted  # of each job
        self.cells = {cell.run_id: cell for cell in plan.suite.cells}
        self.failures: dict[str, Failure] = {}
        self.steps: dict[str, int] = {}  # of the cells that are being trained
        self.saved: set[str] = set()
        self.tables_took = self.tables_at = self.progress_at = 0.0

    def write_about(self) -> None:
        self.folder.write_spec(self.plan.suite.config)
        if self.plan.to_do:
            self.folder.write_environment(_environment(self.execution))

    def take(self, event: Event) -> None:
        if not (self.folder.path / "spec.yaml").exists():
            self.write_about()  # somebody deleted the folder; what is still to come is kept
        if isinstance(event, CellResult):
            try:
                self.folder.save(event)
                self.saved.add(event.run_id)
            except StorageError as error:
                event = Failure(event.run_id, f"{self.cells[event.run_id].title}: {error}", error.exit_code)
        if isinstance(event, Failure):
            self.fail(event)
        elif isinstance(event, Begun | Progress):
            self.steps[event.run_id] = event.point.step if isinstance(event, Progress) else 0
        elif isinstance(event, JobDone) and self.wanted[event.job_id] <= self.saved:
            self.folder.drop_checkpoints(event.job_id)  # a failed cell goes on from there, if it can
        if isinstance(event, CellResult | Failure):
            self.steps.pop(event.run_id, None)
            if time.monotonic() - self.tables_at > _TABLES_SHARE * self.tables_took:
                self.write_tables()
        if time.monotonic() - self.progress_at > _PROGRESS_SECONDS:
            with suppress(StorageError):  # a full disk is told by what matters
                self.folder.write_progress(self.steps)
            self.progress_at = time.monotonic()
        self.on_event(event)

    def fail(self, failure: Failure) -> None:
        self.failures[failure.run_id] = failure
        with suppress(StorageError):
            self.folder.save_failure(failure.run_id, failure.reason)

    def find_deleted(self) -> None:
        """Results that were there and are no more."""
        for cell in self.plan.suite.cells:
            if cell.run_id not in self.failures and not self.folder.finished(cell.run_id):
                reason = f"{cell.title}: its result was deleted in mid-run; run again"
                failure = Failure(cell.run_id, reason, FailedCellsError.exit_code)
                self.fail(failure)
                self.on_event(failure)

    def write_tables(self) -> None:
        started = time.monotonic()
        failed = [failed_result(self.cells[run_id], self.execution.mode) for run_id in self.failures]
        self.folder.write_tables(self.plan.suite.name, list(self.cells), failed)
        self.tables_at = time.monotonic()
        self.tables_took = self.tables_at - started


def _events(jobs: list[Job], execution: Execution) -> Generator[Event, None, None]:
    if execution.executor == "inline":
        return run_inline(jobs)
    if execution.executor == "dask":
        return run_dask(jobs, scheduler=execution.scheduler, n_workers=execution.n_workers)
    if execution.device == "cuda":
        return run_processes(jobs, devices=[f"cuda:{i}" for i in range(torch.cuda.device_count())])
    return run_processes(jobs, devices=[execution.device] * execution.n_workers)


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
    engine = Single(cell, open_source(cell, data), torch.device(device))
    engine.advance()  # the first step pays for set-up
    started = time.perf_counter()
    first = engine.step
    while engine.step - first < _PROBE_STEPS and time.perf_counter() - started < _PROBE_SECONDS:
        engine.advance()
    step_seconds = (time.perf_counter() - started) / (engine.step - first)
    started = time.perf_counter()
    engine.scores()
    return step_seconds + (time.perf_counter() - started) / cell.train.eval_every


def choose_execution(
    *, mode: str, device: str, executor: str, n_workers: int | None, stack: int | None, scheduler: str | None
) -> Execution:
    """What a command line asks for, with `auto` and what is left out decided.

    Raises:
        UsageError: A name is unknown, there is no such device, or the options contradict each other.
    """
    if executor not in EXECUTORS:
        raise UsageError(unknown_name("executor", executor, EXECUTORS))
    if scheduler is not None and executor != "dask":
        raise UsageError("--scheduler is for --executor dask; give both, or neither")
    chosen = choose_device(device)
    chosen_mode = choose_mode(mode, chosen)
    if stack is not None and chosen_mode == SINGLE:
        raise UsageError("--stack is for stacked modes; add --mode deterministic, tf32 or bfloat16, or leave it out")
    n_workers = available_cores() if n_workers is None else n_workers
    return Execution(chosen_mode, chosen, executor, n_workers, stack or MOST_MODELS, scheduler)


def choose_mode(name: str, device: str) -> str:
    """`auto` becomes `single` on a CPU, where stacking is slower, and `tf32` on a GPU.

    Raises:
        UsageError: The name is unknown, or the mode is for a GPU.
    """
    if name == "auto":
        return SINGLE if device == "cpu" else "tf32"
    if name not in (SINGLE, *MODES):
        raise UsageError(unknown_name("mode", name, ["auto", SINGLE, *MODES]))
    if device == "cpu" and name in ("tf32", "bfloat16"):
        raise UsageError(f"mode {name} is for a GPU; on a CPU use single or deterministic")
    return name


def _environment(execution: Execution) -> Row:
    return {
        "nexus_bench": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads_per_cell": 1,
        "device": torch.cuda.get_device_name() if execution.device == "cuda" else "cpu",
        "mode": execution.mode,
        "stack": execution.stack if execution.mode != SINGLE else 1,
    }
