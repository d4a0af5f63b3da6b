"""Group words: multiply the elements along a path, in order."""

import functools
import itertools
import math
import re
from typing import NamedTuple

import numpy as np
from pydantic import Field, field_validator

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts import patterns
from nexus_bench.generators.parts.bags import likeliest_product
from nexus_bench.generators.parts.facts import look_up, shuffled, walk
from nexus_bench.streams import Int, Mask, integers

_LONGEST = 50  # hops
_LARGEST_CYCLIC, _LARGEST_SYMMETRIC = 100, 5
_MOST_ENUMERATED = 1_000_000  # words


class Group(NamedTuple):
    """A finite group of permutations.

    Attributes:
        name: The name, such as `S_3`.
        points: Array (elements, points): where each element moves each point; the identity comes first.
        table: Array (elements, elements): the product of a row and a column, the row applied first.
        is_abelian: Whether the order of a product does not matter.
    """

    name: str
    points: Int
    table: Int
    is_abelian: bool


@functools.cache
def named_group(name: str) -> Group:
    """A group by name: Z_2 to Z_100, S_3 to S_5, A_4 and A_5.

    Raises:
        ValueError: There is no group of that name.
    """
    match = re.fullmatch(r"([ZSA])_([1-9]\d*)", name)
    kind, n = (match[1], int(match[2])) if match else ("", 0)
    if kind == "Z" and 2 <= n <= _LARGEST_CYCLIC:
        points = (np.arange(n)[:, None] + np.arange(n)) % n
    elif (kind == "S" and 3 <= n <= _LARGEST_SYMMETRIC) or (kind == "A" and 4 <= n <= _LARGEST_SYMMETRIC):
        points = np.array(list(itertools.permutations(range(n))))
        i, j = np.triu_indices(n, 1)
        n_inversions = (points[:, i] > points[:, j]).sum(axis=1)
        points = points[n_inversions % 2 == 0] if kind == "A" else points
    else:
        raise ValueError(f"group must be Z_2 to Z_{_LARGEST_CYCLIC}, S_3, S_4, S_5, A_4 or A_5, got {name!r}")
    index = {tuple(element): i for i, element in enumerate(points.tolist())}
    table = np.array([[index[tuple(second[first])] for second in points] for first in points], dtype=np.int32)
    return Group(name, points.astype(np.int32), table, bool((table == table.T).all()))


class _Guess(NamedTuple):
    """The best guesses that the distribution of words allows: nothing known of a word, or all but one element."""

    blind: float
    one_hidden: float


@functools.cache
def _by_law(name: str, hop: int, kind: str) -> _Guess:
    n = len(named_group(name).points)
    if kind == patterns.ALL:
        return _Guess(1 / n, 1 / n)
    if n**hop > _MOST_ENUMERATED:
        return _Guess(1 / n, min(1.0, patterns.odds(kind) / n))
    words = np.stack(np.unravel_index(np.arange(n**hop), (n,) * hop), axis=1).astype(np.int32)
    words = words[patterns.is_among(kind, words, np.full(len(words), hop, dtype=np.int32))]
    product = functools.reduce(lambda left, right: named_group(name).table[left, right], words.T)
    contexts = [np.delete(words, hidden, axis=1) @ n ** np.arange(hop - 1) for hidden in range(hop)]
    # every completion of a context is another product, so each context has one right guess
    one_hidden = max(len(np.unique(context)) for context in contexts) / len(words)
    return _Guess(float(np.bincount(product).max() / len(words)), one_hidden)


@functools.cache
def _likeliest(name: str, n_facts: int, hop: int) -> float:
    table = named_group(name).table
    return likeliest_product(table, np.arange(len(table), dtype=np.int32)[:, None], n_facts=n_facts, hop=hop)


class GroupWordParams(NamedParams):
    """The group, and the number of paths."""

    group: str = Field(description="Z_2 to Z_100, S_3, S_4, S_5, A_4 or A_5.")
    n_paths: int = Field(ge=1, le=100, description="Stretches of the cycle that queries are about.")

    @field_validator("group")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return named_group(name).name


