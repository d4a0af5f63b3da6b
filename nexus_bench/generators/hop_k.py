"""The k-hop induction heads of random sequences: a label at every place, and a token that says k."""

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nexus_bench.generators.base import GENERATORS
from nexus_bench.generators.parts.chain_law import chain_law
from nexus_bench.generators.parts.counted_symbols import counted_guess
from nexus_bench.generators.parts.facts import look_up
from nexus_bench.generators.parts.hidden_tokens import measured_ceiling
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceBatch, SequenceFamily, SequenceParams
from nexus_bench.streams import Int, Mask, integers, stream

_N_MEASURED = 1_000  # sequences that the partial-input ceiling is measured on
_SIGMAS = 4  # that it is declared above what was measured
_LEAST_COUNTED, _MOST_COUNTED = 20, 100_000_000  # sequences, and counts, that what counts tell is measured on
_COUNTED_MARGIN = 0.01  # what a fitted reader finds in counts beyond the guess of `counted_guess`


class HopKParams(SequenceParams):
    """Size of a hop_k sequence."""

    n_symbols: int = Field(ge=3, le=1_000, description="Symbols; neighbours in a sequence are never the same one.")
    ended: Literal["unlabelled", "nothing"] = Field(
        description="Where a chain ends before its last look-up: no label, or `nothing` there, counted at k hops."
    )


