"""The cells of a run folder: what each came to, its weights, why it failed, and what it was asked later.

Layout, under `cells/<run_id>/`:

    result.json         rows, curve and timing of a finished cell, and the hash of its weights
    model.safetensors   its weights
    asked/<split>.json  what it was asked later, and what it scored
    failed.json         why a cell failed, until it is tried again
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.columns import Row
from nexus_bench.io.files import read_bytes, read_json, sha256, to_json, write_atomic


class CellResult(NamedTuple):
    """A finished or failed cell; a failed one has rows without figures, and neither curve nor weights.

    Attributes:
        run_id: The cell.
        rows: Of results.csv, without `suite`.
        curve: Rows of curve.csv.
        timing: Row of timing.csv.
        weights: Content of model.safetensors.
    """

    run_id: str
    rows: list[Row]
    curve: list[Row]
    timing: Row
    weights: bytes


class CellRecords:
    """What each cell of a run came to.

    Args:
        path: The folder `cells/` of a run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[str, Row] = {}

    def finished(self, run_id: str) -> bool:
        """Whether the cell is done."""
        return self._record(run_id).is_file()

    def record(self, run_id: str) -> Row:
        """Rows, curve, timing and hash of the weights of a finished cell.

        Raises:
            CorruptArtefactError: The record was edited.
        """
        if run_id in self._records:
            return self._records[run_id]
        path = self._record(run_id)
        record = read_json(path)
        if not isinstance(record, dict) or not {"rows", "curve", "timing"} <= record.keys():
            raise CorruptArtefactError(f"{path}: was edited; delete {path.parent} and train again")
        self._records[run_id] = record
        return dict(record)

    def save(self, result: CellResult) -> None:
        """Keep a finished cell; its checkpoint is no longer needed.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        write_atomic(self.weights(result.run_id), result.weights)
        record = {
            "rows": result.rows,
            "curve": result.curve,
            "timing": result.timing,
            "weights_sha256": sha256(result.weights),
        }
        write_atomic(self._record(result.run_id), to_json(record))
        self._failed(result.run_id).unlink(missing_ok=True)
        self._records[result.run_id] = record

    def weights(self, run_id: str) -> Path:
        """Where the weights of a finished cell are."""
        return self._record(run_id).with_name("model.safetensors")

    def read_weights(self, run_id: str) -> bytes:
        """The weights of a finished cell, checked against their hash.

        Raises:
            CorruptArtefactError: They are missing, truncated or edited.
            StorageError: They cannot be read.
        """
        if not self.weights(run_id).is_file():
            folder = self._record(run_id).parent
            raise CorruptArtefactError(f"{self.weights(run_id)}: is missing; delete {folder} and train again")
        weights = read_bytes(self.weights(run_id))
        if sha256(weights) != self.record(run_id).get("weights_sha256"):
            raise CorruptArtefactError(
                f"{self.weights(run_id)}: is truncated or edited: its hash does not match; "
                f"delete {self._record(run_id).parent} and train again"
            )
        return weights

    def save_failure(self, run_id: str, reason: str) -> None:
        """Keep why a cell failed, until it is tried again."""
        write_atomic(self._failed(run_id), to_json({"reason": reason}))

    def failure(self, run_id: str) -> str | None:
        """Why a cell failed when it was last tried; None if it did not."""
        path = self._failed(run_id)
        return str(read_json(path)["reason"]) if path.is_file() and not self.finished(run_id) else None

    def trained_row(self, run_id: str) -> Row:
        """A row of a finished cell."""
        return dict(self.record(run_id)["rows"][0])

    def has_evaluation(self, run_id: str, split: str) -> bool:
        """Whether a finished cell was asked this already."""
        return self._evaluation(run_id, split).is_file()

    def evaluation(self, run_id: str, split: str) -> Row:
        """What a finished cell was asked, and what it scored."""
        return dict(read_json(self._evaluation(run_id, split)))

    def save_evaluation(self, run_id: str, split: str, asked: Row) -> None:
        """Keep what a finished cell was asked, and what it scored."""
        write_atomic(self._evaluation(run_id, split), to_json(asked))

    def evaluated_splits(self, run_id: str) -> list[str]:
        """The names of all that a finished cell was asked later."""
        return sorted(path.stem for path in self._evaluation(run_id, "").parent.glob("*.json"))

    def evaluations(self, run_ids: Sequence[str]) -> list[Row]:
        """Rows of all that finished cells were asked later: by split, then in the order of the cells."""
        asked = [(run_id, split) for run_id in run_ids for split in self.evaluated_splits(run_id)]
        rows = [row for run_id, split in asked for row in self.evaluation(run_id, split)["rows"]]
        return sorted(rows, key=lambda row: str(row["split"]))

    def _evaluation(self, run_id: str, split: str) -> Path:
        return self._record(run_id).parent / "asked" / f"{split}.json"

    def _record(self, run_id: str) -> Path:
        return self.path / run_id / "result.json"

    def _failed(self, run_id: str) -> Path:
        return self.path / run_id / "failed.json"
