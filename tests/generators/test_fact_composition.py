"""fact_composition: labels against a dictionary of facts, what splits hold out, and ceilings against all paths."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

from nexus_bench.data.splits import Splits
from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.fact_composition import FactComposition
from nexus_bench.generators.parts.knowledge_graph import facts, in_use, paths
from nexus_bench.generators.sequences import NOTHING
from nexus_bench.io.columns import IID, PATTERN_OOD, TEST, VAL
from nexus_bench.streams import stream
from tests.slow_solvers import agrees

SIZES: dict[str, Any] = {"task": "fact_composition", "n_entities": 23, "n_relations": 11, "out_degree": 7}
SMALL = SIZES | {"unseen": 0.3, "n_test": 19, "n_val": 13}
SETTINGS: list[dict[str, Any]] = [
    SMALL,
    SMALL | {"ratio": 2.5},
    SMALL | {"hops": 1},
    SMALL | {"hops": 2, "graph": 3},
    SMALL | {"n_relations": 7, "pattern_ood": True, "ratio": 3},
]
Triple = tuple[int, int, int]


def family(entry: dict[str, Any], law: str = IID) -> FactComposition:
    made = make_task(entry, where="test").laws()[law].family
    assert isinstance(made, FactComposition)
    return made


def dictionary(task: FactComposition) -> dict[tuple[int, int], int]:
    """The facts, by entity and the token of the relation."""
    return {(h, r + task.params.n_entities): t for h, r, t in facts(task._graph).tolist()}


def asked(task: FactComposition) -> set[Triple]:
    every, n = paths(task._graph), task.params.n_entities
    return {(h, r1 + n, r2 + n) for h, r1, r2 in every.words[every.asked].tolist()}


def composed(examples: Any) -> set[Triple]:
    """The sequences whose composition has a label."""
    return {tuple(tokens) for tokens in examples.facts[examples.hop[:, 2] == 2, :, 0].tolist()}


def by_hand(task: FactComposition, tokens: list[int]) -> tuple[list[int], list[int]]:
    known, (head, first, second) = dictionary(task), tokens
    labels, hops = [NOTHING] * 3, [0] * 3
    if 1 in task.hops:
        labels[1], hops[1] = known[head, first], 1
    if 2 in task.hops and (head, first, second) in asked(task):
        labels[2], hops[2] = known[known[head, first], second], 2
    return labels, hops


@pytest.mark.parametrize(
    ("entry", "law"), [*((entry, IID) for entry in SETTINGS), (SETTINGS[-1], PATTERN_OOD)], ids=str
)
def test_labels_and_hops_are_those_of_a_dictionary(entry: dict[str, Any], law: str) -> None:
    task = family(entry, law)
    examples = task.sample(90, stream("slow"))
    agrees(task, examples, by_hand)
    solution = task.solve(examples.facts, examples.query)
    assert np.array_equal(solution.answer, examples.answer) and np.array_equal(solution.hop, examples.hop)
    read = [[row for row in rows if row >= 0] for rows in solution.rows.reshape(-1, task.largest_hop).tolist()]
    assert read == [[*range(1, hop + 1)] for hop in examples.hop.ravel().tolist()], "a relation is a hop"
    assert set(np.unique(examples.hop)) == {0, *task.hops}


def test_test_asks_compositions_that_are_not_trained_of_facts_that_are() -> None:
    spec = make_task(SMALL, where="test")
    splits = Splits(spec.laws(), seed=5, n_val=13, n_test=19)
    trained = splits.train(0, 30_000)
    learned = {(h, r): t for (h, r, _), t in zip(trained.facts[:, :, 0].tolist(), trained.answer[:, 1], strict=True)}
    assert learned == dictionary(family(SMALL))
    held_out = [composed(splits.held_out[split].examples) for split in (TEST, VAL)]
    assert composed(trained) | held_out[0] | held_out[1] == asked(family(SMALL))
    assert not composed(trained) & (held_out[0] | held_out[1]) and not held_out[0] & held_out[1]
    examples = splits.held_out[TEST].examples
    for (h, r1, r2), label in zip(examples.facts[:, :, 0].tolist(), examples.answer.tolist(), strict=True):
        assert label == [NOTHING, learned[h, r1], learned[learned[h, r1], r2]]  # all are asked here


def test_no_trained_composition_uses_an_unseen_fact_and_pattern_ood_asks_two() -> None:
    entry = SMALL | {"pattern_ood": True}
    trained, further, n = family(entry), family(entry, PATTERN_OOD), SIZES["n_entities"]
    may, _ = in_use(further._graph)
    unseen = {(h, r + n) for h, r, _ in facts(further._graph)[may].tolist()}
    known = dictionary(trained)
    assert len(unseen) == round(0.3 * len(known))
    both = defaultdict(set)
    for task in (trained, further):
        for h, r1, r2 in asked(task):
            both[task is further].add(((h, r1) in unseen) + ((known[h, r1], r2) in unseen))
    assert both == {False: {0}, True: {2}}
    examples = trained.sample(3_000, stream("facts"))
    assert {tuple(pair) for pair in examples.facts[:, :2, 0].tolist()} == set(known), "single facts are all trained"
    assert not any((h, r1) in unseen for h, r1, _ in asked(family(SMALL | {"pattern_ood": True, "unseen": 0.3})))


@pytest.mark.parametrize("pattern_ood", [False, True])
def test_ratio_counts_compositions_per_fact_in_use(pattern_ood: bool) -> None:
    task = family(SMALL | {"ratio": 1.5, "pattern_ood": pattern_ood})
    n_facts = 161 - round(0.3 * 161) * pattern_ood
    assert len(asked(task)) == round(1.5 * n_facts) < len(asked(family(SMALL | {"pattern_ood": pattern_ood})))


def test_the_graph_belongs_to_the_task() -> None:
    draws = [family(SMALL | {"n_test": n}) for n in (19, 7)] + [family(SMALL | {"graph": 1})]
    known = [dictionary(task) for task in draws]
    assert known[0] == known[1] != known[2]
    first = Splits(make_task(SMALL, where="test").laws(), seed=0, n_val=13, n_test=19)
    other = Splits(make_task(SMALL, where="test").laws(), seed=1, n_val=13, n_test=19)
    assert composed(first.held_out[TEST].examples) != composed(other.held_out[TEST].examples)


@pytest.mark.parametrize("entry", [SMALL, SMALL | {"ratio": 2.5}, SMALL | {"hops": 2}], ids=str)
def test_ceilings_are_the_best_guesses_over_many_draws(entry: dict[str, Any]) -> None:
    task = family(entry)
    examples = task.sample(200_000, stream("many"))
    for hop in task.hops:
        rows = examples.hop[:, hop] == hop
        tokens, label = examples.facts[rows, : hop + 1, 0], examples.answer[rows, hop]
        best = {}
        for hidden in (None, *range(hop + 1)):
            kept = [] if hidden is None else [place for place in range(hop + 1) if place != hidden]
            counts: dict[Any, Counter[int]] = defaultdict(Counter)
            for seen, answer in zip(map(tuple, tokens[:, kept].tolist()), label.tolist(), strict=True):
                counts[seen][answer] += 1
            best[hidden] = sum(max(of.values()) for of in counts.values()) / len(label)
        assert task.chance(hop) == pytest.approx(best.pop(None), abs=0.005)
        assert task.partial_input(hop) == pytest.approx(max(best.values()), abs=0.01)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"hops": 3}, r"fact_composition: hops must be in 1\.\.2, got 3; ask for 1 or 2 hops"),
        ({"out_degree": 12}, "out_degree must be at most n_relations, 11, got 12"),
        ({"ratio": 7.1}, "ratio must be at most 7.0 with these facts, got 7.1"),
        ({"unseen": 0.01, "pattern_ood": True}, "no composition of two unseen facts is asked; raise unseen"),
        (
            {"n_entities": 10_000, "n_relations": 50, "out_degree": 20},
            r"have 4,000,000 compositions, at most 2,000,000",
        ),
    ],
)
def test_what_cannot_be_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task(SMALL | entry, where="test")
