import math

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.shortcuts.rules import SHORTCUTS, score_shortcuts
from nexus_bench.streams import stream


def task(**entry: object) -> Generator:
    return make_task({"task": "pointer_chase", **entry}, where="test").generator()


def sample(n_graphs: int, **entry: object) -> Examples:
    return task(**entry).sample(n_graphs, stream("test", str(entry)))


def test_labels_and_hops_agree_with_networkx_on_100_000_examples() -> None:
    n_examples = 0
    for n_nodes, hops in ((7, [1, 2]), (13, [1, 2, 3, 4]), (17, [1, 3, 5])):
        examples = sample(2750, n_nodes=n_nodes, hops=hops)
        for facts, queries, answers, hop in zip(*examples, strict=True):
            graph = networkx.DiGraph(facts.tolist())
            distance = dict(networkx.all_pairs_shortest_path_length(graph))
            undirected = dict(networkx.all_pairs_shortest_path_length(graph.to_undirected()))
            for (start, asked), answer, k in zip(queries.tolist(), answers.tolist(), hop.tolist(), strict=True):
                assert distance[start][answer] == k == asked
                assert undirected[start][answer] == k, "the way back must not be shorter"
                n_examples += 1
    assert n_examples >= 100_000


@settings(max_examples=40, deadline=None)
@given(
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    more_nodes=st.integers(0, 5),
    more_names=st.integers(0, 9),
    n_queries=st.integers(1, 3),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_a_walk(
    hops: list[int], more_nodes: int, more_names: int, n_queries: int, seed: int
) -> None:
    n_nodes = 3 * max(hops) + more_nodes
    generator = task(hops=hops, n_nodes=n_nodes, vocab_size=n_nodes + more_names, n_queries=n_queries)
    examples = generator.sample(5, stream("hypothesis", seed))
    solution = generator.solve(examples.facts, examples.query)
    for g in range(5):
        after = dict(examples.facts[g].tolist())
        assert len(after) == n_nodes and len(set(map(tuple, examples.query[g].tolist()))) == n_queries
        for q, (node, k) in enumerate(examples.query[g].tolist()):
            walk = [node]
            for _ in range(k):
                walk.append(after[walk[-1]])
            assert (examples.answer[g, q], examples.hop[g, q]) == (walk[-1], k)
            assert (solution.answer[g, q], solution.hop[g, q]) == (walk[-1], k)
            rows = solution.rows[g, q][solution.rows[g, q] >= 0]
            assert examples.facts[g, rows, 0].tolist() == walk[:-1]


def test_a_graph_is_one_cycle_over_distinct_names() -> None:
    for facts in sample(200, n_nodes=13, vocab_size=19, hops=[1]).facts:
        graph = networkx.DiGraph(facts.tolist())
        assert graph.number_of_nodes() == 13
        assert networkx.is_strongly_connected(graph)
        assert all(degree == 1 for _, degree in graph.out_degree())


def test_starts_of_a_graph_are_distinct_and_hops_are_dealt_evenly() -> None:
    examples = sample(300, n_nodes=17, n_queries=12, hops=[1, 2, 4])
    starts = np.sort(examples.query[:, :, 0], axis=1)
    assert (np.diff(starts, axis=1) > 0).all()
    for k in (1, 2, 4):
        assert ((examples.hop == k).sum(axis=1) == 4).all()


def test_facts_of_a_graph_come_in_random_order() -> None:
    examples = sample(4000, n_nodes=7, hops=[1])
    adjacent = (examples.facts[:, :-1, 1] == examples.facts[:, 1:, 0]).mean()
    assert adjacent == pytest.approx(1 / 6, abs=0.01)  # the next fact follows by chance alone: 1 of n - 1


def test_answers_are_uniform_over_names_at_every_hop() -> None:
    examples = sample(6000, n_nodes=11, hops=[1, 2, 3])
    for k in (1, 2, 3):
        counts = np.bincount(examples.answer[examples.hop == k], minlength=33)
        chi_square = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
        assert chi_square < 32 + 5 * math.sqrt(2 * 32)


@pytest.mark.parametrize("rule", [rule.name for rule in SHORTCUTS if rule.needs(task().schema)])
def test_no_simple_rule_beats_chance_beyond_sampling_error(rule: str) -> None:
    hops, n_nodes = [1, 2, 3, 4, 5], 17
    generator = task(n_nodes=n_nodes, hops=hops)
    fit = generator.sample(2000, stream("fit"))
    examples = generator.sample(8000, stream("score"))
    accuracy = score_shortcuts(fit, examples, generator.schema)[rule]
    first = 2 if rule in ("successor", "symbol_counts") else 1  # these look a fact up, which is what one hop is
    assert sorted(accuracy) == list(range(first, 6))
    for hop, value in accuracy.items():
        chance = 1 / (n_nodes - 1)
        error = math.sqrt(chance * (1 - chance) / (examples.hop == hop).sum())
        assert value <= chance + 4 * error, f"{rule} at {hop} hops"


def test_one_missing_fact_leaves_no_more_than_the_partial_ceiling() -> None:
    """Knows every path fact but the last, and which names are in the graph: guesses among the rest."""
    generator = task(n_nodes=13, hops=[1, 2, 3, 4])
    examples = generator.sample(1500, stream("partial_input"))
    by_hop: dict[int, list[float]] = {}
    for facts, queries, answers, hop in zip(*examples, strict=True):
        names = set(facts[:, 0].tolist())
        for query, answer, k in zip(queries, answers.tolist(), hop.tolist(), strict=True):
            rows = generator.solve(facts[None], query[None, None]).rows[0, 0]
            path = rows[rows >= 0][:-1]
            known = {int(query[0]), *(int(facts[row, 1]) for row in path)}
            left = sorted(names - known)
            by_hop.setdefault(k, []).append((answer in left) / len(left))
    for k, chances in by_hop.items():
        assert np.mean(chances) == pytest.approx(1 / (13 - k))
        assert np.mean(chances) <= generator.partial_input(k) + 1e-12


def test_chance_and_ceiling_are_the_stated_fractions() -> None:
    generator = task(n_nodes=12, hops=[1, 2, 3])
    assert [generator.chance(k) for k in (1, 2, 3)] == [1 / 11, 1 / 11, 1 / 11]
    assert [generator.partial_input(k) for k in (1, 2, 3)] == [1 / 11, 1 / 9, 1 / 7]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"n_nodes": 12, "hops": [5]}, r"hops must be in 1\.\.4, got 5; raise n_nodes from 12 to 15"),
        ({"n_nodes": 2}, "n_nodes: input should be greater than or equal to 3, got 2"),
        ({"n_nodes": 12, "vocab_size": 11}, r"vocab_size must be at least n_nodes \(12\), got 11"),
        ({"n_nodes": 12, "n_queries": 13}, r"n_queries must be at most n_nodes \(12\), got 13"),
        ({"n_nodes": "12"}, "n_nodes: input should be a valid integer, got '12'"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
