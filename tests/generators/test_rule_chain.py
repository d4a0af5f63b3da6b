"""rule_chain against forward chaining over literals."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator
from nexus_bench.streams import stream
from tests.solved import Facts, assert_hidden_facts_leave_the_ceiling, assert_right


def task(**entry: object) -> Generator:
    return make_task({"task": "rule_chain", **entry}, where="test").generator()


def slow(facts: Facts, query: tuple[int, ...]) -> tuple[int, list[int]]:
    """All that follows from the start, with the rules that were needed."""
    start, goal = query
    proved: dict[tuple[int, int], list[int]] = {(start, 1): []}
    while True:
        new = {
            (conclusion, sign): [*proved[premise, premise_sign], row]
            for row, (premise, premise_sign, conclusion, sign) in enumerate(facts)
            if (premise, premise_sign) in proved and (conclusion, sign) not in proved
        }
        if not new:
            break
        proved |= new
    (sign,) = (sign for node, sign in proved if node == goal)
    return sign, proved[goal, sign]


@settings(max_examples=40, deadline=None)
@given(
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    n_ladders=st.integers(1, 3),
    spare=st.integers(0, 3),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_forward_chaining(
    hops: list[int], n_ladders: int, spare: int, seed: int
) -> None:
    generator = task(hops=hops, n_ladders=n_ladders, length=max(hops) + spare)
    examples = generator.sample(4, stream("hypothesis", seed))
    assert_right(generator, examples, slow)
    assert all(len({tuple(query) for query in queries.tolist()}) == generator.n_queries for queries in examples.query)


def test_every_property_is_concluded_once_positively_and_once_negated() -> None:
    examples = task(hops=[1, 2, 3]).sample(30, stream("signs"))
    for facts, queries in zip(examples.facts.tolist(), examples.query.tolist(), strict=True):
        concluded = Counter((conclusion, sign) for _, _, conclusion, sign in facts)
        assert set(concluded.values()) == {1}
        assert all((conclusion, 1 - sign) in concluded for conclusion, sign in concluded)
        assert not {start for start, _ in queries} & {conclusion for conclusion, _ in concluded}


def test_a_no_is_proved_as_often_as_a_yes_and_by_as_many_rules() -> None:
    examples = task(hops=[1, 2, 3]).sample(4000, stream("balance"))
    for hop in (1, 2, 3):
        assert examples.answer[examples.hop == hop].mean() == pytest.approx(0.5, abs=0.03)


def test_hiding_any_rule_leaves_yes_or_no() -> None:
    assert_hidden_facts_leave_the_ceiling(task(hops=[3]), 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"length": 2, "hops": [3]}, r"hops must be in 1\.\.2, got 3; raise length to 3"),
        ({"n_ladders": 0}, "n_ladders: input should be greater than or equal to 1, got 0"),
        ({"n_queries": 13}, "n_queries must be at most 12, as many as a graph can have, got 13"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
