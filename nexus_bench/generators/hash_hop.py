"""Chains of hashes as shuffled pairs: which hash comes k pairs after the first one of a chain?"""

import math

import numpy as np
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS
from nexus_bench.generators.parts.facts import look_up, shuffled
from nexus_bench.generators.parts.hidden_facts import HiddenFact
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.generators.word_hops import WordGraph, WordHops, WordHopsParams, deal_k
from nexus_bench.streams import Int, Mask, permutations

_LONGEST = 50  # most hops if the length of chains is derived from the hops


class HashHopParams(WordHopsParams):
    """Size of the chains."""

    n_chains: int = Field(ge=2, le=1_000, description="Chains of equal length.")
    length: int | None = Field(ge=1, le=100, description="Pairs of a chain; null means the largest hop.")


@GENERATORS.register
class HashHop(WordHops[HashHopParams]):
    """Chains of random hashes, as pairs in random order; then the first hash of a chain is asked about.

    The answer is the hash k pairs on, said token by token. A hop is one pair to look up. Tokens of an answer after the
    first take one hop where the tokens before leave one way on. What was answered before is of other chains.

    Source: HashHop (Magic, public code magicproduct/hash-hop): hashes of 16 letters of 52, pairs that fill up to a
    million tokens, all chains as long as the hop count, and 5 questions. There a chain's last hash has quotation marks,
    and the hops between can be asked for too; here k can be less than the length, and nothing marks an end.

    >>> from nexus_bench.streams import stream
    >>> sizes = {"n_chains": 2, "length": None, "n_asked": 1, "n_letters": 9, "min_letters": 2, "max_letters": 2}
    >>> drawn = HashHop(HashHopParams(**sizes), hops=(2,)).draw(1, stream("doctest"))
    >>> drawn.tokens[0].tolist(), drawn.label[0, -4:].tolist()
    ([20, 8, 13, 3, 14, 1, 15, 0, 13, 1, 10, 1, 15, 5, 10, 8, 13, 19, 5, 10, 21, 3, 14], [-1, 3, -1, -1])
    """

    name = "hash_hop"
    version = 1
    Params = HashHopParams
    sized_by = "n_chains"

    def __init__(
        self, params: HashHopParams, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        self._length = params.length or largest_hop or max(hops)
        self.most_words = self.fewest_words = params.n_chains * (self._length + 1)
        if params.n_asked > params.n_chains:
            raise ConfigError(f"{self.name}: n_asked must be at most n_chains, {params.n_chains}, got {params.n_asked}")
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)

    @property
    def max_hop(self) -> int:
        """The length of a chain."""
        return _LONGEST if self.params.length is None else self.params.length

    def advice_for_hop(self, hop: int) -> str:
        """One pair per hop."""
        return "ask for fewer hops" if self.params.length is None else f"raise length to {hop}"

    @property
    def n_edges(self) -> tuple[int, int]:
        """The pairs."""
        n = self.params.n_chains * self._length
        return n, n

    @property
    def n_worlds(self) -> int:
        """Hashes, orders of the pairs, and questions."""
        p, n = self.params, self.n_edges[0]
        orders = math.factorial(n) // math.factorial(p.n_chains)
        return (
            math.perm(self._n_spellings, self.most_words) * orders * math.perm(p.n_chains, p.n_asked) * len(self.hops)
        )

    def draw_graph(self, n_sequences: int, rng: np.random.Generator) -> WordGraph:
        """Chain c has the words c, c + n_chains, c + 2 n_chains, and so on, in a random order of the words."""
        n_chains, n_asked = self.params.n_chains, self.params.n_asked
        name = permutations(rng, n_sequences, self.most_words)
        edges = np.arange(self.n_edges[0], dtype=np.int32)[:, None] + np.array([0, n_chains], dtype=np.int32)
        facts = shuffled(name.take(edges, axis=1), rng)
        chain, k = permutations(rng, n_sequences, n_chains, k=n_asked), deal_k(self.hops, n_sequences, n_asked, rng)
        n_words = np.full(n_sequences, self.most_words, dtype=np.int32)
        return WordGraph(n_words, facts, look_up(name, chain), k, look_up(name, chain + k * np.int32(n_chains)), k)

    def n_possible(self, graph: WordGraph, n_known: int | None) -> Int:
        """One word of each chain, but for those that the same k was asked of, if it is known how far words are along.

        Else the last words of chains, which stand there once, or all in between.
        """
        n_told = np.tril(graph.k[:, :, None] == graph.k[:, None, :], -1).sum(axis=2, dtype=np.int32)
        is_told = (n_known is not None) | (graph.k == self._length)
        n_alike = np.where(is_told, self.params.n_chains, self.params.n_chains * (self._length - 1))
        n_left: Int = (n_alike - n_told).astype(np.int32)
        return n_left

    def could_lead(self, hidden: HiddenFact) -> Mask:
        """As facts of other chains do that are as far from the beginning."""
        depth = hidden.depth()
        may: Mask = hidden.is_there & (depth == look_up(depth, np.maximum(hidden.fact, 0)[:, None]))
        return may

    def exchanged(self, hidden: HiddenFact, variant: int) -> Int:
        """The rests of two chains."""
        return np.stack([hidden.fact, np.full_like(hidden.fact, variant)], axis=1)
