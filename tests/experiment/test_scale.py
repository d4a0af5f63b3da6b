"""What bookkeeping costs grows with the number of cells, and no faster; counted, not timed."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_bench.experiment.plan import make_plan
from nexus_bench.experiment.records import CellRecords
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.status import DONE, read_status
from nexus_bench.io.columns import Row
from nexus_bench.io.read_results import read_results
from tests.conftest import Command
from tests.many_cells import make_run, many_suite


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cells whose records were read, one entry a time."""
    found: list[str] = []
    record: Callable[[CellRecords, str], Row] = CellRecords.record

    def counted(self: CellRecords, cell_id: str) -> Row:
        found.append(cell_id)
        return record(self, cell_id)

    monkeypatch.setattr(CellRecords, "record", counted)
    return found


def test_a_record_is_read_once_by_a_plan_once_by_tables_and_never_by_status(tmp_path: Path, reads: list[str]) -> None:
    suite, folder = make_run(tmp_path / "run", 80), RunFolder(tmp_path / "run")
    every = sorted(cell.cell_id for cell in suite.cells)
    assert sorted(reads) == every
    reads.clear()
    assert len(make_plan(suite, folder).done) == 80
    assert sorted(reads) == every
    reads.clear()
    assert {state.state for state in read_status(folder)} == {DONE}
    assert reads == []


def test_status_reads_the_records_of_cells_that_timing_csv_does_not_have_yet(tmp_path: Path, reads: list[str]) -> None:
    suite = make_run(tmp_path / "run", 80, tables=False)
    states = read_status(RunFolder(tmp_path / "run"))
    assert sorted(reads) == sorted(cell.cell_id for cell in suite.cells)
    assert {state.trained for state in states} == {"in mode single on cpu with PyTorch 2"}


def test_writing_tables_takes_no_memory_for_the_rows_of_each_cell(tmp_path: Path) -> None:
    peaks = []
    for n_cells in (80, 400):
        suite, folder = make_run(tmp_path / str(n_cells), n_cells), RunFolder(tmp_path / str(n_cells))
        purposes = suite.purposes
        tracemalloc.start()
        folder.write_tables(suite.name, purposes)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    per_cell = (peaks[1] - peaks[0]) / 320
    assert per_cell < 5_000, f"{peaks} bytes: the record of a cell is a file of 34 kB"


def test_later_evaluations_are_added_once_each(tmp_path: Path) -> None:
    suite, folder = make_run(tmp_path / "run", 40), RunFolder(tmp_path / "run")
    asked = [
        folder.cells.trained_row(cell.cell_id) | {"split": split, "hop": hop}
        for split in ("eval_b", "eval_a")
        for cell in suite.cells
        for hop in (1, 2)
    ]
    before = (tmp_path / "run" / "results.csv").read_text()
    folder.add_evaluations(suite.name, suite.purposes, asked, about={"question": {}})
    table = (tmp_path / "run" / "results.csv").read_text()
    assert table.startswith(before)
    added = read_results(tmp_path / "run")[["split", "cell_id", "hop"]].tail(160)
    ids = [cell.cell_id for cell in suite.cells]
    expected = [(split, cell_id, hop) for split in ("eval_a", "eval_b") for cell_id in ids for hop in (1, 2)]
    assert list(added.itertuples(index=False, name=None)) == expected
    folder.write_tables(suite.name, suite.purposes)
    assert (tmp_path / "run" / "results.csv").read_text() == table


def test_a_table_of_very_many_cells_is_sealed_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus_bench.io.seal.MOST_CELLS", 30)
    make_run(tmp_path / "run", 40)
    assert len((tmp_path / "run" / "seal.json").read_text()) < 2_000
    read_results(tmp_path / "run")
    table = tmp_path / "run" / "results.csv"
    table.write_text(table.read_text().replace(",1024,0.5,", ",1024,0.6,").replace("0.125", "0.126"))
    with pytest.raises(Exception, match=r"results.csv: was edited or cut; restore it"):
        read_results(tmp_path / "run")


def test_status_shows_the_first_thousand_cells_and_says_so(command: Command, tmp_path: Path) -> None:
    make_run(tmp_path / "run", 1_200)
    told = command("status", "run").stdout.rstrip().splitlines()
    n_cells = len(many_suite(1_200).cells)
    assert told[0].strip() == f"{n_cells:,} cells: {n_cells:,} done, 0 running, 0 failed, 0 to do"
    assert told[-1].strip() == f"and {n_cells - 1_000} more cells; --json lists all"
    assert len(told) == 1_003
