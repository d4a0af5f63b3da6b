"""Readers of the English: words, pairs of words and mentions of names, without following a fact."""

import re
from collections import Counter
from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples, Generator
from nexus_bench.shortcuts import features as see
from nexus_bench.shortcuts.candidates import Candidates, outside_answers, possible_answers
from nexus_bench.shortcuts.fits import boosting, classify, logistic, rank
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.streams import Int
from nexus_bench.text.render import TextOptions, TextRenderer

_WORD = re.compile(r"\w+|[.?]")
_NEIGHBOURS = 24  # commonest words that mentions are told apart by


def guess_in_english(generator: Generator[Any], fit: Examples, score: Examples, rounds: int) -> dict[str, Int]:
    """What readers of the prompts answer, fitted to the prompts of other examples.

    Args:
        generator: The task.
        fit: Examples of one hop count with one query per graph.
        score: Others; they are told as graphs of another number, since templates depend on the number.
        rounds: Rounds of boosting.

    Returns:
        By reader, answers (n).
    """
    renderer = TextRenderer(generator, TextOptions())
    to_fit = [told.prompt for told in renderer.render(fit)]
    to_score = [told.prompt for told in renderer.render(score, first_graph=len(to_fit))]
    if see.answers_are_names(generator.schema):
        return _rank_mentions(generator, fit, score, to_fit, to_score, renderer.grammar.answers, rounds)
    return _classify_words(fit, to_fit, to_score, rounds)


def _classify_words(fit: Examples, to_fit: list[str], to_score: list[str], rounds: int) -> dict[str, Int]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    answers = {}
    for name, most in (("words", 1), ("pairs", 2)):
        vectors = TfidfVectorizer(ngram_range=(1, most), token_pattern=_WORD.pattern, max_features=3000, min_df=2)
        known, asked = vectors.fit_transform(to_fit), vectors.transform(to_score)
        answers[f"english_{name}"] = classify(known, fit.answer[:, 0], asked, _plain_logistic, rounds)
    return answers


def _plain_logistic(rounds: int, n_classes: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=60, tol=1e-3)


def _rank_mentions(
    generator: Generator[Any],
    fit: Examples,
    score: Examples,
    to_fit: list[str],
    to_score: list[str],
    answers: tuple[str, ...],
    rounds: int,
) -> dict[str, Int]:
    """Where and beside which words each name is mentioned."""
    outside = outside_answers(fit, generator.schema)
    names = {token for answer in answers for token in _WORD.findall(answer)}
    common = Counter(token for prompt in to_fit[:200] for token in _WORD.findall(prompt) if token not in names)
    near = {token: i + 1 for i, (token, _) in enumerate(common.most_common(_NEIGHBOURS))}  # 0: another word
    told = [_mentions(generator, *pair, answers, near, outside) for pair in ((fit, to_fit), (score, to_score))]
    right = fit.answer[:, 0]
    return {
        f"english_{name}": rank(told[0], right, told[1], make, rounds)
        for name, make in (("mentions_logistic", logistic), ("mentions_boosting", boosting))
    }


def _mentions(
    generator: Generator[Any],
    one: Examples,
    prompts: list[str],
    answers: tuple[str, ...],
    near: dict[str, int],
    outside: Int,
) -> Candidates:
    """Every name: mentions, the first and last place, words before and after, and sentences that it opens or ends."""
    symbols = possible_answers(one, generator.schema, outside)
    width = 3 + 2 * (len(near) + 1)
    features = np.zeros((*symbols.shape, width))
    first_word = {answer: _WORD.findall(answer)[0] for answer in answers}
    for n, prompt in enumerate(prompts):
        tokens = _WORD.findall(prompt)
        column = {first_word[answers[s]]: m for m, s in enumerate(symbols[n].tolist()) if s >= 0}
        codes = [near.get(token, 0) for token in tokens]
        seen: Float = features[n]
        for place, token in enumerate(tokens):
            m = column.get(token)
            if m is None:
                continue
            if not seen[m, 0]:
                seen[m, 1] = place
            seen[m, 0] += 1
            seen[m, 2] = place
            if place:
                seen[m, 3 + codes[place - 1]] += 1
            if place + 1 < len(tokens):
                seen[m, 4 + len(near) + codes[place + 1]] += 1
    return Candidates(symbols, np.concatenate([symbols[:, :, None], features], axis=2))
