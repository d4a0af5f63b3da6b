"""Arithmetic expressions modulo a prime in prefix order: evaluated as they are drawn, and parsed as they are read.

The two do not share code, so that each checks the other. Axis letters: g sequences, n places.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.streams import Int

_BITS = np.int32(10)  # that hold a number
_VALUE = (np.int32(1) << _BITS) - np.int32(1)


class ParsedExpressions(NamedTuple):
    """Expressions by place; arrays (g, n), which hold nonsense where no expression begins.

    Attributes:
        equals_at: Array (g), the place of `=`; -1 where the tokens are no expression.
        right: Where the second operand of the operation at each place begins.
        value: The value of what begins at each place.
        need: The fewest operations that tell it.
        kind: Which operation stands at each place; -1 for none.
    """

    equals_at: Int
    right: Int
    value: Int
    need: Int
    kind: Int


def evaluate(written: Int, p: int, operations: str, *, most: int) -> tuple[Int, Int]:
    """The values of expressions and how many operations tell them, from right to left on a stack: two arrays (g).

    An entry of the stack holds both in one number.

    Args:
        written: Array (n, g), the expressions; -1 after the end.
        p: The modulus; a token below it is a number, and the operations follow.
        operations: Of a (add), s (subtract), m (multiply).
        most: The most operations of an expression.
    """
    n = written.shape[1]
    table = _results(p, operations)
    stack = np.zeros((most + 2) * n, dtype=np.int32)
    top = np.arange(-n, 0, dtype=np.int64)  # the place of each one's last entry; the next is n further
    product = operations.find("m")
    for word in written[::-1]:
        rows = np.flatnonzero((word >= 0) & (word < p))
        top[rows] += n
        stack[top[rows]] = word[rows]
        rows = np.flatnonzero(word >= p)
        at, which = top[rows], word[rows] - np.int32(p)
        first, second = stack.take(at), stack.take(at - n)
        x, y, of_x, of_y = first & _VALUE, second & _VALUE, first >> _BITS, second >> _BITS
        cost = of_x + of_y
        fewest = np.minimum(np.where(x == 0, of_x, cost), np.where(y == 0, of_y, cost))
        cost = np.where(which == product, fewest, cost) + np.int32(1)
        top[rows] -= n
        stack[at - n] = table.take((which * np.int32(p) + x) * np.int32(p) + y) | cost << _BITS
    return stack[:n] & _VALUE, stack[:n] >> _BITS


@cache
def _results(p: int, operations: str) -> Int:
    """The result of every operation on every two numbers."""
    x, y = (axis.ravel() for axis in np.mgrid[:p, :p].astype(np.int32))
    of = {"a": x + y, "s": x - y + np.int32(p), "m": x * y}
    return np.concatenate([of[operation] % np.int32(p) for operation in operations]).astype(np.int32)


def parse(tokens: Int, p: int, operations: str, *, equals: int) -> ParsedExpressions:
    """Find where every operand begins, and evaluate place by place.

    Args:
        tokens: Array (g, n): two tokens, an expression, `=`.
        p: As in `evaluate`.
        operations: As in `evaluate`.
        equals: The token `=`.
    """
    n_rows, n = tokens.shape
    g = np.arange(n_rows)
    is_number = (tokens >= 0) & (tokens < p)
    kind = np.where((tokens >= p) & (tokens < p + len(operations)), tokens - np.int32(p), np.int32(-1))
    kind[:, :2] = -1
    is_number[:, :2] = False
    balance = np.cumsum(np.where(kind >= 0, 1, np.where(is_number, -1, 0)), axis=1)
    before = np.concatenate([np.zeros((n_rows, 1), dtype=balance.dtype), balance[:, :-1]], axis=1)
    is_end = (balance[:, None, :] == before[:, :, None] - 1) & (np.arange(n) >= np.arange(n)[:, None])  # g from to
    end = np.where(is_end.any(axis=2), is_end.argmax(axis=2), n - 1)
    end = np.concatenate([end, np.full((n_rows, 2), n - 1)], axis=1)
    right = np.minimum(end[:, 1 : n + 1] + 1, n - 1).astype(np.int32)
    value, need = np.where(is_number, tokens, 0).astype(np.int32), np.zeros_like(tokens)
    for place in range(n - 2, 1, -1):
        two = right[:, place]
        x, y = value[:, place + 1].astype(np.int64), value[g, two].astype(np.int64)
        costs = need[:, place + 1], need[g, two]
        results = {"a": x + y, "s": x - y, "m": x * y}
        for number, operation in enumerate(operations):
            rows = np.flatnonzero(kind[:, place] == number)
            value[rows, place] = results[operation][rows] % p
            need[rows, place] = 1 + costs[0][rows] + costs[1][rows]
            if operation == "m":
                side = zero_side(x, y, *costs)
                need[rows, place] -= np.where(side == 0, costs[1], np.where(side == 1, costs[0], 0))[rows]
    last = np.minimum(end[:, 2] + 1, n - 1)
    is_whole = is_end[:, 2].any(axis=1) & (tokens[g, last] == equals) & (end[:, 2] < n - 1)
    return ParsedExpressions(np.where(is_whole, last, -1).astype(np.int32), right, value, need, kind)


def zero_side(x: NDArray[np.int64], y: NDArray[np.int64], of_x: Int, of_y: Int) -> Int:
    """Which factor is 0 and takes fewer operations, the first or the second; -1 for none."""
    first = (x == 0) & ((y != 0) | (of_x <= of_y))
    return np.where(first, 0, np.where(y == 0, 1, -1)).astype(np.int32)
