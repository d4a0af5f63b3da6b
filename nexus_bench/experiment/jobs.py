"""A job from its cells to their results: open the sources, train, report how each cell ended."""

import hashlib
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch

from nexus_bench.errors import FailedCellsError, NexusBenchError
from nexus_bench.experiment.events import Begun, Event, Failure, JobDone, Note, Progress
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.result_rows import result_rows
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.sources import open_source
from nexus_bench.training.checkpoint import Checkpoint
from nexus_bench.training.engine import Engine, Single, Source
from nexus_bench.training.loop import Ending, Listener, StoppedError, train
from nexus_bench.training.modes import SINGLE
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.stacked import Stacked, largest_stack, prepare_determinism

_MAY_DIFFER = {"seed": True, "train": {"lr", "curriculum"}}  # between the models of a stack


class Job(NamedTuple):
    """Cells that are trained together, and how they are trained.

    Attributes:
        cells: Cells of equal shape; only one in mode `single`.
        wanted: The cell_ids of those without results yet.
        mode: `single`, or one of the modes of `training.modes`.
        device: `cpu`, `cuda`, `cuda:1`.
        root: The run folder, which keeps the state of an unfinished job; None keeps no state.
        data: Dataset folder to train on; None means the endless stream of the task.
    """

    cells: tuple[CellSpec, ...]
    wanted: frozenset[str]
    mode: str
    device: str
    root: Path | None
    data: Path | None

    @property
    def job_id(self) -> str:
        """The name of the folder with its checkpoints."""
        return _stack_id(self.cells)

    def checkpoint(self, cells: Sequence[CellSpec]) -> Checkpoint | None:
        """The checkpoints of these cells of the job."""
        if self.root is None:
            return None
        return Checkpoint(RunFolder(self.root).checkpoints(self.job_id) / _stack_id(cells), root=self.root)


def make_jobs(
    cells: Sequence[CellSpec],
    done: Iterable[str],
    *,
    mode: str,
    stack: int,
    device: str,
    root: Path | None,
    data: Path | None,
) -> list[Job]:
    """Divide a suite into jobs: by cell, or by stacks of at most `stack` cells of equal shape.

    Stacks are formed from the whole suite, not only from cells to do, so an interrupted run forms the same stacks.
    """
    finished = frozenset(done)
    if mode == SINGLE:
        stacks: list[tuple[CellSpec, ...]] = [(cell,) for cell in cells]
    else:
        shapes = {cell.cell_id: cell.model_dump_json(exclude=_MAY_DIFFER) for cell in cells}  # type: ignore[arg-type]
        order = {shape: place for place, shape in reversed(list(enumerate(shapes.values())))}
        alike = groupby(sorted(cells, key=lambda c: order[shapes[c.cell_id]]), key=lambda c: shapes[c.cell_id])
        groups = [tuple(group) for _, group in alike]
        stacks = [group[i : i + stack] for group in groups for i in range(0, len(group), stack)]
    jobs = []
    for members in stacks:
        wanted = frozenset(cell.cell_id for cell in members) - finished
        job = Job(members, wanted, mode, device, root, data)
        if wanted and len(wanted) < len(members) and not (root and RunFolder(root).checkpoints(job.job_id).exists()):
            job = job._replace(cells=tuple(cell for cell in members if cell.cell_id in wanted))
        if wanted:
            jobs.append(job)
    return jobs


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
        on_event(Begun(cell_id))

    def tell(event: Event) -> None:
        if isinstance(event, Begun | Note | JobDone):
            on_event(event)
        elif event.cell_id in job.wanted:
            if not isinstance(event, Progress):
                open_cells.pop(event.cell_id, None)
            on_event(event)

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _current(torch.device(job.device)):
            _train_stacks(job, tell, should_stop)
    except StoppedError:
        raise
    except Exception as error:
        code = error.exit_code if isinstance(error, NexusBenchError) else FailedCellsError.exit_code
        reason = str(error) if isinstance(error, NexusBenchError) else _one_line(error)
        for cell in list(open_cells.values()):
            tell(Failure(cell.cell_id, reason, code))
    finally:
        torch.set_num_threads(n_threads)
    on_event(JobDone(job.job_id))


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Streams, captures and kernels use the current device, which is the first GPU unless it is set."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _train_stacks(job: Job, tell: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
    by_seed: dict[int, Source] = {}
    for cell in job.cells:
        if cell.seed not in by_seed:
            by_seed[cell.seed] = open_source(cell, job.data)
    device = torch.device(job.device)
    if job.mode == SINGLE:
        (cell,) = job.cells
        source = by_seed[cell.seed]
        _train(job, Single(cell, source, device), source_of=[source], tell=tell, should_stop=should_stop)
        return
    if job.mode == "deterministic":
        prepare_determinism()
    sources = [by_seed[cell.seed] for cell in job.cells]
    size = largest_stack(job.cells[0], sources[0], device, job.mode)
    waiting = [slice(i, i + size) for i in range(0, len(job.cells), size)]
    while waiting:
        part = waiting.pop(0)
        cells, own = job.cells[part], sources[part]
        try:
            engine = Stacked(cells, own, device, job.mode)
            try:
                _train(job, engine, source_of=own, tell=tell, should_stop=should_stop)
            finally:
                engine.close()
        except torch.OutOfMemoryError:
            if len(cells) == 1:
                raise
            half = -(-len(cells) // 2)
            tell(Note(f"out of memory with {len(cells)} models in a stack; continuing with {half}"))
            middle = part.start + half
            waiting[:0] = [slice(part.start, middle), slice(middle, part.start + len(cells))]
            torch.cuda.empty_cache()


def _train(
    job: Job,
    engine: Engine,
    *,
    source_of: Sequence[Source],
    tell: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> None:
    cells = engine.cells

    def end(index: int, ending: Ending) -> None:
        cell = cells[index]
        if ending.status == "diverged":
            step = ending.curve[-1].step
            reason = f"the loss is not finite at step {step}; lower lr"
            tell(Failure(cell.cell_id, reason, FailedCellsError.exit_code))
        elif cell.cell_id in job.wanted:
            tell(_result(cell, job, source_of[index], ending))

    listener = Listener(
        on_point=lambda index, point: tell(Progress(cells[index].cell_id, point)),
        on_end=end,
        on_note=lambda text: tell(Note(text)),
        should_stop=should_stop,
    )
    train(engine, mode=job.mode, checkpoint=job.checkpoint(cells), listener=listener)


def _result(cell: CellSpec, job: Job, source: Source, ending: Ending) -> CellResult:
    weights = {name: value.cpu().clone() for name, value in ending.model.state_dict().items()}
    names = {"cell_id": cell.cell_id, "model": cell.label, "seed": cell.seed}
    return CellResult(
        cell_id=cell.cell_id,
        rows=result_rows(cell, job.mode, source, ending),
        curve=[
            names | {"step": point.step, "hop": hop, "accuracy": at.accuracy, "loss": at.loss}
            for point in ending.curve
            for hop, at in point.scores.items()
        ],
        timing=names
        | {
            "device": job.device,
            "train_seconds": ending.train_seconds,
            "steps_per_second": ending.curve[-1].step / ending.train_seconds,
        },
        weights=safetensors.torch.save(weights),
    )


def _stack_id(cells: Sequence[CellSpec]) -> str:
    names = [cell.cell_id for cell in cells]
    return names[0] if len(names) == 1 else hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]


def _one_line(error: Exception) -> str:
    """A one-line message for an unexpected error, and where it was raised."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0] if said else 'no message'} ({Path(where.filename).name}:{where.lineno})"
