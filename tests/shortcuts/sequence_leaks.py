"""Families of sequences with a planted leak, and the same without."""

from typing import Any, NamedTuple

import numpy as np

from nexus_bench.data.task import make_task
from nexus_bench.generators.hop_k import HopK
from nexus_bench.generators.mqar import Mqar
from nexus_bench.generators.parts.groups import named_group
from nexus_bench.generators.path_tokens import PathTokens
from nexus_bench.generators.sequences import SequenceBatch, SequenceFamily
from nexus_bench.generators.word_problem import WordProblem
from nexus_bench.shortcuts.audit import audit
from nexus_bench.streams import Int, Mask, integers


class SequenceLeak(NamedTuple):
    """A family with a leak, and a reader that finds it."""

    leaky: type[SequenceFamily[Any]]
    entry: dict[str, Any]
    found_by: str


def beaten_by(leak: SequenceLeak, *, n_graphs: int, seed: int = 0, clean: bool = False) -> set[str]:
    """The readers that beat the family, with or without its leak."""
    law: Any = make_task(leak.entry, where="test").generator()
    family = law if clean else leak.leaky(law.params, law.hops)
    return {row.reader for row in audit(family, n_graphs=n_graphs, seed=seed, rounds=15) if row.above}


def some(rng: np.random.Generator, n_rows: int, n_columns: int, percent: int) -> Mask:
    return integers(rng, n_rows, n_columns, high=100) < percent


class Words(WordProblem):
    """Words that are changed place by place."""

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        drawn = super().draw(n_sequences, rng)
        tokens = drawn.tokens.copy()
        table = named_group(self.params.group).table
        product = tokens[:, 0].copy()
        for place in range(1, self.n_facts):
            tokens[:, place] = self.changed(tokens, place, product, rng)
            product = table[product, tokens[:, place]].astype(np.int32)
        label, hop = self.derive(tokens, drawn.length)
        return SequenceBatch(tokens, label, hop, drawn.length)

    def changed(self, tokens: Int, place: int, product: Int, rng: np.random.Generator) -> Int:
        raise NotImplementedError


class LabelIsTheNextToken(Words):
    def changed(self, tokens: Int, place: int, product: Int, rng: np.random.Generator) -> Int:
        return np.where(some(rng, len(tokens), 1, 15)[:, 0], product, tokens[:, place])


class TokensRepeat(Words):
    def changed(self, tokens: Int, place: int, product: Int, rng: np.random.Generator) -> Int:
        return np.where(some(rng, len(tokens), 1, 15)[:, 0], tokens[:, place - 1], tokens[:, place])


class OneLabelIsCommonAtAPlace(Words):
    def changed(self, tokens: Int, place: int, product: Int, rng: np.random.Generator) -> Int:
        inverse = (named_group(self.params.group).table == 0).argmax(axis=1)[product].astype(np.int32)
        is_told = (place == 2) & some(rng, len(tokens), 1, 15)[:, 0]
        return np.where(is_told, inverse, tokens[:, place])


class OneSymbolIsCommon(HopK):
    """Symbol 0 stands at every third place, and nowhere beside itself."""

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        drawn = super().draw(n_sequences, rng)
        tokens = drawn.tokens.copy()
        for place in range(2, self.n_facts - 1):
            is_free = (tokens[:, place - 1] != 0) & (tokens[:, place + 1] != 0)
            tokens[is_free & some(rng, n_sequences, 1, 40)[:, 0], place] = 0
        label, hop = self.derive(tokens, drawn.length)
        return SequenceBatch(tokens, label, hop, drawn.length)


class KeysTellValues(Mqar):
    """Three values of ten are that of their key, as far as they differ."""

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        drawn = super().draw(n_sequences, rng)
        tokens, n = drawn.tokens.copy(), 2 * self.params.n_pairs
        for place in range(1, n, 2):
            told = tokens[:, place - 1] + np.int32(self.n_labels)
            is_free = (tokens[:, 1:n:2] != told[:, None]).all(axis=1)
            told = np.where(is_free & some(rng, n_sequences, 1, 30)[:, 0], told, tokens[:, place])
            tokens[:, place] = told
        label, hop = self.derive(tokens, drawn.length)
        return SequenceBatch(tokens, label, hop, drawn.length)


