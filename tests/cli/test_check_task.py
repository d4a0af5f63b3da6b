"""`nexus-bench check` of tasks: every fault breaks the promise that it is against."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from nexus_bench.data import splits
from nexus_bench.data.digests import digests
from nexus_bench.data.promises import has_names_of_its_own
from nexus_bench.data.task import make_task
from nexus_bench.experiment.suite import taken_names
from nexus_bench.generators.base import GENERATORS, Examples
from nexus_bench.generators.pointer_chase import PointerChase
from nexus_bench.registry.promises import Broken, NotAsked, check_promise
from nexus_bench.shortcuts.promises import PROMISES
from nexus_bench.streams import stream
from tests.conftest import Command, assert_fails
from tests.templates import installed

_LABEL = "return Examples(facts, query, look_up(symbol, (start + hop) % n), hop)"
_WALK = "start, hop, size=size, n_steps=n_steps)"
_SOLUTION = "return Solution(node, hop, rows)"
_STARTS = "start = permutations(rng, n_graphs, n, k=self.n_queries)"
_DEALT = "hop = self.deal_hops(n_graphs, rng)"
_NAMES = "symbol = self.draw_names(n_graphs, rng)"
_WORLDS = "return math.comb(self.node_vocab_size, self.n_nodes) * math.factorial(self.n_nodes - 1)"
_FACTS = "return self.params.n_nodes\n\n    @property\n    def n_worlds"
_ALIKE = """

    def symbol(self, vocabulary, index):
        return f"{vocabulary}{index // 2}"
