"""Files of examples, written while they are drawn: npz arrays, or one row per example, as numbers or in English."""

import csv
import io
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from nexus_bench.data.law import Law, text_examples
from nexus_bench.data.rows import COLUMNS, from_rows, to_rows
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples
from nexus_bench.io.files import open_file, parse_json
from nexus_bench.text.lines import chat_line, examples_of_rows, text_line
from nexus_bench.text.parse import TextReader
from nexus_bench.text.render import TextExample, TextOptions, TextRenderer

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every member of an npz file: the same bytes whenever it is made


class Writer(Protocol):
    """A file that is written batch by batch; it is complete once closed."""

    def write(self, examples: Examples) -> None:
        """Append the next graphs."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class View(NamedTuple):
    """What a format may need to know in addition to the arrays.

    Attributes:
        law: What draws the examples.
        text: How they are written in English.
    """

    law: Law
    text: TextOptions


class Format(NamedTuple):
    """A way to write a split; reading gives back equal arrays.

    Attributes:
        suffix: Ending of the file name.
        writer: Makes a writer from a path, the number of graphs to come and a view of them.
        read: Reads the whole file.
    """

    suffix: str
    writer: Callable[[Path, int, View], Writer]
    read: Callable[[Path, View], Examples]


class _NpzWriter:
    """Arrays are written as separate `.npy` files, and put into one archive at the end."""

    def __init__(self, path: Path, n_graphs: int, view: View) -> None:
        self._path = path
        self._n_graphs = n_graphs
        self._files: dict[str, IO[bytes]] = {}

    def write(self, examples: Examples) -> None:
        for name, array in examples._asdict().items():
            if name not in self._files:
                self._files[name] = self._member(name).open("wb")
                header = {"descr": "<i4", "fortran_order": False, "shape": (self._n_graphs, *array.shape[1:])}
                np.lib.format.write_array_header_1_0(self._files[name], header)
            self._files[name].write(np.ascontiguousarray(array, dtype="<i4").data)

    def close(self) -> None:
        with zipfile.ZipFile(self._path, "w") as archive:
            for name, file in self._files.items():
                file.close()
                member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
                with self._member(name).open("rb") as source, archive.open(member, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                self._member(name).unlink()

    def _member(self, name: str) -> Path:
        return self._path.with_name(f".{self._path.name}.{name}")


class _RowWriter:
    """One line per example."""

    def __init__(self, path: Path, to_text: Callable[[Iterator[tuple[str, ...]]], str], head: str = "") -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._file.write(head)
        self._to_text = to_text
        self._n_written = 0

    def write(self, examples: Examples) -> None:
        self._file.write(self._to_text(to_rows(examples, first_graph=self._n_written)))
        self._n_written += examples.n_graphs

    def close(self) -> None:
        self._file.close()


class _TextWriter:
    """One JSON line per example, in English."""

    def __init__(self, path: Path, view: View, to_line: Callable[[TextExample], str]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._law = view.law
        self._renderer = TextRenderer(view.law.family, view.text)
        self._to_line = to_line
        self._n_written = 0

    def write(self, examples: Examples) -> None:
        told = text_examples(self._renderer, self._law, examples, first_graph=self._n_written)
        self._file.writelines(self._to_line(one) for one in told)
        self._n_written += examples.n_graphs

    def close(self) -> None:
        self._file.close()


class _ParquetWriter:
    """zstd, and a checksum per page, since Parquet by default does not detect flipped bits."""

    def __init__(self, path: Path, n_graphs: int, view: View) -> None:
        self._arrow, parquet = pyarrow_and_parquet()
        int32 = self._arrow.int32()
        numbers = self._arrow.list_(int32)
        answer = numbers if view.law.schema.is_sequence else int32
        types = (self._arrow.int64(), self._arrow.list_(numbers), numbers, answer, answer)
        self._schema = self._arrow.schema(list(zip(COLUMNS, types, strict=True)))
        self._is_sequence = view.law.schema.is_sequence
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd", write_page_checksum=True)
        self._n_written = 0

    def write(self, examples: Examples) -> None:
        n_graphs, n_queries = examples.answer.shape
        graph = np.arange(self._n_written, self._n_written + n_graphs)
        if self._is_sequence:
            columns = self._sequences(examples, graph)
        else:
            facts = self._lists(np.repeat(examples.facts, n_queries, axis=0))
            query = self._lists(examples.query.reshape(n_graphs * n_queries, -1))
            columns = [np.repeat(graph, n_queries), facts, query, examples.answer.ravel(), examples.hop.ravel()]
        self._file.write_table(self._arrow.table(columns, schema=self._schema))
        self._n_written += n_graphs

    def close(self) -> None:
        self._file.close()

    def _lists(self, array: np.ndarray) -> Any:
        """An array of two or more axes as lists, nested along all but the first."""
        values = self._arrow.array(array.ravel())
        for size in reversed(array.shape[1:]):
            offsets = np.arange(0, len(values) + 1, size, dtype=np.int32)
            values = self._arrow.ListArray.from_arrays(offsets, values)
        return values

    def _sequences(self, examples: Examples, graph: np.ndarray) -> list[Any]:
        """One row a sequence: its answers and hops are lists."""
        nothing = self._arrow.array([[]] * len(graph), self._schema.field("query").type)
        return [graph, self._lists(examples.facts), nothing, self._lists(examples.answer), self._lists(examples.hop)]


def pyarrow_and_parquet() -> tuple[Any, Any]:
    """Import both modules of pyarrow.

    Raises:
        ConfigError: They are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("the parquet format needs pyarrow; pip install 'nexus-bench[parquet]'") from error
    return pyarrow, pyarrow.parquet


