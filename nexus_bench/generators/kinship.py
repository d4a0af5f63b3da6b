"""Kinship: what is someone to someone else, through k family relations in a row?"""

import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts.facts import look_up, row_of, shuffled, walk_until
from nexus_bench.generators.parts.family_trees import RELATIONS
from nexus_bench.generators.parts.family_words import (
    BASE,
    lexicon,
    look_alikes,
    terms_up_to,
    walkable,
    ways,
    with_one_hidden,
)
from nexus_bench.streams import Int, Mask, integers

_LONGEST = 6  # hops: the table grows by a factor of six per hop
_ROWS = len(RELATIONS)  # look-alike paths per set: each relation once at every place


class KinshipParams(NamedParams):
    """The number of sets of paths."""

    n_sets: int = Field(ge=1, le=100, description="Sets of eight look-alike paths; a query is about one path of a set.")


@GENERATORS.register
class Kinship(NamedNodes[KinshipParams]):
    """Paths through family trees, given relation by relation; the answer is what the k-th person is to the first.

    The composition table is derived from trees. Compositions that depend on the tree, or have no English term, do not
    occur. Terms are equally likely at every hop, and so are the compositions that give each term. Paths come in sets of
    eight, one of which is asked about: at every place of the eight paths each of the eight relations occurs exactly
    once. So all graphs have the same counts of relations, and these counts say nothing, not even together with a part
    of the path. Next to each of the eight paths of k facts there is another one, made of the remaining facts, so that
    all graphs have the same size; these eight hold every relation once at every place as well. A hop is one fact.
    Relations are not independent: a part of a path says much about the whole (a mother's mother's brother is no
    nephew), so the partial-input ceiling is far above chance; it is computed from all paths.

    Source: CLUTRR (Sinha et al. 2019, arXiv 1908.06177), with a table from trees instead of handwritten rules.

    >>> from nexus_bench.streams import stream
    >>> family = Kinship(KinshipParams(n_sets=1, vocab_size=32, n_queries=1), hops=(2,))
    >>> examples = family.sample(1, stream("doctest"))
    >>> [int((examples.facts[0, :, 2] == relation).sum()) for relation in range(8)]
    [2, 2, 2, 2, 2, 2, 2, 2]
    >>> examples.facts[0, family.solve(examples.facts, examples.query).rows[0, 0]].tolist()
    [[29, 9, 4], [9, 11, 2]]
    >>> examples.query[0].tolist(), family.symbol("term", int(examples.answer[0, 0])), examples.hop[0].tolist()
    ([[29, 11]], 'nephew', [2])
    """

    name = "kinship"
    version = 2
    Params = KinshipParams
    sized_by = "n_sets"
    has_patterns = True

    @property
    def n_nodes(self) -> int:
        """People of the paths; a path next to one of the largest hop count is a person without facts."""
        return self.params.n_sets * _ROWS * (self.largest_hop + 2)

    @property
    def most_queries(self) -> int:
        """One per set."""
        return self.params.n_sets

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
                "term": len(terms_up_to(self.largest_hop)),
            },
        )

    @property
    def n_facts(self) -> int:
        """As many per path, with the one next to it, as the largest hop count."""
        return self.params.n_sets * _ROWS * self.largest_hop

    @property
    def n_worlds(self) -> int:
        """At least: people in order for one choice of relations, up to swaps of paths that begin alike."""
        n_sets, n_shown = self.params.n_sets, self.params.n_sets * _ROWS * (self.largest_hop + 1)
        same: int = math.factorial(2 * n_sets) ** _ROWS
        return math.perm(self.node_vocab_size, n_shown) // same

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw people, a term and a composition for every set, the other rows of the set, the order of the facts."""
        n_sets, longest = self.params.n_sets, self.largest_hop
        person = self.draw_names(n_graphs, rng).reshape(n_graphs, n_sets, _ROWS, longest + 2)
        hop = np.full((n_graphs, n_sets), self.hops[0], dtype=np.int32)
        hop[:, : self.n_queries] = self.deal_hops(n_graphs, rng)
        drawn = [integers(rng, n_graphs, n_sets, high=1 << 30).astype(np.int64) for _ in range(3)]
        every = walkable(longest)
        beside = every[drawn[2] * len(every) >> 30]
        words = np.zeros((n_graphs, n_sets, longest), dtype=np.int32)
        term = np.zeros_like(hop)
        for k in self.hops:
            of_hop = ways(k, longest, self.patterns)
            nth_term = drawn[0] * len(of_hop.term) >> 30
            nth = of_hop.first[nth_term] + (drawn[1] * of_hop.count[nth_term] >> 30)
            is_asked = hop == k
            term[is_asked] = of_hop.term[nth_term[is_asked]]
            words[is_asked, :k] = of_hop.words[nth[is_asked]]
            words[is_asked, k:] = beside[is_asked, : longest - k]
        rows = look_alikes(words.reshape(-1, longest), hop.ravel(), rng).reshape(n_graphs, n_sets, _ROWS, longest)
        begins = np.arange(longest) + (np.arange(longest) >= hop[:, :, None, None])
        ends = [np.take_along_axis(person, places, axis=3) for places in (begins, begins + 1)]
        facts = np.stack([*ends, rows], axis=4).reshape(n_graphs, -1, 3)
        asked = np.take_along_axis(person, words[:, :, :1, None], axis=2)[:, :, 0]  # the row of the first relation
        goal = np.take_along_axis(asked, hop[:, :, None], axis=2)
        query = np.concatenate([asked[:, :, :1], goal], axis=2)[:, : self.n_queries]
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
            code = np.where(row >= 0, code * BASE + look_up(facts[:, :, 2], row) + 1, code)
        codes, terms = lexicon(self.largest_hop)
        place = np.minimum(np.searchsorted(codes, code), len(codes) - 1)
        is_known = (node >= 0) & (codes[place] == code)
        return Solution(np.where(is_known, terms[place], -1).astype(np.int32), hop, rows)

    def chance(self, hop: int) -> float:
        """Any term that so many relations can give."""
        return 1 / len(ways(hop, self.largest_hop, self.patterns).term)

    def partial_input(self, hop: int) -> float:
        """The best guess with one relation of the path hidden, computed exactly over all paths."""
        return with_one_hidden(hop, self.largest_hop, self.patterns)

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """The facts at the same place of all paths, the hidden one included: they hold each relation equally often."""
        before = look_up(row_of(facts[:, :, 1], self.node_vocab_size), facts[:, :, 0])
        place = np.zeros_like(before)
        for _ in range(self.largest_hop - 1):
            place = np.where(before >= 0, look_up(place, before) + 1, 0)
        alike: Mask = place == look_up(place, at[:, None])
        return alike

    def check_patterns(self) -> None:
        """Kinship always has enough patterns."""

    def symbol(self, vocabulary: str, index: int) -> str:
        """Relations and terms are English words."""
        if vocabulary == "relation":
            return RELATIONS[index]
        return terms_up_to(self.largest_hop)[index] if vocabulary == "term" else super().symbol(vocabulary, index)
