"""Depo: which word comes k steps after a word on a random cycle? Words are tokens in a row."""

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS
from nexus_bench.generators.parts.facts import look_up
from nexus_bench.generators.parts.graph_sizes import draw_sizes
from nexus_bench.generators.parts.hidden_facts import HiddenFact
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.generators.word_hops import WordGraph, WordHops, WordHopsParams, deal_k
from nexus_bench.streams import Int, Mask, permutations


class DepoParams(WordHopsParams):
    """Size of the cycle."""

    n_nodes: int = Field(ge=3, le=2_000, description="Words of the largest cycle.")
    min_nodes: int | None = Field(
        ge=3,
        le=2_000,
        description="Words of the smallest; n is drawn by 1 / (n + sqrt(n_nodes)). Null: always n_nodes.",
    )


@GENERATORS.register
class Depo(WordHops[DepoParams]):
    """A random cycle of words as shuffled pairs, then questions: the word k steps on, said token by token.

    A hop is one look-up: a fact, forwards or backwards, or a question that was answered before. So the hop count is k
    unless a way with fewer look-ups leads to the answer: on a small cycle, backwards; or by the answers before. Tokens
    of an answer after the first often take one look-up, of the one word that begins so: with k of 2 or more they are
    labels of one hop. No label is given where k steps lead back to the word itself.

    Source: Depo of Allen-Zhu 2025 ("Physics of language models: Part 4.1", arXiv 2512.17351), by the public generator
    (facebookresearch/PhysicsLM4, Apache-2.0): Depo1 has n_nodes 225 to 375, k up to 8, 50 letters, words of 1 or 2;
    Depo2 75 to 125, k up to 16, 3 letters, words of 5 to 7; both min_nodes 3 and 10 questions. There every token of
    an answer, and the token before it, is a label at k, and tests have the largest cycle alone.

    >>> from nexus_bench.streams import stream
    >>> params = DepoParams(n_nodes=5, min_nodes=None, n_asked=1, n_letters=9, min_letters=1, max_letters=2)
    >>> drawn = Depo(params, hops=(1, 2)).draw(1, stream("doctest"))
    >>> drawn.tokens[0, : drawn.length[0]].tolist(), int(drawn.label[0].max())
    ([20, 1, 15, 8, 13, 10, 14, 8, 13, 3, 14, 3, 14, 10, 14, 1, 15, 18, 14, 21, 1, 15], 15)
    """

    name = "depo"
    version = 1
    Params = DepoParams
    sized_by = "n_nodes"

    def __init__(
        self, params: DepoParams, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        if (params.min_nodes or 0) > params.n_nodes:
            raise ConfigError(
                f"{self.name}: min_nodes must be at most n_nodes, {params.n_nodes}, got {params.min_nodes}"
            )
        self.most_words, self.fewest_words = params.n_nodes, params.min_nodes or params.n_nodes
        if params.n_asked > self.fewest_words:
            raise ConfigError(
                f"{self.name}: n_asked must be at most {self.fewest_words}, the words of the smallest cycle, got "
                f"{params.n_asked}"
            )
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)
        self.is_crowded = 2 * max(self.hops) >= self.fewest_words or 10 * params.n_asked >= self.fewest_words

    @property
    def max_hop(self) -> int:
        """The way round must be longer, on the largest cycle."""
        return (self.params.n_nodes - 1) // 2

    def advice_for_hop(self, hop: int) -> str:
        """A larger cycle."""
        return f"raise n_nodes to {2 * hop + 1}"

    @property
    def n_edges(self) -> tuple[int, int]:
        """As many as words."""
        return self.fewest_words, self.most_words

    @property
    def n_worlds(self) -> int:
        """Cycles of the smallest size, orders of their edges, and questions."""
        n, n_asked = self.fewest_words, self.params.n_asked
        cycles = math.comb(self._n_spellings, n) * math.factorial(n - 1)
        return cycles * math.factorial(n) * math.perm(n, n_asked) * len(self.hops)

    def draw_graph(self, n_sequences: int, rng: np.random.Generator) -> WordGraph:
        """The cycle is that of places in a random order of the words."""
        n, n_asked = draw_sizes(n_sequences, self.fewest_words, self.most_words, rng), self.params.n_asked
        cycle, order, first = (self._shuffled(n, rng) for _ in range(3))
        at, k = first[:, :n_asked], deal_k(self.hops, n_sequences, n_asked, rng)
        to = (at + k) % n[:, None]
        size = n[:, None]
        facts = np.stack([look_up(cycle, np.minimum(order, size)), look_up(cycle, (order + 1) % size)], axis=2)
        facts[order >= size] = -1
        return WordGraph(n, facts, look_up(cycle, at), k, look_up(cycle, to), _fewest(at, to, n))

    def _shuffled(self, n: Int, rng: np.random.Generator) -> Int:
        """For each sequence its 0..n-1 in random order, then the others: array (g, w)."""
        order = permutations(rng, len(n), self.most_words)
        if self.fewest_words == self.most_words:
            return order
        last = (order >= n[:, None]).argsort(axis=1, kind="stable")
        shuffled: Int = np.take_along_axis(order, last, axis=1)
        return shuffled

    def n_possible(self, graph: WordGraph, n_known: int | None) -> Int:
        """Not the word asked about; a fact that is known excludes one word more, and so does a question before.

        Known facts join words into runs of the cycle. The other runs follow that of the word asked about in any order,
        so that all are as likely to come k steps after it, and each fact makes one run less.
        """
        n_excluded = (n_known or 0) + np.arange(1, 1 + self.params.n_asked, dtype=np.int32)
        return (graph.n_words[:, None] - n_excluded).astype(np.int32)

    def could_lead(self, hidden: HiddenFact) -> Mask:
        """To the beginning of any run of known facts but the one that it ends."""
        may: Mask = hidden.is_there & ~hidden.is_known
        entered = hidden.entered()
        may[np.flatnonzero(entered >= 0), entered[entered >= 0]] = False
        return may

    def exchanged(self, hidden: HiddenFact, variant: int) -> Int:
        """The variant's run and those after it come first: it remains one cycle."""
        return np.stack([hidden.fact, np.full_like(hidden.fact, variant), hidden.entered()], axis=1)


def _fewest(at: Int, to: Int, n: Int) -> Int:
    """The fewest look-ups from each place (g, a) to another, round the cycle or by the pairs before: array (g, a)."""
    point = np.concatenate([at, to], axis=1).T.copy()  # a place for each end of each question, then sequences
    n_asked = at.shape[1]
    gap = np.abs(point[:, None] - point)
    far: NDArray[np.int32] = np.minimum(gap, n - gap).astype(np.int32)
    fewest = np.empty_like(at)
    for question in range(n_asked):
        one, two = far[:, question], far[:, n_asked + question]
        fewest[:, question] = one[n_asked + question]
        if question + 1 < n_asked:
            by = np.minimum(one[:, None] + two, two[:, None] + one) + np.int32(1)
            far = np.minimum(far, by)
    return fewest
