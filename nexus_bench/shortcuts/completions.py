"""Readers that guess the last word of a hidden fact from the words of all facts, and solve on with it.

For each word that the hidden fact could end with, the family's own `solve` gives an answer; the answer with the most
weight is the guess. Axis letters: n examples, f facts, a roles, h steps, v possible words, w features.
"""

from typing import Any

import numpy as np

from nexus_bench.generators.base import Generator
from nexus_bench.shortcuts.candidates import Candidates
from nexus_bench.shortcuts.features import word_columns
from nexus_bench.shortcuts.fits import logistic, rate
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.shortcuts.hidden import HiddenStep, with_last
from nexus_bench.streams import Int

_PRIOR_SEEN = 2.0  # how often a word of the average counts in a context


def completions(
    generator: Generator[Any], fit: HiddenStep, score: HiddenStep, size: int, rounds: int
) -> dict[str, Int]:
    """The answer with the most weight, over all words that the hidden fact could end with, for each kind of weight."""
    n_classes = generator.schema.n_classes
    turns = [False, True] if _can_be_turned(generator, score) else [False]
    given = np.stack(
        [
            _answers(generator, score, np.full(len(score.at), v, dtype=np.int32), turn)
            for turn in turns
            for v in range(size)
        ]
    ).T  # n, turns x words
    weights = _weights(generator, fit, score, size, rounds)
    n = np.arange(len(given))[:, None]
    answers = {}
    for name, weight in weights.items():
        votes = np.zeros((len(given), n_classes + 1))
        np.add.at(votes, (n, given), np.tile(weight, len(turns)))  # -1, no answer, is the last class
        answers[f"complete_{name}"] = votes[:, :n_classes].argmax(axis=1).astype(np.int32)
    return answers


def _answers(generator: Generator[Any], step: HiddenStep, word: Int, turn: bool) -> Int:
    changed = with_last(step, word)
    if turn:
        n = np.arange(len(step.at))
        changed[n, step.at, :2] = changed[n, step.at, 1::-1]
    solution = generator.solve(changed, step.one.query)
    return np.where(solution.hop[:, 0] == step.one.hop[:, 0], solution.answer[:, 0], -1)


def _can_be_turned(generator: Generator[Any], step: HiddenStep) -> bool:
    """Whether a fact can name its two ends in either order; then a reader does not know the order of the hidden one."""
    fact = generator.schema.fact
    if len(fact) < 3 or fact[0].vocabulary != fact[1].vocabulary:
        return False
    few = step.few()
    word = few.one.facts[np.arange(len(few.at)), few.at, -1]
    return bool((_answers(generator, few, word, True) >= 0).mean() > 0.5)


def _weights(generator: Generator[Any], fit: HiddenStep, score: HiddenStep, size: int, rounds: int) -> dict[str, Float]:
    """How much speaks for each word, by kind: array (n, size).

    `bag`: facts that end with it, other than those known on the path. `context`: how often it came with the words known
    on the path. `bag_and_context`: both (Bayes' rule). `agree`: facts like that in all their words. `pattern`: facts
    in which the same of their words are equal. `fitted`: a logistic model on all of these.
    """
    counts = _counts(generator, score, size)
    context, average = _context(generator, fit, score, size)
    weights = {"bag": counts["bag"], "context": context, "bag_and_context": counts["bag"] * context / average}
    weights |= {name: count for name, count in counts.items() if name != "bag"}
    own, _ = _context(generator, fit, fit, size, leave_out=True)
    to_fit = _options(_counts(generator, fit, size), own, size)
    right = fit.one.facts[np.arange(len(fit.at)), fit.at, -1]
    weights["fitted"] = rate(to_fit, right, _options(counts, context, size), logistic, rounds)
    return weights


def _options(counts: dict[str, Float], context: Float, size: int) -> Candidates:
    seen = [*counts.values(), *(np.log(count + 0.5) for count in counts.values()), np.log(context)]
    symbols = np.broadcast_to(np.arange(size, dtype=np.int32), context.shape)
    return Candidates(symbols, np.stack(seen, axis=2))


def _counts(generator: Generator[Any], step: HiddenStep, size: int) -> dict[str, Float]:
    """Facts off the known path that end with each word; that also agree in their other words; by pattern."""
    facts, n = step.one.facts, np.arange(len(step.at))
    is_known = step.is_known
    ends = (facts[:, :, -1, None] == np.arange(size)) & ~is_known[:, :, None]  # n f v
    counts = {"bag": ends.sum(axis=1).astype(np.float64)}
    roles, columns = generator.schema.fact, word_columns(generator.schema)[:-1]
    if columns:
        shown = facts[n, step.at][:, columns]  # the other words of the hidden fact
        agrees = (facts[:, :, columns] == shown[:, None]).all(axis=2)
        counts["agree"] = (ends & agrees[:, :, None]).sum(axis=1).astype(np.float64)
        like = [a for a in columns if roles[a].vocabulary == roles[-1].vocabulary]
        if like:
            pattern = facts[:, :, like] == facts[:, :, -1:]  # n f a
            wanted = shown[:, None, [columns.index(a) for a in like]] == np.arange(size)[None, :, None]  # n v a
            same = (pattern[:, :, None] == wanted[:, None]).all(axis=3) & ~is_known[:, :, None]  # n f v
            counts["pattern"] = same.sum(axis=1).astype(np.float64)
    return counts


def _context(
    generator: Generator[Any], fit: HiddenStep, score: HiddenStep, size: int, *, leave_out: bool = False
) -> tuple[Float, Float]:
    """The share of each word given the words known on the path, smoothed: array (n, size); and on average (size)."""
    columns = word_columns(generator.schema)
    keys, words = zip(*(_known_words(step, columns) for step in (fit, score)), strict=True)
    _, code = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    code = code.reshape(-1)
    average = np.bincount(words[0], minlength=size).astype(np.float64) + 1
    average /= average.sum()
    table = np.zeros((int(code.max()) + 1, size))
    np.add.at(table, (code[: len(keys[0])], words[0]), 1)
    seen = table[code[len(keys[0]) :]]
    if leave_out:
        seen[np.arange(len(seen)), words[1]] -= 1
    context = (seen + _PRIOR_SEEN * average) / (seen.sum(axis=1, keepdims=True) + _PRIOR_SEEN)
    return context.astype(np.float64), average.astype(np.float64)


def _known_words(step: HiddenStep, columns: list[int]) -> tuple[Int, Int]:
    """What is known, the words of the known facts and all but the last of the hidden one: (n, ...); the last: (n)."""
    facts, n = step.one.facts, np.arange(len(step.at))
    words = np.where(step.known[:, :, None] >= 0, facts[n[:, None], np.maximum(step.known, 0)][:, :, columns], -1)
    hidden = facts[n, step.at]
    return np.concatenate([words.reshape(len(n), -1), hidden[:, columns[:-1]]], axis=1), hidden[:, -1]
