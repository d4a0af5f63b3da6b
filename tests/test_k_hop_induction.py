import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.audit import hide_a_fact, one_query_a_graph
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.streams import stream
from nexus_bench.task import make_task


def task(**entry: object) -> Generator:
    return make_task({"task": "k_hop_induction", **entry}, where="test").generator()


def sequence(facts: np.ndarray) -> list[int]:
    """The tokens, from the facts (previous, place, symbol) in order of their places."""
    ordered = sorted(facts.tolist(), key=lambda fact: fact[1])
    assert [place for _, place, _ in ordered] == list(range(len(ordered)))
    assert all(a[2] == b[0] for a, b in itertools.pairwise(ordered)), "one follows the other"
    return [ordered[0][0], *(symbol for _, _, symbol in ordered)]


def hop_k(tokens: list[int], k: int) -> tuple[int | None, list[int]]:
    """hop_k at the last place, as published: find(i) = max({0} u {j <= i : X_(j-1) = X_i}), places from 1."""
    x = dict(enumerate(tokens, start=1))
    i, places = len(tokens), []
    for _ in range(k):
        i = max({0} | {j for j in range(2, i + 1) if x[j - 1] == x[i]})
        if i == 0:
            return None, places
        places.append(i)
    return x[i], places


def assert_right(generator: Generator, examples: Examples) -> None:
    absent = generator.schema.n_classes - 1
    solution = generator.solve(examples.facts, examples.query)
    for g in range(examples.n_graphs):
        facts = examples.facts[g]
        tokens = sequence(facts)
        assert len({tuple(fact) for fact in facts.tolist()}) == generator.n_facts
        for q, (symbol, k) in enumerate(examples.query[g].tolist()):
            label, places = hop_k([*tokens, symbol], k)
            expected = absent if label is None else label
            assert (examples.answer[g, q], examples.hop[g, q]) == (expected, k)
            assert (solution.answer[g, q], solution.hop[g, q]) == (expected, k)
            rows = solution.rows[g, q][solution.rows[g, q] >= 0]
            assert (facts[rows, 1] + 2).tolist() == places, "a fact of place 0 is that of the second token"
            assert len(places) == len(set(places)) == (k if label is not None else k - 1), "only the last one is absent"


@settings(max_examples=40, deadline=None)
@given(
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    more=st.integers(0, 5),
    n_queries=st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
def test_labels_are_those_of_the_published_definition(hops: list[int], more: int, n_queries: int, seed: int) -> None:
    generator = task(hops=hops, base=3 * max(hops) + 4 + more, n_queries=n_queries)
    examples = generator.sample(5, stream("hypothesis", seed))
    assert all(len(set(map(tuple, queries.tolist()))) == n_queries for queries in examples.query)
    assert_right(generator, examples)


def test_absent_is_equally_common_at_every_hop() -> None:
    examples = task(hops="1-6", n_queries=6).sample(20_000, stream("absent"))
    absent = task(hops="1-6").schema.n_classes - 1
    rates = [(examples.answer[examples.hop == hop] == absent).mean() for hop in range(1, 7)]
    assert rates == pytest.approx([1 / 18] * 6, abs=4 * np.sqrt(1 / 18 / 20_000))


def test_answers_that_are_present_are_uniform_over_the_names() -> None:
    generator = task(hops=[1, 3], n_queries=1)
    examples = generator.sample(30_000, stream("balance"))
    for hop in (1, 3):
        counts = np.bincount(examples.answer[examples.hop == hop], minlength=generator.schema.n_classes)[:-1]
        n = len(counts)
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < n + 5 * np.sqrt(2 * n)


def test_every_symbol_of_a_round_occurs_once_in_it() -> None:
    for facts in task(hops=[3], base=12).sample(20, stream("rounds")).facts:
        tokens = sequence(facts)
        rounds = [tokens[:12], tokens[12:25], tokens[25:]]
        assert [len(set(r)) for r in rounds] == [12, 13, 14]
        assert set(rounds[0]) < set(rounds[1]) < set(rounds[2])


def test_hiding_any_fact_leaves_no_more_than_the_ceiling() -> None:
    generator = task(hops=[3])
    examples = one_query_a_graph(generator.sample(3000, stream("hide")))
    for step in range(3):
        hidden = hide_a_fact(generator, examples, step, stream("redraw", step))
        right = (hidden.answer == examples.answer[:, 0])[hidden.is_hidden]
        assert right.mean() < generator.partial(3) + 0.01
        assert hidden.is_hidden.mean() == pytest.approx(1.0 if step < 2 else 11 / 12, abs=0.01)


@pytest.mark.slow
def test_a_million_labels_agree_with_the_solver() -> None:
    generator = task(hops="1-6", n_queries=6)
    for block in range(84):
        examples = generator.sample(2000, stream("million", block))
        solution = generator.solve(examples.facts, examples.query)
        assert (solution.answer == examples.answer).all() and (solution.hop == examples.hop).all()
        if block == 0:
            assert_right(generator, examples.take(slice(340)))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"base": 9, "hops": [4]}, r"hops must be in 1\.\.3, got 4; raise base from 9 to 12"),
        ({"hops": [13]}, r"hops must be in 1\.\.12, got 13; ask for at most 12 hops"),
        (
            {"base": 9, "hops": [3], "n_queries": 7},
            "n_queries must be at most 6 .* got 7; lower it or raise base to 10",
        ),
        ({"base": 9, "hops": [3], "n_symbols": 11}, "n_symbols must be at least 12 .* got 11; raise n_symbols to 12"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
