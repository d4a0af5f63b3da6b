"""Families of sequences: their labels against slow solvers, their ceilings, and what the contract refuses."""

import re
from typing import Any

import numpy as np
import pytest

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.hop_k import HopK
from nexus_bench.generators.parts.groups import named_group
from nexus_bench.generators.parts.hidden_tokens import find_impossible, guess_of_one
from nexus_bench.generators.path_tokens import PathTokens
from nexus_bench.generators.promises import sees_no_later_token
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceFamily
from nexus_bench.generators.word_problem import WordProblem
from nexus_bench.inspection.question import EvaluationRequest, further_law
from nexus_bench.shortcuts.promises import Broken, needs_each_token
from nexus_bench.shortcuts.rules import score_shortcuts
from nexus_bench.streams import Int, Mask, stream
from tests.families import SEQUENCES
from tests.slow_solvers import agrees

SETTINGS: list[dict[str, Any]] = [
    {"task": "hop_k", "hops": "1-5", "n_tokens": 30, "min_tokens": 21},
    {"task": "hop_k", "hops": "2,4", "n_tokens": 23, "n_symbols": 5, "ended": "nothing"},
    {"task": "hop_k", "hops": "1-3", "n_tokens": 12, "n_symbols": 3},
    {"task": "mqar", "n_pairs": 3, "vocab_size": 11, "n_tokens": 31, "min_tokens": 17},
    {"task": "mqar", "n_pairs": 5, "n_tokens": 40, "filler": "blank", "power": 1.0},
    {"task": "word_problem", "hops": "1-7", "n_tokens": 11, "min_tokens": 7, "group": "A_4"},
    {"task": "word_problem", "hops": "2,5", "n_tokens": 5, "group": "Z_13"},
]


def family(entry: dict[str, Any]) -> SequenceFamily[Any]:
    made = make_task(entry, where="test").generator()
    assert isinstance(made, SequenceFamily)
    return made


def by_hand(task: SequenceFamily[Any], tokens: list[int]) -> tuple[list[int], list[int]]:
    """Labels and hops of one sequence, as the source of each family words them."""
    params = task.params
    labels, hops = [NOTHING] * len(tokens), [0] * len(tokens)
    if task.name == "mqar":
        pairs = {}
        for at in range(0, 2 * params.n_pairs, 2):
            pairs[tokens[at]] = tokens[at + 1] - params.vocab_size // 2
        for at in range(2 * params.n_pairs, len(tokens)):
            if tokens[at] in pairs:
                labels[at], hops[at] = pairs[tokens[at]], 1
    if task.name == "word_problem":
        points = named_group(params.group).points.tolist()
        moved = list(range(len(points[0])))
        for at, element in enumerate(tokens):
            moved = [points[element][point] for point in moved]
            if at + 1 in task.hops:
                labels[at], hops[at] = points.index(moved), at + 1
    if task.name == "hop_k":
        k, word = tokens[0] - params.n_symbols + 1, "".join(chr(token) for token in tokens[1:])
        for at in range(len(word)):
            place, n_found = at, 0
            for _ in range(k):
                earlier = word[:place].rfind(word[place]) if place >= 0 else -1
                place = earlier + 1 if earlier >= 0 else -1
                n_found += place >= 0
            if n_found >= k - 1 or params.ended == "nothing":
                labels[at + 1], hops[at + 1] = (ord(word[place]) if place >= 0 else params.n_symbols), k
    return labels, hops


@pytest.mark.parametrize("entry", SETTINGS, ids=lambda entry: entry["task"])
def test_labels_and_hops_are_those_of_a_slow_solver(entry: dict[str, Any]) -> None:
    task = family(entry)
    examples = task.sample(60, stream("slow"))
    lengths = agrees(task, examples, by_hand)
    assert len(lengths) > 1 or task.min_length == task.n_facts


@pytest.mark.parametrize("ended", ["unlabelled", "nothing"])
@pytest.mark.parametrize("n_symbols", [3, 5])
def test_chance_of_hop_k_is_the_best_guess_from_k_the_place_and_its_symbol(n_symbols: int, ended: str) -> None:
    entry = {"task": "hop_k", "hops": "1-4", "n_tokens": 30, "min_tokens": 22, "n_symbols": n_symbols, "ended": ended}
    task = family(entry)
    examples = task.sample(20_000, stream("chance"))
    for hop in task.hops:
        rows, places = np.nonzero(examples.hop == hop)
        answer, own = examples.answer[rows, places], examples.facts[rows, places, 0]
        kind = np.where(answer == n_symbols, 2, np.where(answer == own, 0, 1))
        counts = np.zeros((task.n_facts, 3))
        np.add.at(counts, (places, kind), [1])
        best = np.maximum(counts[:, [0, 2]].max(axis=1), counts[:, 1] / (n_symbols - 1)).sum() / counts.sum()
        assert best == pytest.approx(task.chance_without_counts(hop), abs=0.006)
        assert task.chance(hop) >= task.chance_without_counts(hop)


