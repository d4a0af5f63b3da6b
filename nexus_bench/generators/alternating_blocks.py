"""The languages of alternating blocks: whether the last of k blocks has begun, at every place."""

import math
from functools import cache
from typing import Literal

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceBatch, SequenceFamily, SequenceParams
from nexus_bench.streams import Int, Mask, permutations, stream

_SYMBOLS = 2  # a and b
_N_MEASURED, _MOST_TOKENS, _SIGMAS = 4_000, 10_000_000, 4  # sequences, their tokens, and standard errors as a margin


class AlternatingBlocksParams(SequenceParams):
    """Which places have a label; the length is there already."""

    labels: Literal["every", "starts"] = Field(description="`every` place has a label, or the `starts` of blocks.")


@GENERATORS.register
class AlternatingBlocks(SequenceFamily[AlternatingBlocksParams]):
    """A token says k; then k blocks of a and b by turns, the first of a; a label says if the last block has begun.

    The length is drawn, and all ways to cut it into k blocks are as likely. A hop is the first symbol of a block: that
    the k-th has begun takes the k of them, one after the other. A place before it is counted at k hops too, and needs
    fewer. No symbol within a block may be overlooked, as it could begin one; so a single hidden symbol tells nothing
    that its neighbours do not tell, unless its block has no other, and the partial-input ceiling is 1.

    Source: the languages L_k (`a+`, `a+b+`, `a+b+a+`, ...) of Yang, Cadilhac and Chiang 2025 ("Knee-deep in C-RASP: a
    transformer depth hierarchy", arXiv 2506.16055), labelled as in the public code of its experiments
    (pentagonalize/CRASP_depth), where a token that is always the same is in the place of the one that says k.

    >>> from nexus_bench.streams import stream
    >>> params = AlternatingBlocksParams(n_tokens=9, min_tokens=None, labels="every")
    >>> drawn = AlternatingBlocks(params, hops=(3,)).draw(1, stream("doctest"))
    >>> drawn.tokens[0].tolist(), drawn.label[0].tolist(), drawn.hop[0].tolist()
    ([4, 0, 0, 1, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 1, 1, 1, 1, 1], [0, 3, 3, 3, 3, 3, 3, 3, 3])
    """

    name = "alternating_blocks"
    version = 1
    Params = AlternatingBlocksParams
    says_hop = True
    needs_all_tokens = True

    @property
    def max_hop(self) -> int:
        """A symbol a block."""
        return self.min_length - 1

    def advice_for_hop(self, hop: int) -> str:
        """Longer sequences."""
        return self.params.advice_for_length(hop + 1)

    @property
    def n_words(self) -> int:
        """Two symbols, then a word for every number of blocks."""
        return _SYMBOLS + self.largest_hop

    @property
    def n_labels(self) -> int:
        """No and yes."""
        return 2

    @property
    def n_worlds(self) -> int:
        """As many as would repeat as often if all were as likely: short sequences of few blocks are the commonest."""
        lengths = range(self.min_length - 1, self.n_facts)
        ways = (math.comb(n - 1, k - 1) for n in lengths for k in self.hops)
        return max(1, int((len(lengths) * len(self.hops)) ** 2 / sum(1 / n for n in ways)))

    def symbol(self, vocabulary: str, index: int) -> str:
        """Symbols are letters, `k=3` says the number of blocks, a label is no or yes."""
        if vocabulary == "label":
            return ("no", "yes")[index]
        return "ab"[index] if index < _SYMBOLS else f"k={index - _SYMBOLS + 1}"

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """Of the places where a block may begin, in random order, take the first that lie within the sequence."""
        length, hop = self.deal_lengths(n_sequences, rng), self.deal_hop(n_sequences, rng)
        order = permutations(rng, n_sequences, self.n_facts - 2) + np.int32(2)
        is_within = order < length[:, None]
        is_start = np.zeros((n_sequences, self.n_facts), dtype=np.int32)
        chosen = is_within & (np.cumsum(is_within, axis=1) < hop[:, None])
        np.put_along_axis(is_start, order, chosen.astype(np.int32), axis=1)
        is_start[:, 1] = 1
        block = np.cumsum(is_start, axis=1, dtype=np.int32)  # from 1
        tokens = (block - np.int32(1)) % np.int32(_SYMBOLS)
        tokens[:, 0] = hop + np.int32(_SYMBOLS - 1)
        is_asked = (block > 0) if self.params.labels == "every" else is_start > 0
        label = np.where(is_asked, block == hop[:, None], NOTHING).astype(np.int32)
        return SequenceBatch(tokens, label, np.where(is_asked, hop[:, None], 0).astype(np.int32), length)

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Read from left to right and count the blocks."""
        k = tokens[:, 0] - np.int32(_SYMBOLS - 1)
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        n_begun = np.zeros(len(tokens), dtype=np.int32)
        for place in range(1, tokens.shape[1]):
            begins = self._begins(tokens, place)
            n_begun += begins
            is_asked = np.isin(k, self.hops) & (tokens[:, place] >= 0) & (tokens[:, place] < _SYMBOLS)
            if self.params.labels == "starts":
                is_asked &= begins
            label[:, place] = np.where(is_asked, n_begun == k, NOTHING)
            hop[:, place] = np.where(is_asked, k, 0)
        return Labels(label, hop)

    @staticmethod
    def _begins(tokens: Int, place: int) -> Mask:
        """Whether a block begins at a place: array (g)."""
        here, before = tokens[:, place], tokens[:, place - 1]
        begins: Mask = (here >= 0) & (here < _SYMBOLS) & ((here != before) | (place == 1))
        return begins

    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """Where the first k blocks begin, as far as they do up to the place."""
        g, k = np.arange(len(tokens)), tokens[:, 0] - np.int32(_SYMBOLS - 1)
        starts = np.full((len(tokens), self.largest_hop + 1), -1, dtype=np.int32)  # the last column is of no block
        n_begun = np.zeros(len(tokens), dtype=np.int32)
        for place in range(1, tokens.shape[1]):
            begins = self._begins(tokens, place) & (n_begun < np.minimum(k, self.largest_hop))
            starts[g, np.where(begins, n_begun, self.largest_hop)] = place
            n_begun += begins
        starts = starts[:, None, : self.largest_hop]
        return np.where(starts <= at[:, :, None], starts, -1).astype(np.int32)

    def could_be(self, tokens: Int, length: Int, at: Int) -> Mask:
        """Either symbol."""
        is_symbol: Mask = np.broadcast_to(np.arange(self.n_words) < _SYMBOLS, (len(tokens), self.n_words))
        return is_symbol

    def chance(self, hop: int) -> float:
        """The best guess that knows k, the place and the symbol there: measured, with a margin."""
        return _measured(self.params.model_dump_json(), hop)

    def partial_input(self, hop: int) -> float:
        """A hidden symbol is mostly known from its neighbours."""
        return 1.0


@cache
def _measured(params: str, hop: int) -> float:
    family = AlternatingBlocks(AlternatingBlocksParams.model_validate_json(params), (hop,))
    n = max(20, min(_N_MEASURED, _MOST_TOKENS // family.n_facts))
    examples = family.sample(n, stream("alternating_blocks", "measured", hop))
    token, label = examples.facts[:, :, 0], examples.answer
    counts = np.stack([((token == symbol) & (label == said)).sum(axis=0) for symbol in (0, 1) for said in (0, 1)])
    right = float(counts.reshape(2, 2, -1).max(axis=1).sum() / counts.sum())
    return min(1.0, right + _SIGMAS * math.sqrt(right * (1 - right) / n))