@GENERATORS.register
class GroupWord(NamedNodes[GroupWordParams]):
    """A random cycle of nodes, an element of a group on every edge; the answer is the product of the next k elements.

    Elements are uniform and independent, so with any one of them hidden all products are equally likely. A hop is
    one fact. The product of a non-abelian group depends on the order of its elements, and those of A_5 and S_5 need a
    depth that grows with k (Barrington 1989); that of an abelian group, such as Z_n, is a sum, which needs no order:
    aggregation rather than depth.

    Source: word problems of groups as tests of state tracking (Liu et al. 2023, "Transformers learn shortcuts to
    automata", arXiv 2210.10749; Merrill, Petty and Sabharwal 2024, arXiv 2404.08819). The path consists of facts, so
    that finding the elements takes hops.

    >>> from nexus_bench.streams import stream
    >>> params = GroupWordParams(group="S_3", n_paths=2, vocab_size=18, n_queries=1)
    >>> family = GroupWord(params, hops=(2,))
    >>> examples = family.sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[1, 4, 5], [3, 0, 1], [0, 1, 4], [10, 3, 1], [6, 10, 5], [4, 6, 1]]
    >>> [family.symbol("element", i) for i in range(6)]
    ['123', '132', '213', '231', '312', '321']
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[10, 2]], [0], [2])
    """

    name = "group_word"
    version = 1
    Params = GroupWordParams
    sized_by = "n_paths"
    has_patterns = True

    @property
    def n_nodes(self) -> int:
        """Nodes of the cycle."""
        return self.params.n_paths * self._stretch

    @property
    def most_queries(self) -> int:
        """One per path."""
        return self.params.n_paths

    @property
    def max_hop(self) -> int:
        """Paths are as long as needed."""
        return _LONGEST

    def advice_for_hop(self, hop: int) -> str:
        """No parameter would help."""
        return "ask for fewer hops"

    @property
    def reasoning(self) -> str:
        """Aggregation if the group is abelian: its products need no order."""
        return "aggregation" if self._group.is_abelian else "depth"

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
        """Choices of symbols, cycles over them, and elements."""
        cycles = math.comb(self.node_vocab_size, self.n_nodes) * math.factorial(self.n_nodes - 1)
        words: int = len(self._group.points) ** self.n_nodes
        return cycles * words

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw the symbols of the cycle, elements, the order of the facts; a query starts at the head of a stretch."""
        n, n_elements = self.n_nodes, len(self._group.points)
        node = self.draw_names(n_graphs, rng)
        element = integers(rng, n_graphs, n, high=n_elements).reshape(n_graphs, -1, self._stretch)
        hop = self.deal_hops(n_graphs, rng)
        asked = element[:, : self.n_queries]
        while not (is_right := patterns.is_among(self.patterns, asked, hop)).all():
            graph, query = np.nonzero(~is_right)
            asked[graph, query] = integers(rng, len(graph), self._stretch, high=n_elements)
        product: Int = np.zeros_like(hop)
        for step in range(self.largest_hop):
            after = self._group.table[product, asked[:, :, step]]
            product = np.where(step < hop, after, product).astype(np.int32)
        facts = np.stack([node, np.roll(node, -1, axis=1), element.reshape(n_graphs, n)], axis=2)
        asked_of = np.stack([node[:, :: self._stretch][:, : self.n_queries], hop], axis=2)
        return Examples(shuffled(facts, rng), asked_of, product, hop)

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
        places = self._group.points.shape[1] ** np.arange(min(points.shape[1], _LARGEST_SYMMETRIC), dtype=np.int64)
        codes = points[:, : len(places)] @ places
        order = codes.argsort(kind="stable")
        product = order[np.searchsorted(codes[order], carried[:, :, : len(places)] @ places)]
        return Solution(np.where(node >= 0, product, -1).astype(np.int32), hop, rows)

    def chance(self, hop: int) -> float:
        """The likeliest product of elements of the graph: beyond one hop, close to a uniform guess among the group."""
        by_law = _by_law(self.params.group, hop, self.patterns).blind
        return max(by_law, _likeliest(self.params.group, self.n_facts, hop))

    def partial_input(self, hop: int) -> float:
        """Any element of the group if all words can occur: a uniform factor makes the product uniform."""
        return max(_by_law(self.params.group, hop, self.patterns).one_hidden, self.chance(hop))

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """Every fact off the path: elements are drawn independently."""
        alike: Mask = super().alike(facts, query, solution, at) & (np.arange(self.n_facts) != at[:, None])
        return alike

    def check_patterns(self) -> None:
        """A word is an element."""
        patterns.check_enough(self.name, len(self._group.points), advice="choose a larger group")

    @property
    def _group(self) -> Group:
        return named_group(self.params.group)

    @property
    def _stretch(self) -> int:
        return self.largest_hop + 1

    def symbol(self, vocabulary: str, index: int) -> str:
        """An element of Z_n is a number; any other is written as the images of 1, 2, 3, ... in a row."""
        if vocabulary != "element":
            return super().symbol(vocabulary, index)
        points = self._group.points[index]
        return str(points[0]) if self._group.name.startswith("Z") else "".join(str(point + 1) for point in points)
