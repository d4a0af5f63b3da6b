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
from tests.shortcuts.exchanged import best_guess


def task(**entry: object) -> Generator:
    return make_task({"task": "shortest_path", **entry}, where="test").generator()


def assert_right(generator: Generator, examples: Examples, degree: int) -> None:
    """Against networkx: one shortest path alone, its length and its second node."""
    solution = generator.solve(examples.facts, examples.query)
    for g in range(examples.n_graphs):
        facts = examples.facts[g]
        graph = networkx.Graph(facts.tolist())
        assert graph.number_of_edges() == generator.n_facts == len(facts)
        assert {d for _, d in graph.degree()} == {degree}
        for q, (start, goal) in enumerate(examples.query[g].tolist()):
            (path,) = networkx.all_shortest_paths(graph, start, goal)
            assert (examples.answer[g, q], examples.hop[g, q]) == (path[1], len(path) - 1)
            assert (solution.answer[g, q], solution.hop[g, q]) == (path[1], len(path) - 1)
            rows = solution.rows[g, q][solution.rows[g, q] >= 0]
            assert [set(edge) for edge in facts[rows].tolist()] == [set(path[i : i + 2]) for i in range(len(path) - 1)]


@settings(max_examples=40, deadline=None)
@given(
    degree_and_hops=st.one_of(
        st.tuples(st.just(3), st.sets(st.integers(1, 6), min_size=1)),
        st.tuples(st.just(4), st.sets(st.integers(1, 4), min_size=1)),
    ),
    n_queries=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_networkx(
    degree_and_hops: tuple[int, set[int]], n_queries: int, seed: int
) -> None:
    degree, hops = degree_and_hops
    generator = task(hops=sorted(hops), degree=degree, n_queries=n_queries)
    examples = generator.sample(5, stream("hypothesis", seed))
    assert all(len(set(map(tuple, queries.tolist()))) == n_queries for queries in examples.query)
    assert_right(generator, examples, degree)


@pytest.mark.parametrize(("degree", "n_nodes"), [(3, 72), (3, 128), (4, 96)])
def test_the_largest_hops_can_be_made(degree: int, n_nodes: int) -> None:
    generator = make_task({"task": "shortest_path", "hops": 2, "degree": degree, "n_nodes": n_nodes}, where="test")
    far = task(hops=[generator.generator().max_hop], degree=degree, n_nodes=n_nodes)
    assert_right(far, far.sample(17, stream("far")), degree)


def test_every_neighbour_of_the_start_is_as_often_the_first_step() -> None:
    examples = task(hops=[3], n_queries=1).sample(12_000, stream("balance"))
    is_edge = (examples.facts == examples.query[:, :, :1]).any(axis=2)
    is_right = (examples.facts == examples.answer[:, :, None]).any(axis=2) & is_edge
    nth = np.bincount((is_edge.cumsum(axis=1) * is_right).max(axis=1), minlength=4)[1:]
    assert nth.sum() == 12_000
    assert ((nth - 4000) ** 2 / 4000).sum() < 2 + 5 * np.sqrt(4)


def test_graphs_of_a_batch_share_their_shape_by_32_and_no_name() -> None:
    examples = task(hops=[3], n_queries=1).sample(80, stream("shapes"))
    graphs = [networkx.Graph(facts.tolist()) for facts in examples.facts]
    assert networkx.is_isomorphic(graphs[0], graphs[31]) and networkx.is_isomorphic(graphs[32], graphs[63])
    assert not networkx.is_isomorphic(graphs[31], graphs[32])
    assert len({frozenset(map(frozenset, f.tolist())) for f in examples.facts}) == 80


def test_a_hidden_edge_leaves_no_more_than_the_ceiling_and_less_in_larger_graphs() -> None:
    worst = []
    for n_nodes in (24, 96):
        generator = task(hops=[4], n_queries=1, n_nodes=n_nodes)
        examples = generator.sample(2500, stream("hide")).one_query_per_graph()
        rates = [
            (hide_a_fact(generator, examples, step, stream("redraw", step)).answer == examples.answer[:, 0]).mean()
            for step in range(4)
        ]
        worst.append(max(rates))
    assert worst[1] + 0.05 < worst[0] < generator.partial_input(4)


@pytest.mark.parametrize(("degree", "hop", "step"), [(3, 2, 1), (3, 3, 1), (3, 4, 1), (4, 2, 1), (4, 3, 1)])
def test_the_ceiling_is_that_of_the_best_guess_after_an_exchange(degree: int, hop: int, step: int) -> None:
    generator = task(hops=[hop], degree=degree, n_queries=1)
    found = best_guess(generator, hop, step, n_graphs=1600)
    assert found.sure.mean() == pytest.approx(found.right.mean(), abs=0.05), "all exchanges are equally likely"
    assert generator.partial_input(hop) - 0.06 < found.sure.mean() < generator.partial_input(hop)


def test_an_unreachable_goal_has_no_answer() -> None:
    generator = task(hops=[2], n_queries=1)
    facts = np.array([[[0, 1], [1, 2], [3, 4], [4, 5]]], dtype=np.int32)
    solution = generator.solve(facts, np.array([[[0, 5], [0, 2]]], dtype=np.int32))
    assert solution.answer.tolist() == [[-1, 1]]
    assert solution.hop.tolist() == [[-1, 2]]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"n_nodes": 24, "hops": [5]}, r"hops must be in 1\.\.4, got 5; raise n_nodes to 32"),
        ({"hops": [9]}, r"hops must be in 1\.\.8, got 9; ask for fewer hops, or degree 3"),
        ({"n_nodes": 15, "hops": [2]}, "n_nodes must be even, got 15"),
        ({"n_nodes": 16, "hops": [2], "vocab_size": 15}, "vocab_size must be at least the 16 nodes of a graph, got 15"),
        (
            {"n_nodes": 16, "hops": [2], "n_queries": 17},
            "n_queries must be at most 16, as many as a graph can have, got 17",
        ),
        ({"degree": 5}, "degree: input should be less than or equal to 4, got 5"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
