"""What cells of a run were trained in, read from its files; without PyTorch."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.columns import Row, columns_of
from nexus_bench.io.csv_files import read_csv, rows_of
from nexus_bench.io.packed import is_there
from nexus_bench.io.plurals import counted
from nexus_bench.io.read_results import TIMING
from nexus_bench.io.record_seals import cells_of_tables


def in_words(environment: Row) -> str:
    """What of an environment can change figures beyond rounding of the same kind: mode, device, PyTorch."""
    return f"in mode {environment.get('mode')} on {environment.get('device')} with PyTorch {environment.get('torch')}"


def trained_in(folder: RunFolder, cell_ids: Iterable[str]) -> dict[str, str]:
    """For each finished cell, what it was trained in; a record of an older version tells the mode alone.

    timing.csv says it of all cells at once; the records, of cells that finished since it was written.

    Raises:
        CorruptArtefactError: A record or env.json was edited.
    """
    environments = [in_words(environment) for environment in folder.environments()]
    told = _timed(folder.path / TIMING)
    words = {}
    for cell_id in cell_ids:
        mode, number = told[cell_id] if cell_id in told else _recorded(folder.cells.record(cell_id))
        if isinstance(number, int) and 1 <= number <= len(environments):
            words[cell_id] = environments[number - 1]
        else:
            words[cell_id] = f"in mode {mode}"
    return words


def recorded_in(folder: RunFolder) -> set[str]:
    """The cells that the tables of a run hold; not those whose record was given up, to train them again.

    Raises:
        CorruptArtefactError: seal.json was edited.
    """
    timed, kept = set(_timed(folder.path / TIMING)), cells_of_tables(folder.path)
    return timed & kept if kept else timed  # the seal of an older version, or of a huge run, knows no records


def kept_note(kept: Iterable[str], present: Row) -> str | None:
    """One line if cells are kept that were trained in something else than what this run uses; None otherwise.

    Args:
        kept: For each cell that is kept, what it was trained in, from `trained_in`.
        present: The environment of this run.
    """
    now = in_words(present)
    others = Counter(words for words in kept if words != now and words != f"in mode {present['mode']}")
    if not others:
        return None
    told = " and ".join(
        f"{counted(n, 'cell')} {'that was' if n == 1 else 'that were'} trained {w}" for w, n in others.items()
    )
    return f"kept {told}; this run trains {now}"


def _timed(timing_csv: Path) -> dict[str, tuple[str, int | None]]:
    """Cell id -> mode and number of the environment, of the cells that timing.csv has."""
    if not is_there(timing_csv):
        return {}
    rows = rows_of(read_csv(timing_csv, columns_of("cell_id", "mode", "environment"), others=False))
    return {row["cell_id"]: (row["mode"], row["environment"]) for row in rows}


def _recorded(record: Row) -> tuple[Any, Any]:
    return record["rows"][0]["mode"], record["timing"].get("environment")
