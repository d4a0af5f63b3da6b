"""The best possible guess in `shortest_path` from a graph in which a hidden edge was exchanged.

The input is that of the audit: all facts, where the hidden edge of the path has swapped its last symbol with another
one that is not on the path. The graph does not say which two facts were exchanged. So every pair of facts is exchanged
back; those pairs remain that give a graph of the family, in which one shortest path of k edges leads to the goal and
the first of the two facts is its hidden edge. Each counts as much as its graph has fewer pairs of nodes that could have
been asked about. The first step that has most of the weight is the guess. It knows which edge of the path is hidden.
All graphs of the family are taken to be drawn equally often, which they nearly are.

    python -m tests.shortcuts.exchanged --hops 2-6 --degree 3 --graphs 2000

prints, for every hop count and hidden edge, how often the guess is right, the share of the weight that agrees with it
(which is the same number if the weights are right), and the declared ceiling.
"""

import argparse
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.data.task import make_task
from nexus_bench.generators.base import Generator
from nexus_bench.generators.parts.distances import only_paths
from nexus_bench.io.hops import parse_hops
from nexus_bench.shortcuts.hidden import swapped
from nexus_bench.streams import Int, pick, stream

Counts = NDArray[np.floating]


class Best(NamedTuple):
    """Array (n) each: whether the best guess is right, and the share of the weight that agrees with it."""

    right: NDArray[np.bool_]
    sure: Counts


def best_guess(generator: Generator, hop: int, step: int, *, n_graphs: int, seed: int = 0) -> Best:
    """The best guess in graphs drawn anew, with the edge at `step` (from 0) exchanged."""
    drawn = generator.sample(n_graphs, stream("exchanged", generator.name, seed, hop))
    solution = generator.solve(drawn.facts, drawn.query)
    at = solution.rows[:, 0, step]
    other = pick(stream("exchanged", "pick", seed, step), generator.alike(drawn.facts, drawn.query, solution, at))
    right, sure = np.zeros(n_graphs, dtype=np.bool_), np.zeros(n_graphs)
    for g, facts in enumerate(swapped(drawn.facts, at, other)):
        names, ends = np.unique(facts, return_inverse=True)
        start, goal, answer = np.searchsorted(names, [*drawn.query[g, 0], drawn.answer[g, 0]])
        votes = _votes(ends.reshape(-1, 2), len(names), start, goal, hop, step)
        assert votes[answer] > 0, "the exchange that was made is one of those that can be undone"
        right[g], sure[g] = votes.argmax() == answer, votes.max() / votes.sum()
    return Best(right, sure)


def _votes(ends: Int, n: int, start: int, goal: int, hop: int, step: int) -> Counts:
    """The weight of the pairs of facts that give each node as the first step: array (n)."""
    counts = np.zeros((n, n), dtype=np.float32)
    np.add.at(counts, (ends[:, 0], ends[:, 1]), 1)
    np.add.at(counts, (ends[:, 1], ends[:, 0]), 1)
    first, second = _pairs(ends, counts, start, goal, hop, step)
    graphs = np.repeat(counts[None], len(first), axis=0)
    row = np.arange(len(first))
    a, b, c, d = ends[first, 0], ends[first, 1], ends[second, 0], ends[second, 1]
    for one, two, by in ((a, b, -1), (c, d, -1), (a, d, 1), (c, b, 1)):
        np.add.at(graphs, (row, one, two), by)
        np.add.at(graphs, (row, two, one), by)
    simple = (graphs.max(axis=(1, 2)) == 1) & (np.einsum("gii->g", graphs) == 0)
    graphs, row = graphs[simple], row[: simple.sum()]
    a, b, c, d, same = (x[simple] for x in (a, b, c, d, first == second))
    back, forth = (_walks(graphs, node, hop) for node in (goal, start))
    fits = (back[:hop, :, start] == 0).all(axis=0) & (back[hop, :, start] == 1)
    fits &= _is_step(forth, back, row, a, d, hop, step)
    for place in range(hop):
        fits &= same | ~_is_step(forth, back, row, c, b, hop, place)
    steps = (graphs[:, start] > 0) & (back[hop - 1] > 0)
    _, askable = only_paths(graphs[fits], (hop,))
    weight = 1 / np.count_nonzero(askable[hop], axis=(1, 2))
    votes: Counts = (steps[fits] * weight[:, None]).sum(axis=0)
    return votes


def _pairs(ends: Int, counts: Counts, start: int, goal: int, hop: int, step: int) -> tuple[Int, Int]:
    """The pairs of facts that may have been exchanged: both parts of the path are there before and after."""
    near_start, near_goal = (
        np.cumsum(_walks(counts[None], node, n)[:, 0], axis=0)[-1] > 0
        for node, n in ((start, step), (goal, hop - 1 - step))
    )
    a, d = ends[:, 0], ends[:, 1]
    may_join = near_start[a][:, None] & near_goal[d] | near_goal[a][:, None] & near_start[d]
    first, second = np.nonzero(may_join)
    return first, second


def _walks(graphs: Counts, node: int, longest: int) -> Counts:
    """The number of walks from a node: array (length, g, n)."""
    reached = np.zeros((longest + 1, len(graphs), graphs.shape[1]), dtype=np.float32)
    reached[0, :, node] = 1
    for length in range(longest):
        reached[length + 1] = (reached[length][:, None] @ graphs)[:, 0]
    return reached


def _is_step(forth: Counts, back: Counts, row: Int, one: Int, two: Int, hop: int, place: int) -> NDArray[np.bool_]:
    """Whether the edge is at this place of the only path."""
    ahead, behind = forth[place, row], back[hop - 1 - place, row]
    there: NDArray[np.bool_] = (ahead[row, one] > 0) & (behind[row, two] > 0)
    return there | (ahead[row, two] > 0) & (behind[row, one] > 0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hops", default="2-6")
    parser.add_argument("--degree", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=None)
    parser.add_argument("--edges", default=None, help="of the path, from 1; all if left out")
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for hop in parse_hops(asked.hops):
        entry = {"task": "shortest_path", "hops": [hop], "degree": asked.degree, "n_nodes": asked.nodes, "n_queries": 1}
        law = make_task(entry, where="exchanged").generator()
        for step in range(hop) if asked.edges is None else [edge - 1 for edge in parse_hops(asked.edges)]:
            found = best_guess(law, hop, step, n_graphs=asked.graphs, seed=asked.seed)
            print(
                f"degree {asked.degree}, {law.n_nodes} nodes, {hop} hops, edge {step + 1}:"
                f"  right {found.right.mean():.4f}  sure {found.sure.mean():.4f}  ceiling {law.partial_input(hop):.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
