"""Runs a suite in its folder: skips finished cells, resumes unfinished ones, stores every result at once."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path

from nexus_bench.errors import CorruptArtefactError, FailedCellsError, StorageError
from nexus_bench.experiment.cell_environments import kept_note, trained_in
from nexus_bench.experiment.cuts import cut
from nexus_bench.experiment.environment import environment_of, today
from nexus_bench.experiment.events import CellBegun, Event, Failure, JobDone, Note, Progress
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.executors.dask import run_dask
from nexus_bench.experiment.executors.inline import run_inline
from nexus_bench.experiment.executors.process import run_processes
from nexus_bench.experiment.jobs import Job
from nexus_bench.experiment.plan import RunPlan
from nexus_bench.experiment.plan_file import PlannedCell, write_planned
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.references import References
from nexus_bench.experiment.result_rows import failed_result
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.sources import open_source
from nexus_bench.training.checkpoint_heads import Pack, begun_packs
from nexus_bench.training.spec import CellSpec

_PROGRESS_SECONDS = 1.0  # between two updates of progress.json
_TABLES_SHARE = 20  # wait this many times the duration of writing tables before writing them again


def run_plan(
    plan: RunPlan,
    folder: RunFolder,
    execution: Execution,
    *,
    data: Path | None,
    on_event: Callable[[Event], None],
    failed: Sequence[Failure] = (),
) -> list[Failure]:
    """Train the cells that are to do.

    Args:
        plan: The result of `make_plan`.
        folder: The run folder; nothing else writes there, except checkpoints.
        execution: Mode, device and executor.
        data: Dataset folder to train on; None means the endless stream of the task.
        on_event: Called with every event.
        failed: Cells that failed before in the same run, and are not tried again.

    Returns:
        The cells that failed, also before.

    Raises:
        ConfigError: The data is too small for its splits or for a batch.
        CorruptArtefactError: The dataset is damaged, or a table was edited meanwhile.
        StorageError: The tables cannot be written.
        UsageError: The folder holds something else, or is being written to.
    """
    _check_sources(plan.to_do, data)
    with folder.writing(plan.suite.name, {cell.cell_id for cell in plan.to_do}):
        packs = begun_packs(folder.all_checkpoints.absolute())
        jobs = _make_jobs(plan, packs, execution, folder.path.absolute(), data.absolute() if data else None)
        run = _Run(plan, folder, execution, jobs, packs, data, on_event, failed)
        run.write_about()
        run.tell_what_is_kept()
        run.drop_forgotten(jobs)
        try:
            if jobs:
                with run.references_ahead(jobs), closing(_events(jobs, execution)) as events:
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
        plan: RunPlan,
        folder: RunFolder,
        execution: Execution,
        jobs: Sequence[Job],
        packs: Sequence[Pack],
        data: Path | None,
        on_event: Callable[[Event], None],
        failed: Sequence[Failure],
    ) -> None:
        self.plan, self.folder, self.execution, self.on_event = plan, folder, execution, on_event
        self.wanted = {job.job_id: job.wanted for job in jobs}
        self.packs = packs  # that were begun before
        self.references = References(data)
        self.cells = {cell.cell_id: cell for cell in plan.suite.cells}
        self.titles = plan.titles
        self.environment = environment_of(execution, plan.suite.cells)
        self.environment_number = 0  # in env.json, from 1
        self.failures = {failure.cell_id: failure for failure in failed}
        left = self.cells.keys() - {cell.cell_id for cell in (*plan.done, *plan.to_do)} - self.failures.keys()
        self.failed_before = {
            cell_id for cell_id in left if folder.cells.failure(cell_id)
        }  # of seeds not asked for now
        self.steps: dict[str, int] = {}  # steps made of the cells that are being trained
        self.saved: set[str] = set()
        self.told: set[str] = set()  # notes; what several stacks say is told once
        self.tables_took = self.tables_at = self.progress_at = 0.0

    def write_about(self) -> None:
        suite = self.plan.suite
        self.folder.write_spec(suite.config)
        if not suite.n_later:  # else cells are added once recipes are chosen
            cells = (PlannedCell(cell.cell_id, self.titles[cell.cell_id], cell.train.steps) for cell in suite.cells)
            write_planned(self.folder.path, cells)
        if self.plan.to_do:
            self.environment_number = self.folder.add_environment(self.environment, today())

    def tell_what_is_kept(self) -> None:
        """Say it if the folder keeps cells of another mode, device or version of PyTorch."""
        kept = trained_in(self.folder, [cell.cell_id for cell in self.plan.done])
        if note := kept_note(kept.values(), self.environment):
            self.on_event(Note(note))

    def take(self, event: Event) -> None:
        if not (self.folder.path / "spec.yaml").exists():
            self.write_about()  # the folder was deleted meanwhile; keep what is still to come
        if isinstance(event, Note):
            if event.text in self.told:
                return
            self.told.add(event.text)
        if isinstance(event, Failure):
            event = event._replace(reason=f"{self.titles[event.cell_id]}: {event.reason}")
        if isinstance(event, CellResult):
            where = {"mode": self.execution.mode, "environment": self.environment_number}
            rows = self.references.beside(event.rows, self.cells[event.cell_id])
            event = event._replace(rows=rows, timing=event.timing | where)
            try:
                self.folder.cells.save(event)
                self.saved.add(event.cell_id)
            except StorageError as error:
                event = Failure(event.cell_id, f"{self.titles[event.cell_id]}: {error}", error.exit_code)
        if isinstance(event, Failure):
            self.fail(event)
        elif isinstance(event, CellBegun | Progress):
            self.steps[event.cell_id] = event.point.step if isinstance(event, Progress) else 0
        elif isinstance(event, JobDone) and self.wanted[event.job_id] <= self.saved:
            self.drop_checkpoints(event.job_id)  # a failed cell continues from its checkpoint, if it can
        if isinstance(event, CellResult | Failure):
            self.steps.pop(event.cell_id, None)
            if time.monotonic() - self.tables_at > _TABLES_SHARE * self.tables_took:
                with suppress(CorruptArtefactError, StorageError):  # told at the end; until then every result is kept
                    self.write_tables()
        if time.monotonic() - self.progress_at > _PROGRESS_SECONDS:
            with suppress(StorageError):  # a full disk is reported when results are written
                self.folder.write_progress(self.steps)
            self.progress_at = time.monotonic()
        self.on_event(event)

    def references_ahead(self, jobs: Sequence[Job]) -> AbstractContextManager[None]:
        """Compute the references beside the training, where processes train."""
        if self.execution.executor == "inline":
            return nullcontext()
        return self.references.ahead([cell for job in jobs for cell in job.cells if cell.cell_id in job.wanted])

    def drop_checkpoints(self, job_id: str) -> None:
        """Delete the saved state of a job that is done, and that of earlier packs whose cells are all done."""
        self.folder.drop_checkpoints(self.folder.checkpoints(job_id))
        wanted = self.wanted[job_id]
        for pack in self.packs:
            if wanted & set(pack.cell_ids) and all(self.folder.cells.finished(cell_id) for cell_id in pack.cell_ids):
                self.folder.drop_checkpoints(pack.folder)

    def drop_forgotten(self, jobs: Sequence[Job]) -> None:
        """Delete saved states of cells that are done, left by a run that was killed before it could do so."""
        used = {cell.cell_id for job in jobs for cell in job.cells}
        for pack in self.packs:
            if not used & set(pack.cell_ids) and all(self.folder.cells.finished(cell_id) for cell_id in pack.cell_ids):
                self.folder.drop_checkpoints(pack.folder)
        self.folder.drop_emptied()

    def fail(self, failure: Failure) -> None:
        self.failures[failure.cell_id] = failure
        with suppress(StorageError):
            self.folder.cells.save_failure(failure.cell_id, failure.reason, failure.traceback)

    def find_deleted(self) -> None:
        """Report results that existed and are gone."""
        for cell in (*self.plan.done, *self.plan.to_do):
            if cell.cell_id not in self.failures and not self.folder.cells.finished(cell.cell_id):
                reason = f"{self.titles[cell.cell_id]}: its result was deleted during the run; run again"
                failure = Failure(cell.cell_id, reason, FailedCellsError.exit_code)
                self.fail(failure)
                self.on_event(failure)

    def write_tables(self) -> None:
        started = time.monotonic()
        failed = [
            failed_result(cell, self.execution.mode)
            for cell in self.cells.values()
            if cell.cell_id in self.failures or cell.cell_id in self.failed_before
        ]
        try:
            has_sequences = any(cell.model.encoding == "sequence" for cell in self.cells.values())
            suite = self.plan.suite
            self.folder.write_tables(suite.name, suite.purposes, failed, has_sequences=has_sequences)
            if self.saved:
                self.folder.add_environment(self.environment, today())  # a run can last beyond the day it began
        finally:
            self.tables_at = time.monotonic()
            self.tables_took = self.tables_at - started


def _events(jobs: list[Job], execution: Execution) -> Generator[Event, None, None]:
    if execution.executor == "inline":
        return run_inline(jobs)
    if execution.executor == "dask":
        return run_dask(jobs, scheduler=execution.scheduler, n_workers=execution.n_workers)
    return run_processes(jobs, devices=execution.places)


def _make_jobs(plan: RunPlan, packs: Sequence[Pack], execution: Execution, root: Path, data: Path | None) -> list[Job]:
    wanted = {cell.cell_id for cell in plan.to_do}
    purposes = plan.suite.purposes
    by_cell: dict[str, list[Path]] = {}
    for pack in packs:
        for cell_id in pack.cell_ids:
            by_cell.setdefault(cell_id, []).append(pack.folder)
    jobs = []
    for purpose in dict.fromkeys(purposes.values()):  # so that measured cells form the same stacks at any time
        cells = [cell for cell in plan.suite.cells if purposes[cell.cell_id] == purpose]
        mode, devices = execution.mode, execution.n_devices
        for stack in cut(cells, wanted, packs, mode=mode, stack=execution.stack, n_devices=devices):
            ids = [cell.cell_id for cell in stack]
            begun = tuple(dict.fromkeys(folder for cell_id in ids for folder in by_cell.get(cell_id, ())))
            share = 1 / execution.n_workers if execution.executor == "process" else 1.0
            job = Job(stack, frozenset(wanted.intersection(ids)), mode, execution.device, root, data, begun, share)
            jobs.append(job._replace(curve_points=execution.curve_points))
    return jobs


def _check_sources(cells: list[CellSpec], data: Path | None) -> None:
    """Open every source once, so that errors in the data are reported before anything is trained."""
    distinct = {repr((cell.task, cell.train.batch_size, data or cell.seed)): cell for cell in cells}
    for cell in distinct.values():
        open_source(cell, data).batch(0, cell.train.batch_size)
