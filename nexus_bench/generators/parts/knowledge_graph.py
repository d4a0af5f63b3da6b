"""Random knowledge graphs: facts (entity, relation, entity), and compositions of two of them.

Axis letters: f facts, p paths, which are pairs of facts of which the second begins where the first ends, c paths that
are asked.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.parts.patterns import ALL, HELD_OUT
from nexus_bench.streams import Int, Mask, integers, permutations, stream


class Graph(NamedTuple):
    """A knowledge graph, and which of its compositions are asked.

    Attributes:
        n_entities: Entities.
        n_relations: Relations.
        out_degree: Facts that begin at each entity.
        number: Names the graph.
        ratio: Compositions that are asked per fact in use; None for all.
        unseen: Share of the facts that TRAINED leaves out of compositions.
        patterns: ALL composes any facts; TRAINED all but a share, HELD_OUT these alone.
    """

    n_entities: int
    n_relations: int
    out_degree: int
    number: int
    ratio: float | None
    unseen: float
    patterns: str

    @property
    def n_paths(self) -> int:
        """All compositions."""
        return self.n_entities * self.out_degree**2


class Paths(NamedTuple):
    """All paths of a graph.

    Attributes:
        words: Array (p, 3): the entity where it begins, and the relations of both facts.
        bridge: Array (p), the entity between.
        end: Array (p), the entity at the end.
        is_asked: Array (p), whether the composition is asked.
        asked: Array (c), the rows of those that are.
    """

    words: Int
    bridge: Int
    end: Int
    is_asked: Mask
    asked: NDArray[np.int64]


class Memory(NamedTuple):
    """A graph as one who knows it by heart looks it up.

    Attributes:
        tail: Array (entities, relations), where each fact ends; -1 where there is none.
        asked: Array (c), the words of the compositions that are asked, each as one number, sorted.
    """

    tail: Int
    asked: NDArray[np.int64]

    def follow(self, entity: Int, relation: Int) -> Int:
        """Where facts lead: array (g); -1 where there is none, or where ids are out of range."""
        n_entities, n_relations = self.tail.shape
        may = (entity >= 0) & (entity < n_entities) & (relation >= 0) & (relation < n_relations)
        return np.where(may, self.tail[np.where(may, entity, 0), np.where(may, relation, 0)], -1).astype(np.int32)

    def is_asked(self, entity: Int, first: Int, second: Int) -> Mask:
        """Whether compositions are asked: array (g)."""
        number = _number(entity, first, second, self.tail.shape[1])
        if not len(self.asked):
            return np.zeros(len(number), dtype=np.bool_)
        found: Mask = self.asked[np.minimum(np.searchsorted(self.asked, number), len(self.asked) - 1)] == number
        return found


@cache
def facts(graph: Graph) -> Int:
    """The facts, those of an entity side by side: array (f, 3)."""
    rng = stream("knowledge graph", graph.number)
    relation = permutations(rng, graph.n_entities, graph.n_relations, k=graph.out_degree)
    tail = integers(rng, graph.n_entities, graph.out_degree, high=graph.n_entities)
    head = np.repeat(np.arange(graph.n_entities, dtype=np.int32), graph.out_degree)
    return np.stack([head, relation.ravel(), tail.ravel()], axis=1)


@cache
def in_use(graph: Graph) -> tuple[Mask, Mask]:
    """Which facts (f) may be composed, and which paths (p) are of two of these."""
    n = len(facts(graph))
    order = permutations(stream("unseen facts", graph.number), 1, n)[0]
    is_unseen = np.zeros(n, dtype=np.bool_)
    is_unseen[order[: 0 if graph.patterns == ALL else round(graph.unseen * n)]] = True
    may = is_unseen if graph.patterns == HELD_OUT else ~is_unseen
    first, second = _rows(graph)
    return may, may[first] & may[second]


@cache
def paths(graph: Graph) -> Paths:
    """All paths; which are asked is drawn, but for those of HELD_OUT, which all are."""
    may, is_whole = in_use(graph)
    is_asked, able = is_whole.copy(), np.flatnonzero(is_whole)
    if graph.ratio is not None and graph.patterns != HELD_OUT:
        order = permutations(stream("asked compositions", graph.number), 1, len(able))[0]
        is_asked[able[order[round(graph.ratio * may.sum()) :]]] = False
    (first, second), known = _rows(graph), facts(graph)
    words = np.stack([known[first, 0], known[first, 1], known[second, 1]], axis=1)
    return Paths(words, known[first, 2], known[second, 2], is_asked, np.flatnonzero(is_asked))


@cache
def memory(graph: Graph) -> Memory:
    """The graph by heart."""
    tail = np.full((graph.n_entities, graph.n_relations), -1, dtype=np.int32)
    head, relation, end = facts(graph).T
    tail[head, relation] = end
    every = paths(graph)
    start, first, second = every.words[every.asked].T
    return Memory(tail, np.sort(_number(start, first, second, graph.n_relations)))


@cache
def best_guess(graph: Graph, hops: tuple[int, ...], hop: int, hidden: int | None) -> float:
    """Accuracy of the likeliest entity after `hop` hops, exactly, over all paths.

    Args:
        graph: The graph.
        hops: Hop counts of the law: with one hop any path is as likely, with two any that is asked, with both half of
            the draws are of each.
        hop: Hop count of what is guessed.
        hidden: The word that is not known; None if none is known.
    """
    every = paths(graph)
    label = every.bridge if hop == 1 else every.end
    weight = np.zeros(len(label))
    weight += 1 / len(label) if 1 in hops else 0.0
    weight[every.asked] += 1 / len(every.asked) if 2 in hops else 0.0
    if hop == 2:
        weight[~every.is_asked] = 0.0
    seen = np.zeros(len(label), dtype=np.int64)
    for place in range(0 if hidden is None else hop + 1):
        if place != hidden:
            seen = seen * (int(every.words.max()) + 1) + every.words[:, place]
    pair, of_pair = np.unique(seen * graph.n_entities + label, return_inverse=True)
    alike, of_alike = np.unique(pair // graph.n_entities, return_inverse=True)
    best = np.zeros(len(alike))
    np.maximum.at(best, of_alike, np.bincount(of_pair, weights=weight))
    return float(best.sum() / weight.sum())


def _rows(graph: Graph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The facts of every path, by their rows: two arrays (p)."""
    tail = facts(graph)[:, 2].astype(np.int64)
    first = np.repeat(np.arange(len(tail)), graph.out_degree)
    return first, tail[first] * graph.out_degree + np.tile(np.arange(graph.out_degree), len(tail))


def _number(entity: Int, first: Int, second: Int, n_relations: int) -> NDArray[np.int64]:
    number: NDArray[np.int64] = (entity.astype(np.int64) * n_relations + first) * n_relations + second
    return number
