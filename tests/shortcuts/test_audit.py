"""The audit beats ceilings that are too low, and the ceilings of every family hold."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nexus_bench.data.task import make_task
from nexus_bench.errors import CheckFailedError
from nexus_bench.generators.base import GENERATORS, Examples, Generator
from nexus_bench.generators.pointer_chase import PointerChase, PointerChaseParams
from nexus_bench.shortcuts.audit import Audited, audit, hide_a_fact, lower_bound, worst
from nexus_bench.shortcuts.features import draw_one_query
from nexus_bench.shortcuts.fitted import facts_only, symbol_counts
from nexus_bench.shortcuts.hidden import hide
from nexus_bench.shortcuts.promises import NotAsked, holds_its_ceilings
from nexus_bench.streams import stream
from tests.conftest import Command, assert_fails
from tests.families import GRAPHS, up_to_hops
from tests.shortcuts.leaks import LEAKS, beaten_by
from tests.shortcuts.power import CLEAN, FAMILY, LEAK, redraw_all

SETTINGS: dict[str, Sequence[dict[str, Any]]] = {
    "ancestor": ({"hops": "1-2", "n_trees": 3, "distractors": "disconnected"}, {"hops": "2-4", "n_queries": 4}),
    "group_word": ({"hops": "1-4", "group": "Z_5"}, {"hops": "2-3", "n_sets": 3, "pattern_ood": True}),
    "k_hop_induction": ({"hops": "1-2", "base": 16}, {"hops": "2-4", "n_queries": 2}),
    "kinship": ({"hops": "2-4", "n_sets": 3}, {"hops": "1-3", "pattern_ood": True}),
    "ordering": ({"hops": "2-4", "n_items": 20}, {"hops": "1-2", "n_queries": 1}),
    "path_query": (
        {"hops": "2-4", "n_relations": 2, "n_nodes": 16},
        {"hops": "1-3", "n_relations": 4, "n_queries": 5, "pattern_ood": True},
    ),
    "path_star": ({"hops": "2-3", "n_arms": 3, "arm_length": 4}, {"hops": "2-4", "distractors": "none"}),
    "pointer_chase": ({"hops": "1-5"}, {"hops": "1-2", "n_queries": 5, "hop_ood": "3-4", "hop_query": "unary"}),
    "reachable": ({"hops": "1-4", "n_chains": 3}, {"hops": "2-3", "length": 6, "n_queries": 3}),
    "rule_chain": ({"hops": "1-4", "n_ladders": 4}, {"hops": "2-3", "length": 5, "n_queries": 3}),
    "shortest_path": ({"hops": "2-3", "degree": 4}, {"hops": "2-3", "n_nodes": 24, "n_queries": 2}),
    "spatial": ({"hops": "1-4", "side": 4}, {"hops": "2-3", "n_sets": 3, "n_queries": 3}),
    "variable_chain": ({"hops": "1-4", "n_chains": 6}, {"hops": "2-3", "length": 5, "n_queries": 3}),
}
# The last of each family, which changes most; the long test below audits all of them on more examples
OTHERS = [pytest.param({"task": name} | settings[-1], id=name) for name, settings in SETTINGS.items()]


def above(entry: dict[str, Any], **options: Any) -> list[str]:
    """The readers above their ceilings, in words."""
    laws = {split: law.family for split, law in make_task(entry, where="test").laws().items()}
    family = laws.pop("iid")
    rows: list[Audited] = [row for row in audit(family, others=laws, seed=1, **options) if row.above]
    return [f"{r.split}, {r.hop} hops, {r.reader} {r.hidden}: {r.bound:.3f} above {r.ceiling:.3f}" for r in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS.names())
def test_no_reader_beats_what_a_family_declares(name: str) -> None:
    try:
        holds_its_ceilings(make_task({"task": name}, where="test"))
    except NotAsked as reason:
        pytest.skip(str(reason))


@pytest.mark.slow
@pytest.mark.parametrize("entry", OTHERS)
def test_no_reader_beats_what_a_family_declares_at_other_settings(entry: dict[str, Any]) -> None:
    assert not above(entry, n_graphs=1000, rounds=15, english=False)


def test_every_family_is_audited_at_other_settings() -> None:
    assert set(SETTINGS) == set(GRAPHS)


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", GRAPHS)
def test_no_reader_beats_what_a_family_declares_at_many_hops_and_examples(name: str) -> None:
    entries = [{"task": name} | dict(setting) for setting in SETTINGS.get(name, ())]
    for entry in [up_to_hops(name, 6), *entries]:
        assert not above(entry, n_graphs=4_000, rounds=30)


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_caught_by_the_reader_made_for_it(name: str) -> None:
    assert LEAKS[name].found_by in beaten_by(LEAKS[name], seed=0, n_graphs=4000)


@pytest.mark.parametrize("name", ["a bag of words", "a bag of the rest", "a twin query"])
def test_families_made_to_be_planted_in_pass_without_a_leak(name: str) -> None:
    assert not beaten_by(LEAKS[name], seed=0, n_graphs=4000, clean=True)


def test_redraws_count_the_audits_that_fail_with_a_leak_and_without() -> None:
    failed = redraw_all(2, 2, 4000, ["ordering"], ["a frequent answer"])
    expected = {(FAMILY, "ordering"): 0, (CLEAN, "a frequent answer"): 0, (LEAK, "a frequent answer"): 2}
    assert failed == expected


def test_an_audit_has_every_reader_at_every_hop_it_applies_to() -> None:
    generator = make_task({"task": "pointer_chase", "hops": "1-3"}, where="test").generator()
    rows = audit(generator, n_graphs=300, seed=0, rounds=5)
    at = {hop: [(row.reader, row.hidden) for row in rows if row.hop == hop] for hop in (1, 2, 3)}
    rules = ["majority_class", "most_frequent_symbol", "last_symbol", "best_place", "beside_start", "facts_only"]
    bags = [f"{kind}_{model}" for kind in ("bag", "order") for model in ("logistic", "boosting")]
    beside = [f"{kind}_beside_start_{model}" for kind in ("bag", "order") for model in ("logistic", "boosting")]
    english = ["english_mentions_logistic", "english_mentions_boosting"]
    hidden = [(name, 1) for name in ("swap", "rank_logistic", "rank_boosting")]
    assert at[1] == [(name, None) for name in (*rules, *bags, *english)] + hidden
    more = [*rules, "symbol_counts", "successor", *bags, *beside, *english]
    last = [(name, 2) for name in ("swap", "rank_logistic", "rank_boosting", "rank_beside_walk")]
    assert at[2] == [(name, None) for name in more] + hidden + last
    for row in rows:
        follows = row.hidden is not None or "beside_start_" in row.reader
        assert row.against == ("partial_input" if follows else "chance")
        assert row.ceiling == getattr(generator, row.against)(row.hop) and row.n_examples == 300


def test_the_verdict_is_whether_the_corrected_bound_is_above_the_ceiling() -> None:
    rows = audit(LEAKS["the answer's place in the list"].law, n_graphs=1500, seed=0, rounds=5, english=False)
    assert any(row.above for row in rows) and not all(row.above for row in rows)
    for row in (row for row in rows if row.accuracy):
        n, hits = row.n_examples, round(row.n_examples * row.accuracy)
        assert row.above == (row.bound > row.ceiling)
        assert row.bound <= stats.beta.ppf(0.005 / len(rows), hits, n - hits + 1) + 1e-12
    assert [row.hop for row in worst(rows)] == [2]
    assert worst(rows)[0].bound - worst(rows)[0].ceiling == max(row.bound - row.ceiling for row in rows)


def test_the_bound_is_that_of_clopper_and_pearson_for_independent_examples() -> None:
    right = np.arange(1000) % 10 < 3  # clusters as even as can be: no design effect
    exact = stats.binomtest(300, 1000, alternative="greater").proportion_ci(0.99, method="exact").low
    assert lower_bound(right, 0.01) == pytest.approx(exact)
    assert lower_bound(np.zeros(10, dtype=bool), 0.01) == 0
    assert lower_bound(np.ones(10, dtype=bool), 0.01) == pytest.approx(0.01 ** (1 / 10))


def test_the_bound_counts_graphs_that_share_everything_once() -> None:
    shared = np.repeat(np.arange(100) % 10 < 3, 32)
    assert lower_bound(shared, 0.01) == pytest.approx(lower_bound(shared[::32], 0.01), abs=0.01)


def test_a_graph_answers_one_query_of_a_hop_count() -> None:
    generator = make_task({"task": "pointer_chase", "hops": "1-3"}, where="test").generator()
    asked = draw_one_query(generator.sample(200, stream("ask")), 2, stream("which"))
    assert asked.one.answer.shape == (200, 1) and (asked.one.hop == 2).all()
    assert (asked.every.query[np.arange(200), asked.chosen] == asked.one.query[:, 0]).all()
    assert len(set(asked.chosen.tolist())) > 3  # not always the first


def test_the_encoding_fact_has_no_reader_of_the_order_of_facts() -> None:
    law = LEAKS["the answer's place in the list"].law
    rows = {encoding: audit(law, n_graphs=1500, seed=0, encoding=encoding, rounds=5) for encoding in ("flat", "fact")}
    assert any(row.above for row in rows["flat"]) and not any(row.above for row in rows["fact"])
    assert {row.reader for row in rows["flat"]} - {row.reader for row in rows["fact"]} >= {"best_place", "last_symbol"}


def test_other_queries_are_read_only_if_asked_for() -> None:
    leak = LEAKS["a twin query"]
    assert not beaten_by(leak._replace(joint=False), seed=0, n_graphs=4000)


def test_splits_have_ceilings_of_their_own() -> None:
    entry = {"task": "path_query", "hops": "1-2", "n_relations": 4, "n_queries": 3, "pattern_ood": True}
    laws = {split: law.family for split, law in make_task(entry, where="test").laws().items()}
    other = {"size_ood": make_task({"task": "path_query", "hops": "1-2", "n_nodes": 20}, where="test").generator()}
    rows = audit(laws["iid"], others=laws | other, n_graphs=300, seed=0, rounds=5, english=False)
    assert {(row.split, row.hop) for row in rows} == {
        ("iid", 1),
        ("iid", 2),
        ("pattern_ood", 2),
        ("size_ood", 1),
        ("size_ood", 2),
    }
    assert {row.ceiling for row in rows if row.split == "size_ood"} == {1 / 19, 1 / 17}


def test_later_facts_are_known_only_if_they_do_not_name_what_is_hidden() -> None:
    for name, is_known in (("a bag of the rest", True), ("a short cut", False)):  # numbers on facts; successors
        law = LEAKS[name].clean
        step = hide(law, law.sample(100, stream("hide")), 0)
        assert ((step.known >= 0).sum(axis=1) == is_known).all()
        assert not step.is_known[np.arange(100), step.at].any() and step.alike[np.arange(100), step.at].all()


class Boastful(PointerChase):
    """Declares ceilings below what is possible."""

    def partial_input(self, hop: int) -> float:
        return 0.01


def params() -> PointerChaseParams:
    return PointerChaseParams(n_nodes=12, vocab_size=36, n_queries=1)


def test_a_ceiling_that_is_too_low_is_caught() -> None:
    rows = audit(Boastful(params(), (2,)), n_graphs=2000, seed=0, rounds=5)
    beaten = [row for row in rows if row.above]
    assert "swap" in {row.reader for row in beaten} and {row.against for row in beaten} == {"partial_input"}


def test_the_command_exits_6_and_names_the_reader(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("audit", "pointer_chase", "--hops", "1-2", "--n", "400")
    passed = command(*line)
    assert passed.returncode == 0 and passed.stdout.count("│ iid") == 2 and "ABOVE" not in passed.stdout
    monkeypatch.setattr(PointerChase, "chance", lambda self, hop: 0.001)
    failed = command(*line)
    assert failed.returncode == 6
    assert "above its ceiling of 0.001" in failed.stderr and failed.stderr.count("\n") == 1
    assert failed.stdout.count("ABOVE") == 2


def test_the_command_prints_every_reader_with_details_and_with_json(command: Command) -> None:
    line = ("audit", "ordering", "--hops", "1", "--n", "300")
    rows = json.loads(command(*line, "--json").stdout)["rows"]
    assert len(rows) == 7 and command(*line, "--details").stdout.count("│ iid") == len(rows)
    assert command(*line, "--encoding", "fact", "--details").stdout.count("│ iid") < len(rows)
    assert "joint_queries" in command(*line, "--joint", "--details").stdout


def test_without_scikit_learn_the_command_says_how_to_install_it(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert_fails(command("audit", "ordering"), 2, "audit needs scikit-learn; pip install 'nexus-bench[audit]'")
    assert_fails(
        command("audit", "ordering", "--encoding", "facts"), 2, "unknown encoding 'facts'; did you mean 'fact'?"
    )


def test_only_an_audit_that_runs_imports_scikit_learn() -> None:
    code = "import sys, nexus_bench.cli.printing, nexus_bench.shortcuts.audit; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_hiding_a_fact_keeps_every_other_and_leaves_the_answer_to_chance() -> None:
    generator = PointerChase(params(), (3,))
    examples = generator.sample(4000, stream("hide"))
    before = examples.facts.copy()
    for step in range(3):
        hidden = hide_a_fact(generator, examples, step, stream("redraw", step))
        right = (hidden.answer == examples.answer[:, 0]).mean()
        assert hidden.is_hidden.all()
        assert right == pytest.approx(1 / 10, abs=0.02)  # the ends of the 12 facts, less the 2 others of the path
    assert (examples.facts == before).all()


def test_one_query_per_graph_keeps_each_query_with_its_facts() -> None:
    generator = make_task({"task": "pointer_chase", "hops": "1-3", "n_queries": 5}, where="test").generator()
    single = generator.sample(7, stream("single")).one_query_per_graph()
    assert single.facts.shape == (35, 16, 2) and single.query.shape == (35, 1, 2)
    solution = generator.solve(single.facts, single.query)
    assert (solution.answer == single.answer).all()


def in_degree_tells(n_graphs: int, key: str) -> Examples:
    """The answer is the one node that two facts lead to; names are new in every graph."""
    generator = PointerChase(params(), (2,))
    examples = generator.sample(n_graphs, stream(key))
    graphs = np.arange(n_graphs)
    examples.facts[graphs, 0, 1] = examples.facts[graphs, 1, 1]
    return examples._replace(answer=examples.facts[:, 1, 1][:, None])


@pytest.mark.parametrize("guess", [facts_only, symbol_counts])
def test_learned_guesses_find_an_answer_that_its_surroundings_give_away(guess: object) -> None:
    schema = PointerChase(params(), (2,)).schema
    fit, score = in_degree_tells(800, "fit"), in_degree_tells(400, "score")
    assert (guess(fit, score, schema) == score.answer).mean() > 0.99  # type: ignore[operator]


def test_labels_that_the_family_does_not_solve_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    law = make_task({"task": "pointer_chase", "hops": [1]}, where="test").generator()
    drawn = type(law).sample

    def wrong(self: Generator, n_graphs: int, rng: np.random.Generator) -> Examples:
        examples = drawn(self, n_graphs, rng)
        examples.answer[0, 0] = (examples.answer[0, 0] + 1) % 48
        return examples

    monkeypatch.setattr(type(law), "sample", wrong)
    with pytest.raises(CheckFailedError, match=r"pointer_chase: 1 of 3,200 labels are not what `solve` derives"):
        audit(law, n_graphs=200, seed=0)
