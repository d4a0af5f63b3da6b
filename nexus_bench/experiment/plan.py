"""The plan of a run: what is done, and what is to do."""

from collections.abc import Collection, Set
from typing import NamedTuple

from nexus_bench.data.splits import check_worlds
from nexus_bench.errors import UsageError
from nexus_bench.experiment.cell_environments import recorded_in
from nexus_bench.experiment.restore_copy import is_copy
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import Suite, with_chosen
from nexus_bench.io.plurals import counted
from nexus_bench.io.read_results import check_run
from nexus_bench.io.record_seals import cells_of_tables
from nexus_bench.training.spec import CellSpec


class RunPlan(NamedTuple):
    """The cells of a run, divided into those that are done and those that are to be trained.

    Attributes:
        suite: The grid.
        done: Cells that need no more training.
        to_do: The other cells, in order, but for seeds that are not asked for now.
        n_deleted: How many of these were finished before, and their records were deleted since.
        n_recorded: How many that are done have no record: the folder is a copy, and `train` restores them first.
    """

    suite: Suite
    done: list[CellSpec]
    to_do: list[CellSpec]
    n_deleted: int = 0
    n_recorded: int = 0

    @property
    def notes(self) -> list[str]:
        """What is said of cells that were done before, a line each."""
        are = "is" if self.n_recorded == 1 else "are"
        recorded = f"{counted(self.n_recorded, 'cell')} {are} restored from the tables, without weights"
        were = "that was" if self.n_deleted == 1 else "that were"
        deleted = f"training {counted(self.n_deleted, 'cell')} {were} done and then deleted again"
        return [*([recorded] if self.n_recorded else []), *([deleted] if self.n_deleted else [])]

    @property
    def titles(self) -> dict[str, str]:
        """The title of every cell of the suite, by cell_id."""
        return self.suite.titles


def left_out_note(suite: Suite, shown: Set[str]) -> str | None:
    """A line if cells leave the tables of a folder, as of another grid or of a recipe that is no longer the best.

    Args:
        suite: The suite; while its recipes are not chosen, it is not known which cells leave.
        shown: The cells that the tables hold, from `cells_of_tables`.
    """
    others = set() if suite.n_later else shown - suite.purposes.keys()
    if not others:
        return None
    return f"{counted(len(others), 'cell')} that this grid lacks: left out of the tables, kept in cells/"


def make_plan(suite: Suite, folder: RunFolder, failed: Collection[str] = ()) -> RunPlan:
    """Plan a run: find the cells of a suite that a folder lacks.

    Args:
        suite: The suite.
        folder: The run folder; if it tells which recipes are the best, the cells with these belong to the plan.
        failed: Cell ids that are not tried again.

    Raises:
        ConfigError: The folder holds a run of an older format, or a task has too few distinct worlds for its splits.
        CorruptArtefactError: A file in the folder was edited, or one that cannot be made again is missing.
        UsageError: The folder holds something else, or cells that were trained when other comparisons were declared.
    """
    folder.check(suite.name)
    suite = with_chosen(suite, folder)
    folder.check_records(cell.cell_id for cell in suite.cells)
    if has_tables_alone := is_copy(folder):
        check_run(folder.path)  # cells are restored from all of its tables
    recorded = recorded_in(folder) if has_tables_alone else set()
    done = [cell for cell in suite.cells if cell.cell_id in recorded or folder.cells.finished(cell.cell_id)]
    if done and folder.read_spec().get("comparisons") != suite.config.get("comparisons"):
        raise UsageError(
            f"{folder.path}: holds {counted(len(done), 'cell')} trained under other declared comparisons, which come "
            "before results; choose another --out, or take the comparisons of its spec.yaml"
        )
    ended = {cell.cell_id for cell in done} | set(failed)
    left = [cell for cell in suite.cells if cell.cell_id not in ended]
    to_do = [cell for cell in left if suite.asked is None or cell.seed in suite.asked]
    for task in {id(cell.task): cell.task for cell in to_do if cell.task.content_sha256 is None}.values():
        check_worlds(task.laws(), n_val=task.n_val, n_test=task.n_test)  # a dataset has its examples already
    n_deleted = len(cells_of_tables(folder.path).intersection(cell.cell_id for cell in to_do))
    return RunPlan(suite, done, to_do, n_deleted, len(done) if recorded else 0)
