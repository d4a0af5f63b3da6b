"""Examples as file content, and back: npz arrays, or one row an example as JSON lines or CSV."""

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from nexus_bench.generators.base import Examples

_COLUMNS = ("graph", "facts", "query", "answer", "hop")


class Format(NamedTuple):
    """A way to write a split; reading gives back equal arrays."""

    to_bytes: Callable[[Examples], bytes]
    from_bytes: Callable[[bytes], Examples]


def _to_npz(examples: Examples) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **examples._asdict())
    return buffer.getvalue()


def _from_npz(data: bytes) -> Examples:
    with np.load(io.BytesIO(data)) as arrays:
        return Examples(*(arrays[name] for name in Examples._fields))


def _to_jsonl(examples: Examples) -> bytes:
    keys = [f'"{name}":' for name in _COLUMNS]
    lines = (",".join(key + text for key, text in zip(keys, row, strict=True)) for row in _rows(examples))
    return "".join(f"{{{line}}}\n" for line in lines).encode()


def _from_jsonl(data: bytes) -> Examples:
    pattern = re.compile("{" + ",".join(f'"{name}":(.*)' for name in _COLUMNS) + "}")
    matches = (pattern.fullmatch(line) for line in data.decode().splitlines())
    return _from_rows(match.groups() for match in matches if match)


def _to_csv(examples: Examples) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(_rows(examples))
    return text.getvalue().encode()


def _from_csv(data: bytes) -> Examples:
    lines = csv.reader(io.StringIO(data.decode()))
    next(lines)
    return _from_rows(tuple(line) for line in lines)


FORMATS = {
    "npz": Format(_to_npz, _from_npz),
    "jsonl": Format(_to_jsonl, _from_jsonl),
    "csv": Format(_to_csv, _from_csv),
}


def _rows(examples: Examples) -> Iterator[tuple[str, ...]]:
    """One row an example, each value as JSON; the facts of a graph are written once and used for all its rows."""
    for graph in range(examples.n_graphs):
        facts, queries, answers, hops = (array[graph].tolist() for array in examples)
        facts_text = _compact(facts)
        for query, answer, hop in zip(queries, answers, hops, strict=True):
            yield str(graph), facts_text, _compact(query), str(answer), str(hop)


def _compact(value: list[Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _from_rows(rows: Iterable[tuple[str, ...]]) -> Examples:
    """The inverse of `_rows`; the facts of a graph are read from its first row."""
    graphs = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row[0])]
    facts = [json.loads(group[0][1]) for group in graphs]
    query, answer, hop = ([json.loads(f"[{','.join(row[i] for row in group)}]") for group in graphs] for i in (2, 3, 4))
    return Examples(*(np.array(values, dtype=np.int32) for values in (facts, query, answer, hop)))
