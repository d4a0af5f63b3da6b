"""K-hop induction: find the latest earlier occurrence of a token, read the token after it, k times."""

import math
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Examples, Generator, Role, Schema, Solution, TaskParams
from nexus_bench.generators.parts.facts import look_up, shuffled
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.streams import Int, Mask, permutations

_LONGEST = 12  # hops; 36 symbols and 432 facts


class KHopInductionParams(TaskParams):
    """Size of a k_hop_induction sequence."""

    base: int | None = Field(
        ge=4, le=1_000, description="Symbols of a graph, each once per round; null means 3 per hop, at least 12."
    )
    vocab_size: int | None = Field(
        ge=1, le=100_000, description="Size of the vocabulary that symbols are drawn from; null means three per symbol."
    )

    @model_validator(mode="before")
    @classmethod
    def _six_queries_where_they_fit(cls, values: dict[str, Any]) -> dict[str, Any]:
        base = values.get("base")
        fit = min(6, base - 1) if type(base) is int else 6
        return values if values.get("n_queries") is not None else values | {"n_queries": fit}


@GENERATORS.register
class KHopInduction(Generator[KHopInductionParams]):
    """Find the latest earlier occurrence of a token and read the token after it, k times; the answer is the last one.

    A fact (previous, place, symbol) is a token, its place and the token before it. The sequence has one round per hop
    of the largest hop count. Every round is a random permutation of the same `base` symbols, except that it begins with
    the symbol that the round before ended with. The fact of the first token names the last one as the token before it;
    no look-up uses it. So all symbols occur equally often in either role, and counts say nothing. A chain
    begins in the last round and goes back one round per hop. It never steps onto the first token of a round, so it
    never looks up the last token of the round before, and never crosses into the next round: every symbol but the last
    token of the sequence is a start, at every hop count, and different starts end at different tokens. The symbols of a
    graph are drawn from a vocabulary of `vocab_size` without replacement. A hop is one fact. The next fact also
    contains the token, as its previous one; reading it there takes as many look-ups.

    Source: hop_k of Sanford, Hsu and Telgarsky 2024 ("Transformers, parallel computation, and logarithmic depth",
    arXiv 2402.09268), at one place after the end. Here the sequence consists of rounds, because in a random sequence
    chains merge and how often a look-up finds nothing depends on k. Here every look-up finds something: a symbol that
    an earlier round lacks could be told by how often it occurs.

    >>> from nexus_bench.streams import stream
    >>> params = KHopInductionParams(base=6, vocab_size=None, n_queries=1)
    >>> examples = KHopInduction(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0, :5].tolist()
    [[3, 6, 3], [10, 11, 11], [11, 0, 12], [9, 10, 10], [9, 2, 10]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[3, 2]], [11], [2])
    """

    name = "k_hop_induction"
    version = 2
    Params = KHopInductionParams
    sized_by = "base"

    def __init__(
        self, params: KHopInductionParams, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)
        self.base = max(12, 3 * self.largest_hop) if params.base is None else params.base
        self._vocab_size = 3 * self.base if params.vocab_size is None else params.vocab_size
        if self._vocab_size < self.base:
            raise ConfigError(
                f"{self.name}: vocab_size must be at least the {self.base} symbols of a graph, "
                f"got {self._vocab_size}; raise vocab_size to {self.base}"
            )
        n_hops, n_starts = len(self.hops), self.base - 1
        if self.n_queries > n_hops * n_starts:
            raise ConfigError(
                f"{self.name}: n_queries must be at most {n_hops * n_starts} (hop counts times base minus 1), "
                f"got {self.n_queries}; lower it or raise base to {-(-self.n_queries // n_hops) + 1}"
            )

    @property
    def max_hop(self) -> int:
        """There are as many rounds as needed, up to 12."""
        return _LONGEST

    def advice_for_hop(self, hop: int) -> str:
        """No parameter would help."""
        return f"ask for at most {_LONGEST} hops"

    @property
    def distractors(self) -> str:
        """Facts off the chain tell nothing about it."""
        return "irrelevant"

    @property
    def schema(self) -> Schema:
        """Facts are (previous, place, symbol), a query is (start, hop), the answer is a symbol."""
        return Schema(
            fact=(Role("previous", "symbol"), Role("place", "place"), Role("symbol", "symbol")),
            query=(Role("start", "symbol"), Role("hop", "hop")),
            answer="symbol",
            vocabularies={"symbol": self._vocab_size, "place": self.n_facts, "hop": self.largest_hop + 1},
        )

    @property
    def kept_symbols(self) -> dict[str, int]:
        """The size of the vocabulary; places depend on the size of the graph."""
        return {"vocab_size": self._vocab_size}

    def symbol(self, vocabulary: str, index: int) -> str:
        """Places count from 1."""
        return f"place{index + 1}" if vocabulary == "place" else super().symbol(vocabulary, index)

    @property
    def n_facts(self) -> int:
        """One per token."""
        return self.largest_hop * self.base

    @property
    def n_worlds(self) -> int:
        """Orders of the first round, and of each later one after its first symbol."""
        later_rounds: int = math.factorial(self.base - 1) ** (self.largest_hop - 1)
        return math.perm(self._vocab_size, self.base) * later_rounds

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw the rounds, the starts, then the names of symbols and the order of the facts."""
        hop = self.deal_hops(n_graphs, rng)
        rounds = self._draw_rounds(n_graphs, rng)
        start = look_up(rounds[:, -1], self.deal_distinct(hop, self.base - 1, rng))
        token = start
        for step in range(self.largest_hop):
            order = rounds[:, -1 - step]
            follower = np.zeros((n_graphs, self.base), dtype=np.int32)
            np.put_along_axis(follower, order[:, :-1], order[:, 1:], axis=1)
            token = np.where(step < hop, look_up(follower, token), token)

        names = permutations(rng, n_graphs, self._vocab_size, k=self.base)
        named = look_up(names, rounds.reshape(n_graphs, -1))
        place = np.broadcast_to(np.arange(self.n_facts, dtype=np.int32), (n_graphs, self.n_facts))
        facts = shuffled(np.stack([np.roll(named, 1, axis=1), place, named], axis=2), rng)
        return Examples(facts, np.stack([look_up(names, start), hop], axis=2), look_up(names, token), hop)

    def _draw_rounds(self, n_graphs: int, rng: np.random.Generator) -> Int:
        """Symbols 0..base-1 in the order of each round, the first one of the sequence being 0: array (g, rounds, base).

        A round is drawn as distances around the circle of symbols from its first one.
        """
        n_rounds, base = self.largest_hop, self.base
        distance = np.zeros((n_graphs, n_rounds, base), dtype=np.int32)
        distance[:, :, 1:] = 1 + permutations(rng, n_graphs * n_rounds, base - 1).reshape(n_graphs, n_rounds, -1)
        last = distance[:, :, -1].cumsum(axis=1, dtype=np.int32)
        first = last - distance[:, :, -1]
        return (first[:, :, None] + distance) % np.int32(base)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Hop by hop, look for the latest fact (but the first) that begins with the token, at its place or before."""
        previous, place = facts[:, None, :, 0], facts[:, None, :, 1]  # g 1 f
        token, asked = query[:, :, 0], query[:, :, 1]
        at = np.full_like(token, self.n_facts)
        rows = np.full((*asked.shape, self.largest_hop), -1, dtype=np.int32)
        for step in range(self.largest_hop):
            fits = (previous == token[:, :, None]) & (place > 0) & (place <= at[:, :, None])
            row = np.where(fits, place, -1).argmax(axis=2).astype(np.int32)
            finds = (step < asked) & np.take_along_axis(fits, row[:, :, None], axis=2)[:, :, 0]
            found = np.where(finds, look_up(facts[:, :, 2], row), -1)
            token = np.where(step < asked, found, token)
            at = look_up(facts[:, :, 1], row)
            rows[:, :, step] = np.where(finds, row, -1)
        # A query for the last token would find itself, which no fact leads to.
        last = look_up(facts[:, :, 2], facts[:, :, 1].argmax(axis=1)[:, None])
        answer = np.where(query[:, :, 0] == last, -1, token).astype(np.int32)
        return Solution(answer, (rows >= 0).sum(axis=2, dtype=np.int32), rows)

    def chance(self, hop: int) -> float:
        """One of `base` - 2, even if the first and last token of every round are known, and all queries of the graph.

        Given these and all other rounds, the last round that the chain reaches has any order. There the answer follows
        some token: either the first one, and is anything but this and the last; or another one, and is anything but
        this and the first. So no symbol is the answer more often than one time in `base` - 2.
        """
        return 1 / (self.base - 2)

    def partial_input(self, hop: int) -> float:
        """As chance if the last fact is hidden; else at most half as much again.

        An earlier hidden fact can have any of `base` - 2 symbols, or `base` - 1 if it follows the first token of its
        round, and one of them leads to the answer. A wrong symbol stands earlier in this round less than half of the
        time. The next look-up finds it there, so its chain ends one round later than the right one. Nothing then ties
        its end to the answer, which it is with the probability of chance, or less.
        """
        return (1 if hop == 1 else 1.5) / (self.base - 2)

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """Facts inside the same round, since the hidden fact leads into it; no token follows itself there."""
        place = facts[:, :, 1]
        round_of = np.where(place % self.base == 0, -1, place // self.base)  # g f; -1 where a round begins
        graph = np.arange(len(at))
        same = (round_of == round_of[graph, at][:, None]) & (facts[:, :, 2] != facts[graph, at, 0][:, None])
        same[graph, at] = True
        alike: Mask = same & super().alike(facts, query, solution, at)
        return alike
