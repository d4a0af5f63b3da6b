"""How values of random expressions modulo a prime are distributed, with the operations that must be carried out."""

import itertools
from functools import cache

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@cache
def law_of_values(p: int, operations: str, length: int) -> tuple[Float, Float]:
    """How likely an expression of so many operations needs h of them and is 0, or is not: two arrays (h).

    Values other than 0 are equally likely whatever h is: multiplying all numbers of a sum, or one factor of a product,
    by the same number takes any of them to any other.
    """
    if length == 0:
        return np.array([1 / p]), np.array([1 - 1 / p])
    parts = np.array(outermost(p, operations, length)).mean(axis=0)
    return parts[0], parts[1]


@cache
def outermost(p: int, operations: str, length: int) -> tuple[tuple[Float, Float], ...]:
    """The same for every outermost operation and every number of operations in its first operand, all as likely."""
    found = []
    for operation in operations:
        for first in range(length):
            (a, b), (c, d) = law_of_values(p, operations, first), law_of_values(p, operations, length - 1 - first)
            zero, other = np.zeros(length + 1), np.zeros(length + 1)
            if operation == "m":
                other[1:] = np.convolve(b, d)
                zero[1 : 1 + len(a)] += a * d.sum()
                zero[1 : 1 + len(c)] += c * b.sum()
                for one, two in itertools.product(range(len(a)), range(len(c))):
                    zero[1 + min(one, two)] += a[one] * c[two]
            else:
                zero[1:] = np.convolve(a, c) + np.convolve(b, d) / (p - 1)
                other[1:] = np.convolve(a, d) + np.convolve(b, c) + np.convolve(b, d) * (p - 2) / (p - 1)
            found.append((zero, other))
    return tuple(found)
