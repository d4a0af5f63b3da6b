import itertools

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.shortcuts.audit import hide_a_fact
from nexus_bench.streams import stream


def task(**entry: object) -> Generator:
    return make_task({"task": "reachable", **entry}, where="test").generator()


def assert_right(generator: Generator, examples: Examples) -> None:
    """Against networkx: whether there is a path, and how far apart start and goal lie below their roots."""
    solution = generator.solve(examples.facts, examples.query)
    for g in range(examples.n_graphs):
        facts = examples.facts[g].tolist()
        assert len({tuple(fact) for fact in facts}) == generator.n_facts == len(facts)
        graph = networkx.DiGraph(facts)
        depth = {node: len(networkx.ancestors(graph, node)) for node in graph}
        for q, (start, goal) in enumerate(examples.query[g].tolist()):
            answer, hop = int(networkx.has_path(graph, start, goal)), depth[goal] - depth[start]
            assert (examples.answer[g, q], examples.hop[g, q]) == (answer, hop)
            assert (solution.answer[g, q], solution.hop[g, q]) == (answer, hop)
            rows = solution.rows[g, q][solution.rows[g, q] >= 0]
            assert len(rows) == hop
            walked = [start, *(facts[row][1] for row in rows)]
            assert all(graph.has_edge(*edge) for edge in itertools.pairwise(walked))


@settings(max_examples=40, deadline=None)
@given(
    n_chains=st.integers(2, 5),
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    longer=st.integers(0, 3),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_networkx(n_chains: int, hops: list[int], longer: int, seed: int) -> None:
    generator = task(hops=hops, n_chains=n_chains, length=max(hops) + longer)
    assert_right(generator, generator.sample(6, stream("hypothesis", seed)))


def test_a_graph_is_equal_chains_and_nothing_else() -> None:
    for facts in task(hops=[3], n_chains=3, length=5).sample(20, stream("shape")).facts:
        graph = networkx.DiGraph(facts.tolist())
        parts = [graph.subgraph(part) for part in networkx.weakly_connected_components(graph)]
        assert [networkx.dag_longest_path_length(part) for part in parts] == [5, 5, 5]
        assert max(degree for _, degree in graph.out_degree()) == max(degree for _, degree in graph.in_degree()) == 1


def test_a_goal_that_is_not_below_the_start_has_no_answer() -> None:
    generator = task(hops=[2], length=3, vocab_size=9)
    facts = np.array([[[0, 1], [1, 2], [2, 3], [4, 5], [5, 6], [6, 7]]], dtype=np.int32)
    solution = generator.solve(facts, np.array([[[0, 2], [2, 0], [0, 6], [1, 5]]], dtype=np.int32))
    assert solution.answer.tolist() == [[1, -1, 0, -1]]


@pytest.mark.parametrize("n_queries", [1, 5, 8])
def test_yes_and_no_are_balanced_at_every_hop(n_queries: int) -> None:
    examples = task(hops=[1, 2, 4], n_queries=n_queries).sample(6000, stream("balance"))
    for hop in (1, 2, 4):
        here = examples.answer[examples.hop == hop]
        assert abs(here.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(here))


def test_a_swap_of_tails_between_start_and_goal_turns_the_answer_wherever_it_is_cut() -> None:
    generator = task(hops=[4], n_queries=1)
    examples = generator.sample(200, stream("swap"))
    rows = generator.solve(examples.facts, examples.query).rows[:, 0]
    for cut in range(4):
        alike = generator.alike(
            examples.facts, examples.query, generator.solve(examples.facts, examples.query), rows[:, cut]
        )
        assert (alike.sum(axis=1) == 2).all()
        swapped = examples.facts.copy()
        for g in range(200):
            a, b = np.flatnonzero(alike[g])
            swapped[g, [a, b], 1] = examples.facts[g, [b, a], 1]
        turned = generator.solve(swapped, examples.query)
        assert (turned.answer == 1 - examples.answer).all() and (turned.hop == examples.hop).all()


def test_starts_and_goals_have_the_same_degrees_for_both_answers() -> None:
    examples = task(hops=[2], n_queries=1).sample(20_000, stream("degrees"))
    for role in (0, 1):
        for side in (0, 1):
            occurs = (examples.facts[:, :, side] == examples.query[:, :, role]).any(axis=1)
            by_answer = [occurs[examples.answer[:, 0] == answer].mean() for answer in (0, 1)]
            assert by_answer[0] == pytest.approx(by_answer[1], abs=0.025)


@pytest.mark.parametrize("n_chains", [2, 4])
def test_hiding_any_fact_leaves_no_more_than_the_ceiling(n_chains: int) -> None:
    generator = task(hops=[3], n_chains=n_chains)
    examples = generator.sample(2500, stream("hide")).one_query_per_graph()
    for step in range(3):
        guess = hide_a_fact(generator, examples, step, stream("redraw", step)).answer
        assert (guess == examples.answer[:, 0]).mean() < generator.partial_input(3) + 0.02


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"length": 3, "hops": [4]}, r"hops must be in 1\.\.3, got 4; raise length to 4"),
        ({"hops": [51]}, r"hops must be in 1\.\.50, got 51; ask for fewer hops"),
        (
            {"hops": [3], "n_queries": 9},
            "n_queries must be at most 8, .* got 9; ask for fewer or make the graph larger",
        ),
        ({"hops": [3], "length": 3, "vocab_size": 7}, "at least the 8 nodes of a graph, got 7; raise vocab_size to 8"),
        ({"n_chains": 1}, "n_chains: input should be greater than or equal to 2, got 1"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
