"""Other hops and other sizes than were trained, asked of saved weights."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nexus_bench.data.encodings import ENCODINGS
from nexus_bench.data.splits import HeldOut
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.folder import RunFolder
from nexus_bench.experiment.result_rows import further_rows
from nexus_bench.experiment.trained import load_model
from nexus_bench.inspection.question import Question
from nexus_bench.inspection.run_data import RunData
from nexus_bench.io.columns import TEST, Row
from nexus_bench.model.scoring import score
from nexus_bench.model.transformer import Transformer
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
    """Ask trained cells something else than their test, and add the rows to results.csv as a split of its own.

    Args:
        folder: The run.
        cells: Which of its trained cells; those that were asked this before keep what they scored.
        question: What.
        data: The dataset that they were trained on, if it was one.
        device: `cpu` or `cuda`.
        on_cell: Told of each cell that is done.

    Returns:
        How many cells were asked that had not been.

    Raises:
        ConfigError: The task cannot be asked so, or the weights never learned a symbol or position that it needs.
        CorruptArtefactError: Weights, results or the dataset are damaged.
        StorageError: The disk is full or the folder cannot be written.
        UsageError: Another process writes to the folder.
    """
    run = RunData(folder, data)
    suite = run.suite
    rows: list[Row] = []
    references: dict[str, dict[int, Row]] = {}
    new = [cell for cell in cells if not folder.cells.has_evaluation(cell.cell_id, question.split)]
    with folder.writing(suite.name):
        for cell in cells:
            if cell in new:
                source, held, key = run.source(cell), run.asked(cell, question), run.key(cell)
                if key not in references:
                    fit = source.held_out[TEST].examples
                    references[key] = reference_columns(fit, held, source.law.schema)
                model = load_model(folder, cell).to(device)
                _check_length(model, cell, held)
                scores = score(model, held.examples, source.law.schema, cell.model.encoding)
                rows += further_rows(
                    folder.cells.trained_row(cell.cell_id), question.split, held, scores, references[key]
                )
            on_cell()
        asked = {"question": question._asdict()}
        folder.add_evaluations(suite.name, [cell.cell_id for cell in suite.cells], rows, about=asked)
    return len(new)


def _check_length(model: Transformer, cell: CellSpec, held: HeldOut) -> None:
    """Learned positions end somewhere.

    Raises:
        ConfigError: The sequences are longer than the weights know positions.
    """
    if model.position is None:
        return
    one = held.examples.take(slice(1))
    length = ENCODINGS[cell.model.encoding](one, cell.task.law().schema).tokens.shape[1]
    if length > len(model.position.weight):
        raise ConfigError(
            f"{cell.title}: learned {len(model.position.weight)} positions, asked for {length}; ask for fewer facts, "
            "or train with position none or rope"
        )
