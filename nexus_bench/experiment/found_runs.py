"""The run folders below a folder, and what is told of each; without PyTorch."""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from nexus_bench.errors import NexusBenchError, UsageError
from nexus_bench.experiment import grid
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.columns import FAILED, TUNING
from nexus_bench.io.config import Config
from nexus_bench.io.packed import is_there, packed
from nexus_bench.io.plurals import counted
from nexus_bench.io.read_results import RESULTS, SPEC, check_run, is_sealed, read_results
from nexus_bench.io.record_seals import cells_of_tables

DONE, TRAINING, STOPPED, FAILED_CELLS, UNREADABLE = "done", "training", "stopped", "failed cells", "unreadable"


class FoundRun(NamedTuple):
    """A run folder.

    Attributes:
        path: The folder.
        suite: The name of its suite, or of scored answers.
        state: done, training, stopped (some cells are not trained, or are lost), failed cells, or unreadable.
        n_cells: Cells with results.
        n_planned: Cells of the suite; None of scored answers, and where it depends on what is found out in training.
        n_failed: Cells that failed.
        finding: What the run found, in a sentence; None if it says nothing.
        n_bytes: The size of all files in it.
        changed: When its results changed last, as seconds since 1970; 0 if that cannot be seen.
        problem: Why it cannot be read, or that cells of its tables are lost.
    """

    path: str
    suite: str | None
    state: str
    n_cells: int
    n_planned: int | None
    n_failed: int
    finding: str | None
    n_bytes: int
    changed: float
    problem: str | None


def find_runs(root: Path) -> list[FoundRun]:
    """The run folders below a folder, the newest first; not those of `pretrain`, which have no cells.

    Then the folders whose content cannot be read, in which there may be more.
    """
    closed: list[OSError] = []
    found = [run for run in map(_read, _folders(root, closed)) if run.suite is not None or run.problem is not None]
    found.sort(key=lambda run: (-run.changed, run.path))
    refused = (error for error in closed if not isinstance(error, FileNotFoundError))  # a folder that is gone
    return found + [_unreadable(Path(error.filename), _told(error), 0, 0.0) for error in refused]


def _folders(root: Path, closed: list[OSError]) -> Iterator[Path]:
    """Folders with tables or settings of a run; not looked for among its cells, which are many.

    Args:
        root: Where to look.
        closed: Given what goes wrong where a folder cannot be read.
    """
    of_run = {RESULTS, packed(Path(RESULTS)).name, SPEC}
    for at, below, files in os.walk(root, onerror=closed.append):
        if not of_run.isdisjoint(files):
            below[:] = [name for name in below if name != "cells"]
            yield Path(at)


def finding_of(run: Path) -> str | None:
    """What a run found, in a sentence, as its report begins; None if there is no report that says it."""
    page = run / "report.md"
    if not page.is_file():
        return None
    with page.open(encoding="utf-8", errors="replace") as lines:
        beginning = [line.strip() for line in islice(lines, 4)]
    said = next((line for line in beginning if line.startswith("**") and line.endswith("**")), None)
    return None if said is None else re.sub(r"\\([^\w\s])", r"\1", said.strip("*"))


def _read(folder: Path) -> FoundRun:
    files = list(_files(folder))
    n_bytes = sum(file.st_size for file in files)
    changed = max((file.st_mtime for file in files), default=time.time())
    try:
        return _readable(folder, n_bytes, changed)
    except NexusBenchError as error:
        return _unreadable(folder, str(error), n_bytes, changed)
    except OSError as error:
        return _unreadable(folder, _told(error), n_bytes, changed)


def _unreadable(folder: Path, problem: str, n_bytes: int, changed: float) -> FoundRun:
    return FoundRun(str(folder), None, UNREADABLE, 0, None, 0, None, n_bytes, changed, problem)


def _told(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}"


def _files(folder: Path) -> Iterator[os.stat_result]:
    for at, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it was deleted meanwhile, or is a link to nowhere
                yield Path(at, name).stat()


def _readable(folder: Path, n_bytes: int, changed: float) -> FoundRun:
    run = RunFolder(folder)
    try:
        if not (has_rows := is_there(folder / RESULTS)) and is_sealed(folder):
            check_run(folder)
        rows = read_results(folder).drop_duplicates("cell_id") if has_rows else None
    except UsageError:  # no cell is finished yet
        rows = None
    n_cells = 0 if rows is None else rows["cell_id"].nunique()
    n_failed = 0 if rows is None else int((rows["status"] == FAILED).sum())
    config = run.read_spec() if (folder / SPEC).is_file() else None
    suite = config.get("suite") if config else None
    if suite is None and rows is not None and len(rows):
        suite = str(rows["suite"].iloc[0])
    n_to_measure = None if config is None else _n_to_measure(config)
    n_planned = None if config is None or config.get("tune") else n_to_measure
    n_measured = 0 if rows is None else int((rows["purpose"] != TUNING).sum())
    n_lost = 0 if rows is None else _n_lost(run, rows.loc[rows["status"] != FAILED, "cell_id"])
    if run.is_written_to():
        state = TRAINING
    elif n_failed:
        state = FAILED_CELLS
    else:
        is_begun = run.all_checkpoints.is_dir() or not n_cells or n_measured < (n_to_measure or 0)
        state = STOPPED if is_begun or n_lost else DONE
    problem = None
    if n_lost and state != TRAINING:
        lack = "lacks its folder in cells/, and is" if n_lost == 1 else "lack their folders in cells/, and are"
        problem = f"{counted(n_lost, 'cell')} {lack} trained again by `nexus-bench train {folder}`"
    finding = finding_of(folder)
    return FoundRun(str(folder), suite, state, n_cells, n_planned, n_failed, finding, n_bytes, changed, problem)


def _n_lost(run: RunFolder, cell_ids: Iterable[str]) -> int:
    """How many cells of the tables have lost their record.

    In a copy of tables alone none is lost. Nor in one with some of the cells, as `runs/example/quick` keeps one for its
    weights: its seal knows no records, as those of older versions and of huge runs.
    """
    if not run.cells.path.is_dir():
        return 0
    without = {cell_id: not run.cells.finished(cell_id) for cell_id in cell_ids}
    is_part = not cells_of_tables(run.path) and not all(without.values())
    return 0 if is_part else sum(without.values())


def _n_to_measure(config: Config) -> int | None:
    """The cells of a suite but for those that choose a recipe; None if planning adds some, or it is no grid."""
    if "tasks" not in config or config.get("matched"):
        return None
    tasks = [grid.with_recipe(entry, config.get("train", {})) for entry in config["tasks"]]
    models = [config.get("model", {}) | entry for entry in config["models"]]
    return grid.n_cells(tasks, models, len(grid.read_seeds(config, where=SPEC)))
