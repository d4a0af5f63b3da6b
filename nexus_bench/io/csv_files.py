"""Tables as CSV: the same bytes for the same rows, and the right types when read."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.columns import DTYPES, Column
from nexus_bench.io.files import read_bytes


def to_csv(rows: Iterable[Mapping[str, Any]], columns: Iterable[Column]) -> str:
    """Rows as CSV: six significant digits, more than any interval can resolve and the same on every machine.

    Args:
        rows: Column name -> value. A missing value becomes an empty field; lists are joined by spaces.
        columns: The columns to write, in this order.
    """
    columns = list(columns)
    return csv_header(columns) + csv_lines(rows, columns)


def csv_header(columns: Iterable[Column]) -> str:
    """The first line of a table with these columns."""
    return ",".join(column.name for column in columns) + "\n"


def csv_lines(rows: Iterable[Mapping[str, Any]], columns: Iterable[Column]) -> str:
    """Some rows as the lines of `to_csv`, so that a long table can be written piece by piece."""
    names = [column.name for column in columns]
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([_text(row.get(name)) for name in names] for row in rows)
    return lines.getvalue()


def beginning(columns: Sequence[Column]) -> str:
    """The beginning of a table with these columns, by which nexus-bench recognises its own files."""
    return ",".join(column.name for column in columns[:2]) + ","


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, missing values as None."""
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in records]


def read_csv(path: Path, columns: Sequence[Column]) -> pd.DataFrame:
    """Read a table with the right types.

    Args:
        path: A file written by `to_csv`.
        columns: The columns that it must have; others are kept.

    Raises:
        CorruptArtefactError: It is missing, truncated or lacks columns.
        StorageError: It cannot be read.
    """
    data = read_bytes(path)
    try:
        with np.errstate(invalid="ignore"):  # numbers beyond 64 bits are told by the error that follows
            frame = pd.read_csv(io.BytesIO(data), dtype=DTYPES, keep_default_na=False, na_values=[""])
    except (ValueError, TypeError, OverflowError) as error:  # the others where an Int64 does not fit
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
        return "" if value != value else float(f"{value:.6g}")  # NaN: missing
    if isinstance(value, list):
        return " ".join(f"{item:.6g}" for item in value)
    return value
