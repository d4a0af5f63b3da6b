"""How often the commonest next letter of the words that are left is the right one.

Axis letters: g sequences, w words, l letters, a questions.
"""

import numpy as np
from numpy.typing import NDArray

from nexus_bench.generators.parts.spelled_words import NO_LETTER
from nexus_bench.streams import Int, permutations


def share_of_the_commonest(
    words: Int, n_words: Int, start: Int, end: Int, n_left: Int, given: bool, rng: np.random.Generator
) -> NDArray[np.float64]:
    """For every letter of answers, the share of the commonest letter there, among the answer and other random words.

    Args:
        words: Array (g, w, l).
        n_words: Array (g), how many of them there are.
        start: Array (g, a), a word that is known not to be the answer.
        end: Array (g, a), the answer.
        n_left: Array (g, a), how many words are left, with the answer.
        given: Whether only words count that begin with the letters of the answer before.
        rng: Draws the other words.

    Returns:
        Array (g, a, l); 1 where the answer alone is left.
    """
    n_rows, most = len(words), words.shape[1]
    n_asked = end.shape[1]
    place = permutations(rng, n_rows * n_asked, most).reshape(n_rows, n_asked, most)  # of every word in a random order
    number = np.arange(most)
    is_other = (number < n_words[:, None])[:, None] & (number != start[:, :, None]) & (number != end[:, :, None])
    rank = np.where(is_other, place, most).argsort(axis=2, kind="stable").argsort(axis=2, kind="stable")
    left = (is_other & (rank < n_left[:, :, None] - 1)) | (number == end[:, :, None])  # g a w
    flat = left.reshape(-1, most)
    row, letters = np.arange(n_rows * n_asked), np.repeat(words, n_asked, axis=0)  # of each question
    shares = np.ones((len(flat), words.shape[2]))
    size = int(words.max()) + 1
    for letter in range(words.shape[2]):
        there = letters[:, :, letter]
        counted = flat & (there != NO_LETTER)
        of, which = np.nonzero(counted)
        counts = np.bincount(of * size + there[of, which], minlength=len(flat) * size).reshape(-1, size)
        shares[:, letter] = counts.max(axis=1) / np.maximum(1, counts.sum(axis=1))
        if given:
            answer = letters[row, end.ravel(), letter]
            flat = flat & (there == answer[:, None])
    return shares.reshape(n_rows, n_asked, -1)
