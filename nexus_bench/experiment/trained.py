"""The trained cells of a run folder, with their weights."""

import re
from collections.abc import Sequence

import safetensors.torch
import torch
from safetensors import SafetensorError

from nexus_bench.errors import CorruptArtefactError, UsageError
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import suite_of
from nexus_bench.model.transformer import Transformer
from nexus_bench.training.spec import CellSpec

_MOST_NAMED = 5  # cells in a message


def trained_cells(folder: RunFolder, asked: str | None) -> list[CellSpec]:
    """The finished cells of a run in their order.

    Args:
        folder: The run folder.
        asked: The beginning of a cell_id, or a part of the title of a cell, such as `order 3` or `seed 0`; or several
            parts, separated by `|`, that must all occur. If some cells have them as whole fields of their titles, only
            these are selected. None selects all.

    Raises:
        ConfigError: The suite of the run is not one for this version.
        CorruptArtefactError: It is not a run folder.
        UsageError: There is no such cell, or none is trained.
    """
    suite = suite_of(folder)
    trained = [cell for cell in suite.cells if folder.cells.finished(cell.cell_id)]
    if not trained:
        raise UsageError(f"{folder.path}: has no trained cell; train it, or put its folder cells/ next to results.csv")
    if asked is None:
        return trained
    if not asked.strip(" |"):
        raise UsageError("--cell is empty; give a cell_id, or parts of a title")
    parts = [part.strip() for part in asked.split("|")]
    patterns = [re.compile(rf"(?<!\w){re.escape(part)}(?!\w)") for part in parts]
    found = [c for c in trained if c.cell_id.startswith(asked) or all(p.search(c.title) for p in patterns)]
    found = [c for c in found if set(parts) <= set(c.title.split(" | "))] or found
    if not found:
        raise UsageError(f"{folder.path}: no trained cell is '{asked}'; there are {_named(trained)}")
    return found


def trained_cell(folder: RunFolder, asked: str | None) -> CellSpec:
    """The one selected cell.

    Raises:
        ConfigError: As `trained_cells`.
        CorruptArtefactError: As `trained_cells`.
        UsageError: As `trained_cells`, or several cells are selected.
    """
    cells = trained_cells(folder, asked)
    if len(cells) > 1:
        raise UsageError(f"{folder.path}: select one cell with --cell; there are {_named(cells)}")
    return cells[0]


def n_untrained(folder: RunFolder) -> int:
    """The number of cells of a run that are not finished, or whose weights are not here."""
    suite = suite_of(folder)
    return sum(not folder.cells.finished(cell.cell_id) for cell in suite.cells)


def load_model(folder: RunFolder, cell: CellSpec) -> Transformer:
    """The transformer of a cell with its trained weights, on the CPU, in evaluation mode.

    Raises:
        CorruptArtefactError: The weights are missing, truncated or edited.
    """
    path = folder.cells.weights(cell.cell_id)
    try:
        weights = safetensors.torch.load(folder.cells.read_weights(cell.cell_id))
        seq_len = len(weights["position.weight"]) if "position.weight" in weights else 1
        with torch.random.fork_rng(devices=[]):  # the weights that it begins with are thrown away
            model = Transformer(cell.model, cell.task.law().schema, seq_len=seq_len)
        model.load_state_dict(weights)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise CorruptArtefactError(f"{path}: does not hold the weights of this cell; train it again") from error
    return model.eval()


def _named(cells: Sequence[CellSpec]) -> str:
    named = "; ".join(f"{cell.cell_id} ({cell.title})" for cell in cells[:_MOST_NAMED])
    return named + (f"; and {len(cells) - _MOST_NAMED} more" if len(cells) > _MOST_NAMED else "")
