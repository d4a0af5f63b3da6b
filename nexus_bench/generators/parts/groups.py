"""Finite groups by name, as tables."""

import functools
import itertools
import re
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import AfterValidator

from nexus_bench.streams import Int

_LARGEST_CYCLIC, LARGEST_SYMMETRIC = 100, 5


class PermutationGroup(NamedTuple):
    """A finite group of permutations.

    Attributes:
        name: The name, such as `S_3`.
        points: Array (elements, points): where each element moves each point; the identity comes first.
        table: Array (elements, elements): the product of a row and a column, the row applied first.
        is_abelian: Whether the order of a product does not matter.
    """

    name: str
    points: Int
    table: Int
    is_abelian: bool

    @property
    def reasoning(self) -> str:
        """Aggregation if the group is abelian: its products need no order."""
        return "aggregation" if self.is_abelian else "depth"

    def symbol(self, element: int) -> str:
        """An element of Z_n is a number; any other is written as the images of 1, 2, 3, ... in a row."""
        if self.name.startswith("Z"):
            return str(element)
        return "".join(str(point + 1) for point in self.points[element])


@functools.cache
def named_group(name: str) -> PermutationGroup:
    """A group by name: Z_2 to Z_100, S_3 to S_5, A_4 and A_5.

    Raises:
        ValueError: There is no group of that name.
    """
    match = re.fullmatch(r"([ZSA])_([1-9]\d*)", name)
    kind, n = (match[1], int(match[2])) if match else ("", 0)
    if kind == "Z" and 2 <= n <= _LARGEST_CYCLIC:
        points = (np.arange(n)[:, None] + np.arange(n)) % n
    elif (kind == "S" and 3 <= n <= LARGEST_SYMMETRIC) or (kind == "A" and 4 <= n <= LARGEST_SYMMETRIC):
        points = np.array(list(itertools.permutations(range(n))))
        i, j = np.triu_indices(n, 1)
        n_inversions = (points[:, i] > points[:, j]).sum(axis=1)
        points = points[n_inversions % 2 == 0] if kind == "A" else points
    else:
        raise ValueError(f"group must be Z_2 to Z_{_LARGEST_CYCLIC}, S_3, S_4, S_5, A_4 or A_5, got {name!r}")
    index = {tuple(element): i for i, element in enumerate(points.tolist())}
    table = np.array([[index[tuple(second[first])] for second in points] for first in points], dtype=np.int32)
    return PermutationGroup(name, points.astype(np.int32), table, bool((table == table.T).all()))


GroupName = Annotated[str, AfterValidator(lambda name: named_group(name).name)]
