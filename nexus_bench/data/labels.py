"""Labels checked by the solver, which knows only the facts."""

from typing import NamedTuple

import numpy as np

from nexus_bench.data.law import Law
from nexus_bench.generators.base import Examples


class Denied(NamedTuple):
    """A label that the facts do not give.

    Attributes:
        graph: Number of the graph among those checked.
        query: Number of the query in its graph.
        what: The label and what the facts give, in words.
    """

    graph: int
    query: int
    what: str


def find_denied(law: Law, examples: Examples) -> Denied | None:
    """The first answer, or else the first hop count, that differs from the solver's; None if all are right."""
    solution = law.solve(examples.facts, examples.query)
    for name, given, derived in (("answer", examples.answer, solution.answer), ("hop", examples.hop, solution.hop)):
        bad = given != derived
        if bad.any():
            graph, query = (int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
            says, gives = (_written(law, name, int(of[graph, query])) for of in (given, derived))
            return Denied(graph, query, f"{name} is {says}, the facts give {gives}")
    return None


def _written(law: Law, name: str, value: int) -> str:
    if name == "hop":
        return str(value)
    return "nothing" if value < 0 else law.symbol(law.schema.answer, value)
