"""What cells are trained in: versions, device and mode, as env.json lists them."""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.provenance import OURS, task_origin
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.columns import Row, columns_of
from nexus_bench.io.csv_files import read_csv, rows_of
from nexus_bench.io.packed import is_there
from nexus_bench.io.plurals import counted
from nexus_bench.io.read_results import TIMING
from nexus_bench.io.record_seals import cells_of_tables
from nexus_bench.training.modes import SINGLE
from nexus_bench.training.spec import CellSpec
from nexus_bench.version import __version__


def environment_of(execution: Execution, cells: Sequence[CellSpec]) -> Row:
    """The environment of a run, with the packages that its tasks and attentions came from."""
    return {
        **machine_and_versions(execution.device),
        "threads_per_cell": 1,
        "mode": execution.mode,
        "stack": execution.stack if execution.mode != SINGLE else 1,
        **_origins_of(cells),
    }


def machine_and_versions(device: str) -> Row:
    """What every environment says of the machine and of what is installed.

    Args:
        device: `cpu` or `cuda`.
    """
    return {
        "nexus_bench": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }


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


def _timed(timing_csv: Path) -> dict[str, tuple[str, int | None]]:
    """Cell id -> mode and number of the environment, of the cells that timing.csv has."""
    if not is_there(timing_csv):
        return {}
    rows = rows_of(read_csv(timing_csv, columns_of("cell_id", "mode", "environment"), others=False))
    return {row["cell_id"]: (row["mode"], row["environment"]) for row in rows}


def _recorded(record: Row) -> tuple[Any, Any]:
    return record["rows"][0]["mode"], record["timing"].get("environment")


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


def known_here_alone(cells: Iterable[CellSpec]) -> bool:
    """Whether a task or an attention of cells is of a script or a notebook: other processes cannot import it."""
    return any(origin["version"] is None for kind in _origins_of(list(cells)).values() for origin in kind.values())


def _origins_of(cells: Sequence[CellSpec]) -> dict[str, Row]:
    """The packages of the tasks and the attentions of cells, by kind and name."""
    return {
        "tasks": _origins(task_origin, (cell.task.task for cell in cells)),
        "attentions": _origins(_attention_origin, (n for c in cells for n in c.model.attention.split("+"))),
    }


def _origins(origin_of: Callable[[str], Row], names: Iterable[str]) -> Row:
    return {name: origin_of(name) for name in sorted(set(names))}


def _attention_origin(name: str) -> Row:
    origin = ATTENTIONS.origin(name)
    return OURS if origin is None else origin._asdict()
