"""Faults of examples: each function looks for one kind, and gives the first place where it is."""

import math
from typing import Any, NamedTuple

import numpy as np

from nexus_bench.data.law import Law
from nexus_bench.generators.base import Examples, Generator, Schema
from nexus_bench.generators.parts.returned_values import is_number
from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.streams import Mask

_SIGMAS = 6.0  # a share further than this from the declared one is not due to chance


class Fault(NamedTuple):
    """What is wrong, and where.

    Attributes:
        graph: Number of the graph among those checked; None if it is no single one.
        query: Number of the query in its graph; None if it is no single one.
        what: What is wrong, in words.
    """

    graph: int | None
    query: int | None
    what: str


class CommonestAnswer(NamedTuple):
    """The most common answer at a hop count, and its share of the answers there; 0 if the hop count is not there."""

    answer: int
    share: float
    n_examples: int


def find_misfit(family: Generator[Any], schema: Schema, examples: Examples, *, n_graphs: int) -> Fault | None:
    """Look for another shape or type than declared, ids outside their vocabularies, and hops not asked for.

    Args:
        family: What drew the examples.
        schema: The symbols that there may be: those of training.
        examples: As datasets and models see them.
        n_graphs: How many graphs there must be.
    """
    n_queries = family.n_facts if schema.is_sequence else family.n_queries
    shape = (n_graphs, n_queries)
    wanted = ((n_graphs, family.n_facts, len(schema.fact)), (*shape, len(schema.query)), shape, shape)
    for name, array, expected in zip(Examples._fields, examples, wanted, strict=True):
        if array.shape != expected or array.dtype != np.int32:
            return Fault(
                None, None, f"{name} must be int32 of the shape {expected}, got {array.dtype} of {array.shape}"
            )
    least = NOTHING if schema.is_sequence else 0
    if schema.is_sequence and (fault := _find_hole(examples)):
        return fault
    for name, array, roles in (("facts", examples.facts, schema.fact), ("query", examples.query, schema.query)):
        for column, role in enumerate(roles):
            size = schema.vocabularies[role.vocabulary]
            values = array[:, :, column]
            outside = np.asarray(np.logical_or(values < least, values >= size).any(axis=1))
            if outside.any():
                where = "" if schema.is_sequence else f"{name}: "
                return Fault(int(outside.argmax()), None, f"{where}{role.name} is not in 0..{size - 1}")
    unlabelled = (examples.hop == 0) & (examples.answer == NOTHING) & schema.is_sequence
    bad_answer = ((examples.answer < 0) | (examples.answer >= schema.n_classes)) & ~unlabelled
    bad_hop = ~np.isin(examples.hop, family.hops) & ~unlabelled
    for bad, what in (
        (bad_answer, f"answer is not in 0..{schema.n_classes - 1}"),
        (bad_hop, f"hop is not among those asked for, {list(family.hops)}"),
    ):
        if bad.any():
            return Fault(*_first(bad), what)
    return None


def _find_hole(examples: Examples) -> Fault | None:
    """Look for a sequence that goes on after its end, or has a label there."""
    is_there = examples.facts[:, :, 0] != NOTHING
    after_end = is_there[:, 1:] & ~is_there[:, :-1]
    for bad, what in (
        (after_end, "a token follows the end of the sequence"),
        ((examples.hop > 0) & ~is_there, "a label stands after the end of the sequence"),
    ):
        if bad.any():
            return Fault(int(bad.any(axis=1).argmax()), None, what)
    return None


def find_twins(examples: Examples) -> Fault | None:
    """Look for a graph that has a fact or a query twice."""
    for array, what in (
        (examples.facts, "a fact is twice in the graph"),
        (examples.query, "a query is asked twice of the graph"),
    ):
        bad = _has_twins(array)
        if bad.any():
            return Fault(int(bad.argmax()), None, what)
    return None


def find_denied(law: Law, examples: Examples) -> Fault | None:
    """Look for an answer, or else a hop count, that the solver, which knows only the facts, does not derive."""
    answer, hop = law.labels(examples.facts, examples.query)
    for name, given, derived in (("answer", examples.answer, answer), ("hop", examples.hop, hop)):
        bad = given != derived
        if bad.any():
            graph, query = _first(bad)
            says, gives = (_written(law, name, int(of[graph, query])) for of in (given, derived))
            return Fault(graph, query, f"{name} is {says}, the {law.schema.called[1]} give {gives}")
    return None


def find_uneven(law: Law, examples: Examples) -> Fault | None:
    """Look for hops that queries do not have equally often, and for an answer that is commoner than `chance` allows."""
    family, n = law.family, int((examples.hop > 0).sum())
    if not n:
        return Fault(None, None, "no place has a label of these hops; ask fewer hops, or generate more")
    for hop in family.hops:
        found, share, expected = majority(examples, hop), (examples.hop == hop).sum() / n, 1 / len(family.hops)
        uneven = abs(share - expected) > _SIGMAS * np.sqrt(expected * (1 - expected) / n)
        if uneven and not law.schema.is_sequence:
            return Fault(None, None, f"hop {hop} is in {share:.1%} of the examples, expected {expected:.1%}")
        if not found.n_examples:
            continue  # a small split may lack a hop
        chance, n_apart = is_number(family.name, "chance", family.chance(hop)), found.n_examples
        if law.schema.is_sequence:  # the labels of one are alike
            n_apart = int((examples.hop == hop).any(axis=1).sum())
        if _is_too_common(found.share, chance, n_apart):
            name = law.symbol(law.schema.answer, found.answer)
            what = f"at {hop} hops {found.share:.1%} of the answers are {name}; chance allows at most {chance:.1%}"
            return Fault(None, None, what)
    return None


def _is_too_common(share: float, chance: float, n: int) -> bool:
    """Whether no answer of `n`, each right by chance, has this share but by so rare a chance as `_SIGMAS` stand for.

    By the bound of Chernoff, which also holds where an answer is expected less than once, for 1 / chance answers.
    """
    if share <= chance or chance <= 0:
        return share > chance
    rest = (1 - share) * math.log((1 - share) / (1 - chance)) if share < 1 else 0.0
    return n * (share * math.log(share / chance) + rest) > _SIGMAS**2 / 2 - math.log(chance)


def majority(examples: Examples, hop: int) -> CommonestAnswer:
    """The most common answer at a hop count."""
    counts = np.bincount(examples.answer[examples.hop == hop], minlength=1)
    n = int(counts.sum())
    return CommonestAnswer(int(counts.argmax()), float(counts.max() / n) if n else 0.0, n)


def _first(bad: Mask) -> tuple[int, int]:
    graph, query = np.unravel_index(int(bad.argmax()), bad.shape)
    return int(graph), int(query)


def _written(law: Law, name: str, value: int) -> str:
    if name == "hop":
        return str(value)
    return "nothing" if value < 0 else law.symbol(law.schema.answer, value)


def _has_twins(tuples: np.ndarray) -> Mask:
    """Whether a row (g, n, c) holds the same tuple twice: array (g)."""
    size = int(tuples.max()) + 1
    key = np.zeros(tuples.shape[:2], dtype=np.int64)
    for column in range(tuples.shape[2]):
        key = key * size + tuples[:, :, column]
    if float(size) ** tuples.shape[2] >= 2.0**63:  # too wide for one number: compare as bytes
        key = np.array([[row.tobytes() for row in graph] for graph in tuples])
    key = np.sort(key, axis=1)
    twins: Mask = (key[:, 1:] == key[:, :-1]).any(axis=1)
    return twins
