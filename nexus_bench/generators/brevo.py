"""Brevo: all that a node depends on, in an order in which each stands after what it depends on itself."""

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, FamilyParams
from nexus_bench.generators.parts.facts import look_up
from nexus_bench.generators.parts.graph_sizes import draw_sizes
from nexus_bench.generators.parts.hidden_tokens import measured_ceiling
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.generators.parts.random_dags import depths_first, draw_dags
from nexus_bench.generators.parts.said_nodes import share_of_the_likeliest
from nexus_bench.generators.parts.spelled_words import lay_out
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceBatch, SequenceFamily
from nexus_bench.streams import Int, Mask, permutations, stream

_N_GUESSED, _N_MEASURED, _SIGMAS = 4_000, 250, 4  # sequences, and standard errors above what was measured


class BrevoParams(FamilyParams):
    """Size of the graph."""

    n_nodes: int = Field(ge=4, le=400, description="Nodes of the largest graph.")
    min_nodes: int | None = Field(
        ge=3, le=400, description="Nodes of the smallest; n is drawn by 1 / (n + sqrt(n_nodes)). Null: always n_nodes."
    )
    vocab_size: int | None = Field(ge=4, le=10_000, description="Names to draw from; null, as in the source: n_nodes.")


class _Step(NamedTuple):
    """One node of the answer in some of the sequences (g), which have so many; places are (g, h).

    Attributes:
        rows: Which sequences.
        at: The place of its label.
        node: The node; -1 for none.
        hop: How many edges tell it; 0 for none.
        way: The places that are read, in order; -1 after the last.
    """

    rows: NDArray[np.int64]
    at: Int
    node: Int
    hop: Int
    way: Int


