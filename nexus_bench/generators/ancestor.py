"""Ancestor: walk k parents up a tree."""

import math
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import NamedNodes, NamedParams
from nexus_bench.generators.parts.facts import follow, look_up, row_of, shuffled, walk
from nexus_bench.streams import Int, Mask, integers, permutations

_LONGEST = 50  # most hops if the depth is derived from the hops
_BELOW_ROOT = 2  # number of depths that an answer may have, if the depth is derived from the hops


class AncestorParams(NamedParams):
    """Size of an ancestor graph."""

    n_trees: int = Field(ge=2, le=100, description="Trees per graph; one with `distractors: none`.")
    depth: int | None = Field(ge=2, le=100, description="Edges from a root down; null means largest hop + 2.")
    distractors: Literal["none", "disconnected", "branches"] = Field(
        description="One chain; one chain per tree; or chains with an extra leaf next to every node below the root."
    )


@GENERATORS.register
class Ancestor(NamedNodes[AncestorParams]):
    """Trees of equal shape, each a chain from a root down; the answer is the node k parents above the start.

    With `branches`, every node of a chain but its last has one more child, a leaf. Every node with children then
    has two, so the number of children does not reveal the answer, and half of the starts are leaves.
    At every hop, answers are spread evenly over the depths 1 to (depth - largest hop) of all trees, so the position of
    the answer in its tree says nothing about the hop count, and a root is never the answer. A hop is one edge.

    Source: kinship composition as in CLUTRR (Sinha et al., 2019, https://arxiv.org/abs/1908.06177), with one relation.
    All inner nodes have two children, since a single one with two would be found without walking.

    >>> from nexus_bench.streams import stream
    >>> params = AncestorParams(n_trees=2, depth=2, distractors="branches", vocab_size=30, n_queries=1)
    >>> examples = Ancestor(params, hops=(1,)).sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[1, 28], [4, 3], [10, 28], [26, 10], [0, 3], [25, 10], [27, 0], [24, 0]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[24, 1]], [0], [1])
    """

    name = "ancestor"
    version = 1
    Params = AncestorParams
    sized_by = "n_trees"

    @property
    def most_queries(self) -> int:
        """One per node that can be an answer."""
        return self._n_trees * self._n_depths

    @property
    def max_hop(self) -> int:
        """The depth minus one, since a root is never an answer."""
        return _LONGEST if self.params.depth is None else self.params.depth - 1

    def advice_for_hop(self, hop: int) -> str:
        """The depth must be one more than the hops."""
        return f"raise depth to {hop + 1}"

    @property
    def schema(self) -> Schema:
        """Facts are (child, parent), a query is (start, hop), the answer is a node."""
        return Schema(
            fact=(Role("child", "node"), Role("parent", "node")),
            query=(Role("start", "node"), Role("hop", "hop")),
            answer="node",
            vocabularies={"node": self.node_vocab_size, "hop": self.largest_hop + 1},
        )

    @property
    def n_facts(self) -> int:
        """One edge per node that is not a root."""
        return len(self._edges)

    @property
    def n_worlds(self) -> int:
        """Choices of symbols for the nodes, up to swaps of trees and of the last two leaves of each tree."""
        alike = math.factorial(self._n_trees) * (2**self._n_trees if self._has_leaves else 1)
        return math.perm(self.node_vocab_size, self.n_nodes) // alike

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw the symbols, the order of the facts, then distinct answers and a start below each."""
        names = self.draw_names(n_graphs, rng)
        facts = shuffled(names[:, self._edges], rng)

        end = permutations(rng, n_graphs, self.most_queries, k=self.n_queries)
        tree, depth = end // self._n_depths, end % self._n_depths + 1
        hop = self.deal_hops(n_graphs, rng)
        start = self._on_chain(tree, depth + hop)
        if self._has_leaves:
            is_leaf = integers(rng, *hop.shape, high=2) > 0
            start = np.where(is_leaf, self._leaf(tree, depth + hop), start)
        query = np.stack([look_up(names, start), hop], axis=2)
        return Examples(facts, query, look_up(names, self._on_chain(tree, depth)), hop)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Walk from child to parent."""
        start, hop = query[:, :, 0], query[:, :, 1]
        size, n_steps = self.node_vocab_size, self.largest_hop
        node, rows = walk(facts[:, :, 0], facts[:, :, 1], start, hop, size=size, n_steps=n_steps)
        return Solution(node, hop, rows)

    def chance(self, hop: int) -> float:
        """Any node that can be an answer, except the start, which is one of them in some examples."""
        n_answers = self.most_queries
        n_starts = max(0, self._n_depths - hop) / (self._n_depths * (2 if self._has_leaves else 1))
        return (1 - n_starts) / n_answers + (n_starts / (n_answers - 1) if n_starts else 0)

    def partial_input(self, hop: int) -> float:
        """The right depth in any of the trees: the rest of the walk is known, but not the node that it ends at."""
        return 1 / self._n_trees

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """The edges at the same depth whose child has children, or has none, like the child of the hidden edge."""
        row_of_child = row_of(facts[:, :, 0], self.node_vocab_size)
        has_children = look_up(row_of(facts[:, :, 1], self.node_vocab_size), facts[:, :, 0]) >= 0
        node = facts[:, :, 1]
        kind = has_children.astype(np.int32)  # the value is 2 for every edge above
        for _ in range(self._depth):
            row, node = follow(row_of_child, facts[:, :, 1], node)
            kind += 2 * (row >= 0)
        alike: Mask = kind == look_up(kind, at[:, None])
        return alike

    @property
    def _depth(self) -> int:
        return self.largest_hop + _BELOW_ROOT if self.params.depth is None else self.params.depth

    @property
    def _n_depths(self) -> int:
        return self._depth - self.largest_hop

    @property
    def _n_trees(self) -> int:
        return 1 if self.params.distractors == "none" else self.params.n_trees

    @property
    def _has_leaves(self) -> bool:
        return self.params.distractors == "branches"

    @property
    def n_nodes(self) -> int:
        """Nodes per graph."""
        return self._n_trees + len(self._edges)

    @cached_property
    def _edges(self) -> Int:
        """Array (f, 2) of nodes as numbers: the facts of a graph before symbols and order are drawn."""
        tree, depth = (axis.ravel() for axis in np.mgrid[: self._n_trees, 1 : self._depth + 1].astype(np.int32))
        above = self._on_chain(tree, depth - 1)
        edges = np.stack([self._on_chain(tree, depth), above], axis=1)
        return (
            np.concatenate([edges, np.stack([self._leaf(tree, depth), above], axis=1)]) if self._has_leaves else edges
        )

    def _on_chain(self, tree: Int, depth: Int) -> Int:
        return tree * (self._depth + 1) + depth

    def _leaf(self, tree: Int, depth: Int) -> Int:
        return self._n_trees * (self._depth + 1) + tree * self._depth + depth - 1
