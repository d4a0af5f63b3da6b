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
    return make_task({"task": "path_star", **entry}, where="test").generator()


def first_step(facts: np.ndarray, query: np.ndarray) -> tuple[int, int]:
    """By networkx: the second node of the only path from centre to goal, and the path's length."""
    graph = networkx.DiGraph(facts.tolist())
    (path,) = networkx.all_simple_paths(graph, *query.tolist())
    return path[1], len(path) - 1


def assert_right(generator: Generator, examples: Examples) -> None:
    solution = generator.solve(examples.facts, examples.query)
    for g in range(examples.n_graphs):
        facts = examples.facts[g]
        assert len({tuple(fact) for fact in facts.tolist()}) == generator.n_facts == len(facts)
        for q in range(generator.n_queries):
            answer, hop = first_step(facts, examples.query[g, q])
            assert (examples.answer[g, q], examples.hop[g, q]) == (answer, hop)
            assert (solution.answer[g, q], solution.hop[g, q]) == (answer, hop)
            rows = solution.rows[g, q][solution.rows[g, q] >= 0]
            walked = [*facts[rows, 0].tolist(), int(facts[rows[-1], 1])]
            assert walked == networkx.shortest_path(networkx.DiGraph(facts.tolist()), *examples.query[g, q].tolist())


@settings(max_examples=40, deadline=None)
@given(
    n_arms=st.integers(2, 5),
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    distractors=st.sampled_from(["none", "branches"]),
    longer=st.integers(0, 2),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_networkx(
    n_arms: int, hops: list[int], distractors: str, longer: int, seed: int
) -> None:
    length = max(2, max(hops)) + longer
    generator = task(hops=hops, n_arms=n_arms, arm_length=length, distractors=distractors)
    assert_right(generator, generator.sample(6, stream("hypothesis", seed)))


def test_a_star_has_the_published_shape() -> None:
    """Bachmann and Nagarajan: d paths of length l from one centre."""
    for facts in task(hops=[3], n_arms=5, arm_length=3, distractors="none").sample(20, stream("shape")).facts:
        graph = networkx.DiGraph(facts.tolist())
        assert sorted(degree for _, degree in graph.out_degree()) == [0] * 5 + [1] * 10 + [5]
        assert networkx.is_arborescence(graph) and networkx.dag_longest_path_length(graph) == 3


def test_with_branches_as_many_first_nodes_lie_behind_the_goal_as_there_are_stars() -> None:
    generator = task(hops=[4], n_arms=3)
    examples = generator.sample(50, stream("back"))
    for facts, queries in zip(examples.facts, examples.query, strict=True):
        back = networkx.DiGraph(facts.tolist()).reverse()
        for _, goal in queries.tolist():
            assert len([1 for d in networkx.single_source_shortest_path_length(back, goal).values() if d == 3]) == 3


def test_every_arm_and_every_name_is_as_often_the_answer() -> None:
    examples = task(hops=[2, 3], n_arms=3, vocab_size=40, n_queries=1).sample(20_000, stream("balance"))
    counts = np.bincount(examples.answer.ravel(), minlength=40)
    assert ((counts - 500) ** 2 / 500).sum() < 39 + 5 * np.sqrt(2 * 39)
    (leaving,) = np.nonzero(examples.facts[0, :, 0] == examples.query[0, 0, 0])
    assert len(leaving) == 3
    place = (examples.facts[:, :, 0] == examples.query[:, :, 0]).cumsum(axis=1)
    at = (examples.facts[:, :, 1] == examples.answer) & (examples.facts[:, :, 0] == examples.query[:, :, 0])
    nth = np.bincount(place[at], minlength=4)[1:]
    assert ((nth - 20_000 / 3) ** 2 / (20_000 / 3)).sum() < 2 + 5 * np.sqrt(4)


@pytest.mark.parametrize(("distractors", "left"), [("branches", 1 / 4), ("none", 1.0)])
def test_a_hidden_first_fact_is_known_from_the_others_in_a_star_alone(distractors: str, left: float) -> None:
    generator = task(hops=[3], distractors=distractors)
    examples = generator.sample(3000, stream("hide")).one_query_per_graph()
    rates = [
        (hide_a_fact(generator, examples, step, stream("redraw", step)).answer == examples.answer[:, 0]).mean()
        for step in range(3)
    ]
    assert rates == pytest.approx([left, 1 / 4, 1 / 4], abs=0.025)
    assert generator.partial_input(3) == max(left, 1 / 4)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"arm_length": 3, "hops": [4]}, r"hops must be in 1\.\.3, got 4; raise arm_length to 4"),
        ({"hops": [51]}, r"hops must be in 1\.\.50, got 51; ask for fewer hops"),
        (
            {"n_arms": 3, "n_queries": 10},
            "n_queries must be at most 9, as many as a graph can have, got 10; ask for fewer",
        ),
        (
            {"n_arms": 3, "hops": [2], "vocab_size": 14},
            "at least the 15 nodes of a graph, got 14; raise vocab_size to 15",
        ),
        ({"n_arms": "4"}, "n_arms: input should be a valid integer, got '4'"),
        ({"n_arms": 1}, "n_arms: input should be greater than or equal to 2, got 1"),
        ({"distractors": "branch"}, "distractors: input should be 'none' or 'branches', got 'branch'"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