def test_chains_of_hop_k_visit_as_many_places_as_they_have_hops_or_one_less() -> None:
    task = family({"task": "hop_k", "hops": "1-4", "n_tokens": 40})
    examples = task.sample(30, stream("visited"))
    rows = task.solve(examples.facts, examples.query).rows
    n_found = (rows >= 0).sum(axis=2)
    is_nothing = examples.answer == task.n_labels - 1
    assert np.array_equal(n_found[examples.hop > 0], (examples.hop - is_nothing)[examples.hop > 0])
    went = np.where(rows >= 0, rows, -np.arange(1, rows.shape[2] + 1))  # an end goes on falling
    assert (np.diff(went, axis=2) < 0).all() and is_nothing.any()


def test_places_of_queries_follow_the_power_law_and_tell_no_pair() -> None:
    task = family({"task": "mqar", "n_pairs": 4, "n_tokens": 40, "power": 0.01})
    examples = task.sample(8_000, stream("places"))
    per_place = examples.hop.sum(axis=0)[8::2]
    assert per_place[0] > 2 * per_place[4] > 2 * per_place[-1] > 0 and not examples.hop[:, 9::2].any()
    first = examples.hop[:, 8] > 0
    pair = (examples.facts[first, :8:2, 0] == examples.facts[first, 8:9, 0]).argmax(axis=1)
    assert np.bincount(pair) / len(pair) == pytest.approx([0.25] * 4, abs=0.03)


def test_words_between_queries_are_no_keys_of_the_sequence() -> None:
    task = family({"task": "mqar", "n_pairs": 4, "n_tokens": 60, "vocab_size": 12})
    examples = task.sample(200, stream("filler"))
    tokens = examples.facts[:, :, 0]
    is_key = (tokens[:, 8:, None] == tokens[:, None, :8:2]).any(axis=2)
    assert np.array_equal(is_key, examples.hop[:, 8:] > 0) and (is_key.sum(axis=1) == 4).all()


def test_a_hidden_token_leaves_what_is_declared() -> None:
    task = family({"task": "word_problem", "group": "S_3", "hops": "1-4", "n_tokens": 4})
    assert guess_of_one(task, 4, 2, 50, stream("hidden")) == pytest.approx([1 / 6] * 50)
    pairs = family({"task": "mqar", "n_pairs": 3, "vocab_size": 20, "n_tokens": 20})
    assert guess_of_one(pairs, 1, 0, 50, stream("hidden")) == pytest.approx([1 / 8] * 50)


def test_a_ceiling_that_is_too_low_is_broken() -> None:
    class Low(HopK):
        def partial_input(self, hop: int) -> float:
            return 0.4

    task = family({"task": "hop_k", "hops": "1-2"})
    with pytest.raises(Broken, match=r"token 1 of 2 hidden, the commonest label is right in \d+\.\d%; .* says 40\.0%"):
        needs_each_token(Low(task.params, task.hops), 2)


def test_a_hidden_token_that_could_not_be_what_it_is_breaks_the_promise() -> None:
    class Nothing(WordProblem):
        def could_be(self, tokens: Int, length: Int, at: Int) -> Mask:
            return np.zeros((len(tokens), self.n_words), dtype=np.bool_)

    class Others(WordProblem):
        def could_be(self, tokens: Int, length: Int, at: Int) -> Mask:
            return np.arange(self.n_words) != tokens[np.arange(len(at)), at][:, None]

    task = family({"task": "word_problem", "hops": "1-3", "n_tokens": 6})
    examples = task.sample(5, stream("allowed"))
    assert find_impossible(task, examples) is None
    says = "sequence 0, place 0 .from 0.: `could_be` does not allow the token that stands there, "
    for fault in (Nothing, Others):
        found = find_impossible(fault(task.params, task.hops), examples)
        assert found is not None and re.match(says, found), found


