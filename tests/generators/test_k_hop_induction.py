import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.shortcuts.audit import hide_a_fact
from nexus_bench.streams import permutations, stream


def task(**entry: object) -> Generator:
    return make_task({"task": "k_hop_induction", **entry}, where="test").generator()


def sequence(facts: np.ndarray) -> list[int]:
    """The tokens, from the facts (previous, place, symbol) in order of their places."""
    ordered = sorted(facts.tolist(), key=lambda fact: fact[1])
    assert [place for _, place, _ in ordered] == list(range(len(ordered)))
    assert all(a[2] == b[0] for a, b in itertools.pairwise([*ordered, ordered[0]])), "one follows the other, in a ring"
    return [symbol for _, _, symbol in ordered]


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
    solution = generator.solve(examples.facts, examples.query)
    for g in range(examples.n_graphs):
        facts = examples.facts[g]
        tokens = sequence(facts)
        assert len({tuple(fact) for fact in facts.tolist()}) == generator.n_facts
        for q, (symbol, k) in enumerate(examples.query[g].tolist()):
            label, places = hop_k([*tokens, symbol], k)
            assert (examples.answer[g, q], examples.hop[g, q]) == (label, k)
            assert (solution.answer[g, q], solution.hop[g, q]) == (label, k)
            rows = solution.rows[g, q][solution.rows[g, q] >= 0]
            assert (facts[rows, 1] + 1).tolist() == places
            assert len(places) == len(set(places)) == k


