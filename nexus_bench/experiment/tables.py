"""The tables of a run folder, written from the records of its cells."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from nexus_bench.experiment.records import CellRecords, CellResult
from nexus_bench.io.columns import COLUMNS, CURVE_COLUMNS, PLACE_COLUMNS, TIMING_COLUMNS, Row
from nexus_bench.io.csv_files import csv_header, csv_lines, rows_of, to_csv
from nexus_bench.io.packed import is_there
from nexus_bench.io.read_results import CURVES, PLACES, RESULTS, TIMING, read_places, read_results
from nexus_bench.io.record_seals import forget_records, seal_records
from nexus_bench.io.seal import replace_sealed, replacing_sealed


def write_tables(
    run: Path,
    cells: CellRecords,
    name: str,
    purposes: Mapping[str, str],
    failed: Sequence[CellResult] = (),
    *,
    has_sequences: bool = False,
) -> None:
    """Write the CSV files from the cells that are done, in the order given, then those that failed.

    Args:
        run: The run folder.
        cells: Its records.
        name: Name of the suite.
        purposes: All cells of the run in their order: cell_id -> `purpose`.
        failed: The cells that failed.
        has_sequences: Whether places.csv belongs to the tables; where it is there, it does anyway.

    Raises:
        CorruptArtefactError: A cell's record or a table was edited.
        StorageError: The disk is full or the folder cannot be written.
    """
    finished = [cell_id for cell_id in purposes if cells.finished(cell_id)]
    tables = {RESULTS: COLUMNS, CURVES: CURVE_COLUMNS, TIMING: TIMING_COLUMNS}
    if has_sequences or is_there(run / PLACES):
        tables[PLACES] = PLACE_COLUMNS
    evaluations: list[tuple[str, str]] = []
    with replacing_sealed(run, tables) as files:

        def write_results(rows: Iterable[Row]) -> None:
            files[RESULTS].write(csv_lines(_of_suite(rows, name, purposes), COLUMNS))

        for table, columns in tables.items():
            files[table].write(csv_header(columns))
        for cell_id in finished:
            record = cells.record(cell_id)
            write_results(record["rows"])
            files[CURVES].write(csv_lines(record["curve"], CURVE_COLUMNS))
            files[TIMING].write(csv_lines([record["timing"]], TIMING_COLUMNS))
            if PLACES in files:
                files[PLACES].write(csv_lines(record.get("places", ()), PLACE_COLUMNS))
        evaluations += ((cell_id, split) for cell_id in purposes for split in cells.evaluated_splits(cell_id))
        for cell in failed:
            write_results(cell.rows)
        write_results(cells.evaluation_rows(evaluations))
        if PLACES in files:
            files[PLACES].write(csv_lines(cells.evaluation_rows(evaluations, of="places"), PLACE_COLUMNS))
    seal_records(run, cells.record_names(purposes))


def add_evaluations(
    run: Path,
    cells: CellRecords,
    name: str,
    purposes: Mapping[str, str],
    rows: Sequence[Row],
    places: Sequence[Row] = (),
    *,
    about: Row,
) -> None:
    """Add later evaluations of finished cells to the end of the tables; rows that are there are kept.

    Args:
        run: The run folder.
        cells: Its records.
        name: Name of the suite.
        purposes: All cells of the run in their order: cell_id -> `purpose`.
        rows: Rows of results.csv, of a split that their cells do not have yet.
        places: Rows of places.csv of the same.
        about: The description of the evaluation, stored with the rows.

    Raises:
        CorruptArtefactError: A table is damaged.
        StorageError: The disk is full or the folder cannot be written.
    """
    old = {RESULTS: read_results(run)}
    if places or is_there(run / PLACES):
        old[PLACES] = read_places(run)
    by_split: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for part, of_part in (("rows", rows), ("places", places)):
        for row in of_part:
            by_split.setdefault((row["cell_id"], row["split"]), {}).setdefault(part, []).append(row)
    new = {cells.evaluation_name(cell_id, split) for cell_id, split in by_split}
    forget_records(run, new.__contains__)
    for (cell_id, split), own in by_split.items():
        cells.save_evaluation(cell_id, split, about | own)
    evaluations = dict.fromkeys((cell, split) for cell in purposes for split in cells.evaluated_splits(cell))
    kept = {
        table: [row for row in rows_of(frame) if (row["cell_id"], row["split"]) not in evaluations]
        for table, frame in old.items()
    }
    evaluated = _of_suite(cells.evaluation_rows(evaluations), name, purposes)
    texts = {RESULTS: to_csv(itertools.chain(kept[RESULTS], evaluated), COLUMNS)}
    if PLACES in kept:
        of_places = cells.evaluation_rows(evaluations, of="places")
        texts[PLACES] = to_csv(itertools.chain(kept[PLACES], of_places), PLACE_COLUMNS)
    replace_sealed(run, texts)
    seal_records(run, (cells.evaluation_name(cell_id, split) for cell_id, split in evaluations))


def _of_suite(rows: Iterable[Row], name: str, purposes: Mapping[str, str]) -> Iterator[Row]:
    """Rows of results.csv with what the suite says of their cells."""
    return (row | {"suite": name, "purpose": purposes[row["cell_id"]]} for row in rows)
