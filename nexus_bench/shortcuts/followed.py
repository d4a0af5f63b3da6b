"""Readers that follow all facts of a derivation but one, and see how the words and names of all facts are spread.

Each hides one step. They guess the last symbol of that fact, and let the family's own `solve` say what answer the guess
gives. The bag of the facts stays as it is, because a real reader sees it too.
Axis letters: n examples, f facts, a roles, h steps, v possible words, m candidates, w features.
"""

from typing import Any, NamedTuple

import numpy as np

from nexus_bench.generators.base import Examples, Generator
from nexus_bench.shortcuts.features import (
    MOST_WORDS,
    Candidates,
    answers_are_names,
    asked_names,
    candidates,
    in_chunks,
    name_vocabularies,
    word_columns,
)
from nexus_bench.shortcuts.fits import boosting, logistic, rate
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.streams import Int, Mask, pick, stream

_PRIOR_SEEN = 2.0  # how often a word of the average counts in a context
_FEW = 64
_MOST_SOLVED = 60_000  # examples solved for one step, over all words


class Hidden(NamedTuple):
    """Answers with a fact hidden: array (g), and whether the derivation had that fact at all."""

    answer: Int
    is_hidden: Mask


class Step(NamedTuple):
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

    def few(self) -> "Step":
        """The first examples, for questions about the family."""
        return Step(self.one.take(slice(_FEW)), *(array[:_FEW] for array in self[1:]))


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
    other = pick(rng, generator.alike(facts[graphs], query[graphs], shorter, at[graphs]))
    changed = facts.copy()
    changed[graphs] = _swapped(facts[graphs], at[graphs], np.where(other >= 0, other, at[graphs]))
    return Hidden(generator.solve(changed, query).answer[:, 0], at >= 0)


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
        answers |= _completions(generator, to_fit, to_score, size, rounds)
    elif last in name_vocabularies(schema) and len(to_fit.at) and _leads_to_answers(generator, to_score):
        answers |= _ranked(generator, to_fit, to_score, in_order, rounds)
    return to_score.one, answers


def hide(generator: Generator[Any], one: Examples, step: int) -> Step:
    """Those of the examples whose derivation has a fact at this step.

    The facts before it are known. Those after it are known only if the derivation uses the same ones whatever the hidden
    fact ends with; otherwise they would name what is hidden.
    """
    solution = generator.solve(one.facts, one.query)
    kept = np.flatnonzero(solution.rows[:, 0, step] >= 0)
    one, solution = one.take(kept), type(solution)(*(array[kept] for array in solution))
    rows = solution.rows[:, 0]
    at = rows[:, step]
    alike = generator.alike(one.facts, one.query, solution, at).copy()
    other = pick(stream("audit", "swap once"), alike)
    swapped = generator.solve(_swapped(one.facts, at, np.where(other >= 0, other, at)), one.query).rows[:, 0]
    known = rows.copy()
    known[:, step:] = rows[:, step:] if np.array_equal(swapped[:, step + 1 :], rows[:, step + 1 :]) else -1
    known[:, step] = -1
    is_known = (known[:, :, None] == np.arange(one.facts.shape[1])).any(axis=1)
    alike[np.arange(len(at)), at] = True
    return Step(one, at, known, is_known, alike)


def _leads_to_answers(generator: Generator[Any], step: Step) -> bool:
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


def _swapped(facts: Int, at: Int, other: Int) -> Int:
    """The facts after two of each graph have swapped their last symbols."""
    changed, n = facts.copy(), np.arange(len(at))
    changed[n, at, -1], changed[n, other, -1] = facts[n, other, -1], facts[n, at, -1]
    return changed


def _with_last(step: Step, symbol: Int) -> Int:
    """The facts with another last symbol (n) of the hidden one: swapped with a fact that has it, or just written."""
    facts, n = step.one.facts, np.arange(len(step.at))
    has = step.alike & (facts[:, :, -1] == symbol[:, None])
    other = np.where(has[n, step.at], step.at, has.argmax(axis=1))
    changed = _swapped(facts, step.at, other)
    changed[n, step.at, -1] = symbol
    return changed


def _completions(
    generator: Generator[Any], fit: Step, score: Step, size: int, rounds: int
) -> dict[str, Int]:
    """The answer with the most weight, over all words that the hidden fact could end with, for each kind of weight."""
    n_classes = generator.schema.n_classes
    turns = [False, True] if _can_be_turned(generator, score) else [False]
    given = np.stack(
        [_answers(generator, score, np.full(len(score.at), v, dtype=np.int32), turn) for turn in turns for v in range(size)]
    ).T  # n, turns x words
    weights = _weights(generator, fit, score, size, rounds)
    n = np.arange(len(given))[:, None]
    answers = {}
    for name, weight in weights.items():
        votes = np.zeros((len(given), n_classes + 1))
        np.add.at(votes, (n, given), np.tile(weight, len(turns)))  # -1, no answer, is the last class
        answers[f"complete_{name}"] = votes[:, :n_classes].argmax(axis=1).astype(np.int32)
    return answers


