"""The plan of a run, and an estimate of its time."""

import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import torch

from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.sources import open_source
from nexus_bench.experiment.suite import Suite, with_chosen
from nexus_bench.io.record_seals import cells_of_tables
from nexus_bench.training.engine import Single
from nexus_bench.training.row import Row
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.titles import titles_of

_PROBE_STEPS = 20  # or fewer if they take too long

_PROBE_SECONDS = 1.0


class Plan(NamedTuple):
    """The plan of a run.

    Attributes:
        suite: The grid.
        done: Cells that need no more training.
        to_do: The other cells, in order.
        n_deleted: How many of these were finished before, and their records were deleted since.
    """

    suite: Suite
    done: list[CellSpec]
    to_do: list[CellSpec]
    n_deleted: int = 0

    @property
    def titles(self) -> dict[str, str]:
        """The title of every cell of the suite, by cell_id."""
        return titles_of(self.suite.cells)


def make_plan(suite: Suite, folder: RunFolder, failed: Collection[str] = ()) -> Plan:
    """Plan a run: find the cells of a suite that a folder lacks.

    Args:
        suite: The suite.
        folder: The run folder; if it tells which recipes are the best, the cells with these belong to the plan.
        failed: Cell ids that are not tried again.

    Raises:
        ConfigError: The folder holds a run of an older format.
        CorruptArtefactError: A file in the folder was edited, or one that cannot be made again is missing.
        UsageError: The folder holds something else.
    """
    folder.check(suite.name)
    suite = with_chosen(suite, folder)
    folder.check_records(cell.cell_id for cell in suite.cells)
    done = [cell for cell in suite.cells if folder.cells.finished(cell.cell_id)]
    ended = {cell.cell_id for cell in done} | set(failed)
    to_do = [cell for cell in suite.cells if cell.cell_id not in ended]
    n_deleted = len(cells_of_tables(folder.path).intersection(cell.cell_id for cell in to_do))
    return Plan(suite, done, to_do, n_deleted)


def estimate_seconds(plan: Plan, *, device: str, data: Path | None) -> dict[str, float]:
    """How long each cell to do will take at most, from a few timed steps of each distinct model.

    Returns:
        cell_id -> seconds for one worker, if all steps are needed.
    """
    per_step: dict[str, float] = {}
    seconds: dict[str, float] = {}
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for cell in plan.to_do:
        shape = repr((cell.task, cell.model, cell.train.batch_size))
        if shape not in per_step:
            per_step[shape] = _time_a_step(cell, device, data)
        seconds[cell.cell_id] = per_step[shape] * cell.train.steps
    torch.set_num_threads(n_threads)
    return seconds


def _time_a_step(cell: CellSpec, device: str, data: Path | None) -> float:
    engine = Single(Row(cell, open_source(cell, data)), torch.device(device))
    engine.advance()  # the first step includes set-up
    started = time.perf_counter()
    first = engine.step
    while engine.step - first < _PROBE_STEPS and time.perf_counter() - started < _PROBE_SECONDS:
        engine.advance()
    step_seconds = (time.perf_counter() - started) / (engine.step - first)
    started = time.perf_counter()
    engine.scores()
    return step_seconds + (time.perf_counter() - started) / cell.train.eval_every
