import itertools

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


@pytest.mark.parametrize("hops", [[1], [2], [3], [4], [5], [6]])
def test_hiding_any_fact_leaves_no_more_than_the_ceiling(hops: list[int]) -> None:
    generator, (k,) = task(hops=hops, n_queries=1), hops
    examples = generator.sample(5000, stream("hide", k)).one_query_per_graph()
    for step in range(k):
        hidden = hide_a_fact(generator, examples, step, stream("redraw", step))
        right = (hidden.answer == examples.answer[:, 0])[hidden.is_hidden]
        ceiling = generator.partial_input(k)
        assert right.mean() < ceiling + 4 * np.sqrt(ceiling * (1 - ceiling) / len(right))
        present = 1.0 if step < k - 1 else 1 - 1 / max(12, 3 * k)  # the last look-up of an absent answer has no fact
        assert hidden.is_hidden.mean() == pytest.approx(present, abs=0.02)


def test_a_chain_lands_one_round_further_back_each_hop() -> None:
    generator = task(hops=[3], base=12)
    examples = generator.sample(200, stream("back"))
    rows = generator.solve(examples.facts, examples.query).rows
    place = np.take_along_axis(examples.facts[:, :, 1], rows.reshape(200, -1), axis=1).reshape(rows.shape)
    first_and_end = [
        (24, 38),
        (11, 24),
        (-1, 11),
    ]  # places of the tokens of a round, its first one's and its last one's
    for step, (first, end) in enumerate(first_and_end):
        landed = place[:, :, step][rows[:, :, step] >= 0]
        assert (first < landed).all() and (landed < end).all(), "never on the first token of a round"


def test_different_starts_of_one_hop_have_different_answers() -> None:
    generator = task(hops=[2], n_queries=9)
    answers = np.sort(generator.sample(300, stream("merge")).answer, axis=1)
    assert (np.diff(answers, axis=1) > 0).all()


def test_what_is_absent_at_one_hop_says_nothing_of_another() -> None:
    generator = task(hops=[1, 2], base=6, n_queries=2)
    examples = generator.sample(20_000, stream("independent"))
    absent = examples.answer == generator.schema.n_classes - 1
    assert absent.all(axis=1).mean() == pytest.approx(1 / 36, abs=4 * np.sqrt(1 / 36 / 20_000))


def test_any_sequence_is_solved_by_the_definition_in_any_order_of_its_facts() -> None:
    """Tokens repeat inside a round and side by side, as in no sequence that is drawn."""
    generator = task(hops=[3], base=9, n_queries=1)
    rng, absent = np.random.default_rng(5), generator.schema.n_classes - 1
    for _ in range(400):
        tokens = rng.integers(absent, size=generator.n_facts + 1) // 3 * 3
        facts = np.stack([tokens[:-1], np.arange(generator.n_facts), tokens[1:]], axis=1)[None].astype(np.int32)
        symbol, k = int(rng.integers(absent) // 3 * 3), int(rng.integers(1, 4))
        solution = generator.solve(facts[:, rng.permutation(generator.n_facts)], np.array([[[symbol, k]]], np.int32))
        label, places = hop_k([*tokens.tolist(), symbol], k)
        expected = absent if label is None else label
        assert solution.answer[0, 0] == (-1 if symbol == tokens[-1] else expected), "no fact ends the sequence"
        if symbol != tokens[-1]:
            assert solution.hop[0, 0] == len(places) + (label is None)


def test_facts_off_the_law_are_solved_without_an_error() -> None:
    generator = task(hops="1-3")
    examples = generator.sample(200, stream("swap"))
    examples.facts[:, [0, 1], 2] = examples.facts[:, [1, 0], 2]
    solution = generator.solve(examples.facts, examples.query)
    assert ((solution.answer >= -1) & (solution.answer < generator.schema.n_classes)).all()
    assert (solution.answer == examples.answer).mean() > 0.8, "most derivations need neither fact"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"base": 9, "hops": [4]}, r"hops must be in 1\.\.3, got 4; raise base from 9 to 12"),
        ({"hops": [13]}, r"hops must be in 1\.\.12, got 13; ask for at most 12 hops"),
        (
            {"base": 9, "hops": [3], "n_queries": 7},
            "n_queries must be at most 6 .* got 7; lower it or raise base to 10",
        ),
        (
            {"base": 9, "hops": [3], "vocab_size": 11},
            "vocab_size must be at least 12 .* got 11; raise vocab_size to 12",
        ),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
