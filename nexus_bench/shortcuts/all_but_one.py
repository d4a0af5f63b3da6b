"""Readers that follow all facts of a derivation but one, and see how the words and names of all facts are spread.

Each hides one step, guesses the last symbol of that fact, and lets the family's own `solve` say what answer the guess
gives. The bag of all facts stays as it is, with the hidden one in it, because a real reader sees it too.
Axis letters: n examples, f facts, a roles, h steps, m candidates, w features.
"""

from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples, Generator
from nexus_bench.shortcuts.candidates import Candidates, distinct_symbols
from nexus_bench.shortcuts.completions import completions
from nexus_bench.shortcuts.detours import by_detours, has_two_ends
from nexus_bench.shortcuts.features import MOST_WORDS, answers_are_names, asked_names, in_chunks, name_vocabularies
from nexus_bench.shortcuts.fits import boosting, logistic, rate
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.shortcuts.hidden import HiddenStep, hide, hide_a_fact, with_last
from nexus_bench.streams import Int, Mask, stream

_MOST_SOLVED = 60_000  # examples solved for one step, over all words


def guess_hidden(
    generator: Generator[Any], fit: Examples, score: Examples, step: int, *, seed: int, in_order: bool, rounds: int
) -> tuple[Examples, dict[str, Int]]:
    """What every reader answers that knows all facts of each derivation but one.

    Args:
        generator: The task.
        fit: Examples of one hop count with one query per graph, to fit to.
        score: Others, to answer.
        step: The fact that is hidden, from 0.
        seed: Names the stream of `swap`.
        in_order: Also use the order of the facts.
        rounds: Rounds of boosting.

    Returns:
        The examples that have such a fact, and by reader their answers (n).
    """
    schema = generator.schema
    last = schema.fact[-1].vocabulary
    size = schema.vocabularies[last]
    is_word = last not in name_vocabularies(schema) and size <= MOST_WORDS
    n_kept = max(500, _MOST_SOLVED // size) if is_word else len(score.facts)
    to_fit, to_score = (hide(generator, examples, step) for examples in (fit, score.take(slice(n_kept))))
    if not len(to_score.at):
        return to_score.one, {}
    rng = stream("audit", generator.name, seed, "hidden", step)
    answers = {"swap": hide_a_fact(generator, to_score.one, step, rng).answer}
    if is_word and len(to_fit.at):
        answers |= completions(generator, to_fit, to_score, size, rounds)
    elif last in name_vocabularies(schema) and len(to_fit.at):
        if _leads_to_answers(generator, to_score):
            answers |= _ranked(generator, to_fit, to_score, in_order, rounds)
        elif has_two_ends(schema):
            answers["detours_boosting"] = by_detours(schema, to_fit, to_score, rounds)
    return to_score.one, answers


def _leads_to_answers(generator: Generator[Any], step: HiddenStep) -> bool:
    """Whether derivations lead on from fact to fact, from the query to the answer, if that is a name.

    In other families, such as shortest_path, the facts that lead up to the hidden one hold the answer.
    """
    if not answers_are_names(generator.schema):
        return True
    few = step.few()
    rows = generator.solve(few.one.facts, few.one.query).rows[:, 0]
    n, n_rows = np.arange(len(rows)), (rows >= 0).sum(axis=1)
    ends = few.one.facts[n, rows[n, n_rows - 1], -1] == few.one.answer[:, 0]
    return bool((ends | (n_rows < few.one.hop[:, 0])).all())


def _ranked(
    generator: Generator[Any], fit: HiddenStep, score: HiddenStep, in_order: bool, rounds: int
) -> dict[str, Int]:
    """Choose among the last symbols of the facts that are alike, and go on from there."""
    seen = [_candidates(generator, step, in_order) for step in (fit, score)]
    beside = [_beside_walk(*pair) for pair in zip((fit, score), seen, strict=True)]
    right = fit.one.facts[np.arange(len(fit.at)), fit.at, -1]
    answers = {}
    for name, make, (to_fit, to_score) in (
        ("rank_logistic", logistic, seen),
        ("rank_boosting", boosting, seen),
        *([("rank_beside_walk", boosting, beside)] if _has_walked(score) else []),
    ):
        odds = rate(to_fit, right, to_score, make, rounds)
        chosen = np.take_along_axis(to_score.symbols, odds.argmax(axis=1)[:, None], axis=1)[:, 0]
        answers[name] = generator.solve(with_last(score, chosen), score.one.query).answer[:, 0]
    return answers


def _candidates(generator: Generator[Any], step: HiddenStep, in_order: bool) -> Candidates:
    """Last symbols of facts that are alike: counts, also against those of the symbol reached, and whether known."""
    schema = generator.schema
    columns = [a for a, role in enumerate(schema.fact) if role.vocabulary == schema.fact[-1].vocabulary]
    facts, query = step.one.facts, step.one.query[:, 0]
    n = np.arange(len(facts))
    symbols = distinct_symbols(np.where(step.alike, facts[:, :, -1], -1))
    before = facts[n, step.at, 0]  # the symbol that the walk has reached
    row_of = np.stack(
        [(step.alike & (facts[:, :, -1] == symbols[:, m, None])).argmax(axis=1) for m in range(symbols.shape[1])],
        axis=1,
    )
    latest = step.known[n, np.maximum((step.known >= 0).sum(axis=1) - 1, 0)]
    asked = [r for r in asked_names(schema) if schema.query[r].vocabulary == schema.fact[-1].vocabulary]

    def seen(part: slice) -> Float:
        own = symbols[part]
        parts = [own, own - before[part, None], own == before[part, None]]
        parts += [own == query[part, r, None] for r in asked]
        for a in columns:
            at = facts[part, None, :, a] == own[:, :, None]  # n m f
            count = at.sum(axis=2)
            reached = (facts[part, :, a] == before[part, None]).sum(axis=1)[:, None]
            parts += [count, count - reached, count == reached, (at & step.is_known[part][:, None]).sum(axis=2)]
            for b in columns[:-1]:  # the fact that the candidate ends is looked up by count instead of by name
                beside = np.take_along_axis(facts[part, :, b], row_of[part], axis=1)
                parts.append((facts[part, None, :, a] == beside[:, :, None]).sum(axis=2) - reached)
            if in_order:
                parts += [at.argmax(axis=2), at.argmax(axis=2) - latest[part, None]]
        return np.stack(parts, axis=2).astype(np.float64)

    return Candidates(symbols, in_chunks(seen, len(symbols)))


def _beside_walk(step: HiddenStep, among: Candidates) -> Candidates:
    """Which candidates stand in a fact with a node that the walk has left: in words like the hidden fact, or others."""
    facts, symbols = step.one.facts, among.symbols
    n = np.arange(len(facts))
    is_like = _is_like(step)
    is_before = np.cumprod(step.known >= 0, axis=1) > 0  # n h: the facts before the hidden one
    rows = np.where(is_before, step.known, -1)
    walked = np.where(rows >= 0, facts[n[:, None], np.maximum(rows, 0), 0], -2)

    def seen(part: slice) -> Float:
        own = symbols[part]
        parts = [own == node[:, None] for node in walked[part].T]
        for ends in ((0, -1), (-1, 0)):
            at = facts[part, None, :, ends[0]] == own[:, :, None]  # n m f
            for node in walked[part].T:
                beside = facts[part, :, ends[1]] == node[:, None]  # n f
                parts += [(at & (beside & like)[:, None]).sum(axis=2) for like in (is_like[part], ~is_like[part])]
        return np.stack(parts, axis=2).astype(np.float64) if parts else np.zeros((*own.shape, 0))

    return Candidates(symbols, in_chunks(seen, len(symbols)))


def _is_like(step: HiddenStep) -> Mask:
    """Facts with the same words between their two ends as the hidden one: array (n, f)."""
    middle = step.one.facts[:, :, 1:-1]
    like: Mask = (middle == middle[np.arange(len(middle)), step.at][:, None]).all(axis=2)
    return like


def _has_walked(step: HiddenStep) -> bool:
    """Whether the walk has left a node, and facts share words; if each has its own, names stand in too many of them."""
    return bool((step.known[:, 0] >= 0).any() and (_is_like(step).sum(axis=1) > 1).any())
