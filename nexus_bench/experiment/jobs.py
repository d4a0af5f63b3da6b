"""A job from its cells to their results: open the sources, train, report how each cell ended."""

import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch

from nexus_bench.errors import FailedCellsError, NexusBenchError, blame, in_one_line
from nexus_bench.experiment.cuts import stack_id
from nexus_bench.experiment.events import CellBegun, Event, Failure, JobDone, Note, Progress
from nexus_bench.experiment.execution import CURVE_POINTS, available_cores
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.result_rows import result_rows
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.sources import open_sources
from nexus_bench.model.build import model_class, weights_of
from nexus_bench.model.costs import Cost, cost_of
from nexus_bench.training.checkpoint import Checkpoint
from nexus_bench.training.engine import Engine, Single
from nexus_bench.training.loop import Listener, StoppedError, TrainingOutcome, train
from nexus_bench.training.memory import largest_stack, shortage
from nexus_bench.training.modes import DETERMINISTIC, SINGLE
from nexus_bench.training.peaks import peak_here
from nexus_bench.training.recipe import DIVERGED, thinned
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.saved_rows import RestoredRows, made_with, restore
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.stacked import CompilerError, Stacked, prepare_compiler, prepare_determinism


class Job(NamedTuple):
    """Cells that are trained together, and how they are trained.

    Attributes:
        cells: Cells of equal shape; only one in mode `single`.
        wanted: The cell_ids of those without results yet.
        mode: `single`, or one of the modes of `training.modes`.
        device: `cpu`, `cuda`, `cuda:1`.
        root: The run folder, which keeps the state of an unfinished job; None keeps no state.
        data: Dataset folder to train on; None means the endless stream of the task.
        begun: Folders of checkpoints that hold some of the cells.
        share: The share of a GPU's memory, and of the machine's cores for each GPU, that it may take.
        curve_points: Evaluations of each cell that its curve keeps.
        compiles: Whether stacks are compiled, in the modes that do so.
    """

    cells: tuple[CellSpec, ...]
    wanted: frozenset[str]
    mode: str
    device: str
    root: Path | None
    data: Path | None
    begun: tuple[Path, ...] = ()
    share: float = 1.0
    curve_points: int = CURVE_POINTS
    compiles: bool = True

    @property
    def job_id(self) -> str:
        """The name of the folder with its checkpoints."""
        return stack_id(self.cells)

    @property
    def stacks(self) -> bool:
        """Whether its cells are trained in stacks."""
        return self.mode != SINGLE and model_class(self.cells[0].model).stacks

    def pack_folder(self, rows: Sequence[TrainingRow]) -> Path | None:
        """The folder with the checkpoints of some of its rows; None if no state is kept."""
        if self.root is None:
            return None
        return RunFolder(self.root).checkpoints(self.job_id) / stack_id([row.cell for row in rows])


