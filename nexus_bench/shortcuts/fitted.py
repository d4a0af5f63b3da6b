"""Guesses that are fitted to examples: to the shape of the facts without the query, and to counts of symbols.

Axis letters: g graphs, f facts, a roles, q queries, m symbols of a graph that could be answers, with repeats.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from nexus_bench.generators.base import Examples, Schema
from nexus_bench.streams import Int, Words, mix

Float = NDArray[np.float64]
Colour = Words

_ROUNDS = 8  # of colour refinement: the radius around a symbol that its colour describes
_PRIOR_SEEN = 50.0  # how often a colour must be seen before its own frequency outweighs the average
_FIT_EXAMPLES = 2000  # per hop
_MOST_CLASSES = 16  # answers that are not among the facts, such as yes and no


def answer_symbols(examples: Examples, schema: Schema) -> Int:
    """The symbols of each graph's facts that could be answers: array (g, m), m entries in the order of the facts."""
    columns = [i for i, role in enumerate(schema.fact) if role.vocabulary == schema.answer]
    return examples.facts[:, :, columns].reshape(examples.n_graphs, -1)


def asked_symbols(examples: Examples, schema: Schema) -> list[Int]:
    """The symbols of the queries that could be answers: one array (g, q) per role."""
    return [examples.query[:, :, i] for i, role in enumerate(schema.query) if role.vocabulary == schema.answer]


def counts_in_graph(symbols: Int, among: Int) -> Int:
    """How often each symbol (g, m) stands in the same row of `among` (g, n): array (g, m)."""
    counts = np.empty(symbols.shape, dtype=np.int32)
    chunk = max(1, 20_000_000 // (symbols.shape[1] * among.shape[1] + 1))
    for start in range(0, len(symbols), chunk):
        part = slice(start, start + chunk)
        counts[part] = (symbols[part, :, None] == among[part, None, :]).sum(axis=2)
    return counts


def facts_only(fit: Examples, score: Examples, schema: Schema) -> Int:
    """The symbol whose surroundings most often belong to an answer; of the query only the hop is used.

    Surroundings are colours that include more distant neighbours in each round. They encode degrees, depths and
    cycles, but not which symbols these are. Source: colour refinement (Weisfeiler and Leman, 1968).
    """
    guess = np.empty_like(score.answer)
    at_fit, at_score = answer_symbols(fit, schema), answer_symbols(score, schema)
    colours, asked_colours = _colours(fit, schema), _colours(score, schema)
    share = 1 / counts_in_graph(at_fit, at_fit)
    is_answer = at_fit[:, None, :] == fit.answer[:, :, None]  # g q m
    outside = ~is_answer.any(axis=2)
    for hop in np.unique(score.hop):
        asks = fit.hop == hop
        if not asks.any():  # the other split does not have this hop: fit to all hops
            asks = np.ones_like(asks)
        weight = share * asks.sum(axis=1)[:, None]  # g m: each distinct symbol counts once per query
        hits = share * (is_answer & asks[:, :, None]).sum(axis=1)
        rates = _rates(colours.ravel(), weight.ravel(), hits.ravel(), asked_colours)
        best = np.take_along_axis(at_score, rates.argmax(axis=1)[:, None], axis=1)
        if (asks & outside).sum() / asks.sum() > rates.max():
            best = np.full_like(best, np.bincount(fit.answer[asks & outside]).argmax())
        guess = np.where(score.hop == hop, best, guess)
    return guess


class _Candidates(NamedTuple):
    """The features of `symbol_counts`: of the symbols of a graph, and of classes that are not among the facts."""

    symbols: Int  # g m
    by_graph: Float  # g m w
    is_asked: list[NDArray[np.bool_]]  # per role: g q m
    of_query: Float  # g q v


def symbol_counts(fit: Examples, score: Examples, schema: Schema) -> Int:
    """A logistic model on the counts of each symbol in each role, and on the counts of the symbols of the query."""
    known = answer_symbols(fit, schema) if any(r.vocabulary == schema.answer for r in schema.fact) else None
    outside = fit.answer if known is None else fit.answer[~(known[:, None, :] == fit.answer[:, :, None]).any(axis=2)]
    common = np.bincount(outside.ravel(), minlength=schema.n_classes).argsort(kind="stable")[::-1][:_MOST_CLASSES]
    classes: Int = common[np.isin(common, outside)].astype(np.int32)
    to_fit, to_score = (_candidates(examples, schema) for examples in (fit, score))
    guess = np.empty_like(score.answer)
    for hop in np.unique(score.hop):
        asks = fit.hop == hop
        graph, query = (index[:_FIT_EXAMPLES] for index in np.nonzero(asks if asks.any() else fit.hop))
        weights = _fit(_features(to_fit, graph, query, len(classes)), _labels(to_fit, fit, classes, graph, query))
        for start in range(0, score.n_graphs, 256):
            g, q = np.nonzero(score.hop[start : start + 256] == hop)
            values = _features(to_score, g + start, q, len(classes)) @ weights
            symbols = to_score.symbols[g + start]
            options = np.concatenate([symbols, np.broadcast_to(classes, (len(g), len(classes)))], axis=1)
            # one entry per repeat: together they have the probability of their symbol
            values[:, : symbols.shape[1]] += np.log(counts_in_graph(symbols, symbols))
            guess[g + start, q] = np.take_along_axis(options, values.argmax(axis=1)[:, None], axis=1)[:, 0]
    return guess


def _rates(colours: Colour, weight: Float, hits: Float, asked: Colour) -> Float:
    """How often each colour was an answer, shrunk to the average if it was seen rarely."""
    known, place = np.unique(colours, return_inverse=True)
    seen, hit = np.bincount(place, weight), np.bincount(place, hits)
    average = hits.sum() / weight.sum()
    rate = (hit + _PRIOR_SEEN * average) / (seen + _PRIOR_SEEN)
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    rates: Float = np.where(known[at] == asked, rate[at], average)
    return rates


def _colours(examples: Examples, schema: Schema) -> Colour:
    """The colour of every answer-like symbol: array (g, m)."""
    facts = examples.facts
    vocabularies = sorted({role.vocabulary for role in schema.fact})
    kind = np.array([vocabularies.index(role.vocabulary) for role in schema.fact])
    key = (np.arange(len(facts))[:, None, None] * len(vocabularies) + kind) * (int(facts.max()) + 1) + facts
    order = np.argsort(key, axis=None, kind="stable")
    starts = np.flatnonzero(np.diff(key.ravel()[order], prepend=-1))
    place = np.empty(key.size, dtype=np.int64)
    place[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=key.size))
    named = np.array([role.vocabulary != schema.answer for role in schema.fact])  # such as places and relations
    first = mix((kind * 1_000_003 + np.where(named, facts + 1, 0)).astype(np.uint64))
    roles = mix(np.arange(1, facts.shape[2] + 1, dtype=np.uint64))
    colour = first
    for _ in range(_ROUNDS):
        fact = mix(mix(colour ^ roles).sum(axis=2, dtype=np.uint64))
        message = mix(fact[:, :, None] + roles)
        total = np.add.reduceat(message.ravel()[order], starts)
        colour = mix(colour + total[place].reshape(facts.shape))
    columns = [i for i, role in enumerate(schema.fact) if role.vocabulary == schema.answer]
    return colour[:, :, columns].reshape(len(facts), -1)