@settings(max_examples=40, deadline=None)
@given(
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    more=st.integers(0, 5),
    n_queries=st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
def test_labels_are_those_of_the_published_definition(hops: list[int], more: int, n_queries: int, seed: int) -> None:
    generator = task(hops=hops, base=6 + more, n_queries=n_queries)
    examples = generator.sample(5, stream("hypothesis", seed))
    assert all(len(set(map(tuple, queries.tolist()))) == n_queries for queries in examples.query)
    assert_right(generator, examples)


def test_answers_are_uniform_over_the_names() -> None:
    generator = task(hops=[1, 3], n_queries=1)
    examples = generator.sample(30_000, stream("balance"))
    for hop in (1, 3):
        counts = np.bincount(examples.answer[examples.hop == hop], minlength=generator.schema.n_classes)
        n = len(counts)
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < n + 5 * np.sqrt(2 * n)


def test_every_symbol_ends_and_begins_as_many_facts_as_any_other() -> None:
    for facts in task(hops=[3], base=12).sample(20, stream("counts")).facts:
        for role in (0, 2):
            assert np.unique(facts[:, role], return_counts=True)[1].tolist() == [3] * 12


def test_every_symbol_occurs_once_in_every_round_and_a_round_begins_where_the_last_one_ended() -> None:
    for facts in task(hops=[3], base=12).sample(20, stream("rounds")).facts:
        tokens = sequence(facts)
        rounds = [tokens[:12], tokens[12:24], tokens[24:]]
        assert len(tokens) == 36 and all(set(r) == set(tokens) for r in rounds) and len(set(tokens)) == 12
        assert all(before[-1] == after[0] for before, after in itertools.pairwise(rounds))


def test_rounds_are_uniform_and_independent() -> None:
    """Any symbol stands at any place of a round as often as at any other, but that of the end of the round before."""
    facts = task(hops=[2], base=5, vocab_size=5, n_queries=1).sample(20_000, stream("uniform")).facts
    tokens = np.take_along_axis(facts[:, :, 2], facts[:, :, 1].argsort(axis=1), axis=1)
    for place in range(10):
        assert np.bincount(tokens[:, place]) / 20_000 == pytest.approx(np.full(5, 0.2), abs=0.015)
    pairs = np.bincount(tokens[:, 6] * 5 + tokens[:, 9], minlength=25).reshape(5, 5) / 20_000
    assert pairs == pytest.approx((1 - np.eye(5)) / 20, abs=0.007)
    assert (tokens[:, 1] == tokens[:, 6]).mean() == pytest.approx(1 / 4, abs=0.02), "the second of either round"


def test_every_symbol_but_the_last_token_is_a_start_at_every_hop() -> None:
    """So which starts are asked about says nothing of where rounds end."""
    generator = task(hops=[1, 2, 3], base=7, n_queries=18)
    examples = generator.sample(100, stream("starts"))
    assert_right(generator, examples)
    for facts, queries in zip(examples.facts, examples.query.tolist(), strict=True):
        tokens = sequence(facts)
        assert {tuple(query) for query in queries} == set(itertools.product(set(tokens) - {tokens[-1]}, (1, 2, 3)))


@pytest.mark.parametrize("hop", [1, 2, 3])
def test_counts_and_the_ends_of_rounds_say_no_more_than_chance(hop: int) -> None:
    """Readers that follow k - 1 facts and know how often every symbol occurs, and which begins or ends a round."""
    generator = task(hops=[hop], base=6, vocab_size=6, n_queries=1)
    examples = generator.sample(20_000, stream("readers", hop))
    facts, start, answer = examples.facts, examples.query[:, 0, 0], examples.answer[:, 0]
    graphs = np.arange(len(facts))
    tokens = np.empty((len(facts), generator.n_facts), dtype=np.int32)
    tokens[graphs[:, None], facts[:, :, 1]] = facts[:, :, 2]
    rounds = tokens.reshape(len(tokens), hop, 6)
    rows = generator.solve(facts, examples.query).rows[:, 0]
    reached = facts[graphs, rows[:, hop - 2], 2] if hop > 1 else start
    counts = (facts[:, :, [0, 2]].reshape(len(facts), -1, 1) == np.arange(6)).sum(axis=1)
    noise = 4 * np.sqrt(0.25 * 0.75 / len(facts))
    for known in (start, reached):
        excluded = np.zeros_like(counts)
        np.put_along_axis(excluded, np.stack([known, rounds[:, 0, 0]], axis=1), 1000, axis=1)
        ranks = {"commonest": counts, "rarest": -counts, "ends": (rounds[:, 0, -1, None] == np.arange(6)).astype(int)}
        for name, rank in ranks.items():
            order = (rank - excluded) * 6 + permutations(stream(name), len(rank), 6)
            assert (order.argmax(axis=1) == answer).mean() < generator.chance(hop) + noise, name
    if hop > 1:  # the start follows no first token of its round
        assert (start == answer).mean() < generator.chance(hop) + noise


@pytest.mark.parametrize("hops", [[1], [2], [3], [4], [5], [6]])
def test_hiding_any_fact_leaves_no_more_than_the_ceiling(hops: list[int]) -> None:
    generator, (k,) = task(hops=hops, n_queries=1), hops
    examples = generator.sample(5000, stream("hide", k)).one_query_per_graph()
    for step in range(k):
        hidden = hide_a_fact(generator, examples, step, stream("redraw", step))
        right = (hidden.answer == examples.answer[:, 0])[hidden.is_hidden]
        ceiling = generator.partial_input(k)
        assert right.mean() < ceiling + 4 * np.sqrt(ceiling * (1 - ceiling) / len(right))
        assert hidden.is_hidden.all()


def test_a_chain_lands_one_round_further_back_each_hop() -> None:
    generator = task(hops=[3], base=12)
    examples = generator.sample(200, stream("back"))
    rows = generator.solve(examples.facts, examples.query).rows
    place = np.take_along_axis(examples.facts[:, :, 1], rows.reshape(200, -1), axis=1).reshape(rows.shape)
    first_and_end = [
        (24, 36),
        (12, 24),
        (0, 12),
    ]  # places of the first token of a round and of the next one
    for step, (first, end) in enumerate(first_and_end):
        landed = place[:, :, step][rows[:, :, step] >= 0]
        assert (first < landed).all() and (landed < end).all(), "never on the first token of a round"


def test_different_starts_of_one_hop_have_different_answers() -> None:
    generator = task(hops=[2], n_queries=9)
    answers = np.sort(generator.sample(300, stream("merge")).answer, axis=1)
    assert (np.diff(answers, axis=1) > 0).all()


def test_any_sequence_is_solved_by_the_definition_in_any_order_of_its_facts() -> None:
    """Tokens repeat inside a round and side by side, as in no sequence that is drawn."""
    generator = task(hops=[3], base=9, n_queries=1)
    rng, n_symbols = np.random.default_rng(5), generator.schema.n_classes
    for _ in range(400):
        tokens = rng.integers(n_symbols, size=generator.n_facts) // 3 * 3
        facts = np.stack([np.roll(tokens, 1), np.arange(generator.n_facts), tokens], axis=1)[None].astype(np.int32)
        symbol, k = int(rng.integers(n_symbols) // 3 * 3), int(rng.integers(1, 4))
        solution = generator.solve(facts[:, rng.permutation(generator.n_facts)], np.array([[[symbol, k]]], np.int32))
        label, places = hop_k([*tokens.tolist(), symbol], k)
        expected = -1 if label is None else label
        assert solution.answer[0, 0] == (-1 if symbol == tokens[-1] else expected), "no fact ends the sequence"
        if symbol != tokens[-1]:
            assert solution.hop[0, 0] == len(places)


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
        ({"base": 3}, "base: input should be greater than or equal to 4, got 3"),
        ({"hops": [13]}, r"hops must be in 1\.\.12, got 13; ask for at most 12 hops"),
        (
            {"base": 9, "hops": [3], "n_queries": 9},
            "n_queries must be at most 8 .* got 9; lower it or raise base to 10",
        ),
        ({"base": 9, "hops": [1, 3], "n_queries": 17}, "n_queries must be at most 16 .* raise base to 10"),
        ({"base": 9, "vocab_size": 8}, "vocab_size must be at least the 9 symbols .* got 8; raise vocab_size to 9"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
