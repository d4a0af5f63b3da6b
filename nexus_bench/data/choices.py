"""Which answers an example leaves to choose from."""

from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples, Generator
from nexus_bench.streams import Int


class Choices:
    """The answers to choose from, learned from the examples of a split.

    Where facts hold symbols that could be answers, and these are more than a graph has facts: those of the graph's
    facts that are ever an answer in the split, and every answer of the split that its facts lack, such as "absent".
    Else every answer of the split at that hop.

    Args:
        law: The family.
        examples: All of the split.
    """

    def __init__(self, law: Generator[Any], examples: Examples) -> None:
        columns = [i for i, role in enumerate(law.schema.fact) if role.vocabulary == law.schema.answer]
        self._at_hop = {hop: np.unique(examples.answer[examples.hop == hop]) for hop in law.hops}
        self._in_facts: Int | None = None
        if columns and law.schema.n_classes > law.n_facts:
            self._in_facts = examples.facts[:, :, columns].reshape(examples.n_graphs, -1)
            self._ever = np.unique(examples.answer)
            is_inside = (self._in_facts[:, None, :] == examples.answer[:, :, None]).any(axis=2)
            self._outside = np.unique(examples.answer[~is_inside])

    def __call__(self, graph: int, hop: int) -> Int:
        """Class ids of one graph at one hop, ascending."""
        if self._in_facts is None:
            return self._at_hop[hop]
        return np.union1d(np.intersect1d(self._in_facts[graph], self._ever), self._outside)
