"""Where the chains of look-ups of `hop_k` end, as an exact distribution."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class ChainLaw(NamedTuple):
    """Where a chain of k look-ups ends, by the place that it begins at: four probabilities, arrays (places).

    Attributes:
        same: At the symbol that it began at.
        other: At another symbol.
        ends_last: Nowhere, since the last look-up finds nothing.
        ends: Nowhere, since any finds nothing.
    """

    same: Float
    other: Float
    ends_last: Float
    ends: Float


@cache
def chain_law(n: int, n_places: int, k: int) -> ChainLaw:
    """The exact distribution, look-up by look-up.

    Read backwards, every symbol is any of the n - 1 that do not follow it. So a look-up goes back by d places with
    probability p (1 - p)^(d - 1), where p = 1 / (n - 1), whatever it went before, and finds nothing if there are fewer.
    It arrives at the symbol that the backward walk has one step before it meets the current symbol. A chain at a symbol
    x has found x's earlier occurrence right before the place where it arrives, so that the walk of the next look-up
    begins at x. Three states suffice: the chain is at its first symbol, it has just left it, or neither.
    """
    p = 1 / (n - 1)
    d = np.arange(1, n_places + 1)
    jump = p * (1 - p) ** (d - 1)
    back, away = np.empty(n_places), np.empty(n_places)  # P(first symbol after d - 1 steps), from it and from another
    back[0], away[0] = 1.0, 0.0
    for i in range(1, n_places):
        back[i], away[i] = (1 - back[i - 1]) / max(1, n - 2), (1 - away[i - 1]) / max(1, n - 2)
    at_first, left, neither = np.zeros((3, n_places))  # probabilities of having gone back by so many places
    at_first[0] = 1.0
    alive = at_first + left + neither
    for _ in range(k):
        before = alive

        def go(state: Float, share: Float) -> Float:
            return np.concatenate([[0.0], np.convolve(state, jump * share)[: n_places - 1]])

        at_first, left, neither = (
            go(left, back) + go(neither, away),
            go(at_first, np.ones(n_places)),
            go(left, 1 - back) + go(neither, 1 - away),
        )
        alive = at_first + left + neither
    room = np.maximum(np.arange(n_places) - 1, -1)  # how far a chain can go back from each place
    reach = [np.where(room >= 0, np.cumsum(state)[np.maximum(room, 0)], 0.0) for state in (at_first, left + neither)]
    earlier = np.cumsum(before)[np.maximum(room, 0)] if k > 1 else np.ones(n_places)
    earlier = np.where(room >= 0, earlier, 1.0 if k == 1 else 0.0)
    same, other = reach
    return ChainLaw(same, other, earlier - same - other, 1 - same - other)
