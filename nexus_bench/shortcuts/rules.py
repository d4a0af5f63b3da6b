"""What can be guessed without reasoning: rules that are scored next to every accuracy.

A rule that looks up facts itself is a shortcut only at larger hop counts: the successor of the start, for example, is
the right answer at one hop.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nexus_bench.generators.base import Examples, Schema
from nexus_bench.shortcuts import local
from nexus_bench.shortcuts.fitted import answer_symbols, asked_symbols, counts_in_graph, facts_only, symbol_counts
from nexus_bench.streams import Int

Guess = Callable[[Examples, Examples, Schema], Int]
Needs = Callable[[Schema], bool]


class Shortcut(NamedTuple):
    """A rule.

    Attributes:
        name: The name of the rule.
        n_facts: How many facts, or tokens of a sequence, it looks at; it is scored only at larger hop counts.
        needs: Whether a task has the roles that the rule needs; for other tasks it is not scored.
        guess: Takes examples to fit to, examples to answer and their schema; returns class ids (g, q).
    """

    name: str
    n_facts: int
    needs: Needs
    guess: Guess


class BestShortcut(NamedTuple):
    """The best rule at one hop, and its accuracy."""

    name: str
    accuracy: float


def score_shortcuts(fit: Examples, score: Examples, schema: Schema) -> dict[str, dict[int, float]]:
    """Accuracy of every rule at every hop it applies to.

    Args:
        fit: Examples of another split, from which a rule may take frequencies.
        score: The examples to answer.
        schema: The task's roles and vocabularies.

    Returns:
        Rule -> hop -> accuracy.
    """
    scores: dict[str, dict[int, float]] = {}
    for rule in (rule for rule in SHORTCUTS if rule.needs(schema)):
        is_right = rule.guess(fit, score, schema) == score.answer
        hops = [int(hop) for hop in np.unique(score.hop) if hop > rule.n_facts]
        scores[rule.name] = {hop: float(is_right[score.hop == hop].mean()) for hop in hops}
    return scores


def best_shortcuts(fit: Examples, score: Examples, schema: Schema) -> dict[int, BestShortcut]:
    """The best rule at every hop; of equally good ones the first in the order of SHORTCUTS."""
    best: dict[int, BestShortcut] = {}
    for name, by_hop in score_shortcuts(fit, score, schema).items():
        for hop, accuracy in by_hop.items():
            if hop not in best or accuracy > best[hop].accuracy:
                best[hop] = BestShortcut(name, accuracy)
    return best


def _majority_class(fit: Examples, score: Examples, schema: Schema) -> Int:
    counts = np.bincount(fit.answer[fit.hop > 0], minlength=schema.n_classes)
    return np.full_like(score.answer, counts.argmax())


def _most_frequent_symbol(fit: Examples, score: Examples, schema: Schema) -> Int:
    """The answer-like symbol that is commonest in the graph and not in the query; among ties the smallest id."""
    symbols = answer_symbols(score, schema)
    counts = np.repeat(counts_in_graph(symbols, symbols)[:, None, :], score.query.shape[1], axis=1)  # g q m
    for asked in asked_symbols(score, schema):
        counts[symbols[:, None, :] == asked[:, :, None]] = 0
    rank = counts.astype(np.int64) * schema.n_classes - symbols[:, None, :]
    return np.take_along_axis(symbols, rank.argmax(axis=2), axis=1)


def _last_symbol(fit: Examples, score: Examples, schema: Schema) -> Int:
    """The answer-like symbol nearest to the queries: the last one of the last fact."""
    return np.broadcast_to(answer_symbols(score, schema)[:, -1:], score.answer.shape)


def _best_place(fit: Examples, score: Examples, schema: Schema) -> Int:
    """The place in the list of facts that most often held the answer."""
    hits = [(column[:, None] == fit.answer).sum() for column in answer_symbols(fit, schema).T]
    place = int(np.argmax(hits))
    return np.broadcast_to(answer_symbols(score, schema)[:, place : place + 1], score.answer.shape)


def _beside_start(fit: Examples, score: Examples, schema: Schema) -> Int:
    """The last symbol of the fact listed after the one that begins with the start."""
    row = _row_of_start(score)
    return _last_role(score, (row + 1) % score.facts.shape[1])


def _successor(fit: Examples, score: Examples, schema: Schema) -> Int:
    """The last symbol of the fact that begins with the start."""
    return _last_role(score, _row_of_start(score))


def _row_of_start(examples: Examples) -> Int:
    is_start = examples.facts[:, None, :, 0] == examples.query[:, :, None, 0]  # g q f
    row: Int = is_start.argmax(axis=2).astype(np.int32)
    return row


def _last_role(examples: Examples, rows: Int) -> Int:
    return np.take_along_axis(examples.facts[:, :, -1], rows, axis=1)


def _always(schema: Schema) -> bool:
    return True


def _has_queries(schema: Schema) -> bool:
    return not schema.is_sequence


def _is_sequence(schema: Schema) -> bool:
    return schema.is_sequence


def _facts_hold_answers(schema: Schema) -> bool:
    return _has_queries(schema) and any(role.vocabulary == schema.answer for role in schema.fact)


def _facts_lead_from_start_to_answers(schema: Schema) -> bool:
    return (
        _has_queries(schema)
        and schema.fact[0].vocabulary == schema.query[0].vocabulary
        and schema.fact[-1].vocabulary == schema.answer
    )


SHORTCUTS = (
    Shortcut("majority_class", 0, _always, _majority_class),
    Shortcut("most_frequent_symbol", 0, _facts_hold_answers, _most_frequent_symbol),
    Shortcut("last_symbol", 0, _facts_hold_answers, _last_symbol),
    Shortcut("best_place", 0, _facts_hold_answers, _best_place),
    Shortcut("beside_start", 0, _facts_lead_from_start_to_answers, _beside_start),
    Shortcut("facts_only", 0, _facts_hold_answers, facts_only),
    Shortcut("symbol_counts", 1, _has_queries, symbol_counts),
    Shortcut("successor", 1, _facts_lead_from_start_to_answers, _successor),
    Shortcut("given_place", 0, _is_sequence, local.guess_given(local.given_place)),
    Shortcut("given_token", 1, _is_sequence, local.guess_given(local.given_token)),
    Shortcut("given_two_tokens", 2, _is_sequence, local.guess_given(local.given_two_tokens)),
    Shortcut("given_successor", 3, _is_sequence, local.guess_given(local.given_successor)),
)
