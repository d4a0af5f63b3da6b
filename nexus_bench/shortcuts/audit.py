"""The accuracy of every guess at every hop, compared with the ceilings that the family declares."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from nexus_bench.data.splits import BLOCK_GRAPHS
from nexus_bench.errors import CheckFailedError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.shortcuts.rules import SHORTCUTS
from nexus_bench.streams import Int, Mask, pick, stream

PARTIAL_INPUT = "partial_input"
_MOST_HIDDEN = 20_000  # at most so many examples are solved again with a fact hidden
_FALSE_ALARM = 1e-3  # probability that a correct family fails an audit, over all of its guesses


class Audited(NamedTuple):
    """One guess at one hop.

    Attributes:
        hop: True hop count of the examples.
        guess: The name of the guess; `partial_input` knows all facts of the derivation but one.
        n_examples: Examples answered.
        accuracy: Share answered right.
        low: Lower end of its 95% interval (Clopper and Pearson, 1934).
        high: Upper end.
        ceiling: What the family declares: `chance`, or `partial_input` for that guess.
        beats: Whether the guess is significantly above its ceiling, corrected for all guesses of the audit.
    """

    hop: int
    guess: str
    n_examples: int
    accuracy: float
    low: float
    high: float
    ceiling: float
    beats: bool


def audit(generator: Generator[Any], *, n_examples: int, seed: int) -> list[Audited]:
    """Score every guess.

    Args:
        generator: The task.
        n_examples: Least number of examples to answer, over all hops; half as many more are used for fitting.
        seed: Seed of the examples.

    Returns:
        One row per (hop, guess), hops ascending, guesses in the order of SHORTCUTS, `partial_input` last.

    Raises:
        CheckFailedError: The labels of the family are not what its solver derives from the facts.
    """
    fit = _draw(generator, n_examples // 2, "fit", seed)
    scored = _draw(generator, n_examples, "score", seed)
    solution = generator.solve(scored.facts, scored.query)
    is_wrong = (solution.answer != scored.answer) | (solution.hop != scored.hop)
    if is_wrong.any():
        raise CheckFailedError(
            f"{generator.name}: {int(is_wrong.sum()):,} of {is_wrong.size:,} labels are not what `solve` derives from "
            "the facts; correct `sample` or `solve`"
        )
    hits: list[tuple[int, str, Mask, float]] = []
    for rule in (rule for rule in SHORTCUTS if rule.needs(generator.schema)):
        is_right = rule.guess(fit, scored, generator.schema) == scored.answer
        hits += [
            (k, rule.name, is_right[scored.hop == k], generator.chance(k)) for k in generator.hops if k > rule.n_facts
        ]
    hits += [
        (k, PARTIAL_INPUT, right, generator.partial_input(k))
        for k, right in _with_a_hidden_fact(generator, scored, seed)
    ]
    n_tests = len(hits)
    rows = [_row(k, name, right, ceiling, n_tests) for k, name, right, ceiling in hits]
    worst = {k: max((r for r in rows if r.hop == k and r.guess == PARTIAL_INPUT), key=_excess) for k in generator.hops}
    return sorted([r for r in rows if r.guess != PARTIAL_INPUT] + list(worst.values()), key=lambda row: row.hop)


class Hidden(NamedTuple):
    """Answers with a fact hidden: array (g), and whether the derivation had that fact at all."""

    answer: Int
    is_hidden: Mask


def hide_a_fact(generator: Generator[Any], examples: Examples, step: int, rng: np.random.Generator) -> Hidden:
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
    alike = generator.alike(facts[graphs], query[graphs], shorter, at[graphs])
    other = pick(rng, alike)
    changed = facts.copy()
    swapped = np.where(other >= 0, other, at[graphs])
    changed[graphs, at[graphs], -1] = facts[graphs, swapped, -1]
    changed[graphs, swapped, -1] = facts[graphs, at[graphs], -1]
    return Hidden(generator.solve(changed, query).answer[:, 0], at >= 0)


def _with_a_hidden_fact(generator: Generator[Any], scored: Examples, seed: int) -> list[tuple[int, Mask]]:
    """Whether each answer is still right, for one hop and one hidden step at a time."""
    n_graphs = -(-_MOST_HIDDEN // scored.answer.shape[1])
    single = scored.take(slice(n_graphs)).one_query_per_graph()
    found = []
    for step in range(max(generator.hops)):
        guess = hide_a_fact(generator, single, step, stream("audit", generator.name, seed, "hidden", step))
        right = guess.answer == single.answer[:, 0]
        found += [(k, right[guess.is_hidden & (single.hop[:, 0] == k)]) for k in generator.hops if k > step]
    return [(k, right) for k, right in found if len(right)]


def _draw(generator: Generator[Any], n_examples: int, use: str, seed: int) -> Examples:
    n_graphs = -(-n_examples // generator.n_queries)
    blocks = range(-(-n_graphs // BLOCK_GRAPHS))
    drawn = [generator.sample(BLOCK_GRAPHS, stream("audit", generator.name, seed, use, block)) for block in blocks]
    return Examples.concatenate(drawn).take(slice(n_graphs))


def _row(hop: int, guess: str, right: Mask, ceiling: float, n_tests: int) -> Audited:
    n, hits = len(right), int(right.sum())
    interval = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    beats = ceiling < 1 and bool(stats.binom.sf(hits - 1, n, ceiling) < _FALSE_ALARM / n_tests)
    return Audited(hop, guess, n, hits / n, float(interval.low), float(interval.high), ceiling, beats)


def _excess(row: Audited) -> tuple[bool, float]:
    return row.beats, row.accuracy