def _candidates(examples: Examples, schema: Schema) -> _Candidates:
    facts, query = examples.facts, examples.query
    symbols = answer_symbols(examples, schema)
    counts = [
        counts_in_graph(symbols, facts[:, :, a])
        for a, role in enumerate(schema.fact)
        if role.vocabulary == schema.answer
    ]
    by_graph = np.stack([*counts, *(count**2 for count in counts)], axis=2) if counts else np.empty((*symbols.shape, 0))
    of_query = [np.ones(query.shape[:2], dtype=np.int32)]
    of_query += [
        counts_in_graph(query[:, :, r], facts[:, :, a])
        for r, asked in enumerate(schema.query)
        for a, role in enumerate(schema.fact)
        if asked.vocabulary == role.vocabulary
    ]
    is_asked = [symbols[:, None, :] == asked[:, :, None] for asked in asked_symbols(examples, schema)]
    return _Candidates(symbols, by_graph.astype(np.float64), is_asked, np.stack(of_query, axis=2).astype(np.float64))


def _features(at: _Candidates, graph: NDArray[np.int64], query: NDArray[np.int64], n_classes: int) -> Float:
    """Array (examples, m + classes, features): one block for the symbols of the graph, one for each class."""
    asked = [flag[graph, query] for flag in at.is_asked]
    inside = np.concatenate([at.by_graph[graph], *(flag[:, :, None] for flag in asked)], axis=2)
    n, m, width = inside.shape
    wide = at.of_query.shape[2]
    features = np.zeros((n, m + n_classes, width + n_classes * wide))
    features[:, :m, :width] = inside
    for c in range(n_classes):
        features[:, m + c, width + c * wide : width + (c + 1) * wide] = at.of_query[graph, query]
    return features


def _labels(
    at: _Candidates, examples: Examples, classes: Int, graph: NDArray[np.int64], query: NDArray[np.int64]
) -> NDArray[np.bool_]:
    options = np.concatenate([at.symbols[graph], np.broadcast_to(classes, (len(graph), len(classes)))], axis=1)
    labels: NDArray[np.bool_] = options == examples.answer[graph, query][:, None]
    return labels


def _fit(features: Float, labels: NDArray[np.bool_]) -> Float:
    """The weights with the smallest cross-entropy; a little weight decay makes them unique."""

    def loss(weights: Float) -> tuple[float, Float]:
        values = features @ weights
        odds = np.exp(values - values.max(axis=1, keepdims=True))
        right = np.where(labels, odds, 0.0)
        total, hit = odds.sum(axis=1, keepdims=True), right.sum(axis=1, keepdims=True) + 1e-12
        slope = (odds / total - right / hit) / len(features)
        gradient = np.tensordot(slope, features, axes=2) + 1e-4 * weights
        return float(np.log(total / hit).mean() + 5e-5 * weights @ weights), gradient

    best: Float = minimize(loss, np.zeros(features.shape[2]), jac=True, method="L-BFGS-B", options={"maxiter": 50}).x
    return best
