"""The audit of sequences: it beats ceilings that are too low, and those of every family hold."""

import json
from typing import Any

import numpy as np
import pytest

from nexus_bench.data.task import make_task
from nexus_bench.errors import CheckFailedError
from nexus_bench.generators.hop_k import HopK
from nexus_bench.generators.sequences import NOTHING
from nexus_bench.shortcuts import asked_places as see
from nexus_bench.shortcuts.audit import audit
from nexus_bench.shortcuts.sequence_readers import hops_to_audit
from nexus_bench.streams import stream
from tests.conftest import Command
from tests.families import SEQUENCES
from tests.shortcuts.sequence_leaks import LEAKS, beaten_by

SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "alternating_blocks": (
        {"labels": "starts", "n_tokens": 24, "min_tokens": 12, "hops": "1-4"},
        {"n_tokens": 40, "hops": "2,5"},
    ),
    "brevo": ({"n_nodes": 9, "min_nodes": 5, "hops": "1-2"},),
    "depo": (
        {"n_nodes": 12, "n_letters": 30, "max_letters": 1, "n_asked": 1, "hops": "1-3"},
        {"n_nodes": 9, "min_nodes": 4, "n_asked": 2, "hops": "1-2"},
    ),
    "fact_composition": (
        {"n_entities": 30, "n_relations": 9, "out_degree": 6, "ratio": 4, "n_test": 30, "n_val": 30},
        {"n_entities": 50, "n_relations": 8, "out_degree": 8, "graph": 1, "hops": 2},
    ),
    "hash_hop": ({"n_letters": 4, "max_letters": 4, "n_chains": 4, "n_asked": 2, "hops": "1-2"},),
    "hop_k": (
        *({"n_symbols": 8, "n_tokens": 64, "hops": "1-3"}, {"n_symbols": 3, "n_tokens": 40, "hops": "1-3"}),
        {"min_tokens": 30, "n_tokens": 50, "ended": "nothing", "hops": "1-2"},
    ),
    "mano": ({"modulus": 5, "hops": "1-3"},),
    "path_tokens": (
        {"n_arms": 2, "hops": "2-3"},
        {"direction": "backward", "arm_length": 4, "hops": "1"},
    ),
    "mqar": ({"vocab_size": 40, "n_pairs": 4, "power": 1.0, "n_tokens": 30}, {"filler": "blank", "min_tokens": 50}),
    "word_problem": (
        {"group": "Z_5", "n_tokens": 12, "min_tokens": 5, "hops": "1-5"},
        {"group": "A_5", "n_tokens": 4, "hops": "3"},
        {"group": "Z_2", "n_tokens": 5, "hops": "4-5"},  # of two words, what is looked through is known
    ),
}
OTHERS = [{"task": name} | setting for name, settings in SETTINGS.items() for setting in settings]


def law(entry: dict[str, Any]) -> Any:
    return make_task(entry, where="test").generator()


def above(entry: dict[str, Any], n_graphs: int) -> list[str]:
    rows = audit(law(entry), n_graphs=n_graphs, seed=1, rounds=15)
    return [f"{r.hop} hops, {r.reader} {r.hidden}: {r.bound:.3f} above {r.ceiling:.3f}" for r in rows if r.above]


@pytest.mark.slow
@pytest.mark.parametrize("entry", OTHERS, ids=lambda entry: entry["task"])
def test_no_reader_beats_what_a_family_declares_at_other_settings(entry: dict[str, Any]) -> None:
    assert not above(entry, 1500)


def test_every_family_is_audited_at_other_settings() -> None:
    assert set(SETTINGS) == set(SEQUENCES)


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("entry", [*OTHERS, *({"task": name} for name in SEQUENCES)], ids=lambda entry: entry["task"])
def test_no_reader_beats_what_a_family_declares_on_many_sequences(entry: dict[str, Any]) -> None:
    assert not above(entry, 20_000)


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_caught_by_the_reader_made_for_it(name: str) -> None:
    assert LEAKS[name].found_by in beaten_by(LEAKS[name], n_graphs=2500)


@pytest.mark.parametrize("name", ["tokens repeat", "a symbol is common", "first pairs are asked first"])
def test_families_made_to_be_planted_in_pass_without_a_leak(name: str) -> None:
    assert not beaten_by(LEAKS[name], n_graphs=2500, clean=True)


