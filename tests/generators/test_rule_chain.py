"""rule_chain against forward chaining over literals."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator
from nexus_bench.shortcuts.promises import needs_each_fact
from nexus_bench.streams import stream
from tests.solved import Facts, assert_right


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
    n_ladders=st.sampled_from([2, 4]),
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


def test_all_graphs_have_the_same_signs_at_every_place() -> None:
    generator = task(hops=[1, 2, 3], length=5, n_ladders=4)
    for facts in generator.sample(40, stream("places")).facts.tolist():
        after = {premise: conclusion for premise, _, conclusion, _ in facts}
        place = dict.fromkeys(set(after) - set(after.values()), 0)
        for _ in range(5):
            place |= {after[node]: at + 1 for node, at in place.items() if node in after}
        found = Counter((place[premise], sign, concluded) for premise, sign, _, concluded in facts)
        assert found == {(0, 1, 0): 4, (0, 1, 1): 4} | {
            (at, *signs): 2 for at in range(1, 5) for signs in ((0, 0), (0, 1), (1, 0), (1, 1))
        }


def test_the_signs_along_a_chain_are_uniform() -> None:
    examples = task(hops=[1, 2, 3], length=3).sample(2000, stream("uniform"))
    start = examples.query[:, :, 0]
    order = np.lexsort((examples.hop, start))  # the queries of each start, by hop
    signs = np.take_along_axis(examples.answer, order, axis=1).reshape(-1, 4, 3) @ (1, 2, 4)
    assert stats.chisquare(np.bincount(signs[:, 0], minlength=8)).pvalue > 1e-4


def path_and_others(generator: Generator, n_graphs: int, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every query: which rules of the chain negate (n, k), how many of all do not and do (n, 2), the answer (n)."""
    single = generator.sample(n_graphs, stream(key)).one_query_per_graph()
    rows = generator.solve(single.facts, single.query).rows[:, 0, : generator.largest_hop]
    negates = single.facts[:, :, 1] ^ single.facts[:, :, 3]
    counts = np.stack([(negates == 0).sum(axis=1), negates.sum(axis=1)], axis=1)
    return np.take_along_axis(negates, rows, axis=1), counts, single.answer[:, 0]


@pytest.mark.parametrize("hop", [2, 3])
def test_all_but_one_rule_of_the_chain_and_the_bag_of_the_others_leave_the_ceiling(hop: int) -> None:
    """The guess is that the hidden rule negates if most rules off the known ones do."""
    generator = task(hops=[hop])
    negates, counts, answer = path_and_others(generator, 4000, "bag")
    for hidden in range(hop):
        shown = np.delete(negates, hidden, axis=1)
        left = counts - np.stack([(shown == 0).sum(axis=1), shown.sum(axis=1)], axis=1)
        guess = (1 + shown.sum(axis=1) + (left[:, 1] > left[:, 0])) % 2
        n_right = int((guess == answer).sum())
        assert stats.binom.sf(n_right - 1, len(answer), generator.partial_input(hop)) > 1e-4


def test_counts_of_rules_teach_a_logistic_regression_nothing_beyond_the_known_rules() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    generator = task(hops=[2])

    def features(key: str) -> tuple[np.ndarray, np.ndarray]:
        """How many rules negate and do not, the other way round if the known first rule negates."""
        negates, counts, answer = path_and_others(generator, 4000, key)
        return np.where(negates[:, :1] == 1, counts[:, ::-1], counts), answer

    model = linear_model.LogisticRegression().fit(*features("fit"))
    counts, answer = features("score")
    n_right = int((model.predict(counts) == answer).sum())
    assert stats.binom.sf(n_right - 1, len(answer), generator.partial_input(2)) > 1e-4


def test_hiding_any_rule_leaves_yes_or_no() -> None:
    needs_each_fact(task(hops=[3]), 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"length": 2, "hops": [3]}, r"hops must be in 1\.\.2, got 3; raise length to 3"),
        ({"n_ladders": 0}, "n_ladders: input should be greater than or equal to 2, got 0"),
        ({"n_ladders": 3}, "n_ladders: input should be a multiple of 2, got 3"),
        ({"n_queries": 13}, "n_queries must be at most 12, as many as a graph can have, got 13"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
