"""The cells that a run plans, kept in its folder, so that they are told without PyTorch.

A cell is named by its content, of which the version of its attention is a part, and attentions are modules of PyTorch.
So `train` writes the names that it found to `plan.json`, where `status` reads them. They are found from `spec.yaml`
instead if that file is missing or damaged, or was written for another spec.yaml or by another version.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.files import sha256_of_file
from nexus_bench.io.read_results import SPEC
from nexus_bench.io.sealed_json import read_sealed, write_sealed
from nexus_bench.version import __version__

PLAN = "plan.json"


class PlannedCell(NamedTuple):
    """A cell of a run.

    Attributes:
        cell_id: The cell.
        title: The cell in a few words, with every value that varies in the run.
        steps: Steps allowed.
    """

    cell_id: str
    title: str
    steps: int


def write_planned(run: Path, cells: Iterable[PlannedCell]) -> None:
    """Keep the cells of a run in their order.

    Args:
        run: A folder with a spec.yaml, which only this process writes to.
        cells: All cells that its spec.yaml spans.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    write_sealed(run / PLAN, _of(run) | {"cells": list(cells)})


def planned_cells(folder: RunFolder) -> list[PlannedCell]:
    """The cells of a run in their order, as `train` planned them.

    Raises:
        ConfigError: The suite of the run is not one for this version.
        StorageError: It is not a run folder.
    """
    with suppress(CorruptArtefactError):  # then they are found again
        told = read_sealed(folder.path / PLAN, advice="delete it") if (folder.path / PLAN).is_file() else {}
        if all(told.get(key) == value for key, value in _of(folder.path).items()):
            return [PlannedCell(*cell) for cell in told["cells"]]
    from nexus_bench.experiment.suite import suite_of

    suite = suite_of(folder)
    titles = suite.titles
    return [PlannedCell(cell.cell_id, titles[cell.cell_id], cell.train.steps) for cell in suite.cells]


def _of(run: Path) -> dict[str, str]:
    """What a plan belongs to."""
    return {"nexus_bench": __version__, "spec_sha256": sha256_of_file(run / SPEC)}
