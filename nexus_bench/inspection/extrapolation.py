"""Evaluation of saved weights on hops and sizes that were not trained."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from nexus_bench.experiment.result_rows import further_rows
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.inspection.askable import check_length
from nexus_bench.inspection.question import EvaluationRequest
from nexus_bench.inspection.run_data import RunData
from nexus_bench.io.columns import TEST, Row
from nexus_bench.model.batch import to_batch
from nexus_bench.model.scoring import answer
from nexus_bench.shortcuts.references import reference_columns
from nexus_bench.training.spec import CellSpec

_CPU = torch.device("cpu")


def ask(
    folder: RunFolder,
    cells: Sequence[CellSpec],
    question: EvaluationRequest,
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
                source, held, key = run.source(cell), run.asked(cell, question), cell.source_key
                if key not in references:
                    fit = source.held_out[TEST].examples
                    references[key] = reference_columns(fit, held, source.law.schema)
                model = run.model(cell, question, device)
                one = to_batch(held.examples.take(slice(1)), source.law.schema, cell.model.encoding, _CPU)
                check_length(model.longest, one.seq_len, title=suite.titles[cell.cell_id])
                answered = answer(model, held.examples, source.law.schema, cell.model.encoding)
                trained = folder.cells.trained_row(cell.cell_id)
                found = further_rows(trained, question.split, held, answered, references[key])
                rows, places = rows + found.rows, places + found.places
            on_cell()
        asked = {"question": question._asdict()}
        folder.add_evaluations(suite.name, suite.purposes, rows, places, about=asked)
    return len(new)
