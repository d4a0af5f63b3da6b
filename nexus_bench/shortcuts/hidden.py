"""Derivations with one fact hidden: what is still known of them, and other symbols in the place of the hidden one.

Axis letters: n examples, f facts, a roles, h steps.
"""

from typing import Any, NamedTuple

import numpy as np

from nexus_bench.generators.base import Examples, Generator
from nexus_bench.streams import Int, Mask, pick, stream

_FEW = 64  # examples that show how a family is made


class AnswersWithFactHidden(NamedTuple):
    """Answers with a fact hidden: array (g), and whether the derivation had that fact at all."""

    answer: Int
    is_hidden: Mask


class HiddenStep(NamedTuple):
    """Examples with one query per graph, all of which have the fact that is hidden.

    Attributes:
        one: The examples.
        at: Array (n), the row of the hidden fact.
        known: Array (n, h), the rows of the facts that are followed; -1 for the hidden one and where there is none.
        is_known: Array (n, f), whether each fact is among them.
        alike: Array (n, f), facts whose last symbol the hidden one could have instead, and itself.
    """

    one: Examples
    at: Int
    known: Int
    is_known: Mask
    alike: Mask

    def few(self) -> "HiddenStep":
        """The first examples, for questions about the family."""
        one, few = self.one.take(slice(_FEW)), slice(_FEW)
        return HiddenStep(one, self.at[few], self.known[few], self.is_known[few], self.alike[few])


def hide_a_fact(
    generator: Generator[Any], examples: Examples, step: int, rng: np.random.Generator
) -> AnswersWithFactHidden:
    """Answer with one fact of each derivation hidden: its last symbol is drawn again from the facts of `alike`.

    Args:
        generator: The task.
        examples: Examples with one query per graph.
        step: The fact of the derivation to hide, from 0; shorter derivations keep all their facts.
        rng: The stream that the symbols are drawn from.

    Returns:
        The answers that the changed facts give.
    """
    facts, query = examples.facts, examples.query
    solution = generator.solve(facts, query)
    at = solution.rows[:, 0, step]
    graphs = np.flatnonzero(at >= 0)
    shorter = type(solution)(*(array[graphs] for array in solution))
    other = pick(rng, generator.alike(facts[graphs], query[graphs], shorter, at[graphs]))
    changed = facts.copy()
    changed[graphs] = swapped(facts[graphs], at[graphs], np.where(other >= 0, other, at[graphs]))
    return AnswersWithFactHidden(generator.solve(changed, query).answer[:, 0], at >= 0)


def hide(generator: Generator[Any], one: Examples, step: int) -> HiddenStep:
    """Those of the examples whose derivation has a fact at this step.

    The facts before it are known. Those after it are known only if the derivation uses the same ones whatever the
    hidden fact ends with; otherwise they would name what is hidden.
    """
    solution = generator.solve(one.facts, one.query)
    kept = np.flatnonzero(solution.rows[:, 0, step] >= 0)
    one, solution = one.take(kept), type(solution)(*(array[kept] for array in solution))
    rows = solution.rows[:, 0]
    at = rows[:, step]
    alike = generator.alike(one.facts, one.query, solution, at).copy()
    other = pick(stream("audit", "swap once"), alike)
    after = generator.solve(swapped(one.facts, at, np.where(other >= 0, other, at)), one.query).rows[:, 0]
    known = rows.copy()
    known[:, step:] = rows[:, step:] if np.array_equal(after[:, step + 1 :], rows[:, step + 1 :]) else -1
    known[:, step] = -1
    is_known = (known[:, :, None] == np.arange(one.facts.shape[1])).any(axis=1)
    alike[np.arange(len(at)), at] = True
    return HiddenStep(one, at, known, is_known, alike)


def swapped(facts: Int, at: Int, other: Int) -> Int:
    """The facts after two of each graph have swapped their last symbols."""
    changed, n = facts.copy(), np.arange(len(at))
    changed[n, at, -1], changed[n, other, -1] = facts[n, other, -1], facts[n, at, -1]
    return changed


def with_last(step: HiddenStep, symbol: Int) -> Int:
    """The facts with another last symbol (n) of the hidden one: swapped with a fact that has it, or just written."""
    facts, n = step.one.facts, np.arange(len(step.at))
    has = step.alike & (facts[:, :, -1] == symbol[:, None])
    other = np.where(has[n, step.at], step.at, has.argmax(axis=1))
    changed = swapped(facts, step.at, other)
    changed[n, step.at, -1] = symbol
    return changed
