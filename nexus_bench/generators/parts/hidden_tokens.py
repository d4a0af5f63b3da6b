"""The best guess of a reader who knows every token of a sequence but one that the derivation uses."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.streams import Int, Mask, permutations, pick

if TYPE_CHECKING:
    from nexus_bench.generators.sequences import SequenceFamily

_MOST_VARIANTS = 128  # that the hidden token is tried to be


def guess_of_one(
    family: "SequenceFamily[Any]", hop: int, step: int, n_sequences: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """How likely the commonest label is, over all variants of what is hidden.

    Variants are left out with which the place has no label of this hop count, or, where a fact is a token, with which
    the hidden one is no longer that step of its derivation: the reader is told both. If there are more than 128, so
    many of them are tried, which makes the guess look better than it is. Where there are none, nothing is asked.

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
    may = family.variants(tokens[kept], drawn.length[kept], steps[kept], step)
    kept, may = kept[may.any(axis=1)], may[may.any(axis=1)]
    tokens, length, at, steps = tokens[kept], drawn.length[kept], at[kept], steps[kept]
    tried = np.arange(may.shape[1])
    if len(tried) > _MOST_VARIANTS:
        tried = np.sort(permutations(rng, 1, len(tried), k=_MOST_VARIANTS)[0])
    if family.hides_whole_facts:
        may[:, np.setdiff1d(np.arange(may.shape[1]), tried)] = False
        labels = labels_of_variants(family, hop, step, tokens, length, at, steps, may)
    else:
        hidden = steps[:, step]
        true = tokens[np.arange(len(kept)), hidden]
        words = np.where(may[:, tried] & (true[:, None] != tried), tried, NOTHING)
        labels = labels_if(family, hop, step, tokens, length, at, np.column_stack([words, true]), hidden)
    n_possible = (labels != NOTHING).sum(axis=1)
    commonest = np.zeros(len(kept), dtype=np.int64)
    for column in range(labels.shape[1]):
        same = ((labels == labels[:, column : column + 1]) & (labels[:, column : column + 1] != NOTHING)).sum(axis=1)
        commonest = np.maximum(commonest, same)
    shares: NDArray[np.float64] = commonest / np.maximum(n_possible, 1)
    return shares


def labels_of_variants(
    family: "SequenceFamily[Any]", hop: int, step: int, tokens: Int, length: Int, at: Int, steps: Int, may: Mask
) -> Int:
    """The labels of places if a hidden fact of their derivations were each of its variants, and as it is.

    Args:
        family: The family, with this hop count among its own.
        hop: Hop count of the labels.
        step: Which fact of the derivation is hidden, from 0.
        tokens: Array (n, p), NOTHING after the end.
        length: Array (n).
        at: Array (n), the places.
        steps: Array (n, h), the derivations.
        may: Array (n, m), the variants.

    Returns:
        Array (n, m + 1) of labels, the last as it is; NOTHING where there is no such variant, where it is what is
        there, or where with it the place has no label of this hop count.
    """
    labels = np.full((len(tokens), may.shape[1] + 1), NOTHING, dtype=np.int32)
    for column in range(may.shape[1] + 1):
        rows, changed = np.arange(len(tokens)), tokens
        if column < may.shape[1]:
            rows = np.flatnonzero(may[:, column])
            if not len(rows):
                continue
            changed = family.put(tokens[rows], length[rows], steps[rows], step, column)
            is_other = (changed != tokens[rows]).any(axis=1)
            rows, changed = rows[is_other], changed[is_other]
        found = family.derive(changed, length[rows])
        label, of = found.label[np.arange(len(rows)), at[rows]], found.hop[np.arange(len(rows)), at[rows]]
        labels[rows, column] = np.where(of == hop, label, NOTHING)
    return labels


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
