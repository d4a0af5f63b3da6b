"""The readers that follow no fact, or only those of the query's own names: a table, and what each computes."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from nexus_bench.generators.base import Schema
from nexus_bench.shortcuts import features as see
from nexus_bench.shortcuts.candidates import Candidates, joint_name_features, name_candidates, outside_answers
from nexus_bench.shortcuts.features import OneQueryExamples
from nexus_bench.shortcuts.fits import Make, boosting, classify, logistic, rank
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.shortcuts.rules import SHORTCUTS, Shortcut
from nexus_bench.streams import Int

Against = Literal["chance", "partial_input"]
Guess = Callable[[OneQueryExamples, OneQueryExamples, Schema, int], Int]


class Reader(NamedTuple):
    """A reader, fitted to some examples and scored on others.

    Attributes:
        name: The name.
        against: The ceiling that it tries to beat.
        n_facts: How many facts it looks up; it is scored only at larger hop counts.
        in_order: Whether it uses the order of the facts, which the encoding `fact` does not show.
        guess: Takes examples of one hop count to fit to and to answer, their schema, and rounds of boosting; returns
            class ids (n).
    """

    name: str
    against: Against
    n_facts: int
    in_order: bool
    guess: Guess


_IN_ORDER = ("last_symbol", "best_place", "beside_start")  # of the rules
_MODELS: tuple[tuple[str, Make], ...] = (("logistic", logistic), ("boosting", boosting))


def readers(schema: Schema, *, joint: bool) -> list[Reader]:
    """Every reader that a schema has the roles for.

    Args:
        schema: The roles.
        joint: Also those that see the other queries of the graph.
    """
    found = [_of_rule(rule) for rule in SHORTCUTS if rule.needs(schema)]
    asked_roles = see.asked_names(schema)
    looks: list[tuple[str, Against, int, list[int]]] = [("", "chance", 0, [])]
    looks += [(f"_beside_{schema.query[r].name}", "partial_input", 1, [r]) for r in asked_roles]
    if len(asked_roles) > 1:
        looks.append(("_beside_all", "partial_input", len(asked_roles), asked_roles))
    names = see.answers_are_names(schema)
    for where, against, n_facts, beside in looks:
        for in_order in (False, True):
            kind = f"{'order' if in_order else 'bag'}{where}"
            for model, make in _MODELS:
                guess = _rank_names(make, in_order, beside) if names else _classify(make, in_order, beside)
                found.append(Reader(f"{kind}_{model}", against, n_facts, in_order, guess))
    if not names and asked_roles:
        found.append(
            Reader("degrees_boosting", "chance", len(asked_roles), False, _classify_degrees(boosting, asked_roles))
        )
    if joint:
        first = asked_roles[:1] if names else []
        kinds: tuple[tuple[str, Against, list[int]], ...] = (
            ("joint_queries", "chance", []),
            ("joint_answers", "partial_input", []),
            ("joint_answers_beside", "partial_input", first),
        )
        for name, ceiling, beside in kinds[: 3 if first else 2]:
            with_answers = ceiling == "partial_input"
            guess = _rank_jointly(with_answers, beside) if names else _classify_jointly(with_answers)
            found.append(Reader(name, ceiling, len(beside), False, guess))
    return found


def _of_rule(rule: Shortcut) -> Reader:
    def guess(fit: OneQueryExamples, score: OneQueryExamples, schema: Schema, rounds: int) -> Int:
        return rule.guess(fit.one, score.one, schema)[:, 0]

    return Reader(rule.name, "chance", rule.n_facts, rule.name in _IN_ORDER, guess)


def _classify(make: Make, in_order: bool, beside: list[int]) -> Guess:
    """Words, pairs of words and the query; the order of the facts; the facts of names of the query."""

    def features(asked: OneQueryExamples, schema: Schema) -> Float:
        one = asked.one
        parts = [see.query_features(one, schema), see.bag_features(one, schema)]
        if in_order:
            parts.append(see.order_features(one, schema))
        if beside:
            parts.append(see.beside_features(one, schema, beside))
        return see.stack(parts, len(one.facts))

    return _classified(make, features)


def _classify_degrees(make: Make, asked: list[int]) -> Guess:
    return _classified(make, lambda at, schema: see.degree_features(at.one, schema, asked))


def _classify_jointly(with_answers: bool) -> Guess:
    return _classified(boosting, lambda at, schema: see.joint_class_features(at, with_answers=with_answers))


def _classified(make: Make, features: Callable[[OneQueryExamples, Schema], Float]) -> Guess:
    def guess(fit: OneQueryExamples, score: OneQueryExamples, schema: Schema, rounds: int) -> Int:
        return classify(features(fit, schema), fit.one.answer[:, 0], features(score, schema), make, rounds)

    return guess


def _rank_names(make: Make, in_order: bool, beside: list[int]) -> Guess:
    """Counts and ids of every symbol of the graph; its places; whether it stands in a fact of a name of the query."""

    def features(asked: OneQueryExamples, schema: Schema, outside: Int) -> Candidates:
        return name_candidates(asked.one, schema, outside, in_order=in_order, beside=beside)

    return _ranked(make, features)


def _rank_jointly(with_answers: bool, beside: list[int]) -> Guess:
    def features(asked: OneQueryExamples, schema: Schema, outside: Int) -> Candidates:
        found = name_candidates(asked.one, schema, outside, in_order=False, beside=beside)
        joint = joint_name_features(asked, found.symbols, with_answers=with_answers)
        return Candidates(found.symbols, np.concatenate([found.features, joint], axis=2))

    return _ranked(boosting, features)


def _ranked(make: Make, features: Callable[[OneQueryExamples, Schema, Int], Candidates]) -> Guess:
    def guess(fit: OneQueryExamples, score: OneQueryExamples, schema: Schema, rounds: int) -> Int:
        outside = outside_answers(fit.one, schema)
        to_fit, to_score = (features(asked, schema, outside) for asked in (fit, score))
        return rank(to_fit, fit.one.answer[:, 0], to_score, make, rounds)

    return guess
