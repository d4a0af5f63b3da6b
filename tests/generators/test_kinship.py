"""kinship against a walk and the composition table, and against readers who count relations."""

import itertools
from collections import Counter

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator
from nexus_bench.generators.parts.family_trees import composition_table
from nexus_bench.shortcuts.promises import needs_each_fact
from nexus_bench.streams import stream
from tests.solved import Facts, assert_right


def task(**entry: object) -> Generator:
    return make_task({"task": "kinship", **entry}, where="test").generator()


@settings(max_examples=30, deadline=None)
@given(hops=st.sets(st.integers(1, 4), min_size=1).map(sorted), n_sets=st.integers(1, 3), seed=st.integers(0, 10_000))
def test_labels_hops_and_solver_agree_with_a_walk_and_the_table(hops: list[int], n_sets: int, seed: int) -> None:
    generator = task(hops=hops, n_sets=n_sets)
    terms = [generator.symbol("term", i) for i in range(generator.schema.n_classes)]

    def slow(facts: Facts, query: tuple[int, ...]) -> tuple[int, list[int]]:
        graph = nx.Graph()
        for row, (person, relative, _) in enumerate(facts):
            graph.add_edge(person, relative, row=row)
        assert nx.is_forest(graph), "one way at most between two people"
        path = nx.shortest_path(graph, *query)
        rows = [graph.edges[edge]["row"] for edge in itertools.pairwise(path)]
        assert [facts[row][0] for row in rows] == path[:-1]
        term = composition_table(len(rows))[tuple(facts[row][2] for row in rows)]
        assert term is not None
        return terms.index(term), rows

    assert_right(generator, generator.sample(4, stream("hypothesis", seed)), slow)


def test_every_term_of_a_hop_is_as_likely() -> None:
    generator = task(hops=[1, 2])
    examples = generator.sample(8000, stream("balance"))
    for hop, n_terms in ((1, 8), (2, 22)):
        counts = np.bincount(examples.answer[examples.hop == hop])
        counts = counts[counts > 0]
        assert len(counts) == n_terms and counts / counts.mean() == pytest.approx(np.ones(n_terms), abs=0.15)


@pytest.mark.parametrize("hop", [2, 3])
def test_every_composition_that_gives_a_term_is_as_likely(hop: int) -> None:
    words, _, _ = known(task(hops=[hop], n_sets=4), 4000, "compositions")
    share = law_of(hop)
    seen = Counter(map(tuple, words.tolist()))
    assert set(seen) == set(share)
    expected = [len(words) * likelihood for likelihood, _ in share.values()]
    assert stats.chisquare([seen[word] for word in share], expected).pvalue > 1e-4


def test_all_graphs_have_each_relation_as_often_at_every_place() -> None:
    generator = task(hops=[1, 2, 4], n_sets=3)
    for facts in generator.sample(40, stream("places")).facts.tolist():
        after = {person: (relative, relation) for person, relative, relation in facts}
        begins = set(after) - {relative for _, relative, _ in facts}
        found: Counter[tuple[int, int]] = Counter()
        for person in begins:
            place = 0
            while person in after:
                person, relation = after[person]
                found[place, relation] += 1
                place += 1
        assert Counter(relation for _, _, relation in facts) == dict.fromkeys(range(8), 12)
        for place in range(4):
            assert len({found[place, relation] for relation in range(8)}) == 1


def law_of(hop: int) -> dict[tuple[int, ...], tuple[float, str]]:
    """Each word that can be asked: how likely it is, and its term."""
    named = {word: term for word, term in composition_table(hop).items() if term}
    n_words = Counter(named.values())
    return {word: (1 / (len(n_words) * n_words[term]), term) for word, term in named.items()}


def known(generator: Generator, n_graphs: int, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every query: the relations of its path (n, k), how often each stands in the graph (n, 8), the answer (n)."""
    single = generator.sample(n_graphs, stream(key)).one_query_per_graph()
    rows = generator.solve(single.facts, single.query).rows[:, 0]
    relation = single.facts[:, :, 2]
    counts = (relation[:, :, None] == np.arange(8)).sum(axis=1)
    return np.take_along_axis(relation, rows, axis=1), counts, single.answer[:, 0]


@pytest.mark.parametrize("hop", [2, 3])
def test_all_but_one_relation_of_the_path_and_the_bag_of_the_others_leave_the_ceiling(hop: int) -> None:
    """The guess is the heaviest term: each relation weighs its count off the known facts, times the law of the path."""
    generator = task(hops=[hop], n_sets=1)
    words, counts, _ = known(generator, 12_000, "bag")
    law = law_of(hop)
    likelihood, term = np.zeros((8,) * hop), np.zeros((8,) * hop, dtype=np.int64)
    terms = sorted({name for _, name in law.values()})
    for word, (share, name) in law.items():
        likelihood[word], term[word] = share, terms.index(name)
    answer = term[tuple(words.T)]
    for hidden in range(hop):
        left = counts.copy()
        for place in set(range(hop)) - {hidden}:
            left[np.arange(len(words)), words[:, place]] -= 1
        weight = np.zeros((len(words), len(terms)))
        for relation in range(8):
            word = tuple(np.where(np.arange(hop) == hidden, relation, words).T)
            np.add.at(weight, (np.arange(len(words)), term[word]), likelihood[word] * left[:, relation])
        n_right = int((weight.argmax(axis=1) == answer).sum())
        assert stats.binom.sf(n_right - 1, len(words), generator.partial_input(hop)) > 1e-4


def test_counts_of_relations_teach_a_logistic_regression_nothing() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    generator = task(hops=[2])
    _, counts, answer = known(generator, 3000, "fit")
    model = linear_model.LogisticRegression(max_iter=500).fit(counts, answer)
    _, counts, answer = known(generator, 3000, "score")
    n_right = int((model.predict(counts) == answer).sum())
    assert stats.binom.sf(n_right - 1, len(answer), generator.chance(2)) > 1e-4


def test_chance_is_a_term_of_the_hop() -> None:
    generator = task(hops=[1, 2, 3])
    assert [generator.chance(hop) for hop in (1, 2, 3)] == pytest.approx([1 / 8, 1 / 22, 1 / 31])


def test_a_hidden_relation_is_drawn_from_its_place_in_all_paths() -> None:
    generator = task(hops=[3], n_sets=1)
    examples = generator.sample(20, stream("alike"))
    solution = generator.solve(examples.facts, examples.query)
    for step in range(3):
        alike = generator.alike(examples.facts, examples.query, solution, solution.rows[:, 0, step])
        assert (np.sort(examples.facts[:, :, 2][alike].reshape(20, -1)) == np.arange(8)).all()
        assert np.take_along_axis(alike, solution.rows[:, 0], axis=1).tolist() == [[i == step for i in range(3)]] * 20


def test_hiding_a_relation_leaves_no_more_than_is_declared() -> None:
    generator = task(hops=[3])
    assert 0.3 < generator.partial_input(3) < 0.7
    needs_each_fact(generator, 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"hops": [7]}, r"hops must be in 1\.\.6, got 7; ask for fewer hops"),
        ({"n_queries": 3}, "n_queries must be at most 2, as many as a graph can have, got 3"),
        ({"vocab_size": 79}, "vocab_size must be at least the 80 nodes of a graph, got 79"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