def _read_npz(path: Path, view: View) -> Examples:
    with open_file(path) as file:
        if any(member.compress_type != zipfile.ZIP_STORED for member in zipfile.ZipFile(file).infolist()):
            raise ValueError("it is compressed, and may grow without end")
        file.seek(0)
        with np.load(file) as arrays:
            return Examples(*(arrays[name] for name in Examples._fields))


def _read_jsonl(path: Path, view: View) -> Examples:
    pattern = re.compile("{" + ",".join(f'"{name}":(.*)' for name in COLUMNS) + "}")
    with path.open(encoding="utf-8") as lines:
        return from_rows(_groups(pattern, line.rstrip("\n")) for line in lines)


def _read_csv(path: Path, view: View) -> Examples:
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        next(lines, None)
        return from_rows(tuple(line) for line in lines)


def _read_parquet(path: Path, view: View) -> Examples:
    _, parquet = pyarrow_and_parquet()
    table = parquet.read_table(path, page_checksum_verification=True)
    flat = {name: _flat(table[name].combine_chunks()) for name in COLUMNS}
    n_graphs = len(np.unique(flat["graph"]))
    n_rows, n_facts = len(table), len(table["facts"][0])
    every = n_rows // n_graphs
    answer = flat["answer"].reshape(n_graphs, -1)
    return Examples(
        facts=np.ascontiguousarray(flat["facts"].reshape(n_rows, n_facts, -1)[::every]),
        query=flat["query"].reshape(*answer.shape, flat["query"].size // answer.size),
        answer=answer,
        hop=flat["hop"].reshape(answer.shape),
    )


def _read_text(path: Path, view: View) -> Examples:
    reader = TextReader(TextRenderer(view.law.family, view.text))
    with path.open(encoding="utf-8") as lines:
        return view.law.shown(examples_of_rows((parse_json(line) for line in lines), reader))


FORMATS = {
    "npz": Format("npz", _NpzWriter, _read_npz),
    "jsonl": Format("jsonl", lambda path, n_graphs, view: _RowWriter(path, _to_jsonl), _read_jsonl),
    "csv": Format("csv", lambda path, n_graphs, view: _RowWriter(path, _to_csv, ",".join(COLUMNS) + "\n"), _read_csv),
    "parquet": Format("parquet", _ParquetWriter, _read_parquet),
    "text": Format("jsonl", lambda path, n_graphs, view: _TextWriter(path, view, text_line), _read_text),
    "chat": Format("jsonl", lambda path, n_graphs, view: _TextWriter(path, view, chat_line), _read_text),
}


def _to_jsonl(rows: Iterator[tuple[str, ...]]) -> str:
    keys = [f'"{name}":' for name in COLUMNS]
    lines = (",".join(key + text for key, text in zip(keys, row, strict=True)) for row in rows)
    return "".join(f"{{{line}}}\n" for line in lines)


def _to_csv(rows: Iterator[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _groups(pattern: re.Pattern[str], line: str) -> tuple[str, ...]:
    match = pattern.fullmatch(line)
    if match is None:
        raise ValueError(f"line {line[:40]!r} is not an example")
    return match.groups()


def _flat(column: Any) -> np.ndarray:
    """The numbers of an Arrow column, with its lists concatenated."""
    while hasattr(column, "flatten") and "list" in str(column.type):
        column = column.flatten()
    array: np.ndarray = column.to_numpy(zero_copy_only=False)
    return array
