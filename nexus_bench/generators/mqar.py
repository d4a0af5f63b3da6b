"""Multi-query associative recall: pairs of a key and a value, then the keys again, each with its value as the label."""

import math
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS
from nexus_bench.generators.parts.facts import look_up
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceBatch, SequenceFamily, SequenceParams
from nexus_bench.streams import Int, Mask, integers, permutations

_TABLE_BITS = 16  # of the table that places are drawn from


class MqarParams(SequenceParams):
    """Size of an mqar sequence."""

    n_pairs: int = Field(ge=1, le=4_096, description="Pairs of a key and a value; each key is asked once.")
    vocab_size: int = Field(ge=4, le=100_000, description="Words: the first half are keys, the others are values.")
    power: float = Field(
        gt=0, le=1, description="Law of the places of queries after the pairs: x^(power - 1); 1 is uniform."
    )
    filler: Literal["random", "blank"] = Field(
        description="What stands between queries: any words but the keys of the sequence, or a word of its own."
    )


@GENERATORS.register
class Mqar(SequenceFamily[MqarParams]):
    """Pairs of a key and a value, then every key again, far apart; the answer at a key is the value of its pair.

    The keys of a sequence are different, and so are the values. After the pairs there is room for a query at every
    second place. Places near the pairs are likelier, by a power law; which key stands at which of the places is random.
    All other places hold words that are no keys of this sequence, so that any reader can tell the queries. One hop: the
    value is one token to look up. Knowing which values there are, one of `n_pairs` is right.

    Source: Arora et al. 2023 ("Zoology: measuring and improving recall in efficient language models", arXiv
    2312.04927), their power law and sizes: 4 to 64 pairs in 64 to 512 tokens, 8,192 words. There filler may be a key of
    the sequence without a label, and the first pairs tend to be asked near the pairs.

    >>> from nexus_bench.streams import stream
    >>> params = MqarParams(n_tokens=12, min_tokens=None, n_pairs=2, vocab_size=12, power=1.0, filler="blank")
    >>> drawn = Mqar(params, hops=(1,)).draw(1, stream("doctest"))
    >>> drawn.tokens[0].tolist(), drawn.label[0].tolist()
    ([0, 6, 3, 7, 12, 12, 12, 12, 0, 12, 3, 12], [-1, -1, -1, -1, -1, -1, -1, -1, 0, -1, 1, -1])
    """

    name = "mqar"
    version = 1
    Params = MqarParams

    def __init__(
        self, params: MqarParams, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)
        self._n_keys = params.vocab_size // 2
        self._n_values = params.vocab_size - self._n_keys
        if params.n_pairs >= self._n_keys:
            raise ConfigError(
                f"{self.name}: vocab_size must be more than {2 * params.n_pairs + 1} for {params.n_pairs} pairs, got "
                f"{params.vocab_size}"
            )
        if self.min_length < 4 * params.n_pairs:
            raise ConfigError(
                f"{self.name}: {params.n_pairs} pairs and as many queries need {4 * params.n_pairs} tokens or more, "
                f"got {self.min_length}; lower n_pairs or raise n_tokens"
            )

    @property
    def max_hop(self) -> int:
        """A value is one look-up away."""
        return 1

    def advice_for_hop(self, hop: int) -> str:
        """No parameter would help."""
        return "ask for one hop"

    @property
    def n_words(self) -> int:
        """Keys, values, and the blank."""
        return self.params.vocab_size + 1

    @property
    def n_labels(self) -> int:
        """The values."""
        return self._n_values

    @property
    def most_labels(self) -> int:
        """One a pair."""
        return self.params.n_pairs

    @property
    def n_worlds(self) -> int:
        """Orders of the pairs."""
        return math.perm(self._n_keys, self.params.n_pairs) * math.perm(self._n_values, self.params.n_pairs)

    def symbol(self, vocabulary: str, index: int) -> str:
        """`k3` is a key, `v3` a value, `_` the blank."""
        if vocabulary == "label":
            return f"v{index}"
        if index == self.params.vocab_size:
            return "_"
        return f"k{index}" if index < self._n_keys else f"v{index - self._n_keys}"

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """Keys, values, the places of queries, then everything between."""
        n_pairs, n_context = self.params.n_pairs, 2 * self.params.n_pairs
        length = self.deal_lengths(n_sequences, rng)
        keys = _distinct(rng, n_sequences, self._n_keys, n_pairs)
        values = _distinct(rng, n_sequences, self._n_values, n_pairs)
        asked = permutations(rng, n_sequences, n_pairs)  # which pair each of the places asks for
        at = n_context + 2 * self._slots(n_sequences, rng)

        tokens = np.full((n_sequences, self.n_facts), self.params.vocab_size, dtype=np.int32)
        if self.params.filler == "random":
            tokens[:, n_context:] = self._filler(keys, rng)
        tokens[:, :n_context:2] = keys
        tokens[:, 1:n_context:2] = values + np.int32(self._n_keys)
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        row = np.arange(n_sequences)[:, None]
        tokens[row, at] = look_up(keys, asked)
        label[row, at] = look_up(values, asked)
        hop[row, at] = 1
        return SequenceBatch(tokens, label, hop, length)

    def _slots(self, n_sequences: int, rng: np.random.Generator) -> Int:
        """Different slots within the shortest sequence, each drawn again until it is free: array (g, n_pairs)."""
        n_pairs, n_slots = self.params.n_pairs, (self.min_length - 2 * self.params.n_pairs) // 2
        if self.params.power == 1:
            return permutations(rng, n_sequences, n_slots, k=n_pairs)
        table, slot = _slot_table(n_slots, self.params.power), np.empty(n_sequences * n_pairs, dtype=np.int32)
        owner = np.full(n_sequences * n_slots, -1, dtype=np.int64)
        waiting = np.arange(n_sequences * n_pairs)
        while len(waiting):
            drawn = table.take(integers(rng, len(waiting), 1, high=len(table))[:, 0])
            cell = waiting // n_pairs * n_slots + drawn
            is_free = owner[cell] < 0
            owner[cell[is_free][::-1]] = waiting[is_free][::-1]  # of several the first one has it
            has = owner[cell] == waiting
            slot[waiting[has]] = drawn[has]
            waiting = waiting[~has]
        return slot.reshape(n_sequences, n_pairs)

    def _filler(self, keys: Int, rng: np.random.Generator) -> Int:
        """Words that are no keys of the sequence."""
        n_sequences, n_places = len(keys), self.n_facts - 2 * self.params.n_pairs
        is_key = np.zeros((n_sequences, self.params.vocab_size), dtype=np.bool_)
        is_key[np.arange(n_sequences)[:, None], keys] = True
        words = integers(rng, n_sequences, n_places, high=self.params.vocab_size)
        first = np.arange(0, is_key.size, self.params.vocab_size)[:, None]
        flat, offset = words.ravel(), np.broadcast_to(first, words.shape).ravel()
        again = np.flatnonzero(is_key.ravel().take(flat + offset))
        while len(again):
            flat[again] = integers(rng, len(again), 1, high=self.params.vocab_size)[:, 0]
            again = again[is_key.ravel().take(flat[again] + offset[again])]
        return words

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Compare every token after the pairs with every key of the pairs."""
        found = self._pair_of(tokens, np.broadcast_to(np.arange(tokens.shape[1], dtype=np.int32), tokens.shape))
        value = look_up(tokens, np.maximum(2 * found + 1, 0)) - np.int32(self._n_keys)
        is_asked = (found >= 0) & (value >= 0) & (value < self._n_values)
        return Labels(np.where(is_asked, value, NOTHING).astype(np.int32), is_asked.astype(np.int32))

    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """The place of the value."""
        found = self._pair_of(tokens, at)[:, :, None]
        return np.where(found >= 0, 2 * found + 1, -1).astype(np.int32)

    def _pair_of(self, tokens: Int, at: Int) -> Int:
        """The latest pair whose key is the token at a place after the pairs: array (g, q), -1 if there is none."""
        n_context, word = 2 * self.params.n_pairs, look_up(tokens, at)
        pair = np.full(at.shape, -1, dtype=np.int32)
        for number in range(self.params.n_pairs):
            key = tokens[:, 2 * number, None]
            pair[(word == key) & (key >= 0) & (key < self._n_keys) & (at >= n_context)] = number
        return pair

    def could_be(self, tokens: Int, length: Int, at: Int) -> Mask:
        """Any value but those of the other pairs."""
        g = np.arange(len(tokens))
        word = np.arange(self.n_words)
        may = np.broadcast_to((word >= self._n_keys) & (word < self.params.vocab_size), (len(g), self.n_words)).copy()
        for place in range(1, 2 * self.params.n_pairs, 2):
            other = g[at != place]
            may[other, tokens[other, place]] = False
        return may

    def chance(self, hop: int) -> float:
        """One of the values of the pairs."""
        return 1 / self.params.n_pairs

    def partial_input(self, hop: int) -> float:
        """One of the values that no other pair has; or any of the sequence, if these are fewer."""
        return max(self.chance(hop), 1 / (self._n_values - self.params.n_pairs + 1))


def _distinct(rng: np.random.Generator, n_rows: int, n: int, k: int) -> Int:
    """Different things in every row, k of n; where few rows would be lost, rows with a repeat are drawn again."""
    if k * k > n:
        return permutations(rng, n_rows, n, k=k)
    drawn = integers(rng, n_rows, k, high=n)
    again = np.arange(n_rows)
    while len(again):
        ordered = np.sort(drawn[again], axis=1)
        again = again[(ordered[:, 1:] == ordered[:, :-1]).any(axis=1)]
        drawn[again] = integers(rng, len(again), k, high=n)
    return drawn


@cache
def _slot_table(n_slots: int, power: float) -> NDArray[np.int32]:
    """Slots 0..n_slots-1, slot x as often as (x + 1)^(power - 1) says, at least once."""
    weight = np.arange(1, n_slots + 1, dtype=np.float64) ** (power - 1)
    n_times = np.maximum(1, np.round(weight / weight.sum() * 2**_TABLE_BITS).astype(np.int64))
    return np.repeat(np.arange(n_slots, dtype=np.int32), n_times)
