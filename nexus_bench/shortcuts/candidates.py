"""The answers that a reader chooses among, and what it sees of each of them.

Axis letters: n examples, f facts, m candidates, w features.
"""

from typing import NamedTuple

import numpy as np

from nexus_bench.generators.base import Examples, Schema
from nexus_bench.shortcuts.features import (
    OneQueryExamples,
    asked_names,
    in_chunks,
    name_places,
    query_features,
    word_columns,
)
from nexus_bench.shortcuts.fitted import Float, answer_symbols
from nexus_bench.streams import Int, Mask

_MOST_OUTSIDE = 4  # answers that are no symbols of the graph, such as absent


class Candidates(NamedTuple):
    """Possible answers of each example, and what is seen of each.

    Attributes:
        symbols: Array (n, m) of class ids; -1 where an example has fewer candidates.
        features: Array (n, m, w).
    """

    symbols: Int
    features: Float


def distinct_symbols(symbols: Int) -> Int:
    """The distinct symbols of every row of (n, s), ascending, -1 after the last: array (n, m)."""
    ordered = np.sort(symbols, axis=1)
    is_new = np.diff(ordered, axis=1, prepend=-2) != 0
    is_new &= ordered >= 0
    width = int(is_new.sum(axis=1).max(initial=1))
    found = np.full((len(symbols), width), -1, dtype=np.int32)
    row, column = np.nonzero(is_new)
    found[row, (is_new.cumsum(axis=1) - 1)[row, column]] = ordered[row, column]
    return found


def outside_answers(fit: Examples, schema: Schema) -> Int:
    """The commonest answers that are no symbols of their graphs."""
    is_inside = (answer_symbols(fit, schema) == fit.answer).any(axis=1)
    counts = np.bincount(fit.answer[~is_inside, 0], minlength=schema.n_classes)
    common: Int = counts.argsort(kind="stable")[::-1][:_MOST_OUTSIDE].astype(np.int32)
    return common[counts[common] > 0]


def possible_answers(one: Examples, schema: Schema, outside: Int) -> Int:
    """The symbols of every graph that could be answers, then those of `outside_answers`: array (n, m)."""
    inside = distinct_symbols(answer_symbols(one, schema))
    return np.concatenate([inside, np.broadcast_to(outside, (len(inside), len(outside)))], axis=1)


def name_candidates(one: Examples, schema: Schema, outside: Int, *, in_order: bool, beside: list[int]) -> Candidates:
    """Every symbol of a graph that could be the answer, and every other common answer.

    Args:
        one: The examples.
        schema: The roles.
        outside: From `outside_answers`.
        in_order: Also see the places of facts.
        beside: Query roles whose facts are looked at: which candidates stand in them, and how far off in the list.
    """
    columns = [a for a, role in enumerate(schema.fact) if role.vocabulary == schema.answer]
    symbols = possible_answers(one, schema, outside)

    def seen(part: slice) -> Float:
        return _seen(one.take(part), symbols[part], schema, columns, in_order, beside)

    context = query_features(one, schema)
    wide = np.broadcast_to(context[:, None], (*symbols.shape, context.shape[1]))
    return Candidates(symbols, np.concatenate([in_chunks(seen, len(symbols)), wide], axis=2))


def _seen(one: Examples, symbols: Int, schema: Schema, columns: list[int], in_order: bool, beside: list[int]) -> Float:
    facts, n_facts = one.facts, one.facts.shape[1]
    parts = [symbols, symbols == one.query[:, 0, :1]]
    for r in asked_names(schema):
        if schema.query[r].vocabulary == schema.answer:
            asked = one.query[:, 0, r][:, None]
            parts += [symbols == asked, symbols - asked]
    middle: list[Mask] = [np.any(name_places(one, schema, r), axis=2) for r in beside]  # n f
    for a in columns:
        at = facts[:, None, :, a] == symbols[:, :, None]  # n m f
        parts.append(at.sum(axis=2))
        for b in word_columns(schema):
            size = schema.vocabularies[schema.fact[b].vocabulary]
            if size <= 16:
                parts += [(at & (facts[:, None, :, b] == v)).sum(axis=2) for v in range(size)]
        first, last = at.argmax(axis=2), n_facts - 1 - at[:, :, ::-1].argmax(axis=2)
        if in_order:
            parts += [np.where(at.any(axis=2), place, -1) for place in (first, last)]
        for hold in middle:
            parts.append((at & hold[:, None]).sum(axis=2))
            if in_order:
                parts.append(np.where(at.any(axis=2), first - hold.argmax(axis=1)[:, None], n_facts))
    return np.stack(parts, axis=2).astype(np.float64)


def joint_name_features(asked: OneQueryExamples, symbols: Int, *, with_answers: bool) -> Float:
    """Which candidates (n, m) are named in other queries, or are their answers at fewer hops: array (n, m, w)."""
    query, chosen = asked.every.query, asked.chosen[:, None]
    is_other = np.arange(query.shape[1]) != chosen  # n q
    easier = is_other & (asked.every.hop < asked.one.hop)
    same_start = easier & (query[:, :, 0] == asked.one.query[:, :, 0])
    parts: list[Int] = []
    for r in range(query.shape[2]):
        named = np.where(is_other, query[:, :, r], -2)
        parts.append((symbols[:, :, None] == named[:, None, :]).sum(axis=2))
    if with_answers:
        for known in (easier, same_start):
            answers = np.where(known, asked.every.answer, -2)
            parts.append((symbols[:, :, None] == answers[:, None, :]).sum(axis=2))
    return np.stack(parts, axis=2).astype(np.float64)
