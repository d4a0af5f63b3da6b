"""Records of cells made again from the tables of a run, so that a copy without `cells/` can be gone on with.

What the tables hold comes back: results, curve, places, time, and the scores of later evaluations. Weights do not.
"""

import shutil
from pathlib import Path

import pandas as pd

from nexus_bench.experiment.cell_environments import recorded_in
from nexus_bench.experiment.records import CellRecords, CellResult
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.columns import FAILED, TIMING_COLUMNS, Row
from nexus_bench.io.csv_files import read_csv, rows_of
from nexus_bench.io.files import write_atomic
from nexus_bench.io.packed import drop_packed, open_table, packed
from nexus_bench.io.read_results import MADE_AGAIN, TIMING, read_curves, read_places, read_results
from nexus_bench.io.record_seals import cells_of_tables, forget_records

_OF_SUITE = ("suite", "purpose")  # what results.csv adds to the rows of a record


def is_copy(folder: RunFolder) -> bool:
    """Whether a run has results, but not the records that they were made from.

    Raises:
        CorruptArtefactError: seal.json was edited.
    """
    return not folder.cells.path.exists() and bool(cells_of_tables(folder.path) or recorded_in(folder))


def restore_cells(folder: RunFolder, name: str) -> int:
    """Make the records of a copy again; a process that is killed meanwhile leaves the copy as it was.

    Tables that are kept packed are unpacked. Cells that failed have no record, so they are tried again.

    Args:
        folder: A copy, as `is_copy` says.
        name: Name of the suite.

    Returns:
        How many cells were restored.

    Raises:
        CorruptArtefactError: A table was edited or is missing.
        StorageError: The disk is full or the folder cannot be written.
        UsageError: It holds another suite, or another process writes to it.
    """
    with folder.writing(name):
        begun = folder.path / ".restored"
        shutil.rmtree(begun, ignore_errors=True)
        n_cells = _restore(folder.path, CellRecords(begun))
        for table in (folder.path / name for name in MADE_AGAIN):
            if packed(table).is_file():
                with open_table(table) as file:
                    write_atomic(table, file.read())
                drop_packed(table)
        forget_records(folder.path, lambda name: True)  # the new ones are sealed with the tables
        begun.rename(folder.cells.path)
    return n_cells


def _restore(run: Path, cells: CellRecords) -> int:
    results = read_results(run)
    results = results[results["status"] != FAILED].drop(columns=list(_OF_SUITE))
    is_asked = results["split"].str.startswith("eval")
    rows, asked = _by_cell(results[~is_asked]), _by_cell(results[is_asked])
    places = read_places(run)
    is_asked = places["split"].str.startswith("eval")
    own_places, asked_places = _by_cell(places[~is_asked]), _by_cell(places[is_asked])
    curves, timings = _by_cell(read_curves(run, whole=True)), _by_cell(read_csv(run / TIMING, TIMING_COLUMNS))
    for cell_id, of_cell in rows.items():
        curve, timing = curves.get(cell_id, []), timings[cell_id][0]
        cells.save(CellResult(cell_id, of_cell, curve, timing, None, own_places.get(cell_id, [])))
        for split in dict.fromkeys(row["split"] for row in asked.get(cell_id, ())):
            scores = {"rows": asked[cell_id], "places": asked_places.get(cell_id, [])}
            of_split = {key: [row for row in value if row["split"] == split] for key, value in scores.items()}
            cells.save_evaluation(cell_id, split, {key: value for key, value in of_split.items() if value})
    return len(rows)


def _by_cell(table: pd.DataFrame) -> dict[str, list[Row]]:
    return {str(cell_id): rows_of(rows) for cell_id, rows in table.groupby("cell_id", sort=False)}
