"""Tables as CSV: the same bytes for the same rows, and the right types when read."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.columns import DTYPES, Column
from nexus_bench.io.files import read_bytes


def to_csv(rows: Iterable[Mapping[str, Any]], columns: Iterable[Column]) -> str:
    """Rows as CSV: six significant digits, more than any interval supports and the same on every machine.

    Args:
        rows: Column name -> value; what is missing is empty, and lists are separated by spaces.
        columns: Which, in their order.
    """
    names = [column.name for column in columns]
    frame = pd.DataFrame([[_text(row.get(name)) for name in names] for row in rows], columns=names, dtype=object)
    return str(frame.to_csv(index=False, lineterminator="\n"))


def beginning(columns: Sequence[Column]) -> str:
    """How a table of these columns begins: enough to know it by."""
    return ",".join(column.name for column in columns[:2]) + ","


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, what is missing as None."""
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in records]


def read_csv(path: Path, columns: Sequence[Column]) -> pd.DataFrame:
    """A table with the right types.

    Args:
        path: Written by `to_csv`.
        columns: Which it must have; others are kept.

    Raises:
        CorruptArtefactError: It is missing, truncated or lacks columns.
        StorageError: It cannot be read.
    """
    data = read_bytes(path)
    try:
        frame = pd.read_csv(io.BytesIO(data), dtype=DTYPES, keep_default_na=False, na_values=[""])
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise CorruptArtefactError(f"{path}: is truncated or edited: {first}") from error
    missing = [column.name for column in columns if column.name not in frame.columns]
    if missing:
        raise CorruptArtefactError(f"{path}: lacks the columns {', '.join(missing)}")
    if not data.endswith(b"\n"):
        raise CorruptArtefactError(f"{path}: is truncated; make it again")
    return frame


def _text(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return " ".join(f"{item:.6g}" for item in value)
    return value
