"""What trained cells answer, example by example."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import torch

from nexus_bench.data.formats import pyarrow_and_parquet
from nexus_bench.data.splits import HeldOut
from nexus_bench.generators.base import Generator, Schema
from nexus_bench.io.columns import DTYPES, PREDICTION_COLUMNS
from nexus_bench.io.csv_files import beginning, rows_of, to_csv
from nexus_bench.io.files import writing_atomic
from nexus_bench.model.scoring import logits_of
from nexus_bench.model.transformer import Transformer
from nexus_bench.training.spec import CellSpec

FORMATS = {"csv": beginning(PREDICTION_COLUMNS), "parquet": "PAR1"}  # and how such files begin


def predict(cell: CellSpec, model: Transformer, held: HeldOut, schema: Schema, *, split: str) -> pd.DataFrame:
    """What a model answers to every query of a split.

    Args:
        cell: Names the rows.
        model: With its weights.
        held: The examples.
        schema: Of training, which the weights know.
        split: The name of the split.

    Returns:
        Rows with PREDICTION_COLUMNS, graph by graph. Of equal scores the class of the lower id is ahead.
    """
    parts = []
    for batch, logits in logits_of(model, held.examples, schema, cell.model.encoding):
        own = logits.gather(-1, batch.answer[..., None])  # b q 1
        is_before = torch.arange(logits.shape[-1], device=logits.device) < batch.answer[..., None]
        n_ahead = ((logits > own) | ((logits == own) & is_before)).sum(dim=-1)
        share = logits.softmax(dim=-1).gather(-1, batch.answer[..., None])[..., 0]
        parts.append([part.cpu().numpy() for part in (logits.argmax(dim=-1), 1 + n_ahead, share)])
    prediction, rank, probability = (np.concatenate(part) for part in zip(*parts, strict=True))
    examples = held.examples
    words = _words(held.generator, schema)
    graph, query = np.indices(examples.answer.shape)
    return pd.DataFrame(
        {
            "run_id": cell.run_id,
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
    ).astype({column.name: DTYPES[column.name] for column in PREDICTION_COLUMNS})


def write_predictions(path: Path, frames: Iterator[pd.DataFrame], *, file_format: str) -> int:
    """Write predictions cell by cell, so that only those of one are in memory.

    Args:
        path: The file.
        frames: From `predict`, one or more.
        file_format: One of FORMATS.

    Returns:
        The number of rows.

    Raises:
        ConfigError: Parquet is asked for and pyarrow is not installed.
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


def _words(law: Generator[Any], schema: Schema) -> np.ndarray:
    """Every answer as it is written."""
    return np.array([law.symbol(schema.answer, index) for index in range(schema.n_classes)], dtype=object)