@GENERATORS.register
class HopK(SequenceFamily[HopKParams]):
    """Find the latest earlier occurrence of the symbol here, go to the place after it, k times; the answer is there.

    The first token says k, and the others are random symbols of which no two neighbours are the same. The chain of
    every place goes back through the sequence; if a look-up finds no earlier occurrence, there is `nothing`. With k
    look-ups every place that they visit lies before the last one, so a chain of k finds k different places. A place has
    a label if its answer takes exactly k look-ups: the last one may find nothing. A place whose chain ends before that
    has no label, since fewer than k look-ups would say so; with `ended: nothing` it has one, as in the source, and the
    hop count of such a place is more than it needs.

    Source: hop_k of Sanford, Hsu and Telgarsky 2024 ("Transformers, parallel computation, and logarithmic depth", arXiv
    2402.09268), and the public code of its experiments: 4 symbols, 98 of them, k of 0 to 16 said by the first token,
    every place labelled. Here k begins at 1, since 0 copies. `k_hop_induction` asks the same of facts, in sequences
    made so that every look-up finds something.

    >>> from nexus_bench.streams import stream
    >>> params = HopKParams(n_tokens=12, min_tokens=None, n_symbols=3, ended="unlabelled")
    >>> drawn = HopK(params, hops=(1, 2)).draw(1, stream("doctest"))
    >>> drawn.tokens[0].tolist(), drawn.label[0].tolist(), drawn.hop[0].tolist()
    ([3, 2, 0, 1, 0, 1, 0, 2, 0, 1, 2, 1], [-1, 3, 3, 3, 1, 0, 1, 0, 2, 0, 0, 2], [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    """

    name = "hop_k"
    version = 1
    Params = HopKParams
    says_hop = True

    @property
    def max_hop(self) -> int:
        """A look-up goes back by n_symbols - 1 places on average."""
        return (self.min_length - 1) // self.params.n_symbols

    def advice_for_hop(self, hop: int) -> str:
        """Longer sequences."""
        return self.params.advice_for_length(hop * self.params.n_symbols + 1)

    @property
    def n_words(self) -> int:
        """The symbols, then a word for every hop count."""
        return self.params.n_symbols + self.largest_hop

    @property
    def n_labels(self) -> int:
        """The symbols, and `nothing`."""
        return self.params.n_symbols + 1

    @property
    def n_worlds(self) -> int:
        """Hop counts, and the shortest sequences of symbols."""
        n = self.params.n_symbols
        n_sequences: int = n * int(n - 1) ** (self.min_length - 2)
        return len(self.hops) * n_sequences

    def symbol(self, vocabulary: str, index: int) -> str:
        """Symbols are numbered, `k=3` says the hop count."""
        n = self.params.n_symbols
        if index >= n:
            return "nothing" if vocabulary == "label" else f"k={index - n + 1}"
        return f"s{index}"

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """Random symbols; sorted by symbol, each place follows the latest earlier place of its symbol."""
        n, n_places = np.int32(self.params.n_symbols), self.n_facts - 1
        length, hop = self.deal_lengths(n_sequences, rng), self.deal_hop(n_sequences, rng)
        steps = integers(rng, n_sequences, n_places, high=int(n) - 1)
        steps += np.int32(1)
        steps[:, :1] = integers(rng, n_sequences, 1, high=int(n))
        symbols = np.cumsum(steps, axis=1, dtype=np.int32) % n
        tokens = np.concatenate([(n + hop - 1)[:, None], symbols], axis=1)

        row = np.arange(0, n_sequences * n_places, n_places)[:, None]  # where each sequence begins, all in one array
        found = self._after_the_latest(symbols, row)
        order = np.argsort(-hop, kind="stable")  # long chains first, so that a step is of the first rows alone
        at, before = found[order], np.ones_like(found)
        for step in range(2, self.largest_hop + 1):
            m = int((hop >= step).sum())
            before[:m] = at[:m]
            at[:m] = found.ravel().take(at[:m] + row[order[:m]])
        label = np.where(at > 0, symbols.ravel().take(at + row[order]), n)
        if self.params.ended == "unlabelled":
            label[before == 0] = NOTHING
        labels = np.full_like(tokens, NOTHING)
        labels[order, 1:] = label
        return SequenceBatch(tokens, labels, (labels != NOTHING) * hop[:, None], length)

    def _after_the_latest(self, symbols: Int, row: NDArray[np.int64]) -> Int:
        """The place after the latest earlier one of the same symbol: array (g, n); 0 is nothing and leads to itself."""
        bits = np.int32((symbols.shape[1] - 1).bit_length())
        keys = symbols << bits | np.arange(symbols.shape[1], dtype=np.int32)
        keys.sort(axis=1)  # all are different
        symbol, place = keys >> bits, keys & ((np.int32(1) << bits) - np.int32(1))
        found = np.zeros_like(symbols)
        earlier = np.where(symbol[:, 1:] == symbol[:, :-1], place[:, :-1] + np.int32(1), np.int32(0))
        found.ravel()[place[:, 1:] + row] = earlier
        return found

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Read from left to right, keep the latest place of each symbol, and follow the chains look-up by look-up."""
        at = np.broadcast_to(np.arange(1, tokens.shape[1], dtype=np.int32), (len(tokens), tokens.shape[1] - 1))
        k, visited = self._asked(tokens), self._visited(tokens, at)
        ends = np.take_along_axis(visited, np.maximum(k, 1)[:, None, None] - 1, axis=2)[:, :, 0]
        n_found = (visited >= 0).sum(axis=2, dtype=np.int32)
        word = look_up(tokens, np.maximum(ends, 0))
        label = np.where(ends >= 0, word, self.params.n_symbols)
        is_labelled = (np.isin(k, self.hops)[:, None]) & (label <= self.params.n_symbols)
        if self.params.ended == "unlabelled":
            is_labelled &= n_found >= k[:, None] - 1
        padded = ((0, 0), (1, 0))
        return Labels(
            np.pad(np.where(is_labelled, label, NOTHING), padded, constant_values=NOTHING).astype(np.int32),
            np.pad(np.where(is_labelled, k[:, None], 0), padded).astype(np.int32),
        )

    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """The places that the look-ups find."""
        return np.where(at[:, :, None] > 0, self._visited(tokens, np.maximum(at, 1)), -1).astype(np.int32)

    def _asked(self, tokens: Int) -> Int:
        """How many look-ups the first token asks for; 0 if it says no count: array (g)."""
        said = tokens[:, 0] - np.int32(self.params.n_symbols - 1)
        return np.where((said >= 1) & (said <= self.largest_hop), said, 0).astype(np.int32)

    def _visited(self, tokens: Int, at: Int) -> Int:
        """Where as many look-ups as asked for lead, from places (g, q): array (g, q, largest_hop), -1 from the end."""
        g = np.arange(len(tokens))
        latest = np.full((len(tokens), self.n_words + 1), -1, dtype=np.int32)  # the last column is of no token
        goes_to = np.full(tokens.shape, -1, dtype=np.int32)
        for place in range(1, tokens.shape[1]):
            word = tokens[:, place]
            earlier = latest[g, word]
            goes_to[:, place] = np.where(earlier >= 0, earlier + 1, -1)
            latest[g, word] = place
        k = self._asked(tokens)[:, None]
        steps, here = [], at
        for step in range(self.largest_hop):
            here = np.where((here >= 0) & (step < k), look_up(goes_to, np.maximum(here, 0)), -1)
            steps.append(here)
        return np.stack(steps, axis=2).astype(np.int32)

    def could_be(self, tokens: Int, length: Int, at: Int) -> Mask:
        """Any symbol that is none of the neighbours."""
        g, last = np.arange(len(tokens)), tokens.shape[1] - 1
        may = np.broadcast_to(np.arange(self.n_words) < self.params.n_symbols, (len(tokens), self.n_words)).copy()
        for beside in (at - 1, np.minimum(at + 1, last)):
            word = tokens[g, beside]
            is_symbol = (word >= 0) & (beside >= 1) & (beside != at)
            may[g[is_symbol], word[is_symbol]] = False
        return may

    def chance(self, hop: int) -> float:
        """The best guess that knows k, the place, the symbol there, and how often each symbol was seen so far.

        Exact for a reader who does not count; what counts add is measured, with a margin.
        """
        p = self.params
        return max(self.chance_without_counts(hop), _counted(p.n_tokens, p.min_tokens, p.n_symbols, p.ended, hop))

    def chance_without_counts(self, hop: int) -> float:
        """The best guess that knows k, the place and the symbol there: its own symbol, another one, or nothing."""
        n, n_places = self.params.n_symbols, self.n_facts - 1
        law = chain_law(n, n_places, hop)
        weight = np.clip(self.n_facts - np.arange(1, n_places + 1), 0, self.n_facts - self.min_length + 1).astype(float)
        nothing = law.ends_last if self.params.ended == "unlabelled" else law.ends
        best = np.maximum(np.maximum(nothing, law.same), law.other / (n - 1))
        return float((weight * best).sum() / (weight * (nothing + law.same + law.other)).sum())

    def partial_input(self, hop: int) -> float:
        """Measured, with a margin: chains of another symbol in the place of the hidden one meet the right chain again.

        Tokens at both ends and in the middle of the derivation are hidden, one at a time; the easiest one counts.
        """
        p = self.params
        return max(self.chance(hop), _measured(p.n_tokens, p.min_tokens, p.n_symbols, p.ended, hop))


@cache
def _measured(n_tokens: int, min_tokens: int | None, n_symbols: int, ended: str, hop: int) -> float:
    params = HopKParams.model_validate(
        {"n_tokens": n_tokens, "min_tokens": min_tokens, "n_symbols": n_symbols, "ended": ended}
    )
    family = HopK(params, (hop,))
    steps = {0, min(1, hop - 1), hop // 2, max(0, hop - 2), hop - 1} & set(range(hop))
    return measured_ceiling(family, hop, _N_MEASURED, ("hop_k", "hidden"), steps=steps)


@cache
def _counted(n_tokens: int, min_tokens: int | None, n_symbols: int, ended: str, hop: int) -> float:
    """How often a reader of counts is right: measured, with a margin."""
    params = HopKParams.model_validate(
        {"n_tokens": n_tokens, "min_tokens": min_tokens, "n_symbols": n_symbols, "ended": ended}
    )
    family = HopK(params, (hop,))
    n_sequences = max(_LEAST_COUNTED, min(_N_MEASURED, _MOST_COUNTED // (n_tokens * n_symbols)))
    drawn = [family.sample(n_sequences, stream("hop_k", "counted", use, hop)) for use in ("fit", "score")]
    fit, score = ((np.maximum(one.facts[:, 1:, 0], 0), one.answer[:, 1:]) for one in drawn)
    share = counted_guess(fit, score, n_symbols, nothing=n_symbols)
    return min(1.0, share.mean + _SIGMAS * share.error + _COUNTED_MARGIN)
