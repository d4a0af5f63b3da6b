"""The best guess of a reader who knows every token of a sequence but one that the derivation uses."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.streams import permutations, pick

if TYPE_CHECKING:
    from nexus_bench.generators.sequences import SequenceFamily

_MOST_VARIANTS = 128  # that the hidden token is tried to be


def guess_of_one(
    family: "SequenceFamily[Any]", hop: int, step: int, n_sequences: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """How likely the commonest label is, over all variants of what is hidden.

    Variants with which the place has no label of this hop count are left out, as if the reader were told so. If there
    are more than 128, so many of them are tried, which makes the guess look better than it is. Where there are none,
    nothing is asked.

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
    variants = np.arange(may.shape[1])
    if len(variants) > _MOST_VARIANTS:
        variants = np.sort(permutations(rng, 1, len(variants), k=_MOST_VARIANTS)[0])
    labels = np.full((len(kept), len(variants) + 1), NOTHING, dtype=np.int32)
    for column, variant in enumerate([*variants.tolist(), None]):
        rows, changed = np.arange(len(kept)), tokens
        if variant is not None:
            rows = np.flatnonzero(may[:, variant])
            changed = family.put(tokens[rows], length[rows], steps[rows], step, variant)
            is_other = (changed != tokens[rows]).any(axis=1)
            rows, changed = rows[is_other], changed[is_other]
        found = family.derive(changed, length[rows])
        label, of = found.label[np.arange(len(rows)), at[rows]], found.hop[np.arange(len(rows)), at[rows]]
        labels[rows, column] = np.where(of == hop, label, NOTHING)
    n_possible = (labels != NOTHING).sum(axis=1)
    commonest = np.zeros(len(kept), dtype=np.int64)
    for column in range(labels.shape[1]):
        same = ((labels == labels[:, column : column + 1]) & (labels[:, column : column + 1] != NOTHING)).sum(axis=1)
        commonest = np.maximum(commonest, same)
    shares: NDArray[np.float64] = commonest / np.maximum(n_possible, 1)
    return shares
