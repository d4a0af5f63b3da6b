"""The best guess of a reader who knows every token of a sequence but one that the derivation uses."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.streams import Int, permutations, stream

if TYPE_CHECKING:
    from nexus_bench.generators.parts.examples import Examples
    from nexus_bench.generators.sequences import SequenceFamily

_MOST_VARIANTS = 128  # that what is hidden is tried to be
_MOST_ALLOWED = 1 << 24  # words, or tokens, that are asked about at once
_SIGMAS = 4  # standard errors that a ceiling is declared above what was measured
_MOST_FACTS = 500  # that have one of their variants, of each step


def guess_of_one(
    family: "SequenceFamily[Any]", hop: int, step: int, n_sequences: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """How likely the commonest label is, over all variants of what is hidden.

    Variants are left out with which the place has no label of this hop count, or, where a fact is a token, with which
    another place is that step of its derivation: the reader is told both. If a sequence has more than 128, so many are
    tried, which makes the guess look better than it is. Where there are none, nothing is asked.

    Args:
        family: The family, with this hop count among its own.
        hop: Hop count of the labels.
        step: Which token of the derivation is hidden, from 0.
        n_sequences: Sequences to draw, and the most labels of all of theirs that are asked.
        rng: Draws the sequences and the places.

    Returns:
        One probability for each place asked that has such a token.
    """
    drawn = family.draw(n_sequences, rng)
    is_there = np.arange(drawn.tokens.shape[1]) < drawn.length[:, None]
    tokens = np.where(is_there, drawn.tokens, NOTHING).astype(np.int32)
    row, at = np.nonzero((drawn.hop == hop) & is_there)  # every label counts, as in an accuracy
    chosen = np.sort(permutations(rng, 1, len(row), k=min(n_sequences, len(row)))[0])
    tokens, length, at = tokens[row[chosen]], drawn.length[row[chosen]], at[chosen].astype(np.int32)
    steps = family.places(tokens, length, at[:, None])[:, 0]
    if step >= steps.shape[1]:
        return np.empty(0)
    kept = np.flatnonzero(steps[:, step] >= 0)
    may = family.variants(tokens[kept], length[kept], steps[kept], step)
    kept, may = kept[may.any(axis=1)], may[may.any(axis=1)]
    tokens, length, at, steps = tokens[kept], length[kept], at[kept], steps[kept]
    variants = np.flatnonzero(may.any(axis=0))
    if may.sum(axis=1).max(initial=0) > _MOST_VARIANTS:
        variants = np.sort(permutations(rng, 1, may.shape[1], k=_MOST_VARIANTS)[0])
    tried = np.where(may[:, variants], variants, NOTHING).astype(np.int32)
    labels = labels_if(family, hop, step, tokens, length, at, steps, tried, others=True)
    true = family.derive(tokens, length).label[np.arange(len(at)), at]
    labels = np.column_stack([labels, true])
    n_possible = (labels != NOTHING).sum(axis=1)
    commonest = np.zeros(len(kept), dtype=np.int64)
    for column in range(labels.shape[1]):
        same = ((labels == labels[:, column : column + 1]) & (labels[:, column : column + 1] != NOTHING)).sum(axis=1)
        commonest = np.maximum(commonest, same)
    shares: NDArray[np.float64] = commonest / np.maximum(n_possible, 1)
    return shares


def measured_ceiling(
    family: "SequenceFamily[Any]",
    hop: int,
    n_sequences: int,
    key: tuple[str | int, ...],
    *,
    steps: Collection[int] | None = None,
    if_none: float = 1.0,
) -> float:
    """The accuracy that `guess_of_one` reaches where the easiest token is hidden: measured, with a margin.

    Args:
        family: As for `guess_of_one`.
        hop: As for `guess_of_one`.
        n_sequences: As for `guess_of_one`, for each hidden token.
        key: Names the random stream; the hidden token is added to it.
        steps: The tokens of the derivation that are hidden, one at a time; None takes both ends and the middle.
        if_none: The ceiling if no sequence has such tokens.
    """
    guesses = [
        guess_of_one(family, hop, step, n_sequences, stream(*key, step))
        for step in sorted({0, hop // 2, hop - 1} if steps is None else set(steps))
    ]
    ceilings = (float(g.mean() + _SIGMAS * g.std() / len(g) ** 0.5) for g in guesses if len(g))
    return min(1.0, max(ceilings, default=if_none))


def labels_if(
    family: "SequenceFamily[Any]",
    hop: int,
    step: int,
    tokens: Int,
    length: Int,
    at: Int,
    steps: Int,
    tried: Int,
    *,
    others: bool = False,
) -> Int:
    """The labels of places if what is hidden of their derivations were each of some variants.

    Args:
        family: The family, with this hop count among its own.
        hop: Hop count of the labels.
        step: Which step of the derivations is hidden, from 0.
        tokens: Array (n, p), NOTHING after the end.
        length: Array (n).
        at: Array (n), the places.
        steps: Array (n, h), the places of their derivations.
        tried: Array (n, m) of variants; NOTHING is not tried. Where a fact has several tokens, a column has one.
        others: Leave out the variant that stands there.

    Returns:
        Array (n, m) of labels; NOTHING where a variant is left out, or where with it the place has no label of this hop
        count, or, where a fact is a token, another place is that step of its derivation.
    """
    labels = np.full(tried.shape, NOTHING, dtype=np.int32)
    for column, variant in enumerate(tried.T):
        rows = np.flatnonzero(variant >= 0)
        if len(rows):
            changed = family.put(tokens[rows], length[rows], steps[rows], step, _alike(variant[rows]))
            n, found = np.arange(len(rows)), family.derive(changed, length[rows])
            is_so = found.hop[n, at[rows]] == hop
            if not family.hides_whole_facts:
                now = family.places(changed, length[rows], at[rows, None])[:, 0]
                is_so &= now[:, step] == steps[rows, step]
            if others:
                is_so &= (changed != tokens[rows]).any(axis=1)
            labels[rows, column] = np.where(is_so, found.label[n, at[rows]], NOTHING)
    return labels


def _alike(variant: Int) -> Any:
    """The variant, if it is the same of all rows; words may differ from row to row."""
    return int(variant[0]) if (variant == variant[0]).all() else variant


def find_impossible(family: "SequenceFamily[Any]", examples: "Examples") -> str | None:
    """Look for what stands in a derivation though the family does not allow it there: a reader is not told the truth.

    Args:
        family: The family.
        examples: Sequences; every labelled place of a hop count whose partial-input ceiling is below 1 is asked, of
            facts of several tokens at most 500 at each step.

    Returns:
        What is wrong, and where; None if nothing is.
    """
    tokens = examples.facts[:, :, 0]
    length = (tokens != NOTHING).sum(axis=1, dtype=np.int32)
    hops = [hop for hop in family.hops if family.partial_input(hop) < 1]
    is_asked = np.isin(examples.hop, hops)
    row, steps = np.nonzero(is_asked)[0], family.solve(examples.facts, examples.query).rows[is_asked]
    look = _impossible_facts if family.hides_whole_facts else _impossible_tokens
    return look(family, tokens, length, row, steps) if (steps >= 0).any() else None


def _impossible_tokens(
    family: "SequenceFamily[Any]", tokens: Int, length: Int, row: NDArray[np.int64], steps: Int
) -> str | None:
    hidden = np.zeros(tokens.shape, dtype=np.bool_)
    example, step = np.nonzero(steps >= 0)
    hidden[row[example], steps[example, step]] = True
    row, place = np.nonzero(hidden)
    size = max(1, _MOST_ALLOWED // max(family.n_words, tokens.shape[1]))
    for first in range(0, len(row), size):
        g, at = row[first : first + size], place[first : first + size].astype(np.int32)
        word = tokens[g, at]
        may = family.could_be(tokens[g], length[g], at)
        if not (isinstance(may, np.ndarray) and may.dtype == np.bool_ and may.shape == (len(g), family.n_words)):
            return f"`could_be` must return True or False for each of {family.n_words} words, one row a hidden token"
        bad = np.flatnonzero(~may[np.arange(len(g)), word])
        if len(bad):
            n = int(bad[0])
            return (
                f"sequence {g[n]}, place {at[n]} (from 0): `could_be` does not allow the token that stands there, "
                f"{family.symbol('word', int(word[n]))}; what it returns must be true of this word, too"
            )
    return None


def _impossible_facts(
    family: "SequenceFamily[Any]", tokens: Int, length: Int, row: NDArray[np.int64], steps: Int
) -> str | None:
    is_any = False
    for step in range(steps.shape[1]):
        has = np.flatnonzero(steps[:, step] >= 0)
        has = has[:: 1 + len(has) // _MOST_FACTS]
        may = family.variants(tokens[row[has]], length[row[has]], steps[has], step)
        has, may = has[may.any(axis=1)], may[may.any(axis=1)]
        is_any |= len(has) > 0
        is_found = np.zeros(len(has), dtype=np.bool_)
        for variant in np.flatnonzero(may.any(axis=0)).tolist():
            n = np.flatnonzero(may[:, variant] & ~is_found)
            if not len(n):
                continue
            own = tokens[row[has[n]]]
            is_found[n] = (family.put(own, length[row[has[n]]], steps[has[n]], step, variant) == own).all(axis=1)
        if not is_found.all():
            example = int(has[is_found.argmin()])
            return (
                f"sequence {row[example]}, place {steps[example, step]} (from 0): none of the `variants` is what "
                "stands there; with one of them `put` must give the same sequence"
            )
    return None if is_any else "`variants` names nothing that could stand there, whatever is hidden"
