"""The progress of a run: which cells are done, recorded, running, failed or to do."""

from typing import NamedTuple

from nexus_bench.experiment.cell_environments import recorded_in, trained_in
from nexus_bench.experiment.plan_file import planned_cells
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.columns import FAILED
from nexus_bench.training.checkpoint_heads import saved_steps

DONE, RUNNING, TO_DO = "done", "running", "to do"  # and FAILED, as in the column `status`
RECORDED = "recorded"  # in the tables, but its folder with the weights is not here, as in a copy without weights
STATES = (DONE, RECORDED, RUNNING, FAILED, TO_DO)


class CellState(NamedTuple):
    """One cell of a run.

    Attributes:
        cell_id: The cell.
        title: The cell in a few words, with every value that varies in the run.
        state: One of STATES.
        step: Optimiser steps made, of a cell that is running; of one that is to do, those that are saved.
        steps: Steps allowed.
        reason: Why it failed.
        trained: Mode, device and PyTorch version of a cell that is done or recorded, in words; None if not known.
    """

    cell_id: str
    title: str
    state: str
    step: int | None
    steps: int
    reason: str | None
    trained: str | None


def read_status(folder: RunFolder) -> list[CellState]:
    """The cells of a run in their order.

    Raises:
        ConfigError: The suite of the run is not one for this version.
        StorageError: It is not a run folder.
    """
    cells = planned_cells(folder)
    finished = [cell.cell_id for cell in cells if folder.cells.finished(cell.cell_id)]
    others = {cell.cell_id for cell in cells}.difference(finished)
    recorded = recorded_in(folder) & others if others else set()
    trained = trained_in(folder, [*finished, *recorded])
    running = folder.read_progress() if folder.is_written_to() else {}
    saved = saved_steps(folder.all_checkpoints)
    states = []
    for cell in cells:
        reason = folder.cells.failure(cell.cell_id) if cell.cell_id in others else None
        if cell.cell_id in trained and cell.cell_id not in recorded:
            state = DONE
        elif cell.cell_id in running:
            state = RUNNING
        elif reason is not None:
            state = FAILED
        else:
            state = RECORDED if cell.cell_id in recorded else TO_DO
        step = {RUNNING: running, TO_DO: saved}.get(state, {}).get(cell.cell_id)
        where = trained.get(cell.cell_id) if state in (DONE, RECORDED) else None
        states.append(
            CellState(cell.cell_id, cell.title, state, step, cell.steps, reason if state == FAILED else None, where)
        )
    return states
