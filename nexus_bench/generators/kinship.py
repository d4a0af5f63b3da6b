"""Kinship: what is someone to someone else, through k family relations in a row?"""

import functools
import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts import patterns
from nexus_bench.generators.parts.facts import look_up, shuffled, walk_until
from nexus_bench.generators.parts.family_trees import RELATIONS, composition_table
from nexus_bench.streams import Int, Mask, integers, stream

_LONGEST = 6  # hops: the table grows by a factor of six per hop
_MEASURED_GRAPHS = 4096


class KinshipParams(NamedParams):
    """The number of paths."""

    n_paths: int = Field(ge=1, le=100, description="Paths through family trees that queries are about.")


@GENERATORS.register
class Kinship(NamedNodes[KinshipParams]):
    """Paths through family trees, given relation by relation; the answer is what the k-th person is to the first.

    The composition table is derived from trees. Compositions that depend on the tree, or have no English term, do not
    occur. Terms are equally likely at every hop, and so are the compositions that give each term. Next to every path of
    k facts there is another path made of the remaining facts, so that all graphs have the same size. A hop is one fact.
    Relations are not independent: a part of a path says much about the whole (a mother's mother's brother is no
    nephew), so the partial-input ceiling is far above chance; it is computed from all paths.

    Source: CLUTRR (Sinha et al. 2019, arXiv 1908.06177), with a table from trees instead of handwritten rules.

    >>> from nexus_bench.streams import stream
    >>> family = Kinship(KinshipParams(n_paths=1, vocab_size=12, n_queries=1), hops=(3,))
    >>> examples = family.sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[0, 1, 4], [10, 3, 3], [3, 0, 4]]
    >>> examples.query[0].tolist(), family.symbol("term", int(examples.answer[0, 0])), examples.hop[0].tolist()
    ([[10, 1]], 'son', [3])
    """

    name = "kinship"
    version = 1
    Params = KinshipParams
    sized_by = "n_paths"
    has_patterns = True

    @property
    def n_nodes(self) -> int:
        """People of the paths: those of a query's path and of the other path next to it."""
        return self.params.n_paths * (self.largest_hop + 2)

    @property
    def most_queries(self) -> int:
        """One per path."""
        return self.params.n_paths

    @property
    def max_hop(self) -> int:
        """The largest hop count of the table."""
        return _LONGEST

    def advice_for_hop(self, hop: int) -> str:
        """No parameter would help."""
        return "ask for fewer hops"

    @property
    def distractors(self) -> str:
        """The other paths."""
        return "disconnected"

    @property
    def schema(self) -> Schema:
        """Facts are (person, relative, relation): the relative is the relation of the person; the answer is a term."""
        return Schema(
            fact=(Role("person", "node"), Role("relative", "node"), Role("relation", "relation")),
            query=(Role("person", "node"), Role("relative", "node")),
            answer="term",
            vocabularies={
                "node": self.node_vocab_size,
                "relation": len(RELATIONS),
                "term": len(_terms(self.largest_hop)),
            },
        )

    @property
    def n_facts(self) -> int:
        """As many per path as the largest hop count."""
        return self.params.n_paths * self.largest_hop

    @property
    def n_worlds(self) -> int:
        """Symbols in order for one choice of relations, up to swaps of paths."""
        return math.perm(self.node_vocab_size, self.n_nodes) // math.factorial(self.params.n_paths)

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw symbols, a term and a composition for every path, the other path next to it, the order of the facts."""
        n_paths, longest = self.params.n_paths, self.largest_hop
        person = self.draw_names(n_graphs, rng).reshape(n_graphs, n_paths, longest + 2)
        hop = np.full((n_graphs, n_paths), self.hops[0], dtype=np.int32)
        hop[:, : self.n_queries] = self.deal_hops(n_graphs, rng)
        drawn = [integers(rng, n_graphs, n_paths, high=1 << 30).astype(np.int64) for _ in range(3)]
        every = _walkable(longest)
        beside = every[drawn[2] * len(every) >> 30]
        words = np.zeros((n_graphs, n_paths, longest), dtype=np.int32)
        term = np.zeros_like(hop)
        for k in self.hops:
            ways = _ways(k, longest, self.patterns)
            nth_term = drawn[0] * len(ways.term) >> 30
            nth = ways.first[nth_term] + (drawn[1] * ways.count[nth_term] >> 30)
            is_asked = hop == k
            term[is_asked] = ways.term[nth_term[is_asked]]
            words[is_asked, :k] = ways.words[nth[is_asked]]
            words[is_asked, k:] = beside[is_asked, : longest - k]
        begins = np.arange(longest) + (np.arange(longest) >= hop[:, :, None])
        ends = [np.take_along_axis(person, places, axis=2) for places in (begins, begins + 1)]
        facts = np.stack([*ends, words], axis=3).reshape(n_graphs, -1, 3)
        goal = np.take_along_axis(person, hop[:, :, None], axis=2)
        query = np.concatenate([person[:, :, :1], goal], axis=2)[:, : self.n_queries]
        return Examples(shuffled(facts, rng), query, term[:, : self.n_queries], hop[:, : self.n_queries])

    def solve(self, facts: Int, query: Int) -> Solution:
        """Go from relative to relative until the one in the query, and look the relations up in the table."""
        goal = query[:, :, 1]
        node, hop, rows = walk_until(
            facts[:, :, 0],
            facts[:, :, 1],
            query[:, :, 0],
            size=self.node_vocab_size,
            n_steps=self.largest_hop,
            arrives=lambda node: node == goal,
        )
        code = np.zeros(hop.shape, dtype=np.int64)
        for step in range(self.largest_hop):
            row = rows[:, :, step]
            code = np.where(row >= 0, code * _BASE + look_up(facts[:, :, 2], row) + 1, code)
        codes, terms = _lexicon(self.largest_hop)
        place = np.minimum(np.searchsorted(codes, code), len(codes) - 1)
        is_known = (node >= 0) & (codes[place] == code)
        return Solution(np.where(is_known, terms[place], -1).astype(np.int32), hop, rows)

    def chance(self, hop: int) -> float:
        """Any term that so many relations can give; at one hop, the commonest relation of the graph, measured."""
        any_term = 1 / len(_ways(hop, self.largest_hop, self.patterns).term)
        return max(any_term, self._commonest_relation) if hop == 1 else any_term

    def partial_input(self, hop: int) -> float:
        """The best guess with one relation of the path hidden, computed exactly over all paths."""
        return max(_with_one_hidden(hop, self.largest_hop, self.patterns), self.chance(hop))

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """Every fact off the path: relations of other paths are independent."""
        alike: Mask = super().alike(facts, query, solution, at) & (np.arange(self.n_facts) != at[:, None])
        return alike

    def check_patterns(self) -> None:
        """Kinship always has enough patterns."""

    @functools.cached_property
    def _commonest_relation(self) -> float:
        alone = Kinship(self.params, (1,), largest_hop=self.largest_hop)
        examples = alone.sample(_MEASURED_GRAPHS, stream("kinship", "commonest relation"))
        relation = examples.facts[:, :, 2]
        counts = (relation[:, :, None] == np.arange(len(RELATIONS))).sum(axis=1)
        named = np.array([_terms(self.largest_hop).index(name) for name in RELATIONS])
        return float((named[counts.argmax(axis=1)][:, None] == examples.answer).mean())

    def symbol(self, vocabulary: str, index: int) -> str:
        """Relations and terms are English words."""
        if vocabulary == "relation":
            return RELATIONS[index]
        return _terms(self.largest_hop)[index] if vocabulary == "term" else super().symbol(vocabulary, index)


_BASE = len(RELATIONS) + 1  # base of the number that encodes a word; digits start from 1


class _Ways:
    """The words (sequences) of k relations that can occur, by term."""

    def __init__(self, words: Int, terms: Int) -> None:
        order = terms.argsort(kind="stable")
        self.words = words[order]  # grouped by term
        self.term, self.first, self.count = np.unique(terms[order], return_index=True, return_counts=True)


@functools.cache
def _terms(longest: int) -> tuple[str, ...]:
    """Every term that up to so many relations can give."""
    found = {term for k in range(1, longest + 1) for term in composition_table(k).values() if term}
    return tuple(sorted(found))


@functools.cache
def _walkable(n_steps: int) -> Int:
    """Every word that a path through a tree can have: array (words, n_steps)."""
    return np.array(list(composition_table(n_steps)), dtype=np.int32)


@functools.cache
def _named(n_steps: int, longest: int) -> tuple[Int, Int]:
    """The words that have a term, and the terms."""
    index = {term: i for i, term in enumerate(_terms(longest))}
    named = {word: index[term] for word, term in composition_table(n_steps).items() if term}
    return np.array(list(named), dtype=np.int32), np.array(list(named.values()), dtype=np.int32)


@functools.cache
def _ways(hop: int, longest: int, kind: str) -> _Ways:
    """The words of a kind of patterns; every held-out word has a term that is trained at the same hop."""
    words, terms = _named(hop, longest)
    n_words = np.full(len(words), hop)
    is_asked = patterns.is_among(kind, words, n_words)
    if kind == patterns.HELD_OUT:
        is_asked &= np.isin(terms, terms[patterns.is_among(patterns.TRAINED, words, n_words)])
    return _Ways(words[is_asked], terms[is_asked])


@functools.cache
def _lexicon(longest: int) -> tuple[np.ndarray, Int]:
    """Every word that has a term, as a number, ascending; and the terms."""
    parts = [_named(k, longest) for k in range(1, longest + 1)]
    codes = np.concatenate([(words + 1) @ _BASE ** np.arange(words.shape[1])[::-1] for words, _ in parts])
    order = codes.argsort()
    return codes[order], np.concatenate([terms for _, terms in parts])[order]


@functools.cache
def _with_one_hidden(hop: int, longest: int, kind: str) -> float:
    ways = _ways(hop, longest, kind)
    share = np.repeat(1 / (len(ways.term) * ways.count), ways.count)
    nth_term = np.repeat(np.arange(len(ways.term)), ways.count)
    best = 0.0
    for hidden in range(hop):
        shown = np.delete(ways.words + 1, hidden, axis=1) @ _BASE ** np.arange(hop - 1)
        _, seen = np.unique(shown, return_inverse=True)
        mass = np.zeros((int(seen.max()) + 1, len(ways.term)))
        np.add.at(mass, (seen, nth_term), share)
        best = max(best, float(mass.max(axis=1).sum()))
    return best