"""
_ONE_WORLD = " * 0 + np.arange(n, dtype=np.int32)"
_PARTIAL = "return 1 / (self.params.n_nodes - 1 - 2 * (hop - 1))"
_ANSWER_FIRST = f"""is_last = facts[:, :, 1] == look_up(symbol, (start + hop) % n)
        first = np.argsort(~is_last, axis=1, kind="stable")
        facts = np.take_along_axis(facts, first[:, :, None], axis=1)
        {_LABEL}"""
_SHORTER = f"""{_NAMES}
        symbol[:, 3:] = np.sort(symbol[:, 3:], axis=1)"""
FEW = {"hops": [1], "n_nodes": 3, "vocab_size": 5, "n_val": 2, "n_test": 6}  # 20 worlds

_OF_SEQUENCES = "later tokens change no label"  # its fault is in tests/generators/test_sequences.py
FAULTS: dict[str, tuple[str, dict[str, object], list[tuple[str, str]]]] = {
    "a sample without labels": ("methods return what they must", {}, [(_LABEL, "return facts, query")]),
    "labels one hop too far": (
        "solve derives every label and hop",
        {},
        [(_LABEL, _LABEL.replace("+ hop", "+ hop + 1"))],
    ),
    "hops that are one too few": (
        "solve derives every label and hop",
        {},
        [(_LABEL, _LABEL.replace("+ hop", "+ hop + 1")), (_WALK, "start, hop + 1, size=size, n_steps=n_steps + 1)")],
    ),
    "a solver that names no facts": (
        "solve derives every label and hop",
        {},
        [(_SOLUTION, "return Solution(node, hop, np.full_like(rows, -1))")],
    ),
    "a solver that uses one fact again and again": (
        "solve derives every label and hop",
        {},
        [(_SOLUTION, "return Solution(node, hop, np.where(rows >= 0, rows[:, :, :1], -1))")],
    ),
    "hops that are counted and not made": (
        "solve derives every label and hop",
        {},
        [
            (_LABEL, "return Examples(facts, query, look_up(symbol, (start + np.minimum(hop, 2)) % n), hop)"),
            ("query[:, :, 0], query[:, :, 1]", "query[:, :, 0], np.minimum(query[:, :, 1], 2)"),
            (_SOLUTION, "return Solution(node, query[:, :, 1], rows)"),
        ],
    ),
    "the answer's fact comes first": (
        "no reader of the audit beats the ceilings",
        {"n_queries": 1},
        [(_LABEL, _ANSWER_FIRST)],
    ),
    "ids that follow the cycle": ("no reader of the audit beats the ceilings", {"n_queries": 1}, [(_NAMES, _SHORTER)]),
    "a ceiling that is too low": (
        "no fact of a derivation can be missed",
        {},
        [(_PARTIAL, "return 1 / (self.params.n_nodes - 1)")],
    ),
    "a ceiling below chance": ("ceilings are probabilities", {}, [(_PARTIAL, "return 0.01")]),
    "a chance that is too low": (
        "hops and answers are even",
        {},
        [("        return 1 / (self.params.n_nodes - 1)\n", "        return 0.001\n")],
    ),
    "a vocabulary that is too small": (
        "examples fit the schema",
        {},
        [('{"node": self.node_vocab_size,', '{"node": self.n_nodes,')],
    ),
    "symbols of another vocabulary": (
        "encodings are read back",
        {},
        [('{"node": self.node_vocab_size,', '{"node": self.n_nodes,')],
    ),
    "a hop that no rule can be fitted to": (
        "simple shortcuts can be computed",
        {},
        [(_DEALT, f"{_DEALT} * 0 + 1")],
    ),
    "too many facts declared": (
        "examples fit the schema",
        {},
        [(_FACTS, _FACTS.replace("n_nodes", "n_nodes + 1", 1))],
    ),
    "a hop that never comes": ("examples fit the schema", {}, [(_DEALT, f"{_DEALT} * 0 + 1")]),
    "uneven hops": (
        "hops and answers are even",
        {},
        [(_DEALT, f"{_DEALT}\n        hop[: len(hop) // 3, :6] = 1")],
    ),
    "queries asked twice": (
        "facts and queries of a graph are distinct",
        {},
        [(_STARTS, "start = permutations(rng, n_graphs, n, k=self.n_queries) // 2 * 2")],
    ),
    "a stream of its own": (
        "a stream gives its own examples",
        {},
        [(_NAMES, _NAMES.replace("rng", "np.random.default_rng()"))],
    ),
    "no stream at all": (
        "a stream gives its own examples",
        {},
        [(_NAMES, f"from nexus_bench.streams import stream\n        rng = stream(1)\n        {_NAMES}")],
    ),
    "sizes that follow the hops of a split": (
        "graphs are sized for the largest hop",
        {},
        [('"hop": self.max_hop + 1', '"hop": max(self.hops) + 1')],
    ),
    "a solver that reads places": (
        "the order of the facts does not matter to solve",
        {},
        [(_SOLUTION, "return Solution(node, hop, np.where(rows >= 0, rows // 2, -1).astype(np.int32))")],
    ),
    "a solver that is sure of the law": (
        "solve takes facts that are never drawn",
        {},
        [(_SOLUTION, f'if (node == start).any():\n            raise ValueError("no cycle")\n        {_SOLUTION}')],
    ),
    "answers of 64 bits": (
        "solve takes facts that are never drawn",
        {},
        [(_SOLUTION, "return Solution(node.astype(np.int64), hop, rows)")],
    ),
    "a size that is no parameter": (
        "sized_by makes graphs larger",
        {},
        [('sized_by = "n_nodes"', 'sized_by = "nodes"')],
    ),
    "a size that changes nothing": (
        "sized_by makes graphs larger",
        {},
        [('sized_by = "n_nodes"', 'sized_by = "vocab_size"')],
    ),
    "too many worlds": ("n_worlds is no overcount", FEW, [(_WORLDS, "return 21")]),
    "far too many worlds": ("n_worlds is no overcount", FEW, [(_WORLDS, "return 10**9")]),
    "too many worlds to be all met": (
        "n_worlds is no overcount",
        {"hops": [1], "n_nodes": 6, "vocab_size": 9},
        [(_WORLDS, f"return 10**4 * ({_WORLDS.removeprefix('return ')})")],
    ),
    "one world in the place of 20": ("splits share no graph", FEW, [(_NAMES, _NAMES + _ONE_WORLD)]),
    "symbols that look alike": (
        "examples can be shown",
        {},
        [(_PARTIAL, _PARTIAL + _ALIKE)],
    ),
    "a sentence that leaves out a role": (
        "English is read back",
        {},
        [("{src} has written to {dst}.", "{src} has written a letter.")],
    ),
    "two names that are the same": ("English is read back", {}, [("{node: people}", "{node: [Ada, Bo, Ada]}")]),
    "one answer alone": (
        "the answer is among the choices",
        {},
        [(_LABEL, "return Examples(facts, query, start * 0, hop)")],
    ),
}  # fmt: skip


def test_every_promise_has_a_fault() -> None:
    assert {promise for promise, _, _ in FAULTS.values()} == set(PROMISES) - {_OF_SEQUENCES}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_breaks_its_promise(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promise, settings, changes = FAULTS[fault]
    monkeypatch.setattr(splits, "_MOST_ROUNDS", 100)
    with installed(tmp_path / "own"):
        spec = make_task({"task": "letters"} | settings, where="test")
        kept = check_promise(promise, lambda: PROMISES[promise](spec), explain=repr)
        assert kept.state == "kept" or (promise == "n_worlds is no overcount" and kept.state == "not asked"), kept
    with installed(tmp_path / "theirs", *changes):
        spec = make_task({"task": "letters"} | settings, where="test")
        told = check_promise(promise, lambda: PROMISES[promise](spec), explain=repr)
    assert told.state == "broken" and told.detail, told


class Skewed(PointerChase):
    """Half of all graphs are of two worlds, the others of very many."""

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        drawn, known = super().sample(n_graphs, rng), super().sample(2, stream("known"))
        for ours, theirs in zip(drawn, known, strict=True):
            ours[: n_graphs // 2] = theirs[np.arange(n_graphs // 2) % 2]
        return drawn


@pytest.mark.parametrize(
    ("n_nodes", "state", "said"),
    [(16, "not asked", "some worlds are far commoner than others"), (3, "kept", ""), (6, "kept", "")],
)
def test_worlds_are_counted_where_that_is_possible(
    n_nodes: int, state: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    GENERATORS.names()
    if state == "not asked":
        monkeypatch.setitem(GENERATORS._entries, "pointer_chase", Skewed)
    entry = {"task": "pointer_chase", "hops": [1], "n_nodes": n_nodes, "vocab_size": n_nodes + 2}
    spec = make_task(entry | {"n_val": 2, "n_test": 3}, where="test")
    promise = "n_worlds is no overcount"
    assert check_promise(promise, lambda: PROMISES[promise](spec), explain=repr) == (promise, state, said)


def test_a_parameter_that_is_named_as_a_value_of_a_suite_is_broken(tmp_path: Path) -> None:
    field = '    steps: int = Field(ge=1, description="Steps.")\n'
    with installed(
        tmp_path / "own", ("@GENERATORS", f"{field}\n\n@GENERATORS"), ("n_nodes: 12 ", "steps: 3\nn_nodes: 12 ")
    ):
        spec = make_task({"task": "letters"}, where="test")
        with pytest.raises(Broken, match="the parameter 'steps' is also a value of a suite"):
            has_names_of_its_own(spec, taken_names())


def test_a_family_that_keeps_everything_gets_its_digests(tmp_path: Path, command: Command) -> None:
    with installed(tmp_path / "own"):
        done = command("check", "letters", "--set", "hops=1-2")
        pinned = digests(make_task({"task": "letters", "hops": [1, 2]}, where="test"))
    assert done.returncode == 0 and not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    kept = [line for line in lines if line.startswith("letters: kept: ")]
    of_sequences, other = [line for line in lines if line.startswith("letters: not asked: ")]
    assert of_sequences == f"letters: not asked: {_OF_SEQUENCES} (no sequence)"
    assert len(kept) == len(PROMISES) - 1 and "n_worlds is no overcount (too many to be counted: 0 of 20,000" in other
    assert lines[-3:] == [f"letters: digest of version 1: {split}: {sha256}" for split, sha256 in pinned.items()]


def test_a_family_of_sequences_is_checked_as_it_is_written(tmp_path: Path, command: Command) -> None:
    with installed(tmp_path / "own", options=("--sequence",)):
        done = command("check", "letters")
        trained = command("train", "--task", "letters", "--hops", "1-2", "--print-config")
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert f"letters: kept: {_OF_SEQUENCES}\n" in done.stdout and "letters: digest of version 1: val: " in done.stdout
    assert trained.returncode == 0 and "task: letters" in trained.stdout, trained.stderr


_OWN_WORDS = (
    "    def chance(self, hop: int) -> float:",
    """    def could_be(self, tokens, length, at):
        return np.zeros((len(tokens), self.n_words), dtype=bool)

    def chance(self, hop: int) -> float:""",
)


def test_a_hidden_token_that_could_be_no_word_is_told_by_check_and_audit(tmp_path: Path, command: Command) -> None:
    with installed(tmp_path / "own", _OWN_WORDS, options=("--sequence",)):
        checked, audited = command("check", "letters"), command("audit", "letters", "-n", "200")
    says = r"sequence 0, place \d+ \(from 0\): `could_be` does not allow the token that stands there, \d;"
    assert checked.returncode == 6
    assert re.search(rf"letters: broken: no fact of a derivation can be missed \(iid, {says}", checked.stdout)
    assert_fails(audited, 6, "letters: iid, sequence 0")
    assert re.search(f"letters: iid, {says}", audited.stderr)


_DRAWN = "return SequenceBatch(tokens, np.where(is_asked, sums, NOTHING), np.where(is_asked, n_read, 0), length)"
_LABELS = "return Labels(label, hop)"
_PLACES = "return np.where(is_step, digits, -1).astype(np.int32)"
_LATE = "return np.where(is_step, digits + at[:, :, None] + 1, -1).astype(np.int32)"
_SIZE = "    def n_labels(self)"
_MOST = f"    def most_labels(self) -> int:\n        return {{}}\n\n    @property\n{_SIZE}"
_CHANCE = "return 1 / self.params.modulus\n\n    def partial"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((_LABELS, "return None"), "letters: `derive` must return Labels(label, hop), got None"),
        ((_LABELS, "return (hop, hop)"), "letters: `derive` must return Labels(label, hop), got a tuple"),
        (
            (_LABELS, "return Labels(label.astype(np.int64), hop)"),
            "letters: label of `derive` must be int32 of the shape (60, 12), got int64 of (60, 12)",
        ),
        (
            (_DRAWN, _DRAWN.replace(" length)", " None)")),
            "letters: length of `draw` must be int32 of the shape (60,), got None",
        ),
        (
            (_DRAWN, _DRAWN.replace("(tokens", "(tokens.astype(np.int64)")),
            "letters: tokens of `draw` must be int32 of the shape (60, 12), got int64 of (60, 12)",
        ),
        (
            (_DRAWN, _DRAWN.replace("n_read, 0)", "n_read, 0)[:, :1]")),
            "letters: hop of `draw` must be int32 of the shape (60, 12), got int32 of (60, 1)",
        ),
        (
            (_DRAWN, _DRAWN.replace("asked, sums", "asked & False, sums")),
            "sequence 0, place 0 (from 0): `draw` gives a hop count without a label; write a label, or 0 hops",
        ),
        (
            (_DRAWN, _DRAWN.replace("asked, sums", "asked | True, sums")),
            "sequence 1, place 0 (from 0): `draw` gives a label without a hop count; write the number of hops, or no "
            "label, NOTHING",
        ),
        (
            (_LABELS, _LABELS.replace("label,", "label * 0 - np.int32(1),")),
            "sequence 0, place 0 (from 0): `derive` gives a hop count without a label; write a label, or 0 hops",
        ),
        (
            (_SIZE, _MOST.format("2")),
            "`draw` gives a sequence 12 labels, and `most_labels` is 2; raise it",
        ),
        ((_SIZE, _MOST.format("None")), "letters: `most_labels` must be a whole number from 1 to 12, got None"),
        ((_SIZE, _MOST.format("12.0")), "letters: `most_labels` must be a whole number from 1 to 12, got a float"),
        ((_SIZE, _MOST.format("13")), "letters: `most_labels` must be a whole number from 1 to 12, got 13"),
        ((_SIZE, _MOST.format("0")), "letters: `most_labels` must be a whole number from 1 to 12, got 0"),
        (
            (_PLACES, _LATE),
            "letters: sequence 0, place 0 (from 0): `places` names place 1, after the label; a causal model has not "
            "read it",
        ),
        (
            (_PLACES, "return at[0]"),
            "letters: what `places` returns must be int32 of the shape (60, 12, any), got int32 of (12,)",
        ),
        ((_CHANCE, "return None\n\n    def partial"), "letters: `chance` must return a number from 0 to 1, got None"),
    ],
)
def test_what_a_method_of_a_sequence_must_not_return_is_one_broken_promise(
    change: tuple[str, str], said: str, tmp_path: Path, command: Command
) -> None:
    with installed(tmp_path / "own", change, options=("--sequence",)):
        done = command("check", "letters")
    assert done.returncode == 6 and done.stderr == "error: broken: letters: methods return what they must\n"
    broken, others = done.stdout.splitlines()
    assert broken == f"letters: broken: methods return what they must ({said})"
    assert others == "letters: not asked: all other promises (correct this one first)"


def test_what_a_method_of_a_sequence_must_not_return_ends_a_command_in_a_line(tmp_path: Path, command: Command) -> None:
    for number, (change, said) in enumerate(
        (
            ((_LABELS, "return None"), "letters: `derive` must return Labels(label, hop), got None"),
            (
                (_PLACES, _LATE),
                "letters: sequence 0, place 4 (from 0): `places` names place 9, after the label",
            ),
            (
                (_CHANCE, "return None\n\n    def partial"),
                "letters: `chance` must return a number from 0 to 1, got None",
            ),
        )
    ):
        with installed(tmp_path / f"own{number}", change, options=("--sequence",)):
            assert_fails(command("audit", "letters", "-n", "200"), 3, said)
            if "chance" in said:
                assert command("gen", "letters", "-n", "50", "--out", "d", "--quiet").returncode == 0
                assert_fails(command("verify", "d"), 3, said)


_DENIED = (_DRAWN, _DRAWN.replace("sums,", "(sums + 1) % self.params.modulus,"))


def test_messages_about_sequences_name_what_their_author_writes(tmp_path: Path, command: Command) -> None:
    with installed(tmp_path / "denied", _DENIED, options=("--sequence",)):
        checked, audited, shown, written = (
            command(*line.split())
            for line in ("check letters", "audit letters -n 200", "show letters", "gen letters -n 200 --out d --quiet")
        )
        wrong = r"sequence 0, place \d+ \(from 0\): answer is \d, the tokens give \d"
        assert re.search(rf"letters: broken: solve derives every label and hop \(iid, {wrong}\)", checked.stdout)
        assert "labels are not what `derive` derives from the tokens; correct `draw` or `derive`" in audited.stderr
        assert "letters: `derive` denies this label: answer is " in shown.stderr
        assert "the tokens give " in shown.stderr and shown.stderr.endswith("; correct `draw` or `derive`\n")
        assert "letters: train, sequence " in written.stderr, written.stderr
        assert written.stderr.endswith("; correct the family: its `draw` or its `derive` is wrong\n")
    low = ("return 1 / self.params.modulus\n\n    def partial", "return 1 / 40\n\n    def partial")
    with installed(tmp_path / "low", low, options=("--sequence",)):
        checked, audited = command("check", "letters"), command("audit", "letters", "-n", "200")
    assert "readers are above); correct the family, or the ceiling that it declares)" in checked.stdout
    assert audited.returncode == 6
    assert audited.stderr.endswith(
        "correct the family, its `could_be` or `variants`, or the ceiling that it declares\n"
    )
    unseeded = ("n + integers(rng, ", "n + integers(np.random.default_rng(), ")
    with installed(tmp_path / "unseeded", unseeded, options=("--sequence",)):
        checked = command("check", "letters")
    assert "(the same stream gives other examples; draw with the stream that `draw` is given alone)" in checked.stdout


def test_english_of_a_sequence_is_refused_in_a_line(tmp_path: Path, command: Command) -> None:
    english = ("hops: 1-3", "text: {facts: ['{token} is there.'], questions: ['What is it?']}\nhops: 1-3")
    with installed(tmp_path / "own", english, options=("--sequence",)):
        told = [command(name, "letters") for name in ("check", "show")]
    for done in told:
        assert_fails(done, 3, "letters.yaml: `text` is of tasks with queries; a sequence has no English, so omit it")


def test_the_sequences_of_the_template_have_labels_up_to_their_ends_and_tokens_that_none_needs(tmp_path: Path) -> None:
    with installed(tmp_path / "own", options=("--sequence",)):
        task = make_task({"task": "letters"}, where="test").generator()
        examples = task.sample(500, stream("ends"))
        rows = task.solve(examples.facts, examples.query).rows
    last = (examples.facts[:, :, 0] >= 0).sum(axis=1) - 1
    assert len(np.unique(last)) > 1 and (examples.answer[np.arange(500), last] >= 0).mean() > 0.95
    assert (rows >= 0).sum(axis=2).max() == 3 < last.min()


def test_worlds_that_cannot_be_counted_break_their_promises_alone(tmp_path: Path, command: Command) -> None:
    with installed(tmp_path / "own", (_WORLDS, "return 1 // 0")):
        done = command("check", "letters")
    assert done.returncode == 6, done.stderr
    assert done.stderr == "error: broken: letters: n_worlds is no overcount; letters: splits share no graph\n"
    assert "letters: kept: no reader of the audit beats the ceilings" in done.stdout


def test_tasks_and_attentions_are_checked_together_and_settings_find_their_owner(
    tmp_path: Path, command: Command
) -> None:
    changes = ("{src} has written to {dst}.", "{src} has written a letter.")
    with installed(tmp_path / "own", changes):
        done = command("check", "letters", "nexus", "--set", "order=2", "--set", "n_nodes=15", "--json")
    assert done.returncode == 6 and done.stderr.startswith("error: broken: letters: English is read back; letters: no ")
    document = json.loads(done.stdout)
    assert {(one["kind"], one["name"]) for one in document["promises"]} == {("task", "letters"), ("attention", "nexus")}
    broken = [one for one in document["promises"] if one["state"] == "broken"]
    assert [one["promise"] for one in broken] == ["English is read back", "no reader of the audit beats the ceilings"]
    assert broken[0]["detail"].endswith("letters.yaml: text: '{src} has written a letter.' leaves out dst")
    assert document["digests"] == [], "bytes are pinned when the family is right"


def test_an_example_whose_label_is_denied_is_shown_with_what_the_facts_give(tmp_path: Path, command: Command) -> None:
    with installed(tmp_path / "own"):
        right = command("show", "letters", "--hops", "2")
    with installed(tmp_path / "theirs", (_LABEL, _LABEL.replace("+ hop", "+ hop + 1"))):
        wrong = command("show", "letters", "--hops", "2")
        told = json.loads(command("show", "letters", "--hops", "2", "--json").stdout)
    assert right.returncode == 0 and not right.stderr and "answer" in right.stdout
    assert wrong.returncode == 6 and "english" in wrong.stdout
    assert "letters: `solve` denies this label: answer is node" in wrong.stderr and wrong.stderr.count("\n") == 1
    assert told["denied"] == f"answer is {told['answer']}, the facts give {told['chain'].split(' -> ')[-1]}"


def test_without_scikit_learn_only_the_audit_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    spec = make_task({"task": "pointer_chase"}, where="test")
    with pytest.raises(NotAsked, match=r"pip install 'nexus-bench\[audit\]'"):
        PROMISES["no reader of the audit beats the ceilings"](spec)
    PROMISES["no fact of a derivation can be missed"](spec)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("check pointer_chas", 3, "unknown task or attention 'pointer_chas'; did you mean 'pointer_chase'?"),
        ("check pointer_chase --set n_node=3", 3, "n_node is not an option of pointer_chase; omit it"),
        ("check pointer_chase --set hops=9", 3, "check: pointer_chase: hops must be in 1..5, got 9"),
        ("check pointer_chase --set n_nodes=2", 3, "n_nodes: input should be greater than or equal to 3, got 2"),
        (
            "check pointer_chase n_nodes=3 hops=1 vocab_size=5",
            3,
            "pointer_chase: too few distinct graphs: 1,280 of validation and test need 2,560, there are 20; lower "
            "n_val and n_test, or try a larger n_nodes",
        ),
        ("check pointer_chase nexus --set order=0", 3, "nexus: order: input should be greater"),
    ],
)
def test_a_wrong_line_is_one_line_of_error(line: str, code: int, said: str, command: Command) -> None:
    assert_fails(command(*line.split()), code, said)