class ValuesStandBeforeTheirQueries(Mqar):
    """Four of ten queries follow a blank that is their value instead."""

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        drawn = super().draw(n_sequences, rng)
        tokens = drawn.tokens.copy()
        is_told = (drawn.hop > 0) & some(rng, n_sequences, self.n_facts, 40)
        rows, at = np.nonzero(is_told)
        at, rows = at[at > 2 * self.params.n_pairs], rows[at > 2 * self.params.n_pairs]
        tokens[rows, at - 1] = drawn.label[rows, at] + self.n_words - 1 - self.n_labels
        label, hop = self.derive(tokens, drawn.length)
        return SequenceBatch(tokens, label, hop, drawn.length)


class FirstPairsAreAskedFirst(Mqar):
    """In a third of the sequences the keys are asked in the order of the pairs."""

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        drawn = super().draw(n_sequences, rng)
        tokens, n = drawn.tokens.copy(), self.params.n_pairs
        _, at = np.nonzero(drawn.hop)
        at = at.reshape(n_sequences, n)
        is_told = some(rng, n_sequences, 1, 33)[:, 0]
        row = np.flatnonzero(is_told)[:, None]
        tokens[row, at[is_told]] = tokens[is_told, : 2 * n : 2]
        label, hop = self.derive(tokens, drawn.length)
        return SequenceBatch(tokens, label, hop, drawn.length)


class TheArmOfTheGoalStandsLast(PathTokens):
    """In half of the stars the last edge leads from the centre to the first node of the path."""

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        drawn = super().draw(n_sequences, rng)
        tokens, n_edges = drawn.tokens.copy(), self.params.n_arms * self._longest
        rows = np.flatnonzero(some(rng, n_sequences, 1, 50)[:, 0])
        edges = tokens[rows, : 2 * n_edges].reshape(-1, n_edges, 2)
        first = tokens[rows, 2 * n_edges + 4]
        told, g = (edges[:, :, 1] == first[:, None]).argmax(axis=1), np.arange(len(rows))
        edges[g, told], edges[:, -1] = edges[:, -1].copy(), edges[g, told]
        tokens[rows, : 2 * n_edges] = edges.reshape(len(rows), -1)
        label, hop = self.derive(tokens, drawn.length)
        return SequenceBatch(tokens, label, hop, drawn.length)


WORDS = {"task": "word_problem", "group": "S_3", "n_tokens": 5, "hops": "2-3"}
PAIRS = {"task": "mqar", "n_tokens": 40, "filler": "blank"}
LEAKS = {
    "the label is the next token": SequenceLeak(LabelIsTheNextToken, WORDS, "window_logistic"),
    "tokens repeat": SequenceLeak(TokensRepeat, WORDS, "complete_logistic"),
    "a label is common at a place": SequenceLeak(OneLabelIsCommonAtAPlace, WORDS, "given_place"),
    "a symbol is common": SequenceLeak(
        OneSymbolIsCommon, {"task": "hop_k", "n_tokens": 40, "n_symbols": 6, "hops": "1-2"}, "counts_logistic"
    ),
    "keys tell values": SequenceLeak(KeysTellValues, PAIRS | {"vocab_size": 28, "n_pairs": 5}, "complete_logistic"),
    "values stand before their queries": SequenceLeak(
        ValuesStandBeforeTheirQueries, PAIRS | {"vocab_size": 600, "n_pairs": 6}, "window_boosting"
    ),
    "first pairs are asked first": SequenceLeak(
        FirstPairsAreAskedFirst, PAIRS | {"vocab_size": 600, "n_pairs": 6, "power": 0.1}, "order_boosting"
    ),
    "the arm of the goal stands last": SequenceLeak(
        TheArmOfTheGoalStandsLast, {"task": "path_tokens", "n_arms": 3, "n_nodes": 12, "hops": "2"}, "window_logistic"
    ),
}