def test_chance_of_hop_k_that_counts_no_symbols_is_beaten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever counts is right at one hop in 36%, and whoever knows but the place and its symbol in 22%."""
    family = law({"task": "hop_k", "n_symbols": 8, "n_tokens": 64, "hops": "1"})
    assert not [row.reader for row in audit(family, n_graphs=2000, seed=0, rounds=5) if row.above]
    monkeypatch.setattr(HopK, "chance", HopK.chance_without_counts)
    beaten = {row.reader for row in audit(family, n_graphs=2000, seed=0, rounds=5) if row.above}
    assert beaten == {"counts_logistic", "counts_boosting"}


def test_every_reader_has_its_ceiling_and_one_place_of_each_sequence() -> None:
    family = law({"task": "hop_k", "hops": "1-4", "n_tokens": 40})
    rows = audit(family, n_graphs=400, seed=0, rounds=5)
    hidden = ["commonest", "complete_logistic", "complete_boosting", "window_logistic", "window_boosting"]
    unfollowed = ["majority_class", "given_place", "given_place_and_token", "counts_logistic", "counts_boosting"]
    looks = {1: [], 2: ["given_token"], 3: ["given_token", "given_two_tokens"]}
    looks[4] = [*looks[3], "given_successor"]
    for hop, found in looks.items():
        at = [row for row in rows if row.hop == hop]
        steps = {1: (1,), 2: (1, 2), 3: (1, 2, 3), 4: (1, 2, 4)}[hop]
        expected = [(name, None) for name in unfollowed + found] + [(name, s) for s in steps for name in hidden]
        assert [(row.reader, row.hidden) for row in at] == expected
        for row in at:
            assert row.against == ("chance" if row.reader in unfollowed else "partial_input")
            assert row.ceiling == getattr(family, row.against)(hop) and row.n_examples <= 100


def test_of_many_hop_counts_eight_are_audited_the_first_and_the_last_among_them() -> None:
    assert hops_to_audit((3, 1, 2)) == [1, 2, 3]
    assert hops_to_audit(tuple(range(1, 101))) == [1, 15, 29, 43, 57, 71, 85, 100]


def test_readers_of_all_tokens_but_one_see_nothing_of_it() -> None:
    """Whatever stands at the hidden place, and at those that only it leads to, all they see is the same."""
    family = law({"task": "word_problem", "group": "S_3", "n_tokens": 6, "hops": "1-6"})
    asked = see.ask_places(family, family.sample(300, stream("ask")), 5, stream("places"))
    for step in range(5):
        other = asked._replace(tokens=asked.tokens.copy())
        other.tokens[:, step] = (other.tokens[:, step] + 1) % 6
        one, two = (see.hide(each, step, family.n_words) for each in (asked, other))
        assert np.array_equal(one.tokens, two.tokens) and (one.word != two.word).all()
        assert (one.tokens[:, step] == family.n_words).all() and (one.hidden == step).all()
    chain = law({"task": "hop_k", "n_tokens": 40, "hops": "1-4"})
    asked = see.ask_places(chain, chain.sample(600, stream("ask")), 4, stream("places"))
    asked = asked.take(np.flatnonzero((asked.steps >= 0).all(axis=1)))
    for step in range(4):
        one = see.hide(asked, step, chain.n_words)
        later = one.steps.copy()
        later[:, step + 1 :] = 7  # which depends on the hidden token
        for as_ones in (False, True):
            seen, blind = (
                see.window(each, chain.n_words, as_ones=as_ones) for each in (one, one._replace(steps=later))
            )
            assert np.array_equal(seen, blind)


@pytest.mark.parametrize("entry", OTHERS, ids=lambda entry: entry["task"])
def test_readers_see_no_token_after_the_place_and_labels_need_none(entry: dict[str, Any]) -> None:
    family = law(entry)
    examples = family.sample(60, stream("ask"))
    for hop in family.hops:
        asked = see.ask_places(family, examples, hop, stream("places"))
        other = examples.facts.copy()
        is_later = np.arange(other.shape[1]) > asked.at[:, None]
        other[asked.row] = np.where(is_later[:, :, None], (other[asked.row] + 1) % family.n_words, other[asked.row])
        again = see.ask_places(family, examples._replace(facts=other), hop, stream("places"))
        assert all(np.array_equal(*both) for both in zip(asked, again, strict=True)) and len(asked.at)
        found, n = family.derive(asked.tokens, asked.length), np.arange(len(asked.at))
        assert np.array_equal(found.label[n, asked.at], asked.label) and (found.hop[n, asked.at] == hop).all()


def test_words_of_a_sequence_are_candidates_once_with_what_is_seen_of_them() -> None:
    zero = np.array([0])
    tokens = np.array([[4, 7, 5, 7, 4, 9, NOTHING]], dtype=np.int32)
    none = {"steps": zero[:, None] - 1, "hidden": zero - 1, "word": zero}
    asked = see.AskedPlaces(row=zero, tokens=tokens, at=zero + 4, label=zero, **none)
    is_label = np.isin(np.arange(10), [5, 7, 9])
    found = see.words_there(asked, is_label, "nearby")
    assert found.symbols.tolist() == [[7, 5]], "9 stands after the place"
    names = ("symbol", "count", "commonest", "first", "last", "place", "follows", "precedes", "beside")
    told = [dict(zip(names, features, strict=True)) for features in found.features[0].tolist()]
    assert told[0] == dict(zip(names, (7, 2, 1, 1, -1, 4, 1, 1, 3), strict=True))
    assert told[1] == dict(zip(names, (5, 1, 0, 2, -2, 4, 0, 0, 1), strict=True))
    assert see.words_there(asked, is_label, "counts").features.shape == (1, 2, 3)


def test_the_command_audits_sequences(command: Command) -> None:
    done = command("audit", "word_problem", "--hops", "1-2", "n_tokens=4", "-n", "200", "--json")
    assert done.returncode == 0 and {row["hidden"] for row in json.loads(done.stdout)["rows"]} == {None, 1, 2}
    for options in (["--joint"], ["--encoding", "fact"], ["--encoding", "flat"]):
        refused = command("audit", "word_problem", *options)
        assert refused.returncode == 2 and "leave out --encoding and --joint" in refused.stderr


def test_a_family_of_sequences_with_wrong_labels_is_not_audited() -> None:
    class Wrong(HopK):
        def derive(self, tokens: Any, length: Any) -> Any:
            found = super().derive(tokens, length)
            return found._replace(label=np.where(found.label == 0, 1, found.label))

    family = law({"task": "hop_k", "hops": "1", "n_tokens": 20})
    with pytest.raises(CheckFailedError, match="labels are not what `derive` derives from the tokens; correct `draw`"):
        audit(Wrong(family.params, family.hops), n_graphs=200, seed=0)


def test_a_fact_of_several_tokens_is_exchanged_whole() -> None:
    family = law({"task": "depo", "hops": "3", "n_asked": 2, "n_nodes": 11})
    asked = see.ask_places(family, family.sample(200, stream("ask")), 3, stream("places"))
    other = see.exchange(family, asked, 1, stream("exchange"))
    n_alike = (other.tokens == asked.tokens[: len(other.tokens)]).all(axis=1).mean()
    assert len(other.at) == len(asked.at) and 0.05 < n_alike < 0.25, "its own is one of 8"
    assert np.array_equal(np.sort(asked.tokens, axis=1), np.sort(other.tokens, axis=1)), "counts tell nothing"
    assert (other.hidden < 0).all() and (other.steps[:, 0] >= 0).all() and (other.steps[:, 1:] < 0).all()


def test_a_ceiling_of_facts_of_several_tokens_that_is_too_low_is_beaten(monkeypatch: pytest.MonkeyPatch) -> None:
    family = law({"task": "path_tokens", "n_arms": 3, "hops": "1,2"})
    assert not [row.reader for row in audit(family, n_graphs=800, seed=0, rounds=5) if row.above]
    monkeypatch.setattr(type(family), "partial_input", lambda self, hop: 0.25)
    assert "commonest" in {row.reader for row in audit(family, n_graphs=800, seed=0, rounds=5) if row.above}


def test_where_an_exchanged_fact_stands_would_tell_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The edge that is looked up last begins with the node that is asked for."""
    family = law({"task": "path_tokens", "n_arms": 2, "n_nodes": 8, "arm_length": 3, "hops": "2"})
    assert not [row.reader for row in audit(family, n_graphs=8000, seed=1, rounds=20) if row.above]
    blind = see.exchange

    def told(*given: Any) -> see.AskedPlaces:
        asked, step = given[1], given[2]
        return blind(*given)._replace(hidden=asked.steps[:, step])

    monkeypatch.setattr(see, "exchange", told)
    assert {row.reader for row in audit(family, n_graphs=8000, seed=1, rounds=20) if row.above} >= {"window_boosting"}
