"""Relation patterns held out of training: the words along a path, in order, as one whole.

A quarter of the patterns of two and more words is held out, by a hash of the words, so that which ones they are
depends on neither seed nor split. Every single word is trained.
"""

import numpy as np

from nexus_bench.errors import ConfigError
from nexus_bench.streams import Int, Mask, mix

ALL, TRAINED, HELD_OUT = "all", "trained", "held_out"

_ONE_IN = 4
_FEWEST = 16  # patterns of two words, so that some surely are held out and some surely not


def is_among(patterns: str, words: Int, n_words: Int) -> Mask:
    """Whether patterns are of the asked kind.

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
    """All long patterns to those that are asked."""
    return {ALL: 1.0, TRAINED: _ONE_IN / (_ONE_IN - 1), HELD_OUT: float(_ONE_IN)}[patterns]


def check_enough(task: str, n_words: int, *, advice: str) -> None:
    """Refuse tasks with too few words to hold patterns out.

    Raises:
        ConfigError: There are fewer than 16 patterns of two words.
    """
    if n_words**2 < _FEWEST:
        raise ConfigError(
            f"{task}: pattern_ood needs {_FEWEST} patterns of two words, {n_words} words make {n_words**2}; {advice}"
        )
