"""Evaluation of saved weights on hops and sizes that were not trained."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from nexus_bench.data.splits import HeldOut
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.result_rows import further_rows
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.trained import title_of
from nexus_bench.inspection.question import Question
from nexus_bench.inspection.run_data import RunData
from nexus_bench.io.columns import TEST, Row
from nexus_bench.model.batch import to_batch
from nexus_bench.model.contract import Model
from nexus_bench.model.scoring import answer
from nexus_bench.shortcuts.references import reference_columns
from nexus_bench.training.spec import CellSpec


def ask(
    folder: RunFolder,
    cells: Sequence[CellSpec],
    question: Question,
    *,
    data: Path | None,
    device: str,
    on_cell: Callable[[], None],
) -> int:
    """Evaluate trained cells on other examples than their test split, and add the rows to results.csv as a new split.

    Args:
        folder: The run folder.
        cells: Trained cells of the run; those that were evaluated on this before keep their scores.
        question: What to evaluate on.
        data: The dataset that they were trained on, if any.
        device: `cpu` or `cuda`.
        on_cell: Called for each cell that is done.

    Returns:
        The number of cells that were newly evaluated.

    Raises:
        ConfigError: The task does not allow this, or the weights never learned a symbol or position that it needs.
        CorruptArtefactError: Weights, results or the dataset are damaged.
        StorageError: The disk is full or the folder cannot be written.
        UsageError: Another process writes to the folder.
    """
    run = RunData(folder, data)
    suite = run.suite
    folder.cells.check(cell.cell_id for cell in suite.cells)  # before anything is written
    rows: list[Row] = []
    places: list[Row] = []
    references: dict[str, dict[int, Row]] = {}
    new = [cell for cell in cells if not folder.cells.has_evaluation(cell.cell_id, question.split)]
    with folder.writing(suite.name):
        for cell in cells:
            if cell in new:
                source, held, key = run.source(cell), run.asked(cell, question), run.key(cell)
                if key not in references:
                    fit = source.held_out[TEST].examples
                    references[key] = reference_columns(fit, held, source.law.schema)
                model = run.model(cell, question, device)
                _check_length(model, folder, cell, held)
                answered = answer(model, held.examples, source.law.schema, cell.model.encoding)
                trained = folder.cells.trained_row(cell.cell_id)
                found = further_rows(trained, question.split, held, answered, references[key])
                rows, places = rows + found.rows, places + found.places
            on_cell()
        asked = {"question": question._asdict()}
        folder.add_evaluations(suite.name, suite.purposes, rows, places, about=asked)
    return len(new)


def _check_length(model: Model, folder: RunFolder, cell: CellSpec, held: HeldOut) -> None:
    """Check that learned positions are enough.

    Raises:
        ConfigError: The sequences are longer than the number of learned positions.
    """
    if model.longest is None:
        return
    one = held.examples.take(slice(1))
    length = to_batch(one, cell.task.law().schema, cell.model.encoding, torch.device("cpu")).seq_len
    if length > model.longest:
        raise ConfigError(
            f"{title_of(folder, cell)}: learned {model.longest} positions, {length} are needed; use fewer "
            "facts, or train with position none or rope"
        )