def run_job(job: Job, *, on_event: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
    """Train the cells of a job and score them.

    Every wanted cell ends in a result or a failure; the only exception raised is StoppedError.

    Args:
        job: The job.
        on_event: Called with every event.
        should_stop: Called before every step.

    Raises:
        StoppedError: `should_stop` returned true; the state is saved.
    """
    open_cells = {cell.cell_id: cell for cell in job.cells if cell.cell_id in job.wanted}
    for cell_id in open_cells:
        on_event(CellBegun(cell_id))

    def tell(event: Event) -> None:
        if isinstance(event, CellBegun | Note | JobDone):
            on_event(event)
        elif event.cell_id in open_cells:
            if not isinstance(event, Progress):
                del open_cells[event.cell_id]
            on_event(event)

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _current(torch.device(job.device)):
            _JobRun(job, tell, should_stop).run()
    except StoppedError:
        raise
    except Exception as error:
        code = error.exit_code if isinstance(error, NexusBenchError) else FailedCellsError.exit_code
        is_ours = isinstance(error, NexusBenchError)
        if is_short := isinstance(error, torch.OutOfMemoryError):
            reason = shortage(torch.device(job.device))
        else:
            reason = str(error) if is_ours else blame(error) or in_one_line(error)
        trace = None if is_ours or is_short else "".join(traceback.format_exception(error))
        for cell in list(open_cells.values()):
            tell(Failure(cell.cell_id, reason, code, trace))
    finally:
        torch.set_num_threads(n_threads)
    on_event(JobDone(job.job_id))


def engine_of(rows: Sequence[TrainingRow], job: Job) -> Engine:
    """The engine of a job for some of its rows; a model that does not stack is alone in one."""
    device = torch.device(job.device)
    if not job.stacks:
        (row,) = rows
        return Single(row, device)
    return Stacked(rows, device, job.mode, n_drawers=n_drawers(rows, job, device), compiles=job.compiles)


def n_drawers(rows: Sequence[TrainingRow], job: Job, device: torch.device) -> int:
    """Processes that draw examples beside a GPU; none for a task of a script or notebook, which they cannot import."""
    is_here_alone = any(type(row.source.law.family).__module__ == "__main__" for row in rows)
    return 0 if device.type == "cpu" or is_here_alone else n_cores(job)


def n_cores(job: Job) -> int:
    """Cores that a job beside a GPU may take."""
    return max(1, int(available_cores() * job.share / max(1, torch.cuda.device_count())))


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Streams, captures and kernels use the current device, which is the first GPU unless it is set."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


class _JobRun:
    """One job while it is trained, and the events that it reports."""

    def __init__(self, job: Job, tell: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
        self.job, self.tell = job, tell
        self.folders = list(job.begun)  # of checkpoints that hold some of the cells
        self.device = torch.device(job.device)
        self.made_with = made_with(job.mode, self.device)
        self.cost = cost_of(job.cells[0].model, job.cells[0].task)
        self.listener = Listener(
            on_point=lambda row, point: tell(Progress(row.cell.cell_id, point)),
            on_end=self.end,
            on_note=lambda text: tell(Note(text)),
            should_stop=should_stop,
        )

    def run(self) -> None:
        job = self.job
        if job.mode == DETERMINISTIC:
            prepare_determinism()
        elif job.stacks:
            prepare_compiler(n_cores(job))
        sources = open_sources(job.cells, job.data)
        rows = [TrainingRow(cell, source) for cell, source in zip(job.cells, sources, strict=True)]
        restored = self.restored(rows)
        for row in rows:
            for point in row.curve:
                if point.is_finite:
                    self.listener.on_point(row, point)
        self.tell_ended(restored)
        waiting = list(restored.packs)
        size = 1
        if job.stacks and waiting:
            size = largest_stack(waiting[0][0], self.device, job.mode, share=job.share)
        while waiting:
            pack = waiting.pop(0)
            if len(pack) > size:
                waiting.insert(0, pack[size:])
                pack = pack[:size]
            try:
                is_done = self.fits(pack)
            except CompilerError as error:
                # Mode deterministic never compiles, and the others promise no more than rounding. So checkpoints do not
                # tell this: a stack that goes on asks the compiler again, and one that fails again is as before.
                self.job, is_done = self.job._replace(compiles=False), False
                failed = f"PyTorch's compiler failed ({error})"
                self.listener.on_note(f"{pack[0].cell.label}: {failed}; trained without it, which is slower")
            else:
                if not is_done:
                    size = -(-len(pack) // 2)
                    self.listener.on_note(f"out of memory with {len(pack)} models in a stack; continuing with {size}")
            if not is_done:
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                waiting[:0] = self.again(pack)

    def fits(self, pack: Sequence[TrainingRow]) -> bool:
        """Train a pack to its end; false if the memory does not suffice for several models.

        Raises:
            CompilerError: PyTorch's compiler failed.
        """
        folder = self.job.pack_folder(pack)
        checkpoint = None if folder is None or self.job.root is None else Checkpoint(folder, root=self.job.root)
        self.folders += [folder] if folder is not None and folder not in self.folders else []
        try:
            make_engine = partial(engine_of, job=self.job)
            train(pack, make_engine, made_with=self.made_with, checkpoint=checkpoint, listener=self.listener)
        except torch.OutOfMemoryError:
            if len(pack) == 1:
                raise
            return False  # the frames of the error, and with them the engine, are gone when this returns
        return True

    def again(self, pack: Sequence[TrainingRow]) -> list[list[TrainingRow]]:
        """A pack that did not fit, as its checkpoints left it."""
        restored = self.restored([TrainingRow(row.cell, row.source) for row in pack])
        self.tell_ended(restored)
        return restored.packs

    def restored(self, rows: Sequence[TrainingRow]) -> RestoredRows:
        return restore(rows, self.folders, made_with=self.made_with, on_note=self.listener.on_note)

    def tell_ended(self, restored: RestoredRows) -> None:
        """Tell what ended before a stop and may not have been stored."""
        for row, path in restored.ended:
            if row.cell.cell_id in self.job.wanted:
                model = row.build()
                if path is not None:
                    model.load_state_dict(safetensors.torch.load_file(path))
                assert row.status is not None
                self.end(
                    row, TrainingOutcome(model.to(self.device), row.curve, row.status, row.seconds, row.setup, path)
                )

    def end(self, row: TrainingRow, ending: TrainingOutcome) -> None:
        if ending.status == DIVERGED:
            reason = f"the loss is not finite at step {ending.curve[-1].step}; lower lr"
            self.tell(Failure(row.cell.cell_id, reason, FailedCellsError.exit_code))
        elif row.cell.cell_id in self.job.wanted:
            self.tell(_result(row, self.job, self.cost, ending))


def _result(row: TrainingRow, job: Job, cost: Cost, ending: TrainingOutcome) -> CellResult:
    cell, weights = row.cell, ending.weights
    names = {"cell_id": cell.cell_id, "model": cell.label, "seed": cell.seed}
    scored = result_rows(cell, job.mode, row.source, ending, cost)
    return CellResult(
        cell_id=cell.cell_id,
        rows=scored.rows,
        places=scored.places,
        curve=[
            names | {"step": point.step, "hop": hop, "accuracy": at.accuracy, "loss": at.loss}
            for point in thinned(ending.curve, job.curve_points)
            for hop, at in point.scores.items()
        ],
        timing=names | {"device": job.device} | _timing(row, job, cost, ending),
        weights=safetensors.torch.save(weights_of(ending.model)) if weights is None else weights,
    )


def _timing(row: TrainingRow, job: Job, cost: Cost, ending: TrainingOutcome) -> dict[str, float | None]:
    """What timing.csv tells of speed."""
    steps, seconds = ending.curve[-1].step, ending.train_seconds
    tflops = None if cost.compute is None else 1e-12 * cost.compute * row.cell.train.batch_size * steps / seconds
    peak = peak_here(job.device, job.mode)
    return {
        "train_seconds": seconds,
        "setup_seconds": ending.setup_seconds,
        "steps_per_second": steps / seconds,
        "tflops": tflops,
        "share_of_peak": None if tflops is None or peak is None else tflops / peak,
    }
