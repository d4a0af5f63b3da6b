"""Readers of sequences: of counts and places alone, and of every token but one that the derivation uses.

Axis letters: n examples, p places, h steps, m candidates, w words or features.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.base import Examples, Schema
from nexus_bench.generators.parts.hidden_tokens import labels_if
from nexus_bench.generators.sequences import NOTHING, SequenceFamily
from nexus_bench.shortcuts import asked_places as see
from nexus_bench.shortcuts import local
from nexus_bench.shortcuts.asked_places import MOST_WORDS, AskedPlaces, Seen
from nexus_bench.shortcuts.candidates import Candidates
from nexus_bench.shortcuts.fits import Make, boosting, classify, logistic, rank, rate
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.shortcuts.readers import Against
from nexus_bench.shortcuts.rules import SHORTCUTS, Guess
from nexus_bench.streams import Int, Mask, integers, stream

_MOST_HOPS, _MOST_STEPS = 8, 3  # that are audited
_MOST_TRIED = 32  # words that a hidden token of a large vocabulary is tried to be
_PRIOR = 2.0  # how often a context must be seen before its own words outweigh the average
_UNFOLLOWED: tuple[Seen, ...] = ("counts", "order")
_MODELS: tuple[tuple[str, Make], ...] = (("logistic", logistic), ("boosting", boosting))


class ReaderResult(NamedTuple):
    """What a reader got right.

    Attributes:
        reader: The name of the reader.
        hidden: The step whose token it does not know, from 1; None if it follows none.
        against: The ceiling that it tries to beat.
        right: Array (n), whether each example was answered right.
    """

    reader: str
    hidden: int | None
    against: Against
    right: Mask


class SequenceAudit:
    """The readers of a family of sequences, fitted to some sequences and scored on others.

    Args:
        family: The family.
        fit: Sequences to fit to.
        score: Sequences to score on.
        rounds: Rounds of gradient boosting.
        key: Names the random streams.
    """

    def __init__(
        self, family: SequenceFamily[Any], fit: Examples, score: Examples, *, rounds: int, key: tuple[str | int, ...]
    ) -> None:
        self.family, self.fit, self.score, self.rounds, self.key = family, fit, score, rounds, key
        self.names = _names_of_labels(family)
        self.rules = {
            name: guess(fit, score, family.schema) for name, _, guess in _rules(family.schema)
        }  # of all places, whatever hop is asked

    def at(self, hop: int) -> Iterator[ReaderResult]:
        """Every reader at one hop count."""
        fit, score = (
            see.ask_places(self.family, examples, hop, stream(*self.key, use, "ask", hop))
            for use, examples in (("fit", self.fit), ("score", self.score))
        )
        if not len(fit.at) or not len(score.at):
            return
        ceilings = {"chance": self.family.chance(hop), "partial_input": self.family.partial_input(hop)}
        if ceilings["chance"] < 1:
            yield from self._unfollowed(hop, fit, score)
        if ceilings["partial_input"] < 1:
            for name, n_tokens, _ in _rules(self.family.schema):
                if 0 < n_tokens < hop:
                    yield ReaderResult(name, None, "partial_input", self._by_rule(name, score) == score.label)
            read = self._exchanged if self.family.hides_whole_facts else self._all_but_one
            for step in _few(list(range(hop)), _MOST_STEPS):
                yield from read(hop, step, fit, score)

    def _unfollowed(self, hop: int, fit: AskedPlaces, score: AskedPlaces) -> Iterator[ReaderResult]:
        """Readers of places, and of how often words occur where most of the tokens so far are not needed."""
        uses_own = bool((score.steps == score.at[:, None]).any())
        for name, n_tokens, _ in _rules(self.family.schema):
            if n_tokens == 0 and not (uses_own and name == "given_place_and_token"):
                yield ReaderResult(name, None, "chance", self._by_rule(name, score) == score.label)
        if self.family.needs_all_tokens or ((score.steps >= 0).sum(axis=1) / (score.at + 1)).mean() > 0.5:
            return
        is_small = max(self.family.n_labels, self.family.n_words) <= MOST_WORDS
        for model, make in _MODELS:
            if is_small:
                seen = [see.counts(asked, self.family.n_words, own=not uses_own) for asked in (fit, score)]
                guess = classify(seen[0], fit.label, seen[1], make, self.rounds)
                yield ReaderResult(f"counts_{model}", None, "chance", guess == score.label)
            else:
                for kind in _UNFOLLOWED:
                    guess = self._rank(make, fit, score, kind)
                    yield ReaderResult(f"{kind}_{model}", None, "chance", guess == score.label)

    def _all_but_one(self, hop: int, step: int, fit: AskedPlaces, score: AskedPlaces) -> Iterator[ReaderResult]:
        """Readers of every token but that of one step."""
        fit, score = (see.hide(asked, step, self.family.n_words) for asked in (fit, score))
        if not len(fit.at) or not len(score.at):
            return
        to_fit, to_score = self._words(fit, fit), self._words(fit, score)
        labels = self._labels_if(hop, step, score, to_score.symbols)
        weights = {"commonest": np.ones(labels.shape)}
        weights |= {f"complete_{model}": rate(to_fit, fit.word, to_score, make, self.rounds) for model, make in _MODELS}
        for name, weight in weights.items():
            yield ReaderResult(name, step + 1, "partial_input", _heaviest(labels, weight) == score.label)
        yield from self._windows(step, fit, score)

    def _exchanged(self, hop: int, step: int, fit: AskedPlaces, score: AskedPlaces) -> Iterator[ReaderResult]:
        """Readers of sequences in which the fact of one step was exchanged, for all that they know."""
        key = (*self.key, "exchange", hop, step)
        fit, score = (see.with_variants(self.family, asked, step) for asked in (fit, score))
        if not len(fit.at) or not len(score.at):
            return
        may = self.family.variants(score.tokens, score.length, score.steps, step)
        variants = np.array(_few(list(range(may.shape[1])), MOST_WORDS))
        tried = np.where(may[:, variants], variants, NOTHING).astype(np.int32)
        labels = self._labels_if(hop, step, score, tried)
        even = 1 + integers(stream(*key, "ties"), *labels.shape, high=1 << 20) / 2.0**40  # of equals any is guessed
        yield ReaderResult("commonest", step + 1, "partial_input", _heaviest(labels, even) == score.label)
        fit, score = (
            see.exchange(self.family, asked, step, stream(*key, use)) for use, asked in (("fit", fit), ("score", score))
        )
        yield from self._windows(step, fit, score)

    def _labels_if(self, hop: int, step: int, asked: AskedPlaces, tried: Int) -> Int:
        return labels_if(
            self.family, hop, step, asked.shown(self.family.n_words), asked.length, asked.at, asked.steps, tried
        )

    def _windows(self, step: int, fit: AskedPlaces, score: AskedPlaces) -> Iterator[ReaderResult]:
        """Readers of what stands near the place, the hidden token, and the steps before it."""
        n_words = self.family.n_words
        for model, make in _MODELS:
            if self.family.n_labels <= MOST_WORDS:
                seen = [see.window(asked, n_words, as_ones=make is logistic) for asked in (fit, score)]
                guess = classify(seen[0], fit.label, seen[1], make, self.rounds)
            else:
                guess = self._rank(make, fit, score, "nearby")
            yield ReaderResult(f"window_{model}", step + 1, "partial_input", guess == score.label)

    def _by_rule(self, name: str, score: AskedPlaces) -> Int:
        guess: Int = self.rules[name][score.row, score.at]
        if name == "given_successor":  # where looking it up is to see all of the derivation, it is not looked up
            guess = np.where(score.looks_up_all, self._by_rule("given_token", score), guess)
        return guess

    def _rank(self, make: Make, fit: AskedPlaces, score: AskedPlaces, seen: Seen) -> Int:
        """The label that the likeliest word of the sequence names."""
        to_fit, to_score = (see.words_there(asked, self.names >= 0, seen) for asked in (fit, score))
        word_of = np.full(self.family.n_labels, -2, dtype=np.int32)
        named = np.flatnonzero(self.names >= 0)
        word_of[self.names[named]] = named
        word = rank(to_fit, word_of[fit.label], to_score, make, self.rounds)
        return np.where(word >= 0, self.names[np.maximum(word, 0)], NOTHING).astype(np.int32)

    def _words(self, fit: AskedPlaces, asked: AskedPlaces) -> Candidates:
        """The words that the hidden token could be, and what speaks for each."""
        n, n_words = np.arange(len(asked.at)), self.family.n_words
        may = self.family.could_be(asked.shown(n_words), asked.length, asked.hidden)
        if n_words <= MOST_WORDS:
            words = np.where(may, np.arange(n_words), NOTHING)
        else:
            drawn = integers(stream(*self.key, "try"), len(n), _MOST_TRIED, high=n_words)
            likely = np.stack([_commonest(key, fit.word, own) for key, own in _contexts(fit, asked)], axis=1)
            words = np.sort(np.concatenate([drawn, likely], axis=1), axis=1)
            is_again = np.pad(words[:, 1:] == words[:, :-1], ((0, 0), (1, 0)))
            words = np.where(may[n[:, None], np.maximum(words, 0)] & ~is_again, words, NOTHING)
        seen = [_share(key, fit.word, own, words, leave_out=asked is fit) for key, own in _contexts(fit, asked)]
        count = ((asked.tokens[:, None, :] == words[:, :, None]) & (words >= 0)[:, :, None]).sum(axis=2)
        beside = [words == asked.beside(asked.hidden, offset)[:, None] for offset in (-2, -1, 1, 2)]
        own = words == asked.beside(asked.at, 0)[:, None]
        parts = [*map(np.log, seen), count, count == 0, *beside, own, words]
        return Candidates(words.astype(np.int32), np.stack(parts, axis=2).astype(np.float64))


def hops_to_audit(hops: tuple[int, ...]) -> list[int]:
    """The hop counts of sequences that are audited: of many the smallest, the largest, and some evenly between."""
    return _few(sorted(hops), _MOST_HOPS)


def _few(values: list[int], most: int) -> list[int]:
    n = min(len(values), most)
    return list(dict.fromkeys(values[i * (len(values) - 1) // max(1, n - 1)] for i in range(n)))


def _rules(schema: Schema) -> list[tuple[str, int, Guess]]:
    """The rules beside accuracies, and one more: the name, how many tokens it looks at, the guess."""
    both = ("given_place_and_token", 0, local.guess_given(local.given_place_and_token))
    return [(rule.name, rule.n_facts, rule.guess) for rule in SHORTCUTS if rule.needs(schema)] + [both]


def _names_of_labels(family: SequenceFamily[Any]) -> Int:
    """The label that each word names, as its symbol says: array (w), NOTHING if it names none."""
    label = {family.symbol("label", i): i for i in range(family.n_labels)}
    words = (label.get(family.symbol("word", i), NOTHING) for i in range(family.n_words))
    return np.fromiter(words, dtype=np.int32, count=family.n_words)


def _heaviest(labels: Int, weight: Float) -> Int:
    """The label with the largest weight over its words: array (n); of equal ones that of the first word."""
    total = np.zeros(labels.shape)
    for column in range(labels.shape[1]):
        same = (labels == labels[:, column : column + 1]) & (labels[:, column : column + 1] != NOTHING)
        total[:, column] = np.where(same, weight, 0).sum(axis=1)
    return np.take_along_axis(labels, total.argmax(axis=1)[:, None], axis=1)[:, 0]


_Key = NDArray[np.int64]
_CONTEXTS: tuple[Callable[[AskedPlaces], Int], ...] = (
    lambda asked: np.zeros(len(asked.at), dtype=np.int32),
    lambda asked: asked.beside(asked.hidden, -1),
    lambda asked: asked.beside(asked.hidden, 1),
    lambda asked: asked.hidden,
    lambda asked: asked.beside(asked.at, 0),
)


def _contexts(fit: AskedPlaces, asked: AskedPlaces) -> list[tuple[_Key, _Key]]:
    """What may tell a hidden token, in the fitted examples and in others: nothing, a neighbour, a place, the asked."""
    return [(see_in(fit).astype(np.int64), see_in(asked).astype(np.int64)) for see_in in _CONTEXTS]


def _share(key: _Key, word: Int, own: _Key, words: Int, *, leave_out: bool) -> Float:
    """The share of each of some words (n, m) among those that were seen with the same key, smoothed.

    Args:
        key: What was seen with each word.
        word: The words.
        own: The keys that are asked about.
        words: The words that are.
        leave_out: Whether the asked examples are the seen ones; then each is left out of what is said of it.
    """
    size = int(max(word.max(initial=0), words.max(initial=0))) + 1
    seen, counts = np.unique(key * size + word, return_counts=True)
    keys, totals = np.unique(key, return_counts=True)
    average = (np.bincount(word, minlength=size) + 1.0) / (len(word) + size)
    asked = own[:, None] * size + np.maximum(words, 0)
    at, of = (np.minimum(np.searchsorted(known, a), len(known) - 1) for known, a in ((seen, asked), (keys, own)))
    hits = np.where(seen[at] == asked, counts[at], 0).astype(np.float64)
    total = np.where(keys[of] == own, totals[of], 0).astype(np.float64)[:, None]
    if leave_out:
        hits -= words == word[:, None]
        total -= 1
    return (hits + _PRIOR * average[np.maximum(words, 0)]) / (total + _PRIOR)


def _commonest(key: _Key, word: Int, own: _Key) -> Int:
    """The word that was seen most often with the same key: array (n); NOTHING if none was."""
    size = int(word.max(initial=0)) + 1
    seen, counts = np.unique(key * size + word, return_counts=True)
    order = np.lexsort((seen, -counts, seen // size))
    keys, first = np.unique(seen[order] // size, return_index=True)
    best = seen[order][first] % size
    at = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
    return np.where(keys[at] == own, best[at], NOTHING).astype(np.int32)
