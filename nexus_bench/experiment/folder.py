"""Run folders: the only reader and writer of what lies under `runs/`.

Layout of a run folder:

    spec.yaml       the suite as it was run, overrides included; `nexus-bench train spec.yaml` runs it again
    env.json        versions, instruction set, device
    results.csv     one row a (cell, split, hop)
    curve.csv       validation accuracy and loss by hop while training
    timing.csv      seconds, kept apart so that results.csv has the same bytes in every repetition
    cells/          what each cell came to (`cell_records.py`)
    checkpoints/    the state of begun jobs
    progress.json   how far the cells are that a run is training
    report.*        made from results.csv alone
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
import pandas as pd
import yaml

from nexus_bench.errors import ConfigError, CorruptArtefactError, StorageError, UsageError
from nexus_bench.experiment.records import CellRecords, CellResult
from nexus_bench.io.columns import COLUMNS, CURVE_COLUMNS, TEST, TIMING_COLUMNS, VAL, YOUNGER, Row
from nexus_bench.io.config import Config, read_config
from nexus_bench.io.csv_files import read_csv, rows_of, to_csv
from nexus_bench.io.files import drop_begun, read_json, to_json, write_atomic
from nexus_bench.io.hops import parse_hops

_ROUNDING = 1e-5  # of an accuracy with six significant digits
_AGAIN = "run `nexus-bench train` on it again"


class RunFolder(CellRecords):
    """One run on disk."""

    @property
    def results_csv(self) -> Path:
        """Where the results are."""
        return self.path / "results.csv"

    def checkpoints(self, job_id: str) -> Path:
        """Where a begun job keeps its state."""
        return self.path / "checkpoints" / job_id

    def drop_checkpoints(self, job_id: str) -> None:
        """Forget the state of a job that is done."""
        shutil.rmtree(self.checkpoints(job_id), ignore_errors=True)
        with suppress(OSError):
            self.checkpoints(job_id).parent.rmdir()  # if nothing else is begun

    def check(self, name: str) -> None:
        """Make sure that the folder is new, empty, or a run of the same suite.

        Raises:
            CorruptArtefactError: Its spec.yaml was edited.
            UsageError: It holds something else.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file, which is kept; choose another --out")
        held = {entry.name for entry in self.path.iterdir() if not entry.name.startswith(".")}
        if held and "spec.yaml" not in held:
            raise UsageError(f"{self.path}: holds something else, which is kept; choose another --out")
        if held and (other := self.read_spec().get("suite")) != name:
            raise UsageError(f"{self.path}: holds a run of suite '{other}', which is kept; choose another --out")

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Take the folder for a run; what it holds of the same suite stays and counts.

        Raises:
            StorageError: The folder cannot be written.
            UsageError: It holds something else, or another process writes to it.
        """
        self.check(name)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / ".lock", timeout=0)
            lock.acquire()
        except filelock.Timeout as error:
            raise UsageError(
                f"{self.path}: another nexus-bench is writing to it; wait, or choose another --out"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{self.path}: cannot be written: {error.strerror}; make or copy the run elsewhere"
            ) from error
        try:
            drop_begun(self.path)
            yield
        finally:
            (self.path / "progress.json").unlink(missing_ok=True)
            lock.release()

    def write_spec(self, config: Config) -> None:
        """Say what is run."""
        write_atomic(self.path / "spec.yaml", yaml.safe_dump(config, sort_keys=False))

    def is_written_to(self) -> bool:
        """Whether a process is training in it."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with filelock.FileLock(self.path / ".lock", timeout=0):
                return False
        except filelock.Timeout:
            return True
        except OSError:  # of somebody else, on a disk that cannot be written
            return False

    def write_progress(self, steps: dict[str, int]) -> None:
        """Say how far the cells are that are being trained."""
        write_atomic(self.path / "progress.json", to_json(steps))

    def read_progress(self) -> dict[str, int]:
        """Run id -> steps made, of the cells that are being trained."""
        path = self.path / "progress.json"
        return dict(read_json(path)) if path.exists() else {}

    def read_spec(self) -> Config:
        """The suite as it was run.

        Raises:
            CorruptArtefactError: It is no run folder, or the file is damaged.
            StorageError: It is no folder.
        """
        if not self.path.is_dir():
            raise StorageError(f"{self.path}: is not a run folder; make one with `nexus-bench train`")
        if not (self.path / "spec.yaml").is_file():
            raise CorruptArtefactError(f"{self.path}: is no run folder, it has no spec.yaml; give one that train wrote")
        try:
            return read_config(self.path / "spec.yaml")
        except ConfigError as error:
            raise CorruptArtefactError(f"{error}; the file is as train wrote it no more, undo the edit") from error

    def write_environment(self, environment: Row) -> None:
        """Say on what the cells are trained."""
        write_atomic(self.path / "env.json", to_json(environment))

    def write_tables(self, name: str, run_ids: Sequence[str], failed: Sequence[CellResult] = ()) -> None:
        """Write the CSV files from the cells that are done, in the order given, then those that failed.

        Raises:
            CorruptArtefactError: A cell's record was edited.
            StorageError: The disk is full or the folder cannot be written.
        """
        records = [self._read_record(run_id) for run_id in run_ids if self.finished(run_id)]
        rows = [row for record in records for row in record["rows"]] + [row for cell in failed for row in cell.rows]
        rows += self._evaluations(run_ids)
        tables = {
            "results.csv": ([row | {"suite": name} for row in rows], COLUMNS),
            "curve.csv": ([row for record in records for row in record["curve"]], CURVE_COLUMNS),
            "timing.csv": ([record["timing"] for record in records], TIMING_COLUMNS),
        }
        for file, (table, columns) in tables.items():
            write_atomic(self.path / file, to_csv(table, columns))

    def add_evaluations(self, name: str, run_ids: Sequence[str], rows: Sequence[Row], *, about: Row) -> None:
        """Keep what finished cells were asked later, at the end of results.csv; what is there stays.

        Args:
            name: Of the suite.
            run_ids: All cells of the run in their order.
            rows: Of a split that their cells do not have yet.
            about: What was asked, kept beside the rows.

        Raises:
            CorruptArtefactError: results.csv is damaged.
            StorageError: The disk is full or the folder cannot be written.
        """
        old = self.read_results()
        asked = {(row["run_id"], row["split"]) for row in rows}
        for run_id, split in asked:
            own = [row for row in rows if (row["run_id"], row["split"]) == (run_id, split)]
            write_atomic(self._evaluation(run_id, split), to_json(about | {"rows": own}))
        evaluated = self._evaluations(run_ids)
        splits = {row["split"] for row in evaluated}
        kept = rows_of(old[~old["split"].isin(splits)])
        write_atomic(self.results_csv, to_csv([*kept, *(row | {"suite": name} for row in evaluated)], COLUMNS))

    def write_rows(self, name: str, rows: Sequence[Row]) -> None:
        """Write results.csv from rows that no cell of this folder made.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
            UsageError: The folder holds cells, or the results of something else.
        """
        rows = [row | {"suite": name} for row in rows]
        same = ["suite", "task", "train_hops", "n_facts", "n_symbols", "seed", "split"]
        before = (
            set(self.read_results()[same].itertuples(index=False, name=None)) if self.results_csv.exists() else set()
        )
        is_other = bool(before) and before != {tuple(row[name] for name in same) for row in rows}
        if is_other or (self.path / "spec.yaml").exists():
            raise UsageError(f"{self.path}: holds other results, which are kept; choose another --out")
        write_atomic(self.results_csv, to_csv(rows, COLUMNS))

    def read_results(self) -> pd.DataFrame:
        """results.csv with the right types.

        Raises:
            CorruptArtefactError: It is missing, truncated or edited, or lacks columns.
            StorageError: It is no run folder, or cannot be read.
        """
        if not self.results_csv.exists() and not (self.path / "spec.yaml").exists():
            raise StorageError(f"{self.path}: is not a run folder; make one with `nexus-bench train`")
        frame = read_csv(self.results_csv, COLUMNS, younger=YOUNGER)
        if frame.empty:
            raise CorruptArtefactError(
                f"{self.results_csv}: has no rows: no cell is done, or it is truncated; {_AGAIN}"
            )
        for is_wrong, what in _faults(frame):
            for row in is_wrong.index[is_wrong.fillna(False).astype(bool)]:
                raise CorruptArtefactError(f"{self.results_csv}:{row + 2}: {what}; {_AGAIN}")
        return frame

    def read_curves(self) -> pd.DataFrame:
        """curve.csv with the right types; without rows if there is none, as where results are not of training.

        Raises:
            CorruptArtefactError: It is truncated or lacks columns.
            StorageError: It cannot be read.
        """
        path = self.path / "curve.csv"
        if not path.exists():
            return pd.DataFrame({column.name: pd.Series(dtype=column.dtype) for column in CURVE_COLUMNS})
        return read_csv(path, CURVE_COLUMNS)


def _faults(frame: pd.DataFrame) -> Iterator[tuple[pd.Series, str]]:
    """For each row of results.csv whether something is wrong with it, and what."""
    yield frame["run_id"].isna() | frame["split"].isna(), "is truncated"
    n, right = frame["n_examples"], frame["n_correct"]
    yield (right < 0) | (right > n), "was edited: n_correct is not from 0 to n_examples"
    yield (right / n - frame["accuracy"]).abs() > _ROUNDING, "was edited: accuracy is not n_correct / n_examples"
    yield frame.duplicated(["run_id", "split", "hop"]), "was edited: the cell has this split and hop already"
    own = frame[frame["split"].isin([VAL, TEST]) & (frame["status"] != "scored")]
    n_hops = {hops: len(parse_hops(hops)) for hops in own["train_hops"].unique()}
    n_there = own.groupby(["run_id", "split"])["hop"].transform("size")
    yield n_there != own["train_hops"].map(n_hops), "was edited: the cell lacks a hop of this split"
