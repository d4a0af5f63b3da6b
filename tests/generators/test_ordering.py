"""ordering against reachability in networkx."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.streams import stream
from tests.solved import Facts, assert_right


def task(**entry: object) -> Generator:
    return make_task({"task": "ordering", **entry}, where="test").generator()


def slow(facts: Facts, query: tuple[int, ...]) -> tuple[int, list[int]]:
    graph = nx.DiGraph(facts)
    first, second = query
    verdict = int(nx.has_path(graph, first, second))
    path = nx.shortest_path(graph, first, second) if verdict else nx.shortest_path(graph, second, first)
    return verdict, [facts.index(edge) for edge in itertools.pairwise(path)]


@settings(max_examples=40, deadline=None)
@given(hops=st.sets(st.integers(1, 6), min_size=1).map(sorted), spare=st.integers(0, 4), seed=st.integers(0, 10_000))
def test_labels_hops_and_solver_agree_with_reachability(hops: list[int], spare: int, seed: int) -> None:
    generator = task(hops=hops, n_items=3 * max(hops) + 1 + spare)
    examples = generator.sample(4, stream("hypothesis", seed))
    assert_right(generator, examples, slow)
    assert all(len({tuple(query) for query in queries.tolist()}) == generator.n_queries for queries in examples.query)


def test_fewer_comparisons_than_hops_meet_neither_the_other_item_nor_an_end() -> None:
    """Whatever k - 1 comparisons are walked from an asked item, up or down, more lie beyond and none joins the two."""
    generator = task(hops=[1, 2, 3], n_items=10)
    examples = generator.sample(100, stream("ends"))
    for facts, queries, hops in zip(examples.facts.tolist(), examples.query.tolist(), examples.hop, strict=True):
        below, above = {a: b for a, b in facts}, {b: a for a, b in facts}
        assert len(facts) >= 3 * 3
        for (first, second), hop in zip(queries, hops.tolist(), strict=True):
            for item, other in ((first, second), (second, first)):
                for way in (below, above):
                    at = item
                    for _ in range(hop - 1):
                        assert at in way
                        at = way[at]
                        assert at != other
                    assert at in way


def test_yes_and_no_are_as_likely_at_every_hop() -> None:
    examples = task(hops=[1, 2, 3]).sample(4000, stream("balance"))
    for hop in (1, 2, 3):
        assert examples.answer[examples.hop == hop].mean() == pytest.approx(0.5, abs=0.03)
        assert np.isin(examples.answer, (0, 1)).all()


@pytest.fixture(scope="module")
def asked() -> Examples:
    return task(hops=[1, 2, 3]).sample(8000, stream("asked"))


def test_an_item_shared_with_an_earlier_query_says_nothing(asked: Examples) -> None:
    """A reader of the queries alone takes an item that an earlier query of the same hop has for the greater one."""
    hits, n_graphs = [], asked.n_graphs
    for earlier, later in itertools.combinations(range(asked.query.shape[1]), 2):
        same_hop = asked.hop[:, later] == asked.hop[:, earlier]
        shared = (asked.query[:, later, :, None] == asked.query[:, earlier, None, :]).any(axis=2)  # of first, second
        decides = same_hop & (shared.sum(axis=1) == 1)
        hits += (shared[:, 0] == (asked.answer[:, later] == 1))[decides].tolist()
    assert len(hits) > n_graphs
    assert np.mean(hits) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(hits)))


@pytest.mark.parametrize("n_others", [1, 2])
def test_no_reader_of_all_queries_beats_a_coin(asked: Examples, n_others: int) -> None:
    """The best guess for every way in which a query can share items with others, learned from half of the graphs."""
    fit, score = asked.take(slice(0, None, 2)), asked.take(slice(1, None, 2))
    n_queries = asked.query.shape[1]
    for query in range(n_queries):
        for others in itertools.combinations(set(range(n_queries)) - {query}, n_others):
            fit_code, score_code = (sharing(examples, query, others) for examples in (fit, score))
            votes = np.bincount(fit_code, 2.0 * fit.answer[:, query] - 1, minlength=fit_code.max() + 1)
            guess = np.where(score_code < len(votes), votes[np.minimum(score_code, len(votes) - 1)] > 0, 0)
            right = (guess == score.answer[:, query]).mean()
            assert right < 0.5 + 5 * 0.5 / np.sqrt(score.n_graphs), (query, others)


def sharing(examples: Examples, query: int, others: tuple[int, ...]) -> np.ndarray:
    """A number for the hop of a query and which of its items stand where in the others: array (g)."""
    code = examples.hop[:, query].astype(np.int64)
    for other in others:
        same = examples.query[:, query, :, None] == examples.query[:, other, None, :]
        code = code * 16 + same.reshape(len(same), 4) @ np.array([1, 2, 4, 8])
    return code


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"n_items": 9, "hops": [3]}, r"hops must be in 1\.\.2, got 3; raise n_items to 10"),
        ({"n_items": 10, "hops": [3], "n_queries": 2}, "n_queries must be at most 1, as many as a graph can have"),
        ({"n_items": 10, "vocab_size": 9}, "vocab_size must be at least the 10 nodes of a graph, got 9"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
