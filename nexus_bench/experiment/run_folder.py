"""Run folders: what is in one, and the class through which other packages read it and add results to it.

Layout of a run folder:

    spec.yaml       the suite as it was run, including overrides; `nexus-bench train spec.yaml` runs it again
    env.json        what cells were trained in: versions, instruction set, device, mode, days; one entry for each
    results.csv     one row per (cell, split, hop)
    curve.csv       validation accuracy and loss by hop while training
    timing.csv      seconds, kept apart so that results.csv has the same bytes in every repetition
    places.csv      of sequences: accuracy by place and by length
    seal.json       the hashes of all of these (`io/seal.py`)
    plan.json       the cells of the suite, by name and title (`plan_file.py`)
    cells/          the record of each cell (`records.py`)
    checkpoints/    the saved state of unfinished jobs
    progress.json   steps made of the cells that are being trained
    report.*        made from results.csv alone
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from nexus_bench.errors import ConfigError, CorruptArtefactError, StorageError, UsageError
from nexus_bench.experiment.records import CellRecords, CellResult
from nexus_bench.experiment.tables import add_evaluations, write_tables
from nexus_bench.io.columns import COLUMNS, FORMAT_VERSION, Row, columns_of
from nexus_bench.io.config import Config, read_config, to_yaml
from nexus_bench.io.csv_files import read_csv, to_csv
from nexus_bench.io.files import drop_begun, locked, read_json, to_json, write_atomic
from nexus_bench.io.packed import is_there
from nexus_bench.io.read_results import (
    DAYS,
    ENVIRONMENT,
    MADE_AGAIN,
    PRETRAIN,
    RESULTS,
    SPEC,
    check_run,
    command_of,
    read_results,
    runs_within,
    where_runs_are,
)
from nexus_bench.io.record_seals import cell_of, cells_of_tables, check_records, forget_records
from nexus_bench.io.seal import SEAL, replace_sealed
from nexus_bench.training.checkpoint_heads import STATES


def open(path: Path) -> "RunFolder":
    """The run in a folder.

    Raises:
        ConfigError: It is of an older format.
        CorruptArtefactError: A file of it is damaged.
        StorageError: It is not a run folder.
    """
    folder = RunFolder(path)
    check_run(path)
    folder.read_spec()
    check_records(path)
    return folder


class RunFolder:
    """One run on disk.

    Args:
        path: The folder.

    Attributes:
        cells: The records of its cells.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells = CellRecords(path / "cells")

    @property
    def results_csv(self) -> Path:
        """Path of results.csv."""
        return self.path / RESULTS

    @property
    def all_checkpoints(self) -> Path:
        """Folder for the saved states of unfinished jobs."""
        return self.path / "checkpoints"

    def checkpoints(self, job_id: str) -> Path:
        """Folder for the saved state of an unfinished job."""
        return self.all_checkpoints / job_id

    def drop_checkpoints(self, folder: Path) -> None:
        """Delete saved states that are no longer needed, and the folders that this leaves empty."""
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            while folder.name != self.all_checkpoints.name:
                folder = folder.parent
                folder.rmdir()  # unless there is another unfinished job

    def drop_emptied(self) -> None:
        """Delete folders without a saved state, left by a run that was killed while it deleted them."""
        for folder in [*self.all_checkpoints.glob("*/*"), *self.all_checkpoints.glob("*")]:
            if folder.is_dir() and not any(path.name in STATES for path in folder.rglob("*")):
                self.drop_checkpoints(folder)
        with suppress(OSError):
            self.all_checkpoints.rmdir()

    def check(self, name: str) -> None:
        """Check that the folder is new, empty, or a run of the same suite.

        Raises:
            ConfigError: It holds a run of an older format.
            CorruptArtefactError: A sealed file in it was edited, or one that cannot be made again is missing.
            UsageError: It holds something else.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file, which is kept; choose another --out")
        if command_of(self.path) == PRETRAIN:
            raise UsageError(f"{self.path}: holds a run of `nexus-bench pretrain`, which is kept; choose another --out")
        held = {entry.name for entry in self.path.iterdir() if not entry.name.startswith(".")}
        check_run(self.path, may_lack=MADE_AGAIN)
        if held - {SEAL} and SPEC not in held:
            raise UsageError(f"{self.path}: holds something else, which is kept; choose another --out")
        if SPEC in held and (other := self.read_spec().get("suite")) != name:
            raise UsageError(f"{self.path}: holds a run of suite '{other}', which is kept; choose another --out")

    @contextmanager
    def writing(self, name: str, unfinished: Iterable[str] = ()) -> Iterator[None]:
        """Lock the folder for a run; results of the same suite that it already holds are kept and used.

        What killed processes were writing is removed. A finished cell has nothing of it.

        Args:
            name: Name of the suite.
            unfinished: The cells that may have something of it.

        Raises:
            ConfigError: As `check`.
            CorruptArtefactError: As `check`.
            StorageError: The folder cannot be written.
            UsageError: As `check`, or another process writes to it.
        """
        self.check(name)
        with locked(self.path / ".lock", guards=self.path, advice="make or copy the run elsewhere"):
            drop_begun(self.path / "checkpoints", below=True)
            again = set(unfinished)
            for folder in ("", "figures", "families", *(f"cells/{cell_id}" for cell_id in again)):
                drop_begun(self.path / folder)
            forget_records(self.path, lambda name: cell_of(name) in again)
            try:
                yield
            finally:
                (self.path / "progress.json").unlink(missing_ok=True)

    def write_spec(self, config: Config) -> None:
        """Write spec.yaml."""
        replace_sealed(self.path, {SPEC: to_yaml(config)})

    def is_written_to(self) -> bool:
        """Whether a process is training in this folder."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with filelock.FileLock(self.path / ".lock", timeout=0):
                return False
        except filelock.Timeout:
            return True
        except OSError:  # owned by another user, or on a read-only disk
            return False

    def write_progress(self, steps: dict[str, int]) -> None:
        """Write the steps made of the cells that are being trained."""
        write_atomic(self.path / "progress.json", to_json(steps))

    def read_progress(self) -> dict[str, int]:
        """Cell id -> steps made, of the cells that are being trained."""
        path = self.path / "progress.json"
        return dict(read_json(path)) if path.exists() else {}

    def read_spec(self) -> Config:
        """The suite as it was run.

        Raises:
            CorruptArtefactError: The file is damaged.
            StorageError: It is not a run folder.
        """
        if not self.path.is_dir():
            raise StorageError(f"{self.path}: is not a run folder; {where_runs_are(self.path)}")
        if not (self.path / SPEC).is_file():
            which = runs_within(self.path) or "one that train wrote"
            raise StorageError(f"{self.path}: is not a run folder, it has no spec.yaml; give {which}")
        try:
            return read_config(self.path / SPEC)
        except ConfigError as error:
            raise CorruptArtefactError(f"{error}; the file was edited after train wrote it, undo the edit") from error

    def environments(self) -> list[Row]:
        """What cells of the run were trained in, as env.json lists it; none where it is missing.

        Raises:
            CorruptArtefactError: env.json was edited.
        """
        path = self.path / ENVIRONMENT
        if not path.is_file():
            return []
        held = read_json(path)
        if isinstance(held, dict) and "environments" not in held:  # of an older version, which wrote the newest alone
            return [{key: value for key, value in held.items() if key != "format"}]
        listed = held["environments"] if isinstance(held, dict) else None
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise CorruptArtefactError(f"{path}: was edited: environments is not a list; train into another folder")
        return listed

    def add_environment(self, environment: Row, day: str) -> int:
        """Add what cells are trained in to env.json; where it stands there, only its first and last day may change.

        Days tell when it was used and not what it is. An entry without them, of an older version, stays without.

        Args:
            environment: What cells are trained in.
            day: When, as `2026-11-28`.

        Returns:
            Its number in the list, from 1.
        """
        listed = self.environments()
        known = [{key: value for key, value in entry.items() if key not in DAYS} for entry in listed]
        if environment not in known:
            known.append(environment)
            listed.append(environment | dict.fromkeys(DAYS, day))
        entry = listed[known.index(environment)]
        if all(name in entry for name in DAYS):
            first, last = (str(entry[name]) for name in DAYS)
            entry |= zip(DAYS, (min(first, day), max(last, day)), strict=True)
        if listed != self.environments():
            table = to_json({"format": FORMAT_VERSION, "environments": listed})
            replace_sealed(self.path, {ENVIRONMENT: table})
        return known.index(environment) + 1

    def check_records(self, cell_ids: Iterable[str]) -> None:
        """Read all records of cells, before anything is made of them.

        Raises:
            CorruptArtefactError: One was edited or is of another run, or an evaluation in results.csv is missing.
        """
        check_records(self.path)
        self.cells.check(cell_ids)
        if not is_there(self.results_csv):
            return
        told = read_csv(self.results_csv, columns_of("cell_id", "split"), others=False).drop_duplicates()
        kept = cells_of_tables(self.path)  # others were trained again since
        is_kept = told["cell_id"].isin(kept) & told["split"].str.startswith("eval")
        self.cells.check_evaluations(told[is_kept][["cell_id", "split"]].itertuples(index=False, name=None))

    def write_tables(
        self,
        name: str,
        purposes: Mapping[str, str],
        failed: Sequence[CellResult] = (),
        *,
        has_sequences: bool = False,
    ) -> None:
        """Write the tables of all cells: `tables.write_tables`."""
        write_tables(self.path, self.cells, name, purposes, failed, has_sequences=has_sequences)

    def add_evaluations(
        self, name: str, purposes: Mapping[str, str], rows: Sequence[Row], places: Sequence[Row] = (), *, about: Row
    ) -> None:
        """Add later evaluations of finished cells: `tables.add_evaluations`."""
        add_evaluations(self.path, self.cells, name, purposes, rows, places, about=about)

    def write_rows(self, name: str, rows: Sequence[Row]) -> None:
        """Write results.csv from rows of answers of another model.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
            UsageError: The folder holds cells, or the results of something else.
        """
        rows = [row | {"suite": name} for row in rows]
        same = ["suite", "task", "train_hops", "n_facts", "vocab_size", "task_options", "seed", "split"]
        is_other = (self.path / SPEC).exists()
        if is_there(self.results_csv):
            before = set(read_results(self.path)[same].itertuples(index=False, name=None))
            is_other = is_other or before != {tuple(row[name] for name in same) for row in rows}
        if is_other:
            raise UsageError(f"{self.path}: holds other results, which are kept; choose another --out")
        replace_sealed(self.path, {RESULTS: to_csv(rows, COLUMNS)})
