"""Tables as CSV: the same bytes for the same rows, and the right types when read."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nexus_bench.errors import CorruptArtefactError, StorageError
from nexus_bench.io.columns import DTYPES, Column
from nexus_bench.io.escapes import spreadsheet_cell
from nexus_bench.io.packed import open_table, where_kept


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


def read_csv(path: Path, columns: Sequence[Column], *, others: bool = True) -> pd.DataFrame:
    """Read a table with the right types.

    Args:
        path: A file written by `to_csv`.
        columns: The columns that it must have; later ones of older files are empty.
        others: Keep other columns that it has.

    Raises:
        CorruptArtefactError: It is missing, truncated or lacks columns.
        StorageError: It cannot be read.
    """
    names = [column.name for column in columns]
    kept = None if others else lambda name: name in names
    named = where_kept(path)  # in messages
    try:
        with open_table(path) as file, np.errstate(invalid="ignore"):  # numbers beyond 64 bits: below
            frame = pd.read_csv(file, dtype=DTYPES, keep_default_na=False, na_values=[""], usecols=kept)
            file.seek(-1, io.SEEK_END)
            is_whole = file.read() == b"\n"
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: is missing; make it again") from error
    except OSError as error:
        raise StorageError(f"{named}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, OverflowError) as error:  # the others where an Int64 does not fit
        first = str(error).splitlines()[0]
        raise CorruptArtefactError(f"{named}: is truncated or edited: {first}") from error
    later = {column.name: pd.Series(pd.NA, frame.index, column.dtype) for column in columns if column.is_later}
    frame = frame.assign(**{name: empty for name, empty in later.items() if name not in frame.columns})
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise CorruptArtefactError(f"{named}: lacks the columns {', '.join(missing)}")
    if not is_whole:
        raise CorruptArtefactError(f"{named}: is truncated; make it again")
    return frame


def _text(value: Any) -> Any:
    if isinstance(value, float):
        return "" if value != value else float(f"{value:.6g}")  # NaN: missing
    if isinstance(value, list):
        return " ".join(f"{item:.6g}" for item in value)
    return spreadsheet_cell(value) if isinstance(value, str) else value
