"""Relation patterns held out of training; a pattern is the whole sequence of words along a path.

A quarter of the patterns of two and more words is held out, by a hash of the words, so the choice depends on
neither seed nor split. Every single word is trained.
"""

import numpy as np

from nexus_bench.errors import ConfigError
from nexus_bench.streams import Int, Mask, mix

ALL, TRAINED, HELD_OUT = "all", "trained", "held_out"

_ONE_IN = 4
_FEWEST = 16  # patterns of two words, so that some are surely held out and some surely trained


def is_among(patterns: str, words: Int, n_words: Int) -> Mask:
    """Whether patterns are of the given kind.

    Args:
        patterns: ALL, TRAINED or HELD_OUT.
        words: Array (..., k) of words; those beyond the pattern do not matter.
        n_words: Array (...), the length of each pattern.

    Returns:
        Array (...).
    """
    if patterns == ALL:
        return np.ones(n_words.shape, dtype=np.bool_)
    code = mix(n_words.astype(np.uint64))
    for place in range(words.shape[-1]):
        code = np.where(place < n_words, mix(code + words[..., place].astype(np.uint64)), code)
    is_held_out: Mask = (n_words > 1) & (code % np.uint64(_ONE_IN) == 0)
    return is_held_out if patterns == HELD_OUT else ~is_held_out


def odds(patterns: str) -> float:
    """The number of all patterns of two and more words over the number of those in use."""
    return {ALL: 1.0, TRAINED: _ONE_IN / (_ONE_IN - 1), HELD_OUT: float(_ONE_IN)}[patterns]


def check_enough(task: str, n_words: int, *, advice: str) -> None:
    """Refuse tasks that have too few words to hold patterns out.

    Raises:
        ConfigError: There are fewer than 16 patterns of two words.
    """
    if n_words**2 < _FEWEST:
        raise ConfigError(
            f"{task}: pattern_ood needs {_FEWEST} patterns of two words, {n_words} words make {n_words**2}; {advice}"
        )
