"""Examples in English as JSON lines, and back."""

import itertools
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples
from nexus_bench.text.parse import TextReader
from nexus_bench.text.render import TextExample

Row = dict[str, Any]


def text_line(told: TextExample) -> str:
    """A line with `prompt` and `completion`."""
    return _line(told, {"prompt": told.prompt, "completion": told.completion})


def chat_line(told: TextExample) -> str:
    """A line with `messages`, of a user and an assistant."""
    user, assistant = {"role": "user", "content": told.prompt}, {"role": "assistant", "content": told.completion}
    return _line(told, {"messages": [user, assistant]})


def prompt_and_completion(row: Row) -> tuple[str, str]:
    """The prompt and the completion of a row of either kind."""
    if "messages" in row:
        user, assistant = row["messages"]
        return user["content"], assistant["content"]
    return row["prompt"], row["completion"]


def examples_of_rows(rows: Iterable[Row], reader: TextReader) -> Examples:
    """Examples from rows, those of a graph together.

    Raises:
        KeyError: A row lacks a field.
        ValueError: A row is not a text of the family, or the rows of a graph have different facts.
    """
    facts, query, answer, hop = [], [], [], []
    for _, group in itertools.groupby(rows, key=lambda row: row["graph"]):
        heard, hops = [], []
        for row in group:
            one = reader.parse(*prompt_and_completion(row))
            heard.append(one._replace(facts=_in_place(one.facts, row.get("order"))))
            hops.append(row["hop"])
            if heard[-1].facts != heard[0].facts or row["answer"] != reader.word(one.answer):
                raise ValueError(f"graph {row['graph']} contradicts itself")
        facts.append(heard[0].facts)
        query.append([one.query for one in heard])
        answer.append([one.answer for one in heard])
        hop.append(hops)
    return Examples(*(np.array(rows, dtype=np.int32) for rows in (facts, query, answer, hop)))


def _in_place(facts: list[list[int]], order: list[int] | None) -> list[list[int]]:
    """The facts in the order of the data."""
    if order is None:
        return facts
    if sorted(order) != list(range(len(facts))):
        raise ValueError("order does not name every fact once")
    placed = list(facts)
    for place, row in enumerate(order):
        placed[row] = facts[place]
    return placed


def _line(told: TextExample, asked: Row) -> str:
    row = {"graph": told.graph, "query": told.query, **asked, "answer": told.answer, "hop": told.hop}
    if told.order is not None:
        row["order"] = told.order
    return json.dumps(row, separators=(",", ":")) + "\n"