@GENERATORS.register
class Brevo(SequenceFamily[BrevoParams]):
    """Shuffled edges `b a` (a depends on b), `query`, a node, `answer`, and all that it depends on, itself last.

    Many orders are valid, and a label is one node; so the order is fixed: go from the query to the first node, in the
    order of the edges, that it depends on and that was not said, from there on in the same way, and say the node where
    nothing is left. Each label is given those before it. A hop is one edge of this walk. The walk need not begin at the
    query: where a node was said that one node alone depends on, that edge leads into the middle of the walk, and if
    fewer edges are read so, the hop count is their number. The query, which ends the answer, has no label.

    Source: Brevo of Allen-Zhu 2025 ("Physics of language models: Part 4.1", arXiv 2512.17351), by the public generator
    (facebookresearch/PhysicsLM4, Apache-2.0): Brevo1 has n_nodes 70 to 110 and min_nodes 3. The law of graphs is its
    own: a node depends on 1 to 4 earlier ones, each of which has at most 4 such nodes. There the order of an answer is
    drawn, an answer counts as right if it is whole and in any valid order, and tests have the largest graph. Words of
    several tokens (Brevo2) are left out.

    >>> from nexus_bench.streams import stream
    >>> drawn = Brevo(BrevoParams(n_nodes=6, min_nodes=None, vocab_size=None), hops=(1, 2)).draw(1, stream("doctest"))
    >>> n = int(drawn.length[0])
    >>> drawn.tokens[0, :n].tolist(), drawn.hop[0, n - 6 : n].tolist()
    ([6, 3, 5, 2, 1, 3, 0, 2, 5, 3, 2, 1, 4, 0, 5, 1, 5, 3, 1, 7, 5, 8, 3, 2, 0, 1, 5], [1, 1, 1, 1, 0, 0])
    """

    name = "brevo"
    version = 1
    Params = BrevoParams
    sized_by = "n_nodes"

    def __init__(
        self, params: BrevoParams, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        if (params.min_nodes or 0) > params.n_nodes:
            raise ConfigError(
                f"{self.name}: min_nodes must be at most n_nodes, {params.n_nodes}, got {params.min_nodes}"
            )
        self._n_names = params.vocab_size or params.n_nodes
        if self._n_names < params.n_nodes:
            raise ConfigError(
                f"{self.name}: vocab_size must be at least n_nodes, {params.n_nodes}, got {self._n_names}"
            )
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)

    @property
    def max_hop(self) -> int:
        """Longer walks are rare."""
        return max(1, self.params.n_nodes // 3)

    def advice_for_hop(self, hop: int) -> str:
        """More nodes."""
        return f"raise n_nodes to {3 * hop}"

    @property
    def fewest_nodes(self) -> int:
        """Of the smallest graph."""
        return self.params.min_nodes or self.params.n_nodes

    @property
    def n_words(self) -> int:
        """Names, `begin`, `query` and `answer`."""
        return self._n_names + 3

    @property
    def kept_symbols(self) -> dict[str, int]:
        """The names."""
        return super().kept_symbols | {"vocab_size": self._n_names}

    @property
    def n_labels(self) -> int:
        """Names."""
        return self._n_names

    @property
    def most_labels(self) -> int:
        """The nodes of the answer."""
        return self.params.n_nodes

    @property
    def n_facts(self) -> int:
        """With as many edges as there can be."""
        n = self.params.n_nodes
        return 1 + 2 * sum(min(4, node) for node in range(1, n)) + 3 + n

    @property
    def min_length(self) -> int:
        """With one edge a node, and an answer of two."""
        n = self.fewest_nodes
        return 1 + 2 * (n - (n - 1) // 4 - 1) + 3 + 2

    @property
    def n_worlds(self) -> int:
        """Names of a graph."""
        return math.perm(self._n_names, self.fewest_nodes)

    def symbol(self, vocabulary: str, index: int) -> str:
        """Nodes are numbers."""
        n = self._n_names
        return str(index) if index < n else ("begin", "query", "answer")[index - n]

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """A graph, an order of its edges, and a depth-first walk."""
        most = self.params.n_nodes
        n = draw_sizes(n_sequences, self.fewest_nodes, most, rng)
        depends = draw_dags(n, most, rng)  # g node on
        one, two = (axis.astype(np.int32) for axis in np.triu_indices(most, 1))
        order = permutations(rng, n_sequences, len(one))
        name = permutations(rng, n_sequences, self._n_names, k=most)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.broadcast_to(np.arange(len(one), dtype=np.int32), order.shape), axis=1)
        place = np.full((n_sequences, most, most), len(one), dtype=np.int32)  # of each edge; later than all for none
        place[:, two, one] = np.where(depends[:, two, one], rank, len(one))
        said, hop = depths_first(place, n - 1, len(one))

        there = place[:, two, one].ravel().take(order + np.arange(0, order.size, len(one))[:, None]) < len(one)
        edges = np.stack([look_up(name, one[order]), look_up(name, two[order])], axis=2)
        edges[~there] = NOTHING
        answer = np.where(said >= 0, look_up(name, np.maximum(said, 0)), NOTHING)
        marks = np.broadcast_to(np.arange(self._n_names, self.n_words, dtype=np.int32), (n_sequences, 3))
        query = look_up(name, (n - 1)[:, None])
        edges = edges.reshape(n_sequences, -1)
        pieces = np.concatenate([marks[:, :1], edges, marks[:, 1:2], query, marks[:, 2:], answer], axis=1)
        hop = np.where(np.isin(hop, self.hops) & (answer != query) & (answer != NOTHING), hop, 0).astype(np.int32)
        label = np.where(hop > 0, answer, NOTHING)
        before = np.zeros((n_sequences, pieces.shape[1] - most - 1), dtype=np.int32)
        beside = [np.concatenate([before, of, before[:, :1]], axis=1) for of in (label + np.int32(1), hop)]
        laid = lay_out(pieces, beside, self.n_facts)
        return SequenceBatch(laid.tokens, laid.beside[0] - np.int32(1), laid.beside[1], laid.length)

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Walk from the query for every node of the answer, along the list of the edges."""
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        for step in self._steps(tokens):
            label[step.rows, step.at], hop[step.rows, step.at] = step.node, step.hop
        label[~np.isin(hop, self.hops)] = NOTHING
        hop[label == NOTHING] = 0
        return Labels(label, hop)

    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """The node that each edge of the walk gives."""
        rows = np.full((*at.shape, self.params.n_nodes), -1, dtype=np.int32)
        for step in self._steps(tokens):
            here = (at[step.rows] == step.at[:, None]) & (step.hop > 0)[:, None]
            rows[step.rows] = np.where(here[:, :, None], step.way[:, None], rows[step.rows])
        return rows[:, :, : self.largest_hop]

    def _steps(self, tokens: Int) -> Iterator[_Step]:
        most, (n_rows, n) = self._n_names, tokens.shape
        g = np.arange(n_rows)
        query_at, answer_at = ((tokens == mark).argmax(axis=1).astype(np.int32) for mark in (most + 1, most + 2))
        asked = tokens[g, np.minimum(query_at + 1, n - 1)]
        is_asked = (query_at > 0) & (answer_at == query_at + 2) & (asked >= 0) & (asked < most)
        n_pairs = (n - 1) // 2
        on, node = tokens[:, 1 : 1 + 2 * n_pairs : 2], tokens[:, 2 : 2 + 2 * n_pairs : 2]
        is_edge = (2 * np.arange(n_pairs) + 2 < query_at[:, None]) & (on >= 0) & (on < most) & (node >= 0)
        on, node = np.where(is_edge, on, -1), np.where(is_edge, node, -1)
        n_of = np.zeros((n_rows, most), dtype=np.int32)
        np.add.at(n_of, (np.nonzero(is_edge)[0], on[is_edge]), 1)
        alone = is_edge & (look_up(n_of, np.maximum(on, 0)) == 1)  # only one node depends on this one
        was_said = np.zeros((n_rows, most + 1), dtype=np.bool_)
        for nth in range(self.params.n_nodes - 1):
            at = np.minimum(answer_at + nth, n - 1)
            goes_on = is_asked & (answer_at + nth < n)
            if nth:
                last = tokens[g, at]
                goes_on &= (last >= 0) & (last < most)
                was_said[g, np.where((last >= 0) & (last < most), last, most)] = True
                is_asked = goes_on
            rows = np.flatnonzero(goes_on)
            if not len(rows):
                return
            was = was_said[rows[:, None], np.maximum(on[rows], 0)] & is_edge[rows]
            walked = self._walk(asked[rows], on[rows], node[rows], is_edge[rows] & ~was, was & alone[rows])
            yield _Step(rows, at[rows], *walked)

    def _walk(self, start: Int, on: Int, node: Int, is_left: Mask, leads_in: Mask) -> tuple[Int, Int, Int]:
        """One walk of every sequence: node, hops and places, as in `_Step`.

        Args:
            start: Array (g), where it begins.
            on: Array (g, e), for each edge what another node depends on.
            node: Array (g, e), that other node.
            is_left: Array (g, e), edges that can be walked.
            leads_in: Array (g, e), edges that lead from what was said to where a walk can begin.
        """
        g, most = np.arange(len(on)), self.params.n_nodes
        way = np.full((len(on), most + 1), -1, dtype=np.int32)
        here, length, is_open = start, np.zeros(len(on), dtype=np.int32), np.ones(len(on), dtype=np.bool_)
        for _ in range(most):
            of_here = node == here[:, None]
            into = (of_here & leads_in).argmax(axis=1)
            enters = is_open & (length > 1) & of_here[g, into] & leads_in[g, into]
            way[enters] = -1
            way[enters, 0] = 2 * into[enters] + 2
            length[enters] = 1
            edge = (of_here & is_left).argmax(axis=1)
            is_open = is_open & of_here[g, edge] & is_left[g, edge]
            moves = np.flatnonzero(is_open)
            if not len(moves):
                break
            way[moves, length[moves]] = 2 * edge[moves] + 1
            length[moves] += 1
            here = np.where(is_open, on[g, edge], here)
        is_whole = ~is_open & (here != start)
        return np.where(is_whole, here, -1), np.where(is_whole, length, 0), way[:, :most]

    def could_be(self, tokens: Int, length: Int, at: Int) -> Mask:
        """Any node of the sequence but the other one of the edge."""
        may: Mask = np.zeros((len(tokens), self.n_words + 1), dtype=np.bool_)
        g = np.arange(len(tokens))
        may[g[:, None], tokens] = True
        may[g, tokens[g, np.where(at % 2 == 1, at + 1, at - 1)]] = False
        may[:, self._n_names :] = False
        return may[:, : self.n_words]

    def chance(self, hop: int) -> float:
        """Measured, with a margin: the likeliest of the nodes that were not said, by the order of the edges.

        The guess is told whether the node depends on others, and knows of each node whether it does and in which order
        nodes stand first in an edge.
        """
        return _guessed(self.params.model_dump_json(), self.hops, self.largest_hop, hop)

    def partial_input(self, hop: int) -> float:
        """Measured, with a margin: one node of the walk hidden, all nodes being as likely there."""
        return max(self.chance(hop), _measured(self.params.model_dump_json(), self.hops, self.largest_hop, hop))


@cache
def _measured(params: str, hops: tuple[int, ...], largest_hop: int, hop: int) -> float:
    family = Brevo(BrevoParams.model_validate_json(params), tuple(sorted({*hops, hop})), largest_hop=largest_hop)
    return measured_ceiling(family, hop, _N_MEASURED, ("brevo", "hidden", hop))


@cache
def _guessed(params: str, hops: tuple[int, ...], largest_hop: int, hop: int) -> float:
    family = Brevo(BrevoParams.model_validate_json(params), tuple(sorted({*hops, hop})), largest_hop=largest_hop)
    drawn = family.draw(_N_GUESSED, stream("brevo", "guessed"))
    right, n = share_of_the_likeliest(drawn.tokens, drawn.label, drawn.hop == hop, family.n_labels)
    noise: float = (right * (1 - right) / max(1, n)) ** 0.5
    return min(1.0, right + _SIGMAS * noise)
