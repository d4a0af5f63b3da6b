"""The trained cells of a run folder, with their weights."""

import re
from collections.abc import Callable, Sequence

import safetensors.torch
from safetensors import SafetensorError

from nexus_bench.errors import CorruptArtefactError, UsageError
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import suite_of
from nexus_bench.io.options import value_text
from nexus_bench.io.packed import is_there
from nexus_bench.io.plurals import first_of
from nexus_bench.io.read_results import read_results
from nexus_bench.model import build
from nexus_bench.model.contract import Model
from nexus_bench.report.build import shown_cells
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.titles import SEPARATOR, titles_of

_MOST_PARTS = 20
_MOST_NAMED = 5  # cells in a message


def trained_cells(folder: RunFolder, asked: str | None) -> list[CellSpec]:
    """The finished cells of a run in their order.

    Args:
        folder: The run folder.
        asked: The beginning of a cell_id, or a part of the title of a cell, such as `order 3` or `seed 0`, or a value
            that the title leaves out, such as `d_model 64`; or several parts, separated by `|`, that must all occur.
            If some cells have them as whole fields of their titles, only these are selected. None selects all.

    Raises:
        ConfigError: The suite of the run is not one for this version.
        StorageError: It is not a run folder.
        UsageError: There is no such cell, it failed, or none is trained.
    """
    suite = suite_of(folder)
    trained = [cell for cell in suite.cells if folder.cells.finished(cell.cell_id)]
    if not trained:
        raise UsageError(f"{folder.path}: has no trained cell; train it, or put its folder cells/ back into it")
    found = selected(trained, asked, suite=suite.cells)
    if not found:
        for cell in selected(suite.cells, asked):
            if reason := folder.cells.failure(cell.cell_id):
                raise UsageError(f"{folder.path}: '{suite.titles[cell.cell_id]}' failed: {reason}; choose another cell")
        there = _parts(trained, suite.titles)
        raise UsageError(f"{folder.path}: no trained cell is '{asked}'; cells are told apart by {there}")
    return found


def selected(
    cells: Sequence[CellSpec], asked: str | None, *, suite: Sequence[CellSpec] | None = None
) -> list[CellSpec]:
    """The cells that are asked for, trained or not; perhaps none.

    Args:
        cells: Those to choose from.
        asked: As for `trained_cells`.
        suite: All cells of the suite, by which each has its title; None: `cells` are all.

    Raises:
        UsageError: Nothing is asked for.
    """
    if asked is None:
        return list(cells)
    if not asked.strip(" |"):
        raise UsageError("--cell is empty; give a cell_id, or parts of a title")
    titles = titles_of(cells if suite is None else suite)
    parts = [part.strip() for part in asked.split("|")]
    patterns = [re.compile(rf"(?<!\w){re.escape(part)}(?!\.?\w)") for part in parts]
    searched = {cell.cell_id: f"{titles[cell.cell_id]}{SEPARATOR}{_values(cell)}" for cell in cells}
    found = [c for c in cells if c.cell_id.startswith(asked) or all(p.search(searched[c.cell_id]) for p in patterns)]
    return [c for c in found if set(parts) <= set(titles[c.cell_id].split(SEPARATOR))] or found


def trained_cell(
    folder: RunFolder, asked: str | None, *, on_note: Callable[[str], None] = lambda text: None
) -> CellSpec:
    """The one selected cell; of cells that differ in nothing but the recipe, the one that the report shows.

    Args:
        folder: The run folder.
        asked: As for `trained_cells`.
        on_note: Told which recipe was taken.

    Raises:
        ConfigError: As `trained_cells`.
        CorruptArtefactError: As `trained_cells`.
        UsageError: As `trained_cells`, or several cells are selected.
    """
    cells = trained_cells(folder, asked)
    if len(cells) == 1:
        return cells[0]
    titles = suite_of(folder).titles
    chosen = _of_chosen_recipe(folder, cells)
    if chosen is None:
        raise UsageError(f"{folder.path}: select one cell with --cell; there are {_named(cells, titles)}")
    on_note(f"{len(cells)} recipes; taking the one that is best on validation: {titles[chosen.cell_id]}")
    return chosen


def title_of(folder: RunFolder, cell: CellSpec) -> str:
    """A cell of a run in a few words, with every value that varies in the run."""
    return suite_of(folder).titles[cell.cell_id]


def n_untrained(folder: RunFolder) -> int:
    """The number of cells of a run that are not finished, or whose weights are not here."""
    suite = suite_of(folder)
    return sum(not folder.cells.finished(cell.cell_id) for cell in suite.cells)


def load_model(folder: RunFolder, cell: CellSpec) -> Model:
    """The model of a cell with its trained weights, on the CPU, in evaluation mode.

    Raises:
        CorruptArtefactError: The weights are missing, truncated or edited.
    """
    path = folder.cells.weights(cell.cell_id)
    try:
        weights = safetensors.torch.load(folder.cells.read_weights(cell.cell_id))
        model = build.load_model(cell.model, cell.task.law().schema, weights)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise CorruptArtefactError(f"{path}: does not hold the weights of this cell; train it again") from error
    return model.eval()


def _of_chosen_recipe(folder: RunFolder, cells: Sequence[CellSpec]) -> CellSpec | None:
    """The cell with the recipe that is best on validation, if the cells differ in nothing else."""
    is_one_model = all((c.task, c.model, c.seed) == (cells[0].task, cells[0].model, cells[0].seed) for c in cells)
    if not is_one_model or not is_there(folder.results_csv):
        return None
    kept = shown_cells(read_results(folder.path))
    found = [cell for cell in cells if cell.cell_id in kept]
    return found[0] if len(found) == 1 else None


def _values(cell: CellSpec) -> str:
    """Every value of a cell by its name, also those that its title leaves out."""
    model = cell.model.model_dump(mode="json", exclude={"options"}) | cell.model.options
    task = cell.task.model_dump(mode="json", exclude={"params"}) | cell.task.params
    values = task | cell.train.given() | model
    return SEPARATOR.join(f"{name} {value_text(value)}" for name, value in values.items())


def _named(cells: Sequence[CellSpec], titles: dict[str, str]) -> str:
    return first_of([f"{cell.cell_id} ({titles[cell.cell_id]})" for cell in cells], _MOST_NAMED)


def _parts(cells: Sequence[CellSpec], titles: dict[str, str]) -> str:
    """The fields of titles that tell these cells apart, or all of a single one."""
    fields = [titles[cell.cell_id].split(SEPARATOR) for cell in cells]
    common = set(fields[0]).intersection(*fields[1:]) if len(fields) > 1 else set()
    apart = dict.fromkeys(field for one in fields for field in one if field not in common)
    return first_of(list(apart), _MOST_PARTS)
