"""What readers of sequences see: one labelled place of each, with one token of its derivation hidden, a fact exchanged.

A sequence ends at that place, since no causal model sees what follows: it may be the label, where an answer is read
token by token.

Axis letters: n examples, p places of a sequence, h steps of a derivation, m candidates, w words or features.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.base import Examples
from nexus_bench.generators.sequences import NOTHING, SequenceFamily, tokens_of
from nexus_bench.shortcuts.candidates import Candidates
from nexus_bench.shortcuts.features import MOST_WORDS as MOST_WORDS
from nexus_bench.shortcuts.features import in_chunks
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.streams import Int, Mask, pick

_MOST_COLUMNS = 400  # of a window that is written as ones and zeros
_LEAST_BEFORE = 3  # tokens of a window
_FOLDED = 61  # ids of a larger vocabulary
_MOST_THERE = 64  # words of a sequence that are candidates


Seen = Literal["counts", "order", "nearby"]


class AskedPlaces(NamedTuple):
    """One place of each sequence.

    Attributes:
        row: Array (n), the number of the sequence.
        tokens: Array (n, p), NOTHING after the place; the hidden token has the id after that of the last word.
        at: Array (n), the place.
        label: Array (n), what is to be guessed.
        steps: Array (n, h), the places of the derivation; -1 after the last.
        hidden: Array (n), the place of the hidden token; -1 if none is.
        word: Array (n), the hidden token; NOTHING if none is.
    """

    row: NDArray[np.int64]
    tokens: Int
    at: Int
    label: Int
    steps: Int
    hidden: Int
    word: Int

    @property
    def length(self) -> Int:
        """Array (n), the tokens up to the place."""
        return self.at + np.int32(1)

    def shown(self, n_words: int) -> Int:
        """The tokens as a family takes them, with any word, 0, in the place of the hidden one: array (n, p)."""
        return np.where(self.tokens == n_words, np.int32(0), self.tokens)

    def take(self, rows: NDArray[np.int64] | slice) -> "AskedPlaces":
        """Some of the examples."""
        row, *others = (array[rows] for array in self)
        return AskedPlaces(row.astype(np.int64), *(other.astype(np.int32) for other in others))

    @property
    def looks_up_all(self) -> Mask:
        """Array (n), whether to look for the latest earlier occurrence of the token here is to see all of the steps."""
        before = np.arange(self.tokens.shape[1], dtype=np.int32) < self.at[:, None]
        own = self.tokens[np.arange(len(self.at)), self.at]
        is_again = before & (self.tokens == own[:, None])
        latest = np.where(is_again.any(axis=1), self.tokens.shape[1] - 1 - is_again[:, ::-1].argmax(axis=1), -1)
        unread = (self.steps >= 0) & (self.steps < latest[:, None])
        looks_all: Mask = np.logical_not(unread.any(axis=1))
        return looks_all

    def beside(self, at: Int, offset: int) -> Int:
        """The token so far from each place; NOTHING where there is none: array (n)."""
        place = at + offset
        is_there = (at >= 0) & (place >= 0) & (place <= self.at)
        word = self.tokens[np.arange(len(at)), np.where(is_there, place, 0)]
        return np.where(is_there, word, NOTHING).astype(np.int32)


def ask_places(family: SequenceFamily[Any], examples: Examples, hop: int, rng: np.random.Generator) -> AskedPlaces:
    """One place of each sequence whose label has a hop count, drawn at random; sequences without one are left out."""
    at = pick(rng, examples.hop == hop)
    row = np.flatnonzero(at >= 0)
    tokens, _ = tokens_of(examples.facts[row])
    at = at[row].astype(np.int32)
    tokens = np.where(np.arange(tokens.shape[1]) <= at[:, None], tokens, np.int32(NOTHING))
    steps = family.places(tokens, at + np.int32(1), at[:, None])[:, 0]
    none = np.full(len(row), NOTHING, dtype=np.int32)
    return AskedPlaces(row, tokens, at, examples.answer[row, at], steps, none, none)


def with_variants(family: SequenceFamily[Any], asked: AskedPlaces, step: int) -> AskedPlaces:
    """The examples whose derivation has such a step, from 0, and what can be hidden there."""
    one = _with_step(asked, step)
    return one.take(np.flatnonzero(family.variants(one.tokens, one.length, one.steps, step).any(axis=1)))


def hide(asked: AskedPlaces, step: int, n_words: int) -> AskedPlaces:
    """The examples whose derivation has such a step, from 0, with its token hidden."""
    one = _with_step(asked, step)
    n, hidden = np.arange(len(one.at)), one.steps[:, step]
    word, tokens = one.tokens[n, hidden], one.tokens.copy()
    tokens[n, hidden] = n_words
    return one._replace(tokens=tokens, hidden=hidden.astype(np.int32), word=word)


def exchange(family: SequenceFamily[Any], asked: AskedPlaces, step: int, rng: np.random.Generator) -> AskedPlaces:
    """Hide a fact of several tokens: one of its variants, drawn uniformly, stands in its place; perhaps itself.

    Where it stands is not told, nor are the steps from there on: the answer may stand beside it.
    """
    one = with_variants(family, asked, step)
    variant = pick(rng, family.variants(one.tokens, one.length, one.steps, step))
    tokens = one.tokens.copy()
    for number in np.unique(variant).tolist():
        rows = np.flatnonzero(variant == number)
        tokens[rows] = family.put(one.tokens[rows], one.length[rows], one.steps[rows], step, number)
    told = np.where(np.arange(one.steps.shape[1]) < step, one.steps, np.int32(NOTHING))
    return one._replace(tokens=tokens, steps=told)


def _with_step(asked: AskedPlaces, step: int) -> AskedPlaces:
    return asked.take(np.flatnonzero(asked.steps[:, step] >= 0))


def counts(asked: AskedPlaces, n_words: int, *, own: bool) -> Float:
    """How often each word occurs up to the place and what share that is, and the place: array (n, w).

    Args:
        asked: The examples.
        n_words: Different tokens, at most `MOST_WORDS`.
        own: Whether the token at the place is known; otherwise it is not even counted.
    """
    n_places = asked.tokens.shape[1]
    is_seen = np.arange(n_places) < (asked.at + own)[:, None]
    shifted = asked.tokens + np.arange(len(asked.at))[:, None] * n_words
    seen = np.bincount(shifted[is_seen], minlength=len(asked.at) * n_words).reshape(-1, n_words).astype(np.float64)
    place = asked.at[:, None].astype(np.float64)
    parts = [seen, seen / (place + 1), seen == 0, seen == 1, place]
    if own:
        here = _ones(asked.beside(asked.at, 0)[:, None], n_words)
        parts += [here, (seen * here).sum(axis=1, keepdims=True) == np.arange(1, 4)]
    return np.concatenate(parts, axis=1, dtype=np.float64)


def window(asked: AskedPlaces, n_words: int, *, as_ones: bool) -> Float:
    """The tokens up to the place, around the hidden one, and at the first and last step before the hidden one.

    Args:
        asked: The examples.
        n_words: Different tokens.
        as_ones: A column for each place and word, with ones and zeros, for linear readers; otherwise ids.
    """
    n, n_ids = np.arange(len(asked.at)), min(n_words, _FOLDED) + 2  # nothing and the hidden one
    n_before = min(asked.tokens.shape[1] - 1, max(_LEAST_BEFORE, _MOST_COLUMNS // n_ids))
    tokens = [asked.beside(asked.at, offset) for offset in range(-n_before, 1)]
    tokens += [asked.beside(asked.hidden, offset) for offset in (-2, -1, 1, 2)]
    step = (asked.steps == asked.hidden[:, None]).argmax(axis=1)  # those after it may depend on the hidden token
    tokens += [
        asked.beside(np.where((number >= 0) & (number < step), asked.steps[n, number], -1), 0)
        for number in (step * 0, step - 1)
    ]
    seen = np.stack(tokens, axis=1)
    if n_words > _FOLDED:
        seen = np.where((seen >= 0) & (seen < n_words), seen % _FOLDED, np.where(seen >= 0, _FOLDED, seen))
    places = np.stack([asked.at, asked.hidden - asked.at], axis=1)
    return np.concatenate([_ones(seen + 1, n_ids) if as_ones else seen, places], axis=1, dtype=np.float64)


def words_there(asked: AskedPlaces, is_label: Mask, seen: Seen) -> Candidates:
    """The words of each sequence up to the place that name a label, each once, and what is seen of them.

    Args:
        asked: The examples.
        is_label: Array (w), the words that do.
        seen: `counts`: their ids and counts; `order`: also where they stand; `nearby`: also whether beside the token
            that stands at the place.
    """
    before = np.arange(asked.tokens.shape[1]) < asked.at[:, None]
    is_word = before & (asked.tokens >= 0) & (asked.tokens < len(is_label))
    words = np.where(is_word & is_label[np.where(is_word, asked.tokens, 0)], asked.tokens, NOTHING)
    ordered = -np.sort(-words, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = NOTHING
    symbols = -np.sort(-ordered, axis=1)[:, : max(1, min(_MOST_THERE, int((ordered >= 0).sum(axis=1).max(initial=0))))]

    def features(part: slice) -> Float:
        return _features(asked.take(part), symbols[part], words[part], seen)

    return Candidates(symbols.astype(np.int32), in_chunks(features, len(symbols)))


def _features(asked: AskedPlaces, symbols: Int, words: Int, seen: Seen) -> Float:
    """What is seen of each candidate (n, m) where it stands among words (n, p): array (n, m, w)."""
    there = (symbols[:, :, None] == words[:, None, :]) & (symbols >= 0)[:, :, None]  # n m p
    count = there.sum(axis=2)
    parts = [symbols, count, count == count.max(axis=1, keepdims=True)]
    if seen != "counts":
        first, last = there.argmax(axis=2), words.shape[1] - 1 - there[:, :, ::-1].argmax(axis=2)
        place = np.broadcast_to(asked.at[:, None], first.shape)
        parts += [first, last - place, place]
    if seen == "nearby":
        own = asked.beside(asked.at, 0)[:, None]
        is_own = (asked.tokens == own)[:, None]
        follows = (there[:, :, 1:] & is_own[:, :, :-1]).any(axis=2)
        precedes = (there[:, :, :-1] & is_own[:, :, 1:]).any(axis=2)
        parts += [follows, precedes, symbols - own]
    return np.stack(parts, axis=2).astype(np.float64)


def _ones(ids: Int, n_ids: int) -> Float:
    """A column for each id at each place: array (n, places * ids)."""
    ones: Float = (ids[:, :, None] == np.arange(n_ids)).reshape(len(ids), -1).astype(np.float64)
    return ones
