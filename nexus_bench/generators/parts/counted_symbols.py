"""The best guess of a reader who counts the symbols of a sequence up to a place, and does not know their order.

Axis letters: g sequences, n places, w symbols.
"""

from typing import NamedTuple

import numpy as np

from nexus_bench.streams import Int, Mask

_MOST_CELLS = 4_000_000  # counts in memory at a time
_EIGHTHS = 8  # classes of how common the commonest other symbol is
_OWN, _FEW = 6, 3  # larger counts of its own symbol, and of symbols seen never or once, are not told apart


class Share(NamedTuple):
    """A share of labels, and its standard error over sequences."""

    mean: float
    error: float


class _Counted(NamedTuple):
    seen: Int  # what the reader sees of the counts, as a number: g n
    is_right: Mask  # whether each of its three answers is right: g n 3


def counted_guess(fit: tuple[Int, Int], score: tuple[Int, Int], n_symbols: int, nothing: int) -> Share:
    """How often the reader is right: it says nothing, the symbol at the place, or the commonest other symbol.

    Which of these is best is learned from other sequences: by how often the symbol at the place was seen, how common
    the commonest other is, how many symbols were seen never or once, and the place, doubling.

    Args:
        fit: Symbols (g, n) and labels (g, n) to learn from; a label below 0 is none.
        score: Others to answer.
        n_symbols: Different symbols.
        nothing: The label that is no symbol.
    """
    learn, asked = (_counted(symbols, label, n_symbols, nothing) for symbols, label in (fit, score))
    is_there, is_asked = fit[1] >= 0, score[1] >= 0
    if not is_there.any() or not is_asked.any():
        return Share(0.0, 0.0)
    known, of = np.unique(np.concatenate([learn.seen[is_there], asked.seen[is_asked]]), return_inverse=True)
    right, n_learned = learn.is_right[is_there], int(is_there.sum())
    counts = [np.bincount(of[:n_learned], weights=right[:, answer], minlength=len(known)) for answer in range(3)]
    best = np.argmax(counts, axis=0)[of[n_learned:]]
    hit = np.zeros(score[1].shape)
    hit[is_asked] = asked.is_right[is_asked][np.arange(len(best)), best]
    hits, n = hit.sum(axis=1), is_asked.sum(axis=1)
    share = hits.sum() / n.sum()
    return Share(float(share), float(np.sqrt(((hits - share * n) ** 2).sum()) / n.sum()))


def _counted(symbols: Int, label: Int, n_symbols: int, nothing: int) -> _Counted:
    chunk = max(1, _MOST_CELLS // (symbols.shape[1] * n_symbols))
    parts = [slice(start, start + chunk) for start in range(0, len(symbols), chunk)]
    found = [_counted_at_once(symbols[part], label[part], n_symbols, nothing) for part in parts]
    return _Counted(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


def _counted_at_once(symbols: Int, label: Int, n_symbols: int, nothing: int) -> _Counted:
    count = np.cumsum(symbols[:, :, None] == np.arange(n_symbols), axis=1, dtype=np.int32)  # g n w
    is_once, is_never = (np.minimum((count == times).sum(axis=2), _FEW) for times in (1, 0))
    own = np.take_along_axis(count, symbols[:, :, None], axis=2)[:, :, 0]
    np.put_along_axis(count, symbols[:, :, None], -1, axis=2)
    commonest, most = count.argmax(axis=2), count.max(axis=2)
    place = np.arange(1, symbols.shape[1] + 1)
    others = np.maximum(place - own, 1)
    common = np.clip(most * (n_symbols - 1) * 4 // others - 4, 0, _EIGHTHS - 1)  # quarters above the average
    seen = np.minimum(own, _OWN)
    for digit, base in ((common, _EIGHTHS), (is_once, _FEW + 1), (is_never, _FEW + 1)):
        seen = seen * base + digit
    seen = seen * 32 + np.array([int(p).bit_length() for p in place])
    is_right = np.stack([label == nothing, label == symbols, label == commonest], axis=2)
    return _Counted(seen.astype(np.int32), is_right)
