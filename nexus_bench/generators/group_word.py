"""Group words: multiply the elements along a path, in order."""

import functools
import math
from typing import NamedTuple

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts import patterns
from nexus_bench.generators.parts.facts import look_up, shuffled, walk
from nexus_bench.generators.parts.groups import LARGEST_SYMMETRIC, GroupName, PermutationGroup, named_group
from nexus_bench.streams import Int, integers, permutations

_LONGEST, _MOST_FACTS = 50, 10_000
_MOST_ENUMERATED = 1_000_000  # words
_DEVIATIONS = 6  # standard deviations that a bound is from the mean


class _Guess(NamedTuple):
    """The best guesses that the distribution of words allows: nothing known of a word, or all but one element."""

    blind: float
    one_hidden: float


@functools.cache
def _by_law(name: str, hop: int, kind: str) -> _Guess:
    n = len(named_group(name).points)
    if kind == patterns.ALL:
        return _Guess(1 / n, 1 / n)
    return _counted(name, hop, kind) if n**hop <= _MOST_ENUMERATED else _bounded(n, hop, kind)


def _counted(name: str, hop: int, kind: str) -> _Guess:
    """The exact shares, by going through all words."""
    n = len(named_group(name).points)
    words = np.stack(np.unravel_index(np.arange(n**hop), (n,) * hop), axis=1).astype(np.int32)
    words = words[patterns.is_among(kind, words, np.full(len(words), hop, dtype=np.int32))]
    product = functools.reduce(lambda left, right: named_group(name).table[left, right], words.T)
    contexts = [np.delete(words, hidden, axis=1) @ n ** np.arange(hop - 1) for hidden in range(hop)]
    # every completion of a context is another product, so each context has one right guess
    one_hidden = max(len(np.unique(context)) for context in contexts) / len(words)
    return _Guess(float(np.bincount(product).max() / len(words)), one_hidden)


def _bounded(n: int, hop: int, kind: str) -> _Guess:
    """Upper bounds, for more words than can be gone through.

    Each word is in use with probability p, by a hash, and each product has the same number of words. So numbers of
    words in use are binomial; they are taken 6 standard deviations to the worse side of their mean.
    """
    p = 1 / patterns.odds(kind)

    def most(n_all: float, share: float) -> float:
        return n_all * share + _DEVIATIONS * math.sqrt(n_all * share * (1 - share))

    n_contexts = float(n) ** (hop - 1)  # also the number of words of each product
    n_words = n * n_contexts - most(n * n_contexts, 1 - p)
    n_known = min(n_contexts, most(n_contexts, 1 - (1 - p) ** n))  # contexts with a completion in use
    return _Guess(most(n_contexts, p) / n_words, min(1.0, n_known / n_words))


class GroupWordParams(NamedParams):
    """The group, and the number of sets of stretches."""

    group: GroupName = Field(description="Z_2 to Z_100, S_3, S_4, S_5, A_4 or A_5.")
    n_sets: int = Field(
        ge=2, le=100, description="Sets of stretches of the cycle; a set has one stretch per element of the group."
    )


