"""The cells of a run folder: results, weights, reasons of failures, and later evaluations.

Layout, under `cells/<cell_id>/`:

    model.safetensors   the weights of a finished cell
    result.json         rows of tables, and the hash of the weights; written last: a cell with it is finished
    asked/<split>.json  a later evaluation and its scores
    failed.json         why a cell failed, until it is tried again

The JSON files are sealed. Files are written whole or not at all, so one that does not match its seal was edited.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.columns import Row
from nexus_bench.io.files import drop_begun, read_bytes, sha256, write_atomic
from nexus_bench.io.record_seals import advice
from nexus_bench.io.sealed_json import read_sealed, write_sealed


class CellResult(NamedTuple):
    """A finished or failed cell; a failed one has rows without numbers, and neither curve nor weights.

    Attributes:
        cell_id: The cell.
        rows: Rows of results.csv, without `suite`.
        curve: Rows of curve.csv.
        timing: Row of timing.csv.
        weights: Content of model.safetensors, or a file that has it; None: they are not kept.
        places: Rows of places.csv; none but of sequences.
    """

    cell_id: str
    rows: list[Row]
    curve: list[Row]
    timing: Row
    weights: bytes | Path | None
    places: Sequence[Row] = ()


class CellRecords:
    """The records of the cells of a run.

    Args:
        path: The folder `cells/` of a run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def finished(self, cell_id: str) -> bool:
        """Whether the cell is done."""
        return self._record(cell_id).is_file()

    def record(self, cell_id: str) -> Row:
        """Rows, curve, places, timing and hash of the weights of a finished cell.

        Raises:
            CorruptArtefactError: The record was edited.
        """
        path = self._record(cell_id)
        record = read_sealed(path, advice=advice(path))
        parts = [record.get("rows"), record.get("curve"), record.get("places", []), [record.get("timing")]]
        if not record.get("rows") or not all(_are_rows(part, cell_id) for part in parts):
            raise CorruptArtefactError(f"{path}: is not the record of this cell; {advice(path)}")
        return record

    def save(self, result: CellResult) -> None:
        """Store a finished cell; its checkpoint is no longer needed.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        drop_begun(self.weights(result.cell_id).parent)
        record: Row = {"rows": result.rows, "curve": result.curve, "timing": result.timing}
        if result.places:
            record["places"] = list(result.places)
        if result.weights is not None:
            weights = result.weights if isinstance(result.weights, bytes) else read_bytes(result.weights)
            write_atomic(self.weights(result.cell_id), weights)
            record["weights_sha256"] = sha256(weights)
        write_sealed(self._record(result.cell_id), record)
        self._failed(result.cell_id).unlink(missing_ok=True)

    def weights(self, cell_id: str) -> Path:
        """Path of the weights of a finished cell."""
        return self._record(cell_id).with_name("model.safetensors")

    def read_weights(self, cell_id: str) -> bytes:
        """The weights of a finished cell, checked against their hash.

        Raises:
            CorruptArtefactError: They are missing, truncated or edited.
            StorageError: They cannot be read.
        """
        if not self.weights(cell_id).is_file():
            folder = self._record(cell_id).parent
            raise CorruptArtefactError(f"{self.weights(cell_id)}: is missing; delete {folder} and train again")
        weights = read_bytes(self.weights(cell_id))
        if sha256(weights) != self.record(cell_id).get("weights_sha256"):
            raise CorruptArtefactError(
                f"{self.weights(cell_id)}: is truncated or edited: its hash does not match; "
                f"delete {self._record(cell_id).parent} and train again"
            )
        return weights

    def save_failure(self, cell_id: str, reason: str, traceback: str | None = None) -> None:
        """Store why a cell failed, until it is tried again; with the traceback of an unexpected error."""
        trace = {} if traceback is None else {"traceback": traceback.splitlines()}
        write_sealed(self._failed(cell_id), {"cell_id": cell_id, "reason": reason} | trace)

    def failure(self, cell_id: str) -> str | None:
        """Why a cell failed in its last attempt; None if it did not fail.

        Raises:
            CorruptArtefactError: The reason was edited.
        """
        path = self._failed(cell_id)
        if not path.is_file() or self.finished(cell_id):
            return None
        to_do = f"delete {path} and train again"
        told = read_sealed(path, advice=to_do)
        if told.get("cell_id") != cell_id:
            raise CorruptArtefactError(f"{path}: is of another cell; {to_do}")
        return str(told["reason"])

    def trained_row(self, cell_id: str) -> Row:
        """Any row of a finished cell."""
        return dict(self.record(cell_id)["rows"][0])

    def check(self, cell_ids: Iterable[str]) -> None:
        """Read every record of these cells.

        Raises:
            CorruptArtefactError: One was edited or cut.
        """
        for cell_id in cell_ids:
            self.failure(cell_id)
            if self.finished(cell_id):
                self.record(cell_id)
            for split in self.evaluated_splits(cell_id):
                self.evaluation(cell_id, split)

    def has_evaluation(self, cell_id: str, split: str) -> bool:
        """Whether a finished cell has this evaluation already."""
        return self._evaluation(cell_id, split).is_file()

    def check_evaluations(self, told: Iterable[tuple[str, str]]) -> None:
        """Check that finished cells still have these later evaluations, given as (cell_id, split).

        Raises:
            CorruptArtefactError: One is missing.
        """
        for cell_id, split in told:
            if self.finished(cell_id) and not self.has_evaluation(cell_id, split):
                path = self._evaluation(cell_id, split)
                raise CorruptArtefactError(f"{path}: is missing; run `nexus-bench eval` again as for {split}")

    def evaluation(self, cell_id: str, split: str) -> Row:
        """A later evaluation of a finished cell and its scores.

        Raises:
            CorruptArtefactError: It is missing or was edited.
        """
        path = self._evaluation(cell_id, split)
        asked = read_sealed(path, advice=advice(path))
        parts: list[Any] = [asked.get("rows"), asked.get("places", [])]
        if not all(_are_rows(part, cell_id) and all(row.get("split") == split for row in part) for part in parts):
            raise CorruptArtefactError(f"{path}: is not this evaluation of this cell; {advice(path)}")
        return asked

    def save_evaluation(self, cell_id: str, split: str, asked: Row) -> None:
        """Store a later evaluation of a finished cell and its scores."""
        drop_begun(self._evaluation(cell_id, split).parent)
        write_sealed(self._evaluation(cell_id, split), asked)

    def evaluated_splits(self, cell_id: str) -> list[str]:
        """The names of all later evaluations of a finished cell."""
        return sorted(path.stem for path in self._evaluation(cell_id, "").parent.glob("*.json"))

    def evaluation_rows(self, asked: Iterable[tuple[str, str]], *, of: str = "rows") -> Iterator[Row]:
        """Rows of later evaluations, given as (cell_id, split): by split, then in the order given.

        Args:
            asked: The evaluations.
            of: `rows` of results.csv or `places` of places.csv.
        """
        for cell_id, split in sorted(asked, key=lambda pair: pair[1]):
            yield from self.evaluation(cell_id, split).get(of, ())

    def record_names(self, cell_ids: Iterable[str]) -> Iterator[str]:
        """The records of those cells that are finished, named from the run folder."""
        for cell_id in cell_ids:
            if self.finished(cell_id):
                yield f"cells/{cell_id}/result.json"
                yield from (self.evaluation_name(cell_id, split) for split in self.evaluated_splits(cell_id))

    def evaluation_name(self, cell_id: str, split: str) -> str:
        """A later evaluation of a cell, named from the run folder."""
        return f"cells/{cell_id}/asked/{split}.json"

    def _evaluation(self, cell_id: str, split: str) -> Path:
        return self._record(cell_id).parent / "asked" / f"{split}.json"

    def _record(self, cell_id: str) -> Path:
        return self.path.joinpath(cell_id, "result.json")

    def _failed(self, cell_id: str) -> Path:
        return self.path / cell_id / "failed.json"


def _are_rows(value: Any, cell_id: str) -> bool:
    """Whether a value is a list of rows of this cell."""
    return isinstance(value, list) and all(isinstance(row, dict) and row.get("cell_id") == cell_id for row in value)