def _answers(generator: Generator[Any], step: Step, word: Int, turn: bool) -> Int:
    changed = _with_last(step, word)
    if turn:
        n = np.arange(len(step.at))
        changed[n, step.at, :2] = changed[n, step.at, 1::-1]
    solution = generator.solve(changed, step.one.query)
    return np.where(solution.hop[:, 0] == step.one.hop[:, 0], solution.answer[:, 0], -1)


def _can_be_turned(generator: Generator[Any], step: Step) -> bool:
    """Whether a fact can name its two ends in either order; then a reader does not know the order of the hidden one."""
    fact = generator.schema.fact
    if len(fact) < 3 or fact[0].vocabulary != fact[1].vocabulary:
        return False
    few = step.few()
    word = few.one.facts[np.arange(len(few.at)), few.at, -1]
    return bool((_answers(generator, few, word, True) >= 0).mean() > 0.5)


def _weights(generator: Generator[Any], fit: Step, score: Step, size: int, rounds: int) -> dict[str, Float]:
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


def _counts(generator: Generator[Any], step: Step, size: int) -> dict[str, Float]:
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
    generator: Generator[Any], fit: Step, score: Step, size: int, *, leave_out: bool = False
) -> tuple[Float, Float]:
    """The share of each word given the words known on the path, smoothed: array (n, size); and on average (size)."""
    columns = word_columns(generator.schema)
    keys, words = zip(*(_known_words(step, columns) for step in (fit, score)), strict=True)
    _, code = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    code = code.reshape(-1)
    average = np.bincount(words[0], minlength=size) + 1.0
    average /= average.sum()
    table = np.zeros((int(code.max()) + 1, size))
    np.add.at(table, (code[: len(keys[0])], words[0]), 1)
    seen = table[code[len(keys[0]) :]]
    if leave_out:
        seen[np.arange(len(seen)), words[1]] -= 1
    return (seen + _PRIOR_SEEN * average) / (seen.sum(axis=1, keepdims=True) + _PRIOR_SEEN), average


def _known_words(step: Step, columns: list[int]) -> tuple[Int, Int]:
    """The words of the known facts, step by step, and all but the last of the hidden one: (n, ...); the last one: (n)."""
    facts, n = step.one.facts, np.arange(len(step.at))
    words = np.where(step.known[:, :, None] >= 0, facts[n[:, None], np.maximum(step.known, 0)][:, :, columns], -1)
    hidden = facts[n, step.at]
    return np.concatenate([words.reshape(len(n), -1), hidden[:, columns[:-1]]], axis=1), hidden[:, -1]


def _ranked(generator: Generator[Any], fit: Step, score: Step, in_order: bool, rounds: int) -> dict[str, Int]:
    """Choose among the last symbols of the facts that are alike, and go on from there."""
    to_fit, to_score = (_candidates(generator, step, in_order) for step in (fit, score))
    right = fit.one.facts[np.arange(len(fit.at)), fit.at, -1]
    answers = {}
    for name, make in (("rank_logistic", logistic), ("rank_boosting", boosting)):
        odds = rate(to_fit, right, to_score, make, rounds)
        chosen = np.take_along_axis(to_score.symbols, odds.argmax(axis=1)[:, None], axis=1)[:, 0]
        answers[name] = generator.solve(_with_last(score, chosen), score.one.query).answer[:, 0]
    return answers


def _candidates(generator: Generator[Any], step: Step, in_order: bool) -> Candidates:
    """Last symbols of facts that are alike: counts, whether they equal those of the symbol before, and whether known."""
    schema = generator.schema
    columns = [a for a, role in enumerate(schema.fact) if role.vocabulary == schema.fact[-1].vocabulary]
    facts, query = step.one.facts, step.one.query[:, 0]
    n = np.arange(len(facts))
    symbols = candidates(np.where(step.alike, facts[:, :, -1], -1))
    before = facts[n, step.at, 0]  # the symbol that the walk has reached
    row_of = np.stack(
        [(step.alike & (facts[:, :, -1] == symbols[:, m, None])).argmax(axis=1) for m in range(symbols.shape[1])], axis=1
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