def test_a_hidden_fact_is_among_its_variants() -> None:
    class Others(PathTokens):
        def variants(self, tokens: Int, length: Int, steps: Int, step: int) -> Mask:
            may = super().variants(tokens, length, steps, step)
            may[np.arange(len(tokens)), steps[:, step] // 2] = False
            return may

    class Nothing(PathTokens):
        def variants(self, tokens: Int, length: Int, steps: Int, step: int) -> Mask:
            return np.zeros_like(super().variants(tokens, length, steps, step))

    task = family({"task": "path_tokens", "hops": "1-3"})
    examples = task.sample(5, stream("allowed"))
    assert find_impossible(task, examples) is None
    for fault, says in ((Others, "none of the `variants` is what stands there"), (Nothing, "`variants` names nothing")):
        found = find_impossible(fault(task.params, task.hops), examples)
        assert found is not None and says in found, found


def test_a_label_that_a_later_token_changes_is_broken() -> None:
    class Peeking(WordProblem):
        def derive(self, tokens: Int, length: Int) -> Labels:
            return super().derive(tokens[:, ::-1].copy(), length)

    task = family({"task": "word_problem", "hops": "1-6", "n_tokens": 6})
    sees_no_later_token(task)
    with pytest.raises(Broken, match="other tokens after place 3 change a label before"):
        sees_no_later_token(Peeking(task.params, task.hops))


def test_shortcuts_of_sequences_know_little_and_are_right_where_that_is_all() -> None:
    task = family({"task": "word_problem", "group": "Z_3", "hops": "1-3", "n_tokens": 6})
    fit, score = (task.sample(600, stream(use)) for use in ("fit", "score"))
    scores = score_shortcuts(fit, score, task.schema)
    assert {name: set(by_hop) for name, by_hop in scores.items()} == {
        "majority_class": {1, 2, 3},
        "given_place": {1, 2, 3},
        "given_token": {2, 3},
        "given_two_tokens": {3},
        "given_successor": set(),
    }, "it looks at three tokens"
    assert all(accuracy < 0.45 for by_hop in scores.values() for accuracy in by_hop.values())
    chain = family({"task": "hop_k", "hops": "1-2", "n_tokens": 40})
    fit, score = (chain.sample(300, stream(use)) for use in ("fit", "score"))
    scores = score_shortcuts(fit, score, chain.schema)
    assert 0.4 < scores["given_token"][2] < chain.chance(2), "its own symbol, as in a b a b"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"task": "hop_k", "min_tokens": 100}, "hop_k: min_tokens must be at most n_tokens, 99, got 100"),
        ({"task": "hop_k", "hops": "25"}, r"hop_k: hops must be in 1\.\.24, got 25; raise n_tokens to 101"),
        ({"task": "hop_k", "hops": "1-2", "hop_ood": "3"}, "hop_k: a token says the hop count, and one that was never"),
        ({"task": "mqar", "n_pairs": 17}, "mqar: 17 pairs and as many queries need 68 tokens or more, got 64"),
        ({"task": "mqar", "vocab_size": 16}, "mqar: vocab_size must be more than 17 for 8 pairs, got 16"),
        ({"task": "mqar", "hops": "2"}, r"mqar: hops must be in 1\.\.1, got 2; ask for one hop"),
        ({"task": "mqar", "n_queries": 3}, "mqar: unknown key 'n_queries'"),
        ({"task": "word_problem", "min_tokens": 9}, r"hops must be in 1\.\.9, got 16; raise min_tokens to 16"),
        (
            {"task": "hop_k", "n_tokens": 30, "min_tokens": 12, "hops": "8"},
            r"hops must be in 1\.\.2, got 8; raise n_tokens and min_tokens to 33",
        ),
        ({"task": "word_problem", "group": "S_6"}, "group must be Z_2 to Z_100"),
    ],
)
def test_what_a_family_cannot_make_is_refused_in_a_line(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task(entry, where="test")


@pytest.mark.parametrize(
    ("entry", "asked", "message"),
    [
        ({"task": "word_problem", "group": "S_3"}, {"group": "Z_6"}, "what is 123 in training would be 0"),
        ({"task": "mano", "operations": "asm"}, {"operations": "sam"}, "what is \\+ in training would be -"),
    ],
)
def test_symbols_that_would_stand_for_something_else_are_not_asked(
    entry: dict[str, Any], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"must keep what each symbol stands for; {message}"):
        further_law(make_task(entry, where="t"), EvaluationRequest(None, None, asked, None))


def test_hops_that_no_token_said_in_training_are_not_asked() -> None:
    with pytest.raises(ConfigError, match="hop_k: a token says the hop count, and 4 was never trained"):
        further_law(make_task({"task": "hop_k", "hops": "1-3"}, where="t"), EvaluationRequest((4,), None, {}, None))


def test_every_family_of_sequences_is_here_by_its_class() -> None:
    assert set(SEQUENCES) >= {"brevo", "depo", "hash_hop", "hop_k", "mano", "mqar", "path_tokens", "word_problem"}
