"""Words of several letters, of which the last says so: drawn, set into streams of tokens, and read from them again.

With v letters, a word is any letters 0..v-1, then one of v..2v-1, which ends it.

Axis letters: g sequences, w words, l letters, p pieces of a stream, n places.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.streams import Int, Mask, integers

NO_LETTER = -1  # after the end of a shorter word
Keys = NDArray[np.int64]  # a number for each word, told apart by spelling


class LaidOutTokens(NamedTuple):
    """Streams of tokens, and what goes with each token.

    Attributes:
        tokens: Array (g, n); NO_LETTER after the end.
        beside: For each array that was set beside the pieces, an array (g, n).
        length: Array (g).
    """

    tokens: Int
    beside: list[Int]
    length: Int


def draw_words(rng: np.random.Generator, n_rows: int, n: int, n_letters: int, shortest: int, longest: int) -> Int:
    """Different words in every row: the length is uniform, then each letter; a word that is there is drawn again.

    The first k words of a row have the law of k words that were drawn so.

    Args:
        rng: The stream to draw from.
        n_rows: How many rows.
        n: Words of a row.
        n_letters: Letters that there are; words are as many as `n_spellings` says, which must be n or more.
        shortest: Letters of the shortest word.
        longest: Letters of the longest.

    Returns:
        Array (n_rows, n, longest) of letters.
    """
    words = _any_words(rng, n_rows * n, n_letters, shortest, longest).reshape(n_rows, n, longest)
    again = np.arange(n_rows)
    while len(again):
        keys = np.sort(keys_of(words[again], n_letters) * n + np.arange(n), axis=1)  # all are different
        is_twice = np.zeros((len(again), n), dtype=np.bool_)
        row, place = np.nonzero(keys[:, 1:] // n == keys[:, :-1] // n)
        is_twice[row, keys[row, place + 1] % n] = True
        again, is_twice = again[is_twice.any(axis=1)], is_twice[is_twice.any(axis=1)]
        rows, columns = np.nonzero(is_twice)
        words[again[rows], columns] = _any_words(rng, len(rows), n_letters, shortest, longest)
    return words


def n_spellings(n_letters: int, shortest: int, longest: int) -> int:
    """How many words there are."""
    return sum(int(n_letters) ** length for length in range(shortest, longest + 1))


def keys_of(words: Int, n_letters: int) -> Keys:
    """A number for each spelling: array of all axes but the last; words of up to log(2^62) / log(2v + 1) letters."""
    keys = np.zeros(words.shape[:-1], dtype=np.int64)
    for letter in range(words.shape[-1]):
        keys = keys * (2 * n_letters + 1) + words[..., letter] + 1
    return keys


def lay_out(pieces: Int, beside: list[Int], n_places: int) -> LaidOutTokens:
    """Set pieces one after the other, without what is NO_LETTER.

    Args:
        pieces: Array (g, p), in order.
        beside: Arrays (g, p) that are moved in the same way; 0 after the end.
        n_places: Tokens of the longest stream.

    Returns:
        The streams.
    """
    is_token = pieces != NO_LETTER
    length = is_token.sum(axis=1, dtype=np.int32)
    of, to = np.flatnonzero(is_token), np.flatnonzero(np.arange(n_places) < length[:, None])
    laid = [np.full((len(pieces), n_places), empty, dtype=np.int32) for empty in (NO_LETTER, *(0 for _ in beside))]
    for stream, array in zip(laid, (pieces, *beside), strict=True):
        stream.ravel()[to] = array.ravel().take(of)
    return LaidOutTokens(laid[0], laid[1:], length)


def is_last_letter(tokens: Int, n_letters: int) -> Mask:
    """Whether tokens end a word."""
    ends: Mask = (tokens >= n_letters) & (tokens < 2 * n_letters)
    return ends


def _any_words(rng: np.random.Generator, n: int, n_letters: int, shortest: int, longest: int) -> Int:
    words = integers(rng, n, longest, high=n_letters)
    length = integers(rng, n, 1, high=longest - shortest + 1)[:, 0] + shortest
    words[np.arange(n), length - 1] += np.int32(n_letters)
    words[np.arange(longest) >= length[:, None]] = NO_LETTER
    return words


def spelled(words: Int, number: Int) -> Int:
    """The letters of numbered words (g, x): array (g, x, l); none for a number of -1."""
    flat: NDArray[np.int32] = words.reshape(-1, words.shape[2])
    row = np.arange(0, len(flat), words.shape[1])[:, None]
    letters: Int = flat.take(np.maximum(number, 0) + row, axis=0)
    letters[number < 0] = NO_LETTER
    return letters
