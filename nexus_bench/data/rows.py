"""Examples as rows of text: one per example, each value as JSON."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples
from nexus_bench.io.files import parse_json

COLUMNS = ("graph", "facts", "query", "answer", "hop")


def to_rows(examples: Examples, *, first_graph: int) -> Iterator[tuple[str, ...]]:
    """One row per example, each value as JSON; the facts of a graph are written once and used for all its rows.

    A sequence is one row, with a list of answers and one of hops.
    """
    is_sequence = not examples.query.shape[2]
    for graph in range(examples.n_graphs):
        facts, queries, answers, hops = (array[graph].tolist() for array in examples)
        facts_text = _compact(facts)
        if is_sequence:
            yield str(first_graph + graph), facts_text, "[]", _compact(answers), _compact(hops)
            continue
        for query, answer, hop in zip(queries, answers, hops, strict=True):
            yield str(first_graph + graph), facts_text, _compact(query), str(answer), str(hop)


def _compact(value: list[Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def from_rows(rows: Iterable[tuple[str, ...]]) -> Examples:
    """The inverse of `to_rows`; the facts of a graph are read from its first row."""
    graphs = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row[0])]
    facts = [parse_json(group[0][1]) for group in graphs]
    query, answer, hop = ([parse_json(f"[{','.join(row[i] for row in group)}]") for group in graphs] for i in (2, 3, 4))
    arrays = [np.array(values, dtype=np.int32) for values in (facts, query, answer, hop)]
    if arrays[2].ndim == 3:  # sequences
        arrays[1:] = [np.empty((*arrays[2].shape[::2], 0), dtype=np.int32), arrays[2][:, 0], arrays[3][:, 0]]
    return Examples(*arrays)
