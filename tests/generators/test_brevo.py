"""brevo: answers against networkx and the public judgement, hop counts against recursion, and the law of its graphs."""

import random
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.brevo import Brevo
from nexus_bench.generators.parts.hidden_tokens import guess_of_one
from nexus_bench.generators.parts.random_dags import draw_dags
from nexus_bench.generators.sequences import NOTHING
from nexus_bench.streams import stream
from tests.slow_solvers import is_labelled_by_every_hop

SETTINGS: list[dict[str, Any]] = [
    {"task": "brevo"},
    {"task": "brevo", "n_nodes": 24, "hops": "1-8"},
    {"task": "brevo", "n_nodes": 13, "hops": "2,4", "min_nodes": 3, "vocab_size": 31},
]


def family(entry: dict[str, Any]) -> Brevo:
    made = make_task(entry, where="test").generator()
    assert isinstance(made, Brevo)
    return made


def is_valid(edges: list[tuple[int, int]], query: int, said: list[int]) -> bool:
    """How the public code judges an answer: all that the query depends on, each after what it depends on itself."""
    graph = nx.DiGraph(edges)
    if set(said) != {query, *nx.ancestors(graph, query)}:
        return False
    return all(set(graph.predecessors(node)) <= set(said[:at]) for at, node in enumerate(said))


def walk(edges: list[tuple[int, int]], start: int, said: list[int]) -> list[int]:
    """From a node, each time to the first in the list that it depends on and that was not said."""
    on = [one for one, node in edges if node == start and one not in said]
    return [start, *walk(edges, on[0], said)] if on else [start]


def by_hand(task: Brevo, tokens: list[int]) -> tuple[list[int], list[int]]:
    n = task.n_labels
    query_at = tokens.index(n + 1)
    assert tokens[0] == n and tokens[query_at + 2] == n + 2
    edges = list(zip(tokens[1:query_at:2], tokens[2:query_at:2], strict=True))
    query, answer = tokens[query_at + 1], tokens[query_at + 3 :]
    graph = nx.DiGraph(edges)
    assert len(set(edges)) == len(edges) and nx.is_directed_acyclic_graph(graph)
    assert max(degree for _, degree in graph.in_degree()) <= 4 >= max(degree for _, degree in graph.out_degree())
    assert is_valid(edges, query, answer) and not graph.out_degree(query)
    labels, hops = [NOTHING] * len(tokens), [0] * len(tokens)
    for nth, node in enumerate(answer):
        path = walk(edges, query, answer[:nth])
        assert path[-1] == node
        ways = [len(path) - 1]
        for one in answer[:nth]:
            (*more, after) = graph.successors(one)
            if not more and after in path[1:]:
                ways.append(1 + len(path) - 1 - path.index(after))
        if min(ways) in task.hops:
            labels[query_at + 2 + nth], hops[query_at + 2 + nth] = node, min(ways)
    return labels, hops


@pytest.mark.parametrize("entry", SETTINGS)
def test_labels_and_hops_are_those_of_a_slow_solver_and_the_answer_is_valid(entry: dict[str, Any]) -> None:
    is_labelled_by_every_hop(family(entry), by_hand)


def test_the_places_are_the_edges_of_the_walk() -> None:
    task = family({"task": "brevo", "hops": "1-4"})
    examples = task.sample(40, stream("places"))
    tokens, n_short = examples.facts[:, :, 0], 0
    rows = task.solve(examples.facts, examples.query).rows
    for graph, place in zip(*np.nonzero(examples.hop > 0), strict=True):
        read = rows[graph, place, : examples.hop[graph, place]]
        here = tokens[graph, tokens[graph].tolist().index(task.params.n_nodes + 1) + 1]
        if read[0] % 2 == 0:  # an edge from what was said, into the middle
            assert tokens[graph, read[0] - 1] in tokens[graph, : place + 1][tokens[graph].argmax() + 1 :]
            here, read, n_short = tokens[graph, read[0]], read[1:], n_short + 1
        for at in read:
            assert at % 2 == 1 and tokens[graph, at + 1] == here
            here = tokens[graph, at]
        assert here == examples.answer[graph, place]
    assert n_short > 4


def drawn_slowly(n: int, rng: random.Random) -> dict[int, list[int]]:
    """The graphs of the public generator, worded again."""
    n_out = dict.fromkeys(range(n), 0)
    depends: dict[int, list[int]] = {}
    for node in range(rng.randint(1, (n - 1) // 4 + 1), n):
        free = [other for other in range(node) if n_out[other] < 4]
        depends[node] = rng.sample(free, rng.randint(1, min(4, len(free))))
        for other in depends[node]:
            n_out[other] += 1
    return depends


@pytest.mark.parametrize("n", [3, 6, 17])
def test_graphs_have_the_law_of_the_source(n: int) -> None:
    rng, n_drawn = random.Random(5), 4_000
    ours = draw_dags(np.full(n_drawn, n, dtype=np.int32), 17, stream("law"))
    assert not ours[:, n:].any() and not ours[:, :, n:].any()
    theirs = np.zeros((n_drawn, 17, 17), dtype=bool)
    for graph in theirs:
        for node, others in drawn_slowly(n, rng).items():
            graph[node, others] = True
    assert ours.mean(axis=0) == pytest.approx(theirs.mean(axis=0), abs=0.045)
    for of in (lambda one: one.sum(axis=2), lambda one: one.sum(axis=1)):
        for count in range(5):
            assert (of(ours) == count).mean(axis=0) == pytest.approx((of(theirs) == count).mean(axis=0), abs=0.045)


def test_ceilings_hold_where_one_node_of_the_walk_is_hidden() -> None:
    task = family({"task": "brevo", "hops": "1-2", "n_nodes": 12})
    for step in range(2):
        assert guess_of_one(task, 2, step, 100, stream("hide", step)).mean() < task.partial_input(2) < 1
    assert task.chance(2) < task.partial_input(2)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"hops": "7"}, r"brevo: hops must be in 1\.\.6, got 7; raise n_nodes to 21"),
        ({"vocab_size": 19}, "brevo: vocab_size must be at least n_nodes, 20, got 19"),
        ({"min_nodes": 21}, "brevo: min_nodes must be at most n_nodes, 20, got 21"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_line(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task({"task": "brevo"} | entry, where="test")
