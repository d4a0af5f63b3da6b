"""Guesses at the labels of sequences that look at little: the place, the tokens there, one look-up.

Each guess is the commonest label of other examples that have the same hop count and look alike.

Axis letters: g sequences, n places.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.base import Examples, Schema
from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.streams import Int

_MOST = 1 << 17  # more than there are words, places or hop counts
Key = Callable[[Int], NDArray[np.int64]]  # from tokens (g, n) to what is seen at every place


def given_place(tokens: Int) -> NDArray[np.int64]:
    """The number of the place."""
    return np.broadcast_to(np.arange(tokens.shape[1], dtype=np.int64), tokens.shape)


def given_token(tokens: Int) -> NDArray[np.int64]:
    """The token at the place."""
    return tokens.astype(np.int64)


def given_place_and_token(tokens: Int) -> NDArray[np.int64]:
    """The number of the place and the token there."""
    return given_place(tokens) * _MOST + tokens + 1


def given_two_tokens(tokens: Int) -> NDArray[np.int64]:
    """The token at the place and the one before: all that a bigram knows."""
    before = np.pad(tokens[:, :-1], ((0, 0), (1, 0)), constant_values=NOTHING).astype(np.int64)
    return (before + 1) * _MOST + tokens + 1


def given_successor(tokens: Int) -> NDArray[np.int64]:
    """The token after the latest earlier occurrence of the token at the place; what an induction head reads."""
    n_words = int(tokens.max()) + 1
    latest = np.full((len(tokens), n_words + 1), -1, dtype=np.int64)  # the last column is of no token
    rows, found = np.arange(len(tokens)), np.full(tokens.shape, NOTHING, dtype=np.int64)
    for place in range(tokens.shape[1]):
        earlier = latest[rows, tokens[:, place]]
        found[:, place] = np.where(earlier >= 0, tokens[rows, earlier + 1], NOTHING)
        latest[rows, tokens[:, place]] = place
    return found


def guess_given(key: Key) -> Callable[[Examples, Examples, Schema], Int]:
    """A rule that guesses by what a key shows.

    Args:
        key: What is seen at every place.

    Returns:
        Takes examples to fit to, examples to answer and their schema; returns class ids (g, n).
    """

    def guess(fit: Examples, score: Examples, schema: Schema) -> Int:
        seen, label = _seen(fit, key)[fit.hop > 0], fit.answer[fit.hop > 0].astype(np.int64)
        if not len(label):
            return np.zeros_like(score.answer)  # nothing was seen
        pairs, counts = np.unique(np.stack([seen, label]), axis=1, return_counts=True)
        order = np.lexsort((pairs[1], -counts, pairs[0]))  # the commonest label of each key comes first
        keys, first = np.unique(pairs[0][order], return_index=True)
        best = pairs[1][order][first]
        usual = np.bincount(label).argmax()
        asked = _seen(score, key)
        at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        return np.where(keys[at] == asked, best[at], usual).astype(np.int32)

    return guess


def _seen(examples: Examples, key: Key) -> NDArray[np.int64]:
    """What is seen, told apart by the hop count."""
    seen = key(examples.facts[:, :, 0])
    return (seen + 1) * _MOST + examples.hop
