"""A run as it is submitted to a leaderboard: nothing is edited or missing, and what can be computed again is."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from nexus_bench.data.task import law_of
from nexus_bench.errors import CheckFailedError, CorruptArtefactError
from nexus_bench.experiment.result_rows import describe
from nexus_bench.experiment.run_folder import open
from nexus_bench.experiment.suite import suite_of
from nexus_bench.io.columns import FAILED, IID, TEST, VAL, Row
from nexus_bench.io.packed import is_there, where_kept
from nexus_bench.io.plurals import counted
from nexus_bench.io.read_results import ENVIRONMENT, RESULTS, SPEC, command_of, of_no_suite, read_results
from nexus_bench.model.costs import cost_of
from nexus_bench.training.spec import CellSpec

_ADVICE = "submit the whole folder as `nexus-bench train` wrote it"
_ROUNDING = 1e-5  # of a value with six significant digits


class Submission(NamedTuple):
    """A run that may be accepted.

    Attributes:
        run: The folder.
        tasks: Its task families.
        n_models: Its models.
        n_cells: Its cells, tuning included.
        n_failed: Those of them that failed; they are shown as failed.
    """

    run: str
    tasks: list[str]
    n_models: int
    n_cells: int
    n_failed: int


def check_submission(run: Path) -> Submission:
    """Check a run folder for what a leaderboard may show.

    Its files are as they were written, every cell of its suite is there and no other, its tasks and attentions are
    known here, and each row says of its cell, its cost, chance and ceiling what the suite comes to.

    Raises:
        CheckFailedError: A cell is missing.
        ConfigError: The suite names an unknown task, attention or value, or the run is of an older format.
        CorruptArtefactError: A file is missing or was edited, or a row is not that of its cell.
        StorageError: It is not a run folder.
    """
    if (command := command_of(run)) is not None:
        raise of_no_suite(run, command)
    names = (SPEC, RESULTS, ENVIRONMENT)
    lacking = [name for name in names if not is_there(run / name)]
    if 0 < len(lacking) < len(names):
        raise CorruptArtefactError(f"{run / lacking[0]}: is missing; {_ADVICE}")
    folder, results = open(run), read_results(run)
    suite = suite_of(folder)
    titles, there = suite.titles, set(results["cell_id"])
    missing = [cell for cell in suite.cells if cell.cell_id not in there]
    if missing or suite.n_later:
        such = f", such as {titles[missing[0].cell_id]}" if missing else ""
        n = len(missing) or suite.n_later
        raise CheckFailedError(
            f"{run}: lacks {counted(n, 'cell')} of its suite{such}; give the `nexus-bench train` command again"
        )
    if strange := sorted(there - titles.keys()):
        raise CorruptArtefactError(
            f"{where_kept(run / RESULTS)}: has cell {strange[0]}, which is not of its suite; {_ADVICE}"
        )
    of_cells = dict(iter(results.groupby("cell_id", sort=False)))
    for cell in suite.cells:
        _check_rows(run, cell, titles[cell.cell_id], of_cells[cell.cell_id])
    return Submission(
        run=str(run),
        tasks=list(dict.fromkeys(results["task"])),
        n_models=results["model"].nunique(),
        n_cells=len(suite.cells),
        n_failed=results.loc[results["status"] == FAILED, "cell_id"].nunique(),
    )


def _check_rows(run: Path, cell: CellSpec, title: str, rows: pd.DataFrame) -> None:
    """Rows say what their cell is; that all rows of a cell say the same, reading them checks."""
    row = rows.iloc[0]
    wanted = {name: value for name, value in describe(cell, row["mode"]).items() if name != "version"}
    is_measured = row["status"] != FAILED
    if is_measured:
        cost = cost_of(cell.model, cell.task)
        flops = None if cost.compute is None else cost.compute * cell.train.batch_size
        if flops is not None and row["flops_per_step"] != flops:  # as runs before sequences were read at their labels
            before = cost_of(cell.model, cell.task, at_every_place=True).compute
            if before is not None and row["flops_per_step"] == before * cell.train.batch_size:
                flops = before * cell.train.batch_size
        wanted |= {"n_params": cost.parameters, "flops_per_step": flops}
    _compare(run, title, row, wanted)
    laws = cell.task.laws()
    for split in (VAL, TEST, *(name for name in laws if name != IID)):
        family = law_of(split, laws).family
        own = rows[rows["split"] == split].set_index("hop")
        if missing := [hop for hop in family.hops if hop not in own.index]:
            raise CheckFailedError(f"{run}: {title}: split {split} lacks hop {missing[0]}; {_ADVICE}")
        for hop in family.hops if is_measured else ():
            known = {"chance": family.chance(hop), "partial_input": family.partial_input(hop)}
            _compare(run, f"{title}, {split}, hop {hop}", own.loc[hop], known)


def _compare(run: Path, where: str, row: Any, wanted: Row) -> None:
    for name, value in wanted.items():
        found = None if pd.isna(row[name]) else row[name]
        if isinstance(value, float) and found is not None:
            is_same = math.isclose(found, value, rel_tol=_ROUNDING)
        else:
            is_same = found == (None if value == "" else value)
        if not is_same:
            raise CorruptArtefactError(
                f"{where_kept(run / RESULTS)}: {where}: {name} is {found}, but the suite comes to {value}; {_ADVICE}"
            )
