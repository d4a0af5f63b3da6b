"""What tests of families share: every label against a slow solver."""

from collections.abc import Callable

import numpy as np

from nexus_bench.generators.base import Examples, Generator

Facts = list[tuple[int, ...]]
Slow = Callable[[Facts, tuple[int, ...]], tuple[int, list[int]]]


def assert_right(generator: Generator, examples: Examples, slow: Slow) -> None:
    """The slow solver gives the answer and the rows of the facts; labels, hops and `solve` must agree."""
    solution = generator.solve(examples.facts, examples.query)
    for g in range(examples.n_graphs):
        facts = [tuple(fact) for fact in examples.facts[g].tolist()]
        assert len(set(facts)) == len(facts) == generator.n_facts
        for q, query in enumerate(examples.query[g].tolist()):
            answer, rows = slow(facts, tuple(query))
            assert (examples.answer[g, q], examples.hop[g, q]) == (answer, len(rows))
            assert (solution.answer[g, q], solution.hop[g, q]) == (answer, len(rows))
            assert solution.rows[g, q][solution.rows[g, q] >= 0].tolist() == rows


def shares_with(values: np.ndarray, here: np.ndarray, there: np.ndarray) -> float:
    """How often two places of a circle (g, n), given for each graph (g), hold the same value."""
    graphs, n = np.arange(len(values)), values.shape[1]
    return float((values[graphs, here % n] == values[graphs, there % n]).mean())
