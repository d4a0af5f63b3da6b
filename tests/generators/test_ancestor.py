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

KINDS = ["none", "disconnected", "branches"]


def task(**entry: object) -> Generator:
    return make_task({"task": "ancestor", **entry}, where="test").generator()


def assert_right(generator: Generator, examples: Examples) -> None:
    """Against networkx: the only node k edges up from the start, and not a root."""
    solution = generator.solve(examples.facts, examples.query)
    for g in range(examples.n_graphs):
        facts = examples.facts[g].tolist()
        assert len({tuple(fact) for fact in facts}) == generator.n_facts == len(facts)
        graph = networkx.DiGraph(facts)
        for q, (start, asked) in enumerate(examples.query[g].tolist()):
            above = networkx.single_source_shortest_path_length(graph, start)
            (ancestor,) = [node for node, k in above.items() if k == asked]
            assert graph.out_degree(ancestor) == 1, "a root is never the answer"
            assert (examples.answer[g, q], examples.hop[g, q]) == (ancestor, asked)
            assert (solution.answer[g, q], solution.hop[g, q]) == (ancestor, asked)
            rows = solution.rows[g, q][solution.rows[g, q] >= 0]
            walked = [start, *(facts[row][1] for row in rows)]
            assert walked == networkx.shortest_path(graph, start, ancestor)


@settings(max_examples=40, deadline=None)
@given(
    n_trees=st.integers(2, 5),
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    deeper=st.integers(1, 3),
    distractors=st.sampled_from(KINDS),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_networkx(
    n_trees: int, hops: list[int], deeper: int, distractors: str, seed: int
) -> None:
    generator = task(hops=hops, n_trees=n_trees, depth=max(hops) + deeper, distractors=distractors)
    examples = generator.sample(5, stream("hypothesis", seed))
    assert all(len(set(map(tuple, queries.tolist()))) == generator.n_queries for queries in examples.query)
    assert_right(generator, examples)


@pytest.mark.parametrize("distractors", KINDS)
def test_every_node_with_children_has_equally_many(distractors: str) -> None:
    for facts in task(hops=[2], distractors=distractors).sample(20, stream("degrees")).facts:
        forest = networkx.DiGraph(facts.tolist()).reverse()
        assert networkx.is_forest(forest)
        assert {d for _, d in forest.out_degree()} == {0, 2 if distractors == "branches" else 1}
        roots = [node for node, d in forest.in_degree() if d == 0]
        assert len(roots) == (1 if distractors == "none" else 4)


def test_answers_are_uniform_over_their_depths_and_trees_at_every_hop() -> None:
    generator = task(hops=[1, 3], n_queries=1)
    examples = generator.sample(12_000, stream("balance"))
    depth = np.array(
        [
            len(networkx.descendants(networkx.DiGraph(facts.tolist()), answer))
            for facts, (answer,) in zip(examples.facts[:2000], examples.answer[:2000].tolist(), strict=True)
        ]
    )
    for hop in (1, 3):
        at = depth[examples.hop[:2000, 0] == hop]
        assert (np.bincount(at)[1:] / len(at)).tolist() == pytest.approx([0.5, 0.5], abs=0.07)
        counts = np.bincount(examples.answer[examples.hop == hop], minlength=generator.vocab_size)
        n = generator.vocab_size
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < n + 5 * np.sqrt(2 * n)


@pytest.mark.parametrize("distractors", ["disconnected", "branches"])
def test_hiding_any_fact_leaves_no_more_than_the_ceiling(distractors: str) -> None:
    generator = task(hops=[3], distractors=distractors)
    examples = generator.sample(1500, stream("hide")).one_query_per_graph()
    for step in range(3):
        guess = hide_a_fact(generator, examples, step, stream("redraw", step)).answer
        assert (guess == examples.answer[:, 0]).mean() == pytest.approx(1 / 4, abs=0.02)
    assert generator.partial_input(3) == 1 / 4


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"depth": 4, "hops": [4]}, r"hops must be in 1\.\.3, got 4; raise depth to 5"),
        ({"hops": [3], "n_queries": 9}, "n_queries must be at most 8, .* got 9; ask for fewer"),
        ({"hops": [2], "n_trees": 2, "vocab_size": 5}, r"vocab_size must be at least the \d+ nodes of a graph, got 5"),
        ({"n_trees": 1}, "n_trees: input should be greater than or equal to 2, got 1"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
