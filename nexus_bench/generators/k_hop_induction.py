"""K-hop induction: find the latest earlier occurrence of a token, read the token after it, k times."""

import math
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Examples, Generator, Role, Schema, Solution, TaskParams
from nexus_bench.generators.parts.facts import look_up, shuffled
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.streams import Int, Mask, integers, permutations, pick

_LONGEST = 12  # hops; 36 symbols and 497 facts
_TRIES = 4  # sequences drawn at once for a graph that lacks a start; almost always one of them has it


class KHopInductionParams(TaskParams):
    """Size of a k_hop_induction sequence."""

    base: int | None = Field(
        ge=4, le=1_000, description="Symbols of the first round; null means 3 per hop, at least 12."
    )
    vocab_size: int | None = Field(
        ge=1, le=100_000, description="Size of the vocabulary that symbols are drawn from; null means three per symbol."
    )

    @model_validator(mode="before")
    @classmethod
    def _six_queries_where_they_fit(cls, values: dict[str, Any]) -> dict[str, Any]:
        base = values.get("base")
        fit = min(6, base - base // 3) if type(base) is int else 6
        return values if values.get("n_queries") is not None else values | {"n_queries": fit}


@GENERATORS.register
class KHopInduction(Generator[KHopInductionParams]):
    """Find the latest earlier occurrence of a token and read the token after it, k times; the answer is the last one.

    A fact (previous, place, symbol) is a token, its place and the token before it. The sequence has one round per hop
    of the largest hop count. The first round is a random permutation of `base` symbols; each later round has one symbol
    more. A symbol occurs once per round, so a chain begins in the last round and goes back one round per hop. It never
    crosses into the next round, so different starts end at different tokens. At every hop count one answer in `base` is
    `absent`: the last look-up finds nothing, because its symbol is new in the round that the chain has reached (at one
    hop: because it occurs nowhere). The symbols of a graph are drawn from a vocabulary of `vocab_size` without
    replacement. A hop is one fact, or the look-up that finds none. The next fact also contains the token, as its
    previous one; reading it there takes as many look-ups.

    Source: hop_k of Sanford, Hsu and Telgarsky 2024 ("Transformers, parallel computation, and logarithmic depth",
    arXiv 2402.09268), at one place after the end. Here the sequence consists of rounds, because in a random sequence
    chains merge and the share of `absent` depends on k.

    >>> from nexus_bench.streams import stream
    >>> params = KHopInductionParams(base=6, vocab_size=None, n_queries=1)
    >>> examples = KHopInduction(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0, :5].tolist()
    [[0, 6, 16], [17, 11, 9], [18, 0, 0], [18, 10, 17], [16, 2, 17]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[17, 2]], [24], [2])
    """

    name = "k_hop_induction"
    version = 1
    Params = KHopInductionParams
    sized_by = "base"

    def __init__(
        self, params: KHopInductionParams, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)
        self.base = max(12, 3 * self.largest_hop) if params.base is None else params.base
        self._sizes = [self.base + earlier for earlier in range(self.largest_hop)]  # sizes of the rounds
        self._n_own = self._sizes[-1] + 1  # symbols of a graph; the last one never occurs
        self._vocab_size = 3 * self._n_own if params.vocab_size is None else params.vocab_size
        if self._vocab_size < self._n_own:
            raise ConfigError(
                f"{self.name}: vocab_size must be at least {self._n_own} (base {self.base}, {self.largest_hop} hops), "
                f"got {self._vocab_size}; raise vocab_size to {self._n_own}"
            )
        if self.n_queries > self.base - self.largest_hop:
            raise ConfigError(
                f"{self.name}: n_queries must be at most {self.base - self.largest_hop} (base {self.base} minus "
                f"{self.largest_hop} hops), got {self.n_queries}; lower it or raise base to "
                f"{self.n_queries + self.largest_hop}"
            )

    @property
    def max_hop(self) -> int:
        """A third of the symbols of the first round: beyond that, a guess has only few chains to choose from."""
        return _LONGEST if self.params.base is None else min(_LONGEST, self.params.base // 3)

    def advice_for_hop(self, hop: int) -> str:
        """Three symbols per hop."""
        if hop > _LONGEST:
            return f"ask for at most {_LONGEST} hops"
        return f"raise base from {self.params.base} to {3 * hop}"

    @property
    def distractors(self) -> str:
        """Facts off the chain tell nothing about it."""
        return "irrelevant"

    @property
    def schema(self) -> Schema:
        """Facts are (previous, place, symbol), a query is (start, hop); the last id of the answers is absent."""
        return Schema(
            fact=(Role("previous", "symbol"), Role("place", "place"), Role("symbol", "symbol")),
            query=(Role("start", "symbol"), Role("hop", "hop")),
            answer="symbol",
            vocabularies={"symbol": self._vocab_size + 1, "place": self.n_facts, "hop": self.largest_hop + 1},
        )

    @property
    def kept_symbols(self) -> dict[str, int]:
        """The size of the vocabulary; places depend on the size of the graph."""
        return {"vocab_size": self._vocab_size}

    def symbol(self, vocabulary: str, index: int) -> str:
        """Places count from 1, and the first token, which follows no other, has no fact of its own."""
        if vocabulary == "place":
            return f"place{index + 2}"
        return "absent" if (vocabulary, index) == ("symbol", self._vocab_size) else super().symbol(vocabulary, index)

    @property
    def n_facts(self) -> int:
        """One per token but the first."""
        return sum(self._sizes) - 1

    @property
    def n_worlds(self) -> int:
        """Choices of the first symbols and of the new symbol of each later round, times the orders of the rounds."""
        choices = math.perm(self._vocab_size, self._n_own - 1) // math.factorial(self.base)
        return choices * math.prod(math.factorial(size) for size in self._sizes)

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw hops and absences, then rounds and starts until every query has a start, then symbols and order."""
        hop = self.deal_hops(n_graphs, rng)
        absent = self._deal_absent(n_graphs, rng)
        tokens, start, answer = self._draw(hop, absent, rng)
        left = np.flatnonzero((start < 0).any(axis=1))
        while len(left):
            tries = np.repeat(left, _TRIES)
            again = self._draw(hop[tries], absent[tries], rng)
            fits = (again[1] >= 0).all(axis=1).reshape(-1, _TRIES)
            first = fits.argmax(axis=1) + np.arange(0, len(tries), _TRIES)
            tokens[left], start[left], answer[left] = (array[first] for array in again)
            left = left[~fits.any(axis=1)]

        names = np.full((n_graphs, self._n_own + 1), self._vocab_size, dtype=np.int32)
        names[:, :-1] = permutations(rng, n_graphs, self._vocab_size, k=self._n_own)
        named = look_up(names, tokens)
        place = np.broadcast_to(np.arange(self.n_facts, dtype=np.int32), (n_graphs, self.n_facts))
        facts = shuffled(np.stack([named[:, :-1], place, named[:, 1:]], axis=2), rng)
        query = np.stack([look_up(names, start), hop], axis=2)
        return Examples(facts, query, look_up(names, answer), hop)

    def _deal_absent(self, n_graphs: int, rng: np.random.Generator) -> Mask:
        """Which queries have the answer absent (g, q): each with probability 1 / `base`, at most one per hop."""
        n_hops, query = len(self.hops), np.arange(self.n_queries)
        turn = integers(rng, n_graphs, n_hops, high=self.base)
        dealt: Mask = (turn[:, query % n_hops] + query // n_hops) % self.base == 0
        return dealt

    def _draw(self, hop: Int, absent: Mask, rng: np.random.Generator) -> tuple[Int, Int, Int]:
        """Tokens (g, n), starts and answers (g, q) as numbers of symbols within the graph; -1 for a missing start.

        Symbols are numbered by the round that they are new in; after them come absent and the end of a broken chain.
        """
        n_graphs, n_own = len(hop), self._n_own
        is_absent, is_broken = n_own, n_own + 1
        rounds = [np.broadcast_to(np.arange(self.base, dtype=np.int32), (n_graphs, self.base))]
        rounds += [permutations(rng, n_graphs, size) for size in self._sizes[1:]]
        ends = np.empty((n_graphs, self.largest_hop, n_own), dtype=np.int32)  # end of the chain of every hop and start
        row = np.arange(0, n_graphs * (n_own + 2), n_own + 2)[:, None]  # where the followers of a graph begin
        end: Int = np.broadcast_to(np.arange(n_own, dtype=np.int32), (n_graphs, n_own))
        for step, symbols in enumerate(reversed(rounds)):
            follower = np.full((n_graphs, n_own + 2), is_broken, dtype=np.int32)
            follower[:, symbols.shape[1] : n_own] = is_absent
            follower.ravel()[symbols[:, :-1] + row] = symbols[:, 1:]
            ends[:, step] = end = look_up(follower, end)

        graph = np.arange(n_graphs)
        start, answer = np.empty_like(hop), np.empty_like(hop)
        for i in range(self.n_queries):
            end = ends[graph, hop[:, i] - 1]
            start[:, i] = pick(rng, np.where(absent[:, i, None], end == is_absent, end < is_absent))
            answer[:, i] = end[graph, start[:, i]]
            ends[graph, hop[:, i] - 1, start[:, i]] = is_broken  # no second query from this start
        return np.concatenate(rounds, axis=1), start, answer

    def solve(self, facts: Int, query: Int) -> Solution:
        """Hop by hop, look for the latest fact that begins with the token, at its place or before."""
        previous, place = facts[:, None, :, 0], facts[:, None, :, 1]  # g 1 f
        token, asked = query[:, :, 0], query[:, :, 1]
        at = np.full_like(token, self.n_facts)
        hop = np.zeros_like(asked)
        rows = np.full((*asked.shape, self.largest_hop), -1, dtype=np.int32)
        for step in range(self.largest_hop):
            goes_on = (step < asked) & (token != self._vocab_size)
            fits = (previous == token[:, :, None]) & (place <= at[:, :, None])
            row = np.where(fits, place, -1).argmax(axis=2).astype(np.int32)
            finds = goes_on & np.take_along_axis(fits, row[:, :, None], axis=2)[:, :, 0]
            token = np.where(finds, look_up(facts[:, :, 2], row), np.where(goes_on, self._vocab_size, token))
            at = np.where(finds, look_up(facts[:, :, 1], row), at)
            rows[:, :, step] = np.where(finds, row, -1)
            hop += goes_on
        # A query for the last token would find itself, which is in no fact.
        last = look_up(facts[:, :, 2], facts[:, :, 1].argmax(axis=1)[:, None])
        return Solution(np.where(query[:, :, 0] == last, -1, token).astype(np.int32), hop, rows)

    def chance(self, hop: int) -> float:
        """One of `base` is absent; else any symbol of the round but its first, the start, and those lost on the way."""
        return 1 / (self.base - max(hop, 2))

    def partial_input(self, hop: int) -> float:
        """Elimination leaves `base` - 2 symbols at one hop: neither the round's first nor the start itself.

        If the hidden fact is not the last one, a wrong symbol stands earlier in its own round half of the time. The
        next look-up finds it there, so its chain ends where a right one may. This adds half of the guess again, and a
        little more where rounds meet.
        """
        return 1 / (self.base - 2) if hop == 1 else 1.5 / (self.base - 3)

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """Facts inside the same round, since the hidden fact leads into it; no token follows itself."""
        inside = np.concatenate([np.append(-1, np.full(size - 1, number)) for number, size in enumerate(self._sizes)])
        round_of = inside[1:].astype(np.int32)[facts[:, :, 1]]  # g f; -1 where a round begins
        graph = np.arange(len(at))
        same = (round_of == round_of[graph, at][:, None]) & (facts[:, :, 2] != facts[graph, at, 0][:, None])
        same[graph, at] = True
        alike: Mask = same & super().alike(facts, query, solution, at)
        return alike
