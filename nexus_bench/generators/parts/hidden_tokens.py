"""The best guess of a reader who knows every token of a sequence but one that the derivation uses."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.streams import Int, permutations, pick

if TYPE_CHECKING:
    from nexus_bench.generators.sequences import SequenceFamily

_MOST_WORDS = 128  # that the hidden token is tried to be


def guess_of_one(
    family: "SequenceFamily[Any]", hop: int, step: int, n_sequences: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """How likely the commonest label is, over all words that the hidden token could be.

    Words are left out with which the place has no label of this hop count, or with which the hidden token is no longer
    that step of its derivation: the reader is told both. If there are more than 128 words, so many of them are tried,
    which makes the guess look better than it is.

    Args:
        family: The family, with this hop count among its own.
        hop: Hop count of the labels.
        step: Which token of the derivation is hidden, from 0.
        n_sequences: Sequences to draw; at most one place of each is used.
        rng: Draws the sequences and the places.

    Returns:
        One probability for each sequence whose place has such a token.
    """
    drawn = family.draw(n_sequences, rng)
    is_there = np.arange(drawn.tokens.shape[1]) < drawn.length[:, None]
    tokens = np.where(is_there, drawn.tokens, NOTHING).astype(np.int32)
    at = pick(rng, (drawn.hop == hop) & is_there)
    steps = family.places(tokens, drawn.length, np.maximum(at, 0)[:, None])[:, 0]
    if step >= steps.shape[1]:
        return np.empty(0)
    kept = np.flatnonzero((at >= 0) & (steps[:, step] >= 0))
    tokens, length, at, hidden = tokens[kept], drawn.length[kept], at[kept], steps[kept, step]
    may = family.could_be(tokens, length, hidden)
    words = np.arange(family.n_words)
    if len(words) > _MOST_WORDS:
        words = np.sort(permutations(rng, 1, family.n_words, k=_MOST_WORDS)[0])
    true = tokens[np.arange(len(kept)), hidden]
    tried = np.where(may[:, words] & (true[:, None] != words), words, NOTHING)
    labels = labels_if(family, hop, step, tokens, length, at, np.column_stack([tried, true]), hidden)
    n_possible = (labels != NOTHING).sum(axis=1)
    commonest = np.zeros(len(kept), dtype=np.int64)
    for column in range(labels.shape[1]):
        same = ((labels == labels[:, column : column + 1]) & (labels[:, column : column + 1] != NOTHING)).sum(axis=1)
        commonest = np.maximum(commonest, same)
    shares: NDArray[np.float64] = commonest / np.maximum(n_possible, 1)
    return shares


def labels_if(
    family: "SequenceFamily[Any]", hop: int, step: int, tokens: Int, length: Int, at: Int, words: Int, hidden: Int
) -> Int:
    """The labels of places if a hidden token of their derivations were each of some words.

    Args:
        family: The family, with this hop count among its own.
        hop: Hop count of the labels.
        step: Which token of the derivation is hidden, from 0.
        tokens: Array (n, p), NOTHING after the end; that at the hidden place does not matter.
        length: Array (n).
        at: Array (n), the places.
        words: Array (n, m); NOTHING is not tried.
        hidden: Array (n), the hidden places.

    Returns:
        Array (n, m) of labels; NOTHING where a word is not tried, or where with it the place has no label of this hop
        count, or another place is that step of its derivation.
    """
    labels = np.full(words.shape, NOTHING, dtype=np.int32)
    for column, word in enumerate(words.T):
        rows = np.flatnonzero(word >= 0)
        n = np.arange(len(rows))
        changed = tokens[rows].copy()
        changed[n, hidden[rows]] = word[rows]
        found = family.derive(changed, length[rows])
        steps = family.places(changed, length[rows], at[rows, None])[:, 0]
        is_so = (found.hop[n, at[rows]] == hop) & (steps[:, step] == hidden[rows])
        labels[rows, column] = np.where(is_so, found.label[n, at[rows]], NOTHING)
    return labels
