"""variable_chain against a dictionary of assignments."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator
from nexus_bench.shortcuts.promises import needs_each_fact
from nexus_bench.streams import stream
from tests.solved import Facts, assert_right


def task(**entry: object) -> Generator:
    return make_task({"task": "variable_chain", **entry}, where="test").generator()


def slow(facts: Facts, query: tuple[int, ...]) -> tuple[int, list[int]]:
    held = {variable: (term, row) for row, (variable, term) in enumerate(facts)}
    assert len(held) == len(facts), "every variable is assigned once"
    rows, (term,) = [], query
    while term in held:
        term, row = held[term]
        rows.append(row)
    return term, rows


@settings(max_examples=40, deadline=None)
@given(
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    n_chains=st.integers(4, 7),
    spare=st.integers(0, 3),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_a_dictionary(hops: list[int], n_chains: int, spare: int, seed: int) -> None:
    generator = task(hops=hops, n_chains=n_chains, length=max(hops) + spare)
    examples = generator.sample(4, stream("hypothesis", seed))
    assert_right(generator, examples, slow)
    assert all(len(set(queries[:, 0].tolist())) == generator.n_queries for queries in examples.query)


def test_chains_are_equally_long_and_their_constants_distinct() -> None:
    generator = task(hops=[2], n_chains=5, length=4)
    for facts in generator.sample(20, stream("chains")).facts.tolist():
        assigned = {variable for variable, _ in facts}
        constants = Counter(slow([tuple(fact) for fact in facts], (variable,))[0] for variable in assigned)
        assert sorted(constants.values()) == [4] * 5


def test_every_constant_is_as_likely() -> None:
    examples = task(hops=[1, 3], n_constants=10).sample(8000, stream("balance"))
    for hop in (1, 3):
        counts = np.bincount(examples.answer[examples.hop == hop])[-10:]
        assert counts / counts.mean() == pytest.approx(np.ones(10), abs=0.1)


def test_hiding_any_fact_leaves_one_in_as_many_as_there_are_chains() -> None:
    needs_each_fact(task(hops=[3]), 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"n_chains": 3}, "n_chains: input should be greater than or equal to 4, got 3"),
        ({"length": 2, "hops": [3]}, r"hops must be in 1\.\.2, got 3; raise length to 3"),
        ({"n_queries": 13}, "n_queries must be at most 12, as many as a graph can have, got 13"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
