"""Held-out relation patterns are never asked in training, and nothing else is asked of them."""

import pytest

from nexus_bench.data.law import Law
from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples
from nexus_bench.io.columns import IID, PATTERN_OOD
from nexus_bench.io.read_results import read_results
from nexus_bench.streams import stream
from tests.paths import EXAMPLES

ENTRIES = {
    "kinship": {"hops": [1, 2, 3]},
    "path_query": {"hops": [1, 2, 3], "n_relations": 4},
    "group_word": {"hops": [1, 2, 3]},
}


def patterns_by_hop(law: Law, examples: Examples) -> dict[int, set[tuple[int, ...]]]:
    """The relations along every derivation, by hop."""
    column = [role.name for role in law.schema.fact if role.vocabulary != "node"]
    (place,) = (i for i, role in enumerate(law.schema.fact) if role.name == column[0])
    rows = law.solve(examples.facts, examples.query).rows
    found: dict[int, set[tuple[int, ...]]] = {hop: set() for hop in law.family.hops}
    for facts, queries in zip(examples.facts.tolist(), rows.tolist(), strict=True):
        for derivation in queries:
            word = tuple(facts[row][place] for row in derivation if row >= 0)
            found[len(word)].add(word)
    return found


@pytest.mark.parametrize("name", ENTRIES)
def test_patterns_of_training_and_of_the_held_out_split_are_disjoint(name: str) -> None:
    laws = make_task({"task": name, **ENTRIES[name], "pattern_ood": True}, where="test").laws()
    trained, held_out = (
        patterns_by_hop(law, law.sample(1500, stream("patterns"))) for law in (laws[IID], laws[PATTERN_OOD])
    )
    everything = make_task({"task": name, **ENTRIES[name]}, where="test").law()
    words = {word[0] for word in patterns_by_hop(everything, everything.sample(500, stream("all")))[1]}
    assert {word[0] for word in trained[1]} == words, "every single relation is trained"
    assert set(held_out) == {2, 3}
    for hop in (2, 3):
        assert held_out[hop] and trained[hop] and not held_out[hop] & trained[hop]


@pytest.mark.parametrize("name", ENTRIES)
def test_labels_of_both_laws_agree_with_the_solver(name: str) -> None:
    for law in make_task({"task": name, **ENTRIES[name], "pattern_ood": True}, where="test").laws().values():
        examples = law.sample(300, stream("labels"))
        solution = law.solve(examples.facts, examples.query)
        assert (solution.answer == examples.answer).all() and (solution.hop == examples.hop).all()


def test_answers_of_held_out_patterns_are_trained_at_the_same_hop() -> None:
    laws = make_task({"task": "kinship", **ENTRIES["kinship"], "pattern_ood": True}, where="test").laws()
    seen = [
        {(hop, answer) for hop, answer in zip(e.hop.ravel().tolist(), e.answer.ravel().tolist(), strict=True)}
        for e in (law.sample(4000, stream("answers")) for law in laws.values())
    ]
    assert seen[1] <= seen[0]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"task": "reachable"}, "reachable: has no relation patterns to hold out; omit pattern_ood"),
        ({"task": "path_query"}, "needs 16 patterns of two words, 3 words make 9; raise n_relations to 4"),
        ({"task": "kinship", "hops": [1]}, "pattern_ood needs hops of 2 or more"),
    ],
)
def test_a_task_without_patterns_enough_is_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task(entry | {"pattern_ood": True}, where="test")


def test_a_cell_without_held_out_patterns_keeps_the_name_it_had_before_there_were_any() -> None:

    from nexus_bench.experiment.suite import make_suite
    from nexus_bench.io.bundled import read_bundled

    known = read_results(EXAMPLES / "quick")
    cells = make_suite(read_bundled("suite", "quick"), where="test").cells
    assert {cell.cell_id for cell in cells} == set(known["cell_id"])