@GENERATORS.register
class GroupWord(NamedNodes[GroupWordParams]):
    """A random cycle of nodes, an element of a group on every edge; the answer is the product of the next k elements.

    The cycle is cut into stretches as long as the largest hop count, and each query begins at the head of its own. The
    stretches belong to `n_sets` sets, whose turns alternate. At each place of the stretches of a set, every element
    occurs exactly once, in random order, and places are independent. So the elements of a stretch are uniform and
    independent, while their counts in the whole graph are always the same and say nothing. Edges that share a place of
    a set are at least two stretches apart. So a walk of at most k edges back from the start, or on from the end, meets
    none that shares one with the k edges between: with one of these unknown, all products are equally likely. (Where a
    fact is missing altogether, the counts of all others name its element, as a cycle names its missing edge.)

    A hop is one fact. The product of a non-abelian group depends on the order of its elements, and those of A_5 and S_5
    need a depth that grows with k (Barrington 1989); that of an abelian group, such as Z_n, is a sum, which needs no
    order: aggregation rather than depth.

    With held-out patterns one stretch of a set is asked about: its word is of the right kind, the others complete it.

    Source: word problems of groups as tests of state tracking (Liu et al. 2023, "Transformers learn shortcuts to
    automata", arXiv 2210.10749; Merrill, Petty and Sabharwal 2024, arXiv 2404.08819). The path consists of facts, so
    that finding the elements takes hops.

    >>> from nexus_bench.streams import stream
    >>> params = GroupWordParams(group="Z_2", n_sets=2, vocab_size=24, n_queries=1)
    >>> family = GroupWord(params, hops=(2,))
    >>> examples = family.sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[1, 4, 1], [22, 10, 0], [0, 1, 1], [3, 0, 0], [18, 22, 0], [10, 3, 1], [4, 19, 0], [19, 18, 1]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[18, 2]], [0], [2])
    >>> symmetric = GroupWord(params.model_copy(update={"group": "S_3", "vocab_size": None}), hops=(2,))
    >>> [symmetric.symbol("element", i) for i in range(6)]
    ['123', '132', '213', '231', '312', '321']
    """

    name = "group_word"
    version = 2
    Params = GroupWordParams
    sized_by = "n_sets"
    has_patterns = True

    @property
    def n_nodes(self) -> int:
        """Nodes of the cycle."""
        return self._n_stretches * self.largest_hop

    @property
    def most_queries(self) -> int:
        """One per stretch; with held-out patterns, one per set."""
        return self._n_stretches if self.patterns == patterns.ALL else self.params.n_sets

    @property
    def max_hop(self) -> int:
        """Stretches are as long as needed, up to 10,000 facts."""
        return min(_LONGEST, _MOST_FACTS // self._n_stretches)

    def advice_for_hop(self, hop: int) -> str:
        """No parameter would help."""
        return "ask for fewer hops"

    @property
    def reasoning(self) -> str:
        """Aggregation if the group is abelian: its products need no order."""
        return self._group.reasoning

    @property
    def distractors(self) -> str:
        """The other elements of the cycle."""
        return "irrelevant"

    @property
    def schema(self) -> Schema:
        """Facts are (src, dst, element), a query is (start, hop), the answer is an element."""
        return Schema(
            fact=(Role("src", "node"), Role("dst", "node"), Role("element", "element")),
            query=(Role("start", "node"), Role("hop", "hop")),
            answer="element",
            vocabularies={
                "node": self.node_vocab_size,
                "element": len(self._group.points),
                "hop": self.largest_hop + 1,
            },
        )

    @property
    def n_facts(self) -> int:
        """One edge per node."""
        return self.n_nodes

    @property
    def n_worlds(self) -> int:
        """Choices of symbols in order, and of the order of elements at each place; a lower bound."""
        words: int = math.factorial(len(self._group.points)) ** (self.params.n_sets * self.largest_hop)
        return math.perm(self.node_vocab_size, self.n_nodes) * words // self.n_nodes

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw symbols, stretches to ask about, elements until asked words are of the right kind, the facts' order."""
        n_sets, longest = self.params.n_sets, self.largest_hop
        node = self.draw_names(n_graphs, rng)
        hop = self.deal_hops(n_graphs, rng)
        stretch = self._deal_stretches(n_graphs, rng)
        number, its_set = np.divmod(stretch, np.int32(n_sets))
        element = self._orders(n_graphs * n_sets, rng).reshape(n_graphs, n_sets, longest, -1)
        while True:
            asked = element[np.arange(n_graphs)[:, None], its_set, :, number]  # g q places
            graph, query = np.nonzero(~patterns.is_among(self.patterns, asked, hop))
            if not len(graph):
                break
            element[graph, its_set[graph, query]] = self._orders(len(graph), rng)
        product: Int = np.zeros_like(hop)
        for step in range(longest):
            after = self._group.table[product, asked[:, :, step]]
            product = np.where(step < hop, after, product).astype(np.int32)
        along = element.transpose(0, 3, 1, 2).reshape(n_graphs, -1)  # by number, set, place
        facts = np.stack([node, np.roll(node, -1, axis=1), along], axis=2)
        asked_of = np.stack([look_up(node, stretch * np.int32(longest)), hop], axis=2)
        return Examples(shuffled(facts, rng), asked_of, product, hop)

    def _deal_stretches(self, n_graphs: int, rng: np.random.Generator) -> Int:
        """The stretches asked about, no two alike and with held-out patterns no two of a set: array (g, q)."""
        if self.patterns == patterns.ALL:
            return permutations(rng, n_graphs, self._n_stretches, k=self.n_queries)
        its_set = permutations(rng, n_graphs, self.params.n_sets, k=self.n_queries)
        number = integers(rng, n_graphs, self.n_queries, high=len(self._group.points))
        return number * np.int32(self.params.n_sets) + its_set

    def _orders(self, n: int, rng: np.random.Generator) -> Int:
        """The elements of n sets, at each place in an order of its own: array (n, places, elements)."""
        n_elements = len(self._group.points)
        return permutations(rng, n * self.largest_hop, n_elements).reshape(n, self.largest_hop, n_elements)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Walk along the path and apply each permutation to every point."""
        hop = query[:, :, 1]
        size, n_steps = self.node_vocab_size, self.largest_hop
        node, rows = walk(facts[:, :, 0], facts[:, :, 1], query[:, :, 0], hop, size=size, n_steps=n_steps)
        points = self._group.points
        carried = np.broadcast_to(points[0], (*hop.shape, points.shape[1]))
        for step in range(n_steps):
            row = rows[:, :, step]
            element = np.where(row >= 0, look_up(facts[:, :, 2], row), 0)  # the identity beyond the path
            carried = points[element[:, :, None], carried]
        places = self._group.points.shape[1] ** np.arange(min(points.shape[1], LARGEST_SYMMETRIC), dtype=np.int64)
        codes = points[:, : len(places)] @ places
        order = codes.argsort(kind="stable")
        product = order[np.searchsorted(codes[order], carried[:, :, : len(places)] @ places)]
        return Solution(np.where(node >= 0, product, -1).astype(np.int32), hop, rows)

    def chance(self, hop: int) -> float:
        """One in the number of elements if all words can occur: their counts are the same in every graph."""
        return _by_law(self.params.group, hop, self.patterns).blind

    def partial_input(self, hop: int) -> float:
        """As chance if all words can occur: one unknown uniform factor makes the product uniform."""
        return _by_law(self.params.group, hop, self.patterns).one_hidden

    def check_patterns(self) -> None:
        """A word is an element."""
        patterns.check_enough(self.name, len(self._group.points), advice="choose a larger group")

    @property
    def _group(self) -> PermutationGroup:
        return named_group(self.params.group)

    @property
    def _n_stretches(self) -> int:
        return self.params.n_sets * len(self._group.points)

    def symbol(self, vocabulary: str, index: int) -> str:
        """An element as its group writes it."""
        return self._group.symbol(index) if vocabulary == "element" else super().symbol(vocabulary, index)
