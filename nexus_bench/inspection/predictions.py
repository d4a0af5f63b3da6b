"""The answers of trained cells, example by example."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from nexus_bench.data.formats import pyarrow_and_parquet
from nexus_bench.data.law import Law
from nexus_bench.data.splits import HeldOut
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.generators.base import Schema
from nexus_bench.inspection.run_data import RunData
from nexus_bench.io.columns import DTYPES, PREDICTION_COLUMNS, TEST
from nexus_bench.io.csv_files import beginning, rows_of, to_csv
from nexus_bench.io.files import keep_others, writing_atomic
from nexus_bench.model.contract import Model
from nexus_bench.model.scoring import logits_of
from nexus_bench.training.spec import CellSpec

FORMATS = {"csv": beginning(PREDICTION_COLUMNS), "parquet": "PAR1"}  # format -> beginning of such files


class Predicted(NamedTuple):
    """A file of predictions, its number of rows, and its cells."""

    file: Path
    n_rows: int
    cells: list[CellSpec]


def predictions(
    folder: RunFolder,
    cells: Sequence[CellSpec],
    *,
    split: str = TEST,
    file_format: str = "csv",
    name: str = "predictions",
    data: Path | None = None,
    device: str = "cpu",
    out: Path | None = None,
    on_cell: Callable[[], None] = lambda: None,
) -> Predicted:
    """Write the answers of trained cells: one row per example, with the rank of the right answer.

    Args:
        folder: The run folder.
        cells: Trained cells of the run.
        split: The split: one that was kept apart from training, or one of `eval`.
        file_format: One of FORMATS.
        name: Name of the file, without its ending.
        data: The dataset that the run was trained on, if any.
        device: `cpu` or `cuda`.
        out: Folder of the file; None takes the run folder.
        on_cell: Called for each cell that is done.

    Raises:
        ConfigError: There is no such split, or Parquet is requested and pyarrow is not installed.
        CorruptArtefactError: Weights or the dataset are damaged.
        StorageError: The disk is full or the folder cannot be written.
        UsageError: `out` holds a file of that name that nexus-bench did not write.
    """
    path = (out or folder.path) / f"{name}.{file_format}"
    keep_others(out, {path.name: FORMATS[file_format]})
    drawn = RunData(folder, data)

    def frames() -> Iterator[pd.DataFrame]:
        for cell in cells:
            held, model = drawn.held_out(cell, split), drawn.model(cell, split, device)
            yield predict(cell, model, held, drawn.source(cell).law.schema, split=split)
            on_cell()

    return Predicted(path, write_predictions(path, frames(), file_format=file_format), list(cells))


def predict(cell: CellSpec, model: Model, held: HeldOut, schema: Schema, *, split: str) -> pd.DataFrame:
    """The answers of a model to every query of a split that has a label.

    Args:
        cell: The cell that the rows belong to.
        model: The model with its weights.
        held: The examples.
        schema: The schema of training.
        split: The name of the split.

    Returns:
        Rows with PREDICTION_COLUMNS, graph by graph. Among equal scores the class with the lower id ranks first.
    """
    parts = []
    for batch, logits in logits_of(model, held.examples, schema, cell.model.encoding):
        answer = batch.answer.clamp(min=0)[..., None]
        own = logits.gather(-1, answer)  # b q 1
        is_before = torch.arange(logits.shape[-1], device=logits.device) < answer
        n_ahead = ((logits > own) | ((logits == own) & is_before)).sum(dim=-1)
        share = logits.softmax(dim=-1).gather(-1, answer)[..., 0]
        parts.append([part.cpu().numpy() for part in (logits.argmax(dim=-1), 1 + n_ahead, share)])
    prediction, rank, probability = (np.concatenate(part) for part in zip(*parts, strict=True))
    examples = held.examples
    words = _words(held.law, schema)
    graph, query = np.indices(examples.answer.shape)
    frame = pd.DataFrame(
        {
            "cell_id": cell.cell_id,
            "model": cell.label,
            "seed": cell.seed,
            "split": split,
            "graph": graph.ravel(),
            "query": query.ravel(),
            "hop": examples.hop.ravel(),
            "answer": words[examples.answer.ravel()],
            "prediction": words[prediction.ravel()],
            "rank": rank.ravel(),
            "probability": probability.ravel().astype(float),
        }
    )
    frame = frame[frame["hop"] > 0]
    return frame.astype({column.name: DTYPES[column.name] for column in PREDICTION_COLUMNS})


def write_predictions(path: Path, frames: Iterator[pd.DataFrame], *, file_format: str) -> int:
    """Write predictions cell by cell, so that only those of one cell are in memory.

    Args:
        path: The file.
        frames: Results of `predict`, one or more.
        file_format: One of FORMATS.

    Returns:
        The number of rows.

    Raises:
        ConfigError: Parquet is requested and pyarrow is not installed.
        StorageError: The disk is full or the folder cannot be written.
    """
    write_all = _write_parquet if file_format == "parquet" else _write_csv
    with writing_atomic(path) as file:
        return write_all(file, frames)


def _write_csv(file: IO[bytes], frames: Iterator[pd.DataFrame]) -> int:
    n_rows = 0
    for frame in frames:
        text = to_csv(rows_of(frame), PREDICTION_COLUMNS)
        file.write((text if n_rows == 0 else text.partition("\n")[2]).encode())
        n_rows += len(frame)
    return n_rows


def _write_parquet(file: IO[bytes], frames: Iterator[pd.DataFrame]) -> int:
    arrow, parquet = pyarrow_and_parquet()
    writer: Any = None
    n_rows = 0
    try:
        for frame in frames:
            table = arrow.Table.from_pandas(frame, preserve_index=False)
            writer = writer or parquet.ParquetWriter(file, table.schema, compression="zstd", write_page_checksum=True)
            writer.write_table(table)
            n_rows += len(frame)
    finally:
        if writer is not None:
            writer.close()
    return n_rows


def _words(law: Law, schema: Schema) -> np.ndarray:
    """Every answer as it is written."""
    return np.array([law.symbol(schema.answer, index) for index in range(schema.n_classes)], dtype=object)
