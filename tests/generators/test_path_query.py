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
    return make_task({"task": "path_query", **entry}, where="test").generator()


def assert_right(generator: Generator, examples: Examples, n_relations: int) -> None:
    """Follows the words with a dictionary; a word beyond the relations is no word."""
    solution = generator.solve(examples.facts, examples.query)
    for g in range(examples.n_graphs):
        facts = examples.facts[g].tolist()
        lead = {(src, relation): dst for src, relation, dst in facts}
        assert len(lead) == generator.n_facts == len(facts)
        for relation in range(n_relations):
            sources = {src for src, r in lead if r == relation}
            assert sources == {lead[src, relation] for src in sources}, "each relation is a permutation"
            assert len(sources) == generator.n_facts // n_relations
        for q, (start, *words) in enumerate(examples.query[g].tolist()):
            walk = [start]
            for word in (word for word in words if word < n_relations):
                walk.append(lead[walk[-1], word])
            hop = len(walk) - 1
            assert words[hop:] == [n_relations] * (len(words) - hop), "the words stand first"
            used = list(zip(walk, words[:hop], strict=False))
            assert len(set(used)) == hop, "every fact of the walk is another one"
            assert (examples.answer[g, q], examples.hop[g, q]) == (walk[-1], hop)
            assert (solution.answer[g, q], solution.hop[g, q]) == (walk[-1], hop)
            rows = solution.rows[g, q][solution.rows[g, q] >= 0]
            assert [facts[row][0] for row in rows] == walk[:-1] and [facts[row][2] for row in rows] == walk[1:]


@settings(max_examples=40, deadline=None)
@given(
    n_relations=st.integers(2, 5),
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    more_nodes=st.integers(0, 4),
    n_queries=st.integers(1, 3),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_a_walk_word_by_word(
    n_relations: int, hops: list[int], more_nodes: int, n_queries: int, seed: int
) -> None:
    n_nodes = 3 * max(hops) + more_nodes
    generator = task(hops=hops, n_nodes=n_nodes, n_relations=n_relations, n_queries=n_queries)
    examples = generator.sample(5, stream("hypothesis", seed))
    assert all(len(set(map(tuple, queries.tolist()))) == n_queries for queries in examples.query)
    assert_right(generator, examples, n_relations)


def test_answers_are_uniform_over_the_names() -> None:
    examples = task(hops=[1, 3], n_nodes=10, vocab_size=20, n_queries=1).sample(20_000, stream("balance"))
    for hop in (1, 3):
        counts = np.bincount(examples.answer[examples.hop == hop], minlength=20)
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 19 + 5 * np.sqrt(2 * 19)


def test_relations_are_asked_evenly_at_every_word() -> None:
    words = task(hops=[3], n_relations=4, n_queries=1).sample(20_000, stream("words")).query[:, 0, 1:]
    for place in range(3):
        assert np.bincount(words[:, place], minlength=5) / 20_000 == pytest.approx([0.25] * 4 + [0], abs=0.02)


def test_equal_words_stand_side_by_side() -> None:
    words = task(hops=[4], n_relations=3, n_queries=1).sample(2000, stream("blocks")).query[:, 0, 1:]
    n_changes = (np.diff(words, axis=1) != 0).sum(axis=1)
    n_distinct = (words[:, :, None] == np.arange(3)).any(axis=1).sum(axis=1)
    assert (n_changes == n_distinct - 1).all() and set(n_distinct) == {1, 2, 3}


def test_the_query_says_nothing_about_a_fact_that_was_not_looked_up() -> None:
    """A node that leads to a known node of the walk by another relation is the answer as often as any other."""
    examples = task(hops=[3], n_relations=3, n_queries=1).sample(40_000, stream("beside"))
    graph, (start, first, second, last) = np.arange(40_000), examples.query[:, 0].T
    after, before = (np.full((40_000, 3, 36), -1) for _ in range(2))
    after[graph[:, None], examples.facts[:, :, 1], examples.facts[:, :, 0]] = examples.facts[:, :, 2]
    before[graph[:, None], examples.facts[:, :, 1], examples.facts[:, :, 2]] = examples.facts[:, :, 0]
    one = after[graph, first, start]
    two = after[graph, second, one]
    for node, relation in ((one, (first + 1) % 3), (two, (second + 1) % 3)):
        beside = before[graph, relation, node]
        is_other = (last != relation) & (beside != two)
        share = (beside == examples.answer[:, 0])[is_other].mean()
        assert abs(share - 1 / 11) < 4 * np.sqrt(1 / 11 / is_other.sum())


def test_hiding_any_fact_leaves_no_more_than_the_ceiling() -> None:
    generator = task(hops=[3])
    examples = generator.sample(1500, stream("hide")).one_query_per_graph()
    for step in range(3):
        guess = hide_a_fact(generator, examples, step, stream("redraw", step)).answer
        assert (guess == examples.answer[:, 0]).mean() < generator.partial_input(3) + 0.01


def test_an_unused_word_is_written_as_a_dash() -> None:
    generator = task(n_relations=2)
    assert [generator.symbol("relation", i) for i in range(3)] == ["relation0", "relation1", "-"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"n_nodes": 12, "hops": [5]}, r"hops must be in 1\.\.4, got 5; raise n_nodes from 12 to 15"),
        ({"n_nodes": 12, "vocab_size": 11}, "vocab_size must be at least the 12 nodes of a graph, got 11"),
        ({"n_nodes": 12, "n_queries": 13}, "n_queries must be at most 12, as many as a graph can have, got 13"),
        ({"n_relations": 1}, "n_relations: input should be greater than or equal to 2, got 1"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
