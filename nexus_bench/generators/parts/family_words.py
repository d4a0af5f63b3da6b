"""Words of family relations (relations in a row): their terms, what hides in them, and words that look alike.

Axis letters: n words, p places.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.parts import patterns
from nexus_bench.generators.parts.family_trees import RELATIONS, composition_table
from nexus_bench.streams import Int, Mask, integers

BASE = len(RELATIONS) + 1  # base of the number (code) that encodes a word; digits start from 1
_FEWEST_TRIED = 256  # words to complete at a time: the last ones left are tried many times at once


class RelationWords:
    """Words of k relations, such as `mother brother`, grouped by the term that they come to, such as `uncle`.

    Attributes:
        words: Array (n, k), grouped by term.
        term: Every term that occurs.
        first: Where the words of each term begin.
        count: How many words each term has.
    """

    def __init__(self, words: Int, terms: Int) -> None:
        order = terms.argsort(kind="stable")
        self.words = words[order]
        self.term, self.first, self.count = np.unique(terms[order], return_index=True, return_counts=True)


@functools.cache
def terms_up_to(longest: int) -> tuple[str, ...]:
    """Every term that up to so many relations can give."""
    found = {term for k in range(1, longest + 1) for term in composition_table(k).values() if term}
    return tuple(sorted(found))


@functools.cache
def walkable(n_steps: int) -> Int:
    """Every word that a path through a tree can have: array (n, n_steps)."""
    return np.array(list(composition_table(n_steps)), dtype=np.int32)


@functools.cache
def ways(hop: int, longest: int, kind: str) -> RelationWords:
    """The words of a kind of patterns; every held-out word has a term that is trained at the same hop."""
    words, terms = _named(hop, longest)
    n_words = np.full(len(words), hop)
    is_asked = patterns.is_among(kind, words, n_words)
    if kind == patterns.HELD_OUT:
        is_asked &= np.isin(terms, terms[patterns.is_among(patterns.TRAINED, words, n_words)])
    return RelationWords(words[is_asked], terms[is_asked])


@functools.cache
def lexicon(longest: int) -> tuple[NDArray[np.int64], Int]:
    """The codes of all words that have a term, ascending; and the terms."""
    parts = [_named(k, longest) for k in range(1, longest + 1)]
    codes = np.concatenate([_codes(words) for words, _ in parts])
    order = codes.argsort()
    return codes[order], np.concatenate([terms for _, terms in parts])[order]


@functools.cache
def with_one_hidden(hop: int, longest: int, kind: str) -> float:
    """The accuracy of the best guess of the term with one relation hidden, the one that leaves most; exact."""
    asked = ways(hop, longest, kind)
    share = np.repeat(1 / (len(asked.term) * asked.count), asked.count)
    nth_term = np.repeat(np.arange(len(asked.term)), asked.count)
    best = 0.0
    for hidden in range(hop):
        _, seen = np.unique(_codes(np.delete(asked.words, hidden, axis=1)), return_inverse=True)
        mass = np.zeros((int(seen.max()) + 1, len(asked.term)))
        np.add.at(mass, (seen, nth_term), share)
        best = max(best, float(mass.max(axis=1).sum()))
    return best


def look_alikes(words: Int, hop: Int, rng: np.random.Generator) -> Int:
    """Complete words to eight rows each, so that every relation occurs exactly once at every place.

    From one place to the next all rows change by one bijection of the relations, drawn among those that lead the given
    word on; rows of which one is no path through a tree are drawn again.

    Args:
        words: Array (n, p): two words in a row, a path of `hop` relations and another one of the rest.
        hop: Array (n), the length of the first word.
        rng: Draws the bijections.

    Returns:
        Array (n, 8, p), walkable paths of the same lengths. Row r begins both of its paths with relation r; so the
        first word is in the row of its first relation, and the second in the row of its own first one.
    """
    rows = np.empty((len(words), len(RELATIONS), words.shape[1]), dtype=np.int32)
    is_missing = np.ones(len(words), dtype=np.bool_)
    while len(missing := np.flatnonzero(is_missing)):
        tried = np.repeat(missing, max(1, _FEWEST_TRIED // len(missing)))
        drawn, is_walkable = _completed(words[tried], hop[tried], rng)
        rows[tried[is_walkable]] = drawn[is_walkable]
        is_missing[tried[is_walkable]] = False
    return rows


def _completed(words: Int, hop: Int, rng: np.random.Generator) -> tuple[Int, Mask]:
    """Rows for each word, and whether all of them are walkable."""
    n_words, n_places = words.shape
    is_walkable, steps = _is_walkable(n_places), _steps()
    nth = integers(rng, n_words, n_places, high=1 << 30).astype(np.int64)
    rows = np.empty((n_words, len(RELATIONS), n_places), dtype=np.int32)
    row: Int = np.broadcast_to(np.arange(len(RELATIONS), dtype=np.int32), rows.shape[:2])
    code: NDArray[np.int64] = np.zeros(row.shape, dtype=np.int64)
    is_right = np.ones(n_words, dtype=np.bool_)
    for place in range(n_places):
        begins = (hop == place)[:, None] | (place == 0)
        before, after = words[:, place - 1], words[:, place]
        step = steps.first[before, after] + (nth[:, place] * steps.n_led[before, after] >> 30)
        led = steps.to[steps.order[before, step][:, None], row]
        row = np.where(begins, np.arange(len(RELATIONS), dtype=np.int32), led)
        code = (np.where(begins, 0, code * BASE) + row + 1).astype(np.int64)
        is_right &= is_walkable[code].all(axis=1)
        rows[:, :, place] = row
    return rows, is_right


class _Steps(NamedTuple):
    """Bijections from every relation to a possible next one, and an index of those that lead a to b.

    Attributes:
        to: Array (bijections, 8).
        order: Array (8, bijections + 1): in row a all bijections by where they lead a; the last column is never drawn.
        first: Array (8, 8): where in row a those that lead to b begin.
        n_led: Array (8, 8): how many there are.
    """

    to: Int
    order: NDArray[np.int64]
    first: NDArray[np.int64]
    n_led: NDArray[np.int64]


@functools.cache
def _steps() -> _Steps:
    relations = np.arange(len(RELATIONS))
    is_pair = np.zeros((len(RELATIONS),) * 2, dtype=np.bool_)
    is_pair[tuple(walkable(2).T)] = True
    every = np.array(list(itertools.permutations(relations)), dtype=np.int32)
    to = every[is_pair[relations, every].all(axis=1)]
    order = np.pad(to.argsort(axis=0, kind="stable").T, ((0, 0), (0, 1)))
    n_led = (to[:, :, None] == relations).sum(axis=0)
    return _Steps(to, order, n_led.cumsum(axis=1) - n_led, n_led)


@functools.cache
def _is_walkable(longest: int) -> Mask:
    """Whether a path through a tree can have the word of a code, for all words of up to so many relations."""
    found = np.zeros(BASE**longest, dtype=np.bool_)
    for k in range(1, longest + 1):
        found[_codes(walkable(k))] = True
    return found


@functools.cache
def _named(n_steps: int, longest: int) -> tuple[Int, Int]:
    """The words that have a term, and the terms."""
    index = {term: i for i, term in enumerate(terms_up_to(longest))}
    named = {word: index[term] for word, term in composition_table(n_steps).items() if term}
    return np.array(list(named), dtype=np.int32), np.array(list(named.values()), dtype=np.int32)


def _codes(words: Int) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = (words + 1) @ BASE ** np.arange(words.shape[1], dtype=np.int64)[::-1]
    return codes
