"""The path of a star, node by node: from the centre to the goal, or back from the goal."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, FamilyParams
from nexus_bench.generators.parts.facts import look_up, shuffled
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceBatch, SequenceFamily
from nexus_bench.streams import Int, Mask, permutations

_LONGEST = 100  # edges of an arm


class PathTokensParams(FamilyParams):
    """Size of the star."""

    n_arms: int = Field(ge=2, le=100, description="Arms of the star: the degree of its centre.")
    arm_length: int | None = Field(
        ge=3, le=_LONGEST, description="Edges per arm. Null: one more than a hop count of the setting, 3 or more."
    )
    n_nodes: int = Field(ge=7, le=100_000, description="Nodes that the names of a star are drawn from.")
    direction: Literal["forward", "backward"] = Field(
        description="Whether the path is said from the centre to the goal, or from the goal back."
    )


class _ParsedPaths(NamedTuple):
    """A sequence as it is read; places are those where an edge begins.

    Attributes:
        equals_at: Array (g), the place of `=`; 0 if there is none.
        length: Array (g), edges of an arm.
        enters: Array (g, nodes), the edge that leads to each node; -1 for none.
        leaves: Array (g, nodes), an edge that leads from each.
    """

    equals_at: Int
    length: Int
    enters: Int
    leaves: Int


@GENERATORS.register
class PathTokens(SequenceFamily[PathTokensParams]):
    """The edges of a star in random order, centre, goal, `=`, and the path between them, each node given those before.

    Forwards, the first label is the node next to the centre on the arm of the goal. No edge of the centre tells which
    one it is: the edges from the goal back to it must be looked up, one less than the arm has, so that is its hop
    count. Each node after it takes one hop, of the edge that leaves the node before. Backwards every label takes one
    hop, of the edge that leads to the node before. The last node of the path stands in the question, and has no label.

    Source: Bachmann and Nagarajan, "The pitfalls of next-token prediction" (2024, arXiv 2403.06963), and its public
    code (gregorbachmann/Next-Token-Failures), with degrees 2 to 20, paths of up to 10 nodes and names out of 50 or 100:
    trained on all labels forwards, models stay at 1 / arms on the first; backwards they learn it.

    >>> from nexus_bench.streams import stream
    >>> params = PathTokensParams(n_arms=2, arm_length=3, n_nodes=9, direction="forward")
    >>> drawn = PathTokens(params, hops=(1, 2)).draw(1, stream("doctest"))
    >>> drawn.tokens[0].tolist(), drawn.label[0, -4:].tolist(), drawn.hop[0, -4:].tolist()
    ([2, 0, 2, 3, 8, 1, 5, 6, 0, 5, 3, 8, 2, 6, 9, 2, 0, 5, 6], [0, 5, -1, -1], [2, 1, 0, 0])
    """

    name = "path_tokens"
    version = 1
    Params = PathTokensParams
    sized_by = "n_arms"

    def __init__(
        self, params: PathTokensParams, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)
        fixed, is_forward = params.arm_length, params.direction == "forward"
        if fixed is not None and (bad := sorted({*hops, self.largest_hop} - {1, fixed - 1})):
            raise ConfigError(
                f"{self.name}: hops must be 1 or {fixed - 1}, got {bad[0]}; set arm_length to {bad[0] + 1}"
            )
        longest = max(2, self.largest_hop if is_forward else 1)
        self._arms = (fixed,) if fixed else tuple(sorted({hop + 1 for hop in hops if hop > 1} or {longest + 1}))
        self._longest = fixed or longest + 1
        if params.n_nodes <= params.n_arms * self._longest:
            raise ConfigError(
                f"{self.name}: n_nodes must be more than {params.n_arms * self._longest}, got {params.n_nodes}"
            )

    @property
    def max_hop(self) -> int:
        """One less than the edges of an arm; backwards every label takes one."""
        return 1 if self.params.direction == "backward" else (self.params.arm_length or _LONGEST) - 1

    def advice_for_hop(self, hop: int) -> str:
        """Longer arms."""
        if self.params.direction == "backward":
            return "backwards every label takes one hop; set direction to forward"
        return f"set arm_length to {hop + 1}"

    @property
    def n_words(self) -> int:
        """Nodes and `=`."""
        return self.params.n_nodes + 1

    @property
    def n_labels(self) -> int:
        """Nodes."""
        return self.params.n_nodes

    @property
    def most_labels(self) -> int:
        """Each node of the path but the first and the last."""
        return self._longest - 1

    @property
    def n_facts(self) -> int:
        """Edges, the question, and the path."""
        return self._n_tokens(self._longest)

    @property
    def min_length(self) -> int:
        """With the shortest arms."""
        return self._n_tokens(self._arms[0])

    def _n_tokens(self, length: int) -> int:
        return 2 * self.params.n_arms * length + 4 + length

    @property
    def n_worlds(self) -> int:
        """Names, orders of the edges, and goals, of the shortest arms."""
        n_edges = self.params.n_arms * self._arms[0]
        names = math.perm(self.params.n_nodes, n_edges + 1) // math.factorial(self.params.n_arms)
        return names * math.factorial(n_edges) * self.params.n_arms

    def symbol(self, vocabulary: str, index: int) -> str:
        """Nodes are numbers."""
        return "=" if index == self.params.n_nodes else str(index)

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """Each length of arms by itself; node 0 is the centre, and arm a goes on in steps of the number of arms."""
        lengths = np.array(self._arms, dtype=np.int32)
        which = (permutations(rng, 1, len(lengths))[0, 0] + np.arange(n_sequences)) % len(lengths)
        tokens = np.full((n_sequences, self.n_facts), NOTHING, dtype=np.int32)
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        for number, length in enumerate(self._arms):
            rows = np.flatnonzero(which == number)
            if not len(rows):
                continue
            for array, drawn in zip((tokens, label, hop), self._of_length(length, len(rows), rng), strict=True):
                array[rows, : drawn.shape[1]] = drawn
        label[~np.isin(hop, self.hops)] = NOTHING
        hop[label == NOTHING] = 0
        return SequenceBatch(tokens, label, hop, 2 * self.params.n_arms * lengths[which] + 4 + lengths[which])

    def _of_length(self, length: int, n: int, rng: np.random.Generator) -> tuple[Int, Int, Int]:
        """Tokens, labels and hops of stars with arms of one length."""
        n_arms = self.params.n_arms
        name = permutations(rng, n, self.params.n_nodes, k=n_arms * length + 1)
        ends = np.arange(1, n_arms * length + 1, dtype=np.int32)
        edges = shuffled(name.take(np.stack([np.maximum(ends - n_arms, 0), ends], axis=1), axis=1), rng)
        arm = permutations(rng, n, n_arms, k=1)
        on_arm = look_up(name, arm + np.arange(1, n_arms * length + 1, n_arms, dtype=np.int32)[None])
        path = np.concatenate([name[:, :1], on_arm], axis=1)  # g, nodes
        equals = np.full((n, 1), self.params.n_nodes, dtype=np.int32)
        said = path if self.params.direction == "forward" else path[:, ::-1]
        tokens = np.concatenate([edges.reshape(n, -1), path[:, :1], path[:, -1:], equals, said], axis=1)
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        label[:, -length - 1 : -2], hop[:, -length - 1 : -2] = said[:, 1:-1], 1
        if self.params.direction == "forward":
            hop[:, -length - 1] = length - 1
        return tokens, label, hop

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Look up one edge after the other: from the goal back, and from each node of the path that was given."""
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        read = self._read(tokens)
        for place, way, found in self._ways(tokens, read):
            count = (way >= 0).sum(axis=1, dtype=np.int32)
            rows = np.flatnonzero((found >= 0) & np.isin(count, self.hops))
            label[rows, place[rows]], hop[rows, place[rows]] = found[rows], count[rows]
        return Labels(label, hop)

    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """The ends of edges that give the next node, one after the other."""
        rows = np.full((*at.shape, self._longest), -1, dtype=np.int32)
        for place, way, found in self._ways(tokens, self._read(tokens)):
            here = (at == place[:, None]) & (found >= 0)[:, None]
            rows = np.where(here[:, :, None], way[:, None, :], rows)
        return rows

    def _ways(self, tokens: Int, read: _ParsedPaths) -> Iterator[tuple[Int, Int, Int]]:
        """For every node of the path but the last two: its place, the places that are read, and the node after it."""
        g, last = np.arange(len(tokens)), tokens.shape[1] - 1
        for step in range(self._longest - 1):
            place = np.minimum(read.equals_at + 1 + step, last)
            is_node = (tokens[g, place] >= 0) & (tokens[g, place] < self.params.n_nodes)
            is_there = (read.equals_at > 1) & (step < read.length - 1) & (read.equals_at + 1 + step <= last)
            here = np.where(is_there & is_node, tokens[g, place], -1)
            way = np.full((len(tokens), self._longest), -1, dtype=np.int32)
            if self.params.direction == "forward" and step > 0:
                edge = _of(read.leaves, here)
                way[:, 0] = np.where(edge >= 0, edge + 1, -1)
                yield place, way, np.where(edge >= 0, tokens[g, edge + 1], -1)
                continue
            is_first = self.params.direction == "forward"
            node = np.where(here >= 0, tokens[g, read.equals_at - 1], -1) if is_first else here
            for back in range(self._longest - 1 if is_first else 1):
                edge = np.where(back < read.length - 1, _of(read.enters, node), -1)
                way[:, back] = edge
                node = np.where(edge >= 0, tokens[g, edge], np.where(back < read.length - 1, -1, node))
            yield place, way, node

    def _read(self, tokens: Int) -> _ParsedPaths:
        n, n_pairs = self.params.n_nodes, tokens.shape[1] // 2
        is_end = tokens == n
        at = np.where(is_end.any(axis=1), is_end.argmax(axis=1), 0).astype(np.int32)
        enters, leaves = (np.full((len(tokens), n), -1, dtype=np.int32) for _ in range(2))
        one, two = tokens[:, 0 : 2 * n_pairs : 2], tokens[:, 1 : 2 * n_pairs : 2]
        is_edge = (2 * np.arange(n_pairs) + 1 < at[:, None] - 2) & (one >= 0) & (two >= 0)
        row, pair = np.nonzero(is_edge)
        enters[row, two[row, pair]] = 2 * pair
        leaves[row, one[row, pair]] = 2 * pair
        return _ParsedPaths(at, ((at - 2) // 2 // self.params.n_arms).astype(np.int32), enters, leaves)

    def variants(self, tokens: Int, length: Int, steps: Int, step: int) -> Mask:
        """Where the edges of other arms lead that are as far from the centre."""
        read, n_pairs = self._read(tokens), tokens.shape[1] // 2
        node, depth = tokens[:, 0 : 2 * n_pairs : 2], np.zeros((len(tokens), n_pairs), dtype=np.int32)
        is_edge = 2 * np.arange(n_pairs) + 1 < read.equals_at[:, None] - 2
        node = np.where(is_edge, node, -1)
        for _ in range(self._longest):
            edge = _of(read.enters, node)
            node = np.where(edge >= 0, look_up(tokens, np.maximum(edge, 0)), -1)
            depth += edge >= 0
        alike: Mask = is_edge & (depth == look_up(depth, steps[:, step, None] // 2))
        return alike

    def put(self, tokens: Int, length: Int, steps: Int, step: int, variant: int) -> Int:
        """Exchange the ends of two edges, so that two arms exchange their rests."""
        changed, g, hidden = tokens.copy(), np.arange(len(tokens)), steps[:, step] // 2 * 2 + 1
        changed[g, hidden] = tokens[:, 2 * variant + 1]
        changed[:, 2 * variant + 1] = tokens[g, hidden]
        return changed

    def chance(self, hop: int) -> float:
        """Any arm for the first node; after it any node between centre and goals that was not said, at each place."""
        n_arms = self.params.n_arms
        if hop > 1:
            return 1 / n_arms
        first = 1 if self.params.direction == "forward" else 0
        guesses = [1 / (n_arms * (arm - 1) - said) for arm in self._arms for said in range(first, arm - 1)]
        return sum(guesses) / len(guesses)

    def partial_input(self, hop: int) -> float:
        """Any arm, even if it is known how far each node is from the centre."""
        return 1 / self.params.n_arms


def _of(edge_of: Int, node: Int) -> Int:
    """The place where the edge of each node (g, ...) begins, -1 for none."""
    columns = np.maximum(node, 0).reshape(len(node), int(np.prod(node.shape[1:])))
    return np.where(node >= 0, look_up(edge_of, columns).reshape(node.shape), -1)
