"""What readers see of an example: words, places and counts, never a chain of facts.

A *name* is a symbol that every graph draws anew; a *word* is one of a small vocabulary that means the same in every
graph, such as a relation. Axis letters: n examples, f facts, a roles, r roles of a query, w features.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nexus_bench.generators.base import Examples, Schema
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.streams import Int, Mask, pick

MOST_WORDS = 128  # a larger vocabulary is not counted word by word
_MOST_PAIRS = 100  # pairs of words of two columns that are counted one by one
_CHUNK = 256


class OneQueryExamples(NamedTuple):
    """Examples of one hop count, one query of each graph.

    Attributes:
        one: The examples, with one query per graph.
        every: The same graphs with all their queries.
        chosen: Array (n), which query of `every` that is.
    """

    one: Examples
    every: Examples
    chosen: Int

    def take(self, index: slice | np.ndarray) -> "OneQueryExamples":
        """The selected graphs."""
        return OneQueryExamples(self.one.take(index), self.every.take(index), self.chosen[index])


def draw_one_query(examples: Examples, hop: int, rng: np.random.Generator) -> OneQueryExamples:
    """One query of this hop count of every graph that has one, drawn uniformly."""
    chosen = pick(rng, examples.hop == hop)
    graphs = np.flatnonzero(chosen >= 0)
    every, at = examples.take(graphs), chosen[graphs]
    query, answer, hops = (array[np.arange(len(at)), at][:, None] for array in every[1:])
    return OneQueryExamples(Examples(every.facts, query, answer, hops), every, at)


def name_vocabularies(schema: Schema) -> set[str]:
    """The vocabularies whose symbols every graph draws anew: those that facts and queries begin with, large answers."""
    names = {schema.fact[0].vocabulary, schema.query[0].vocabulary}
    in_facts = {role.vocabulary for role in schema.fact}
    return names | {schema.answer} if schema.answer in in_facts and schema.n_classes > MOST_WORDS else names


def answers_are_names(schema: Schema) -> bool:
    """Whether the answer is a symbol of the graph, rather than one of a few classes."""
    return schema.answer in name_vocabularies(schema) and any(r.vocabulary == schema.answer for r in schema.fact)


def word_columns(schema: Schema) -> list[int]:
    """The columns of facts that hold words."""
    names = name_vocabularies(schema)
    return [
        a
        for a, role in enumerate(schema.fact)
        if role.vocabulary not in names and schema.vocabularies[role.vocabulary] <= MOST_WORDS
    ]


def asked_names(schema: Schema) -> list[int]:
    """The columns of queries that hold names of the facts, such as start and goal."""
    known = name_vocabularies(schema) & {role.vocabulary for role in schema.fact}
    return [r for r, role in enumerate(schema.query) if role.vocabulary in known]


def _asked_words(schema: Schema) -> list[int]:
    names = name_vocabularies(schema)
    return [
        r
        for r, role in enumerate(schema.query)
        if role.vocabulary not in names and schema.vocabularies[role.vocabulary] <= MOST_WORDS
    ]


def _one_hot(symbols: Int, size: int) -> Float:
    found: Float = (symbols[..., None] == np.arange(size)).astype(np.float64)
    return found


def stack(parts: Sequence[Float | Int | Mask], n: int) -> Float:
    """Columns (n, ...) side by side: array (n, w)."""
    return np.concatenate([part.reshape(n, -1).astype(np.float64) for part in parts], axis=1)


def query_features(one: Examples, schema: Schema) -> Float:
    """The words of the query, the ids of its names, and their difference: array (n, w)."""
    query = one.query[:, 0]
    parts: list[Float | Int] = [np.ones((len(query), 1))]
    parts += [_one_hot(query[:, r], schema.vocabularies[schema.query[r].vocabulary]) for r in _asked_words(schema)]
    asked = query[:, asked_names(schema)]
    parts += [asked, np.diff(asked, axis=1)]
    return stack(parts, len(query))


def bag_features(one: Examples, schema: Schema) -> Float:
    """How often each word stands in each column, and each pair of words in one fact: array (n, w)."""
    facts, columns = one.facts, word_columns(schema)
    sizes = [schema.vocabularies[schema.fact[a].vocabulary] for a in columns]
    parts = [np.zeros((len(facts), 0))]
    for i, (a, size) in enumerate(zip(columns, sizes, strict=True)):
        parts.append(_one_hot(facts[:, :, a], size).sum(axis=1))
        for b, other in zip(columns[:i], sizes[:i], strict=True):
            if size * other <= _MOST_PAIRS:
                parts.append(_one_hot(facts[:, :, a] * other + facts[:, :, b], size * other).sum(axis=1))
            if schema.fact[a].vocabulary == schema.fact[b].vocabulary:
                parts.append((facts[:, :, a] == facts[:, :, b]).sum(axis=1).astype(np.float64))
    return stack(parts, len(facts))


def order_features(one: Examples, schema: Schema) -> Float:
    """What stands first and last in the list of facts, and whether ids rise along it: array (n, w)."""
    facts = one.facts.astype(np.float64)
    place = np.arange(facts.shape[1]) - (facts.shape[1] - 1) / 2
    slope = np.einsum("f,nfa->na", place, facts - facts.mean(axis=1, keepdims=True))
    scale = np.sqrt((place**2).sum() * facts.var(axis=1) * facts.shape[1]) + 1e-9
    ends = facts[:, [0, 1, -2, -1] if facts.shape[1] > 3 else [0, -1]]
    words = [
        _one_hot(one.facts[:, row, a], schema.vocabularies[schema.fact[a].vocabulary])
        for a in word_columns(schema)
        for row in (0, -1)
    ]
    return stack([slope / scale, ends, ends[:, 0] - ends[:, -1], *words], len(facts))


def degree_features(one: Examples, schema: Schema, asked: list[int]) -> Float:
    """How often each asked name stands in each column: array (n, w)."""
    return stack([name_places(one, schema, r).sum(axis=1) for r in asked], len(one.facts))


def beside_features(one: Examples, schema: Schema, asked: list[int]) -> Float:
    """The words of the facts that the asked names stand in, and facts that two of them share: array (n, w)."""
    parts = [degree_features(one, schema, asked)]
    holds = [name_places(one, schema, r) for r in asked]  # n f a
    for hold in holds:
        for a in word_columns(schema):
            words = _one_hot(one.facts[:, :, a], schema.vocabularies[schema.fact[a].vocabulary])
            parts.append(np.einsum("nfb,nfv->nbv", hold.astype(np.float32), words.astype(np.float32)))
    for i, hold in enumerate(holds):
        parts += [(hold.any(axis=2) & other.any(axis=2)).sum(axis=1).astype(np.float64) for other in holds[:i]]
    return stack(parts, len(one.facts))


def name_places(one: Examples, schema: Schema, r: int) -> Mask:
    """Where the name of one query role stands: array (n, f, columns of its vocabulary)."""
    columns = [a for a, role in enumerate(schema.fact) if role.vocabulary == schema.query[r].vocabulary]
    holds: Mask = one.facts[:, :, columns] == one.query[:, 0, r][:, None, None]
    return holds


def in_chunks(compute: Callable[[slice], Float], n: int) -> Float:
    """What `compute` gives for consecutive slices of n examples, as one array: bounds memory."""
    return np.concatenate([compute(slice(i, i + _CHUNK)) for i in range(0, max(n, 1), _CHUNK)])


def joint_class_features(asked: OneQueryExamples, *, with_answers: bool) -> Float:
    """How the other queries of the graph touch this one: names they share, by their roles; answers at fewer hops."""
    query = asked.every.query
    own = asked.one.query  # n 1 r
    n_queries = query.shape[1]
    is_other = np.arange(n_queries) != asked.chosen[:, None]  # n q
    parts: list[Float | Int] = [np.zeros((len(query), 0)), asked.chosen[:, None]]
    for r in range(query.shape[2]):
        for s in range(query.shape[2]):
            shares = is_other & (query[:, :, r] == own[:, :, s])
            before = np.arange(n_queries) < asked.chosen[:, None]
            parts += [(shares & before).sum(axis=1), (shares & ~before).sum(axis=1)]
            if with_answers:
                easier = asked.every.hop < asked.one.hop
                parts.append((shares & easier & (asked.every.answer == 1)).sum(axis=1))
                parts.append((np.where(shares & easier, asked.every.answer, 0)).sum(axis=1))
    return stack(parts, len(query))
