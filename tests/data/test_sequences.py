"""Datasets of sequences: every format, what verify finds, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from nexus_bench.data.dataset import read_dataset
from nexus_bench.data.generate import generate
from nexus_bench.data.manifest import ContentHash
from nexus_bench.data.show import as_text, show
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.data.verify import verify
from nexus_bench.errors import CorruptArtefactError
from nexus_bench.streams import stream
from tests.conftest import Command, assert_fails
from tests.templates import installed


@pytest.fixture
def spec() -> TaskSpec:
    sizes = {"n_tokens": 23, "min_tokens": 13, "n_val": 7, "n_test": 11, "size_ood": {"n_tokens": 29}}
    return make_task({"task": "hop_k", "hops": [1, 2, 3], **sizes}, where="test")


@pytest.mark.parametrize("file_format", ["npz", "jsonl", "csv", "parquet"])
def test_every_format_gives_back_the_same_sequences_and_bytes(file_format: str, tmp_path: Path, spec: TaskSpec) -> None:
    for folder, chunk in (("one", 1024), ("other", 1024 if file_format == "parquet" else 7)):
        generate(tmp_path / folder, spec, seed=3, n_train=50, file_format=file_format, chunk_graphs=chunk)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name
    dataset, content = read_dataset(tmp_path / "one"), ContentHash()
    for split, examples in dataset.splits.items():
        content.add(split, examples)
    assert content.hexdigest() == dataset.manifest["content_sha256"]
    arrays = {split: [array.shape for array in examples] for split, examples in dataset.splits.items()}
    assert arrays["train"] == [(50, 23, 1), (50, 23, 0), (50, 23), (50, 23)]
    assert arrays["size_ood"] == [(11, 29, 1), (11, 29, 0), (11, 29), (11, 29)]
    assert {array.dtype for part in dataset.splits.values() for array in part} == {np.dtype(np.int32)}
    rows = verify(tmp_path / "one")
    assert [row.n_examples for row in rows] == [int((dataset.splits[row.split].hop > 0).sum()) for row in rows]


def test_the_content_is_the_same_in_every_format(tmp_path: Path, spec: TaskSpec) -> None:
    made = [
        generate(tmp_path / name, spec, seed=3, n_train=20, file_format=name)["content_sha256"]
        for name in ("npz", "jsonl", "parquet")
    ]
    assert len(set(made)) == 1


_ROW = r"row 3 \(sequence 2, place 9 \(from 0\)\)"


@pytest.mark.parametrize(
    ("key", "place", "value", "message"),
    [
        ("answer", 9, lambda old: (old + 1) % 4, rf"{_ROW}: answer is s\d, the tokens give s\d"),
        ("hop", 9, lambda old: old % 3 + 1, rf"{_ROW}: hop is \d, the tokens give \d"),
        ("facts", 5, lambda old: [-1], r"row 3 \(sequence 2\): a token follows the end of the sequence"),
    ],
)
def test_an_edited_sequence_is_found_at_its_row(
    key: str, place: int, value: object, message: str, tmp_path: Path, spec: TaskSpec
) -> None:
    generate(tmp_path / "d", spec, seed=3, n_train=20, file_format="jsonl")
    path = tmp_path / "d" / "test.jsonl"
    lines = path.read_text().splitlines()
    row = json.loads(lines[2])
    assert row["hop"][9] > 0 and row["answer"][9] < 4
    row[key][place] = value(row[key][place])  # type: ignore[operator]
    path.write_text("\n".join([*lines[:2], json.dumps(row, separators=(",", ":")), *lines[3:]]) + "\n")
    with pytest.raises(CorruptArtefactError, match=message):
        verify(tmp_path / "d")


def test_a_sequence_is_shown_with_its_labels_and_what_derives_one() -> None:
    entry = {"task": "mqar", "n_pairs": 2, "n_tokens": 10, "vocab_size": 12, "filler": "blank"}
    shown = show(make_task(entry, where="test").law(), seed=1)
    at = int(shown.query.removeprefix("place ")) - 1
    assert not shown.denied and shown.labels[at] == shown.answer and shown.hop == 1
    key = shown.facts[at]
    value_at = shown.facts.index(key) + 1
    assert shown.facts[value_at] == shown.answer and shown.chain == f"place {value_at + 1} {shown.answer}"
    assert shown.labels.count("-") == 8 and f"read    {shown.chain}" in as_text(shown)


def test_a_sequence_with_a_label_is_looked_for_and_that_there_is_none_is_said(tmp_path: Path, command: Command) -> None:
    asked, drawn, derived = (
        "is_asked = np.isin(n_read, self.hops)",
        "\n        return SequenceBatch",
        "\n            label[",
    )
    zeros = "(tokens[:, :2] == 0).all(axis=1)"
    rare = [
        (asked + drawn, f"{asked} & {zeros}[:, None]{drawn}"),
        (asked + derived, f"{asked} & {zeros}{derived}"),
    ]
    none = [(asked + after, f"{asked} & False{after}") for after in (drawn, derived)]
    with installed(tmp_path / "rare", *rare, options=("--sequence",)):
        law = make_task({"task": "letters", "hops": [4]}, where="test").law()
        assert not law.sample(1, stream("show", "letters", 0)).hop.any(), "the first one has none"
        shown = command("show", "letters", "--hops", "4")
    assert shown.returncode == 0 and ", 4 hops\n" in shown.stdout, shown.stderr
    assert "read    place 1 0; place 2 0; place " in shown.stdout
    with installed(tmp_path / "none", *none, options=("--sequence",)):
        shown = command("show", "letters", "--hops", "4")
        written = command("gen", "letters", "--hops", "4", "-n", "20", "n_val=5", "n_test=5", "--out", "d", "--quiet")
    says = "letters: none of 4,096 sequences has a label of 4 hops; ask other hops, or change the sizes"
    assert_fails(shown, 3, says)
    assert written.returncode == 0 and f"one example\n{says}\n" in written.stdout, written


def test_what_is_of_queries_alone_says_so_in_a_line(command: Command) -> None:
    only = "hop_k: is a task of sequences, which can be trained; {} are of tasks with queries alone"
    assert_fails(command("gen", "hop_k", "--format", "text", "--out", "t"), 3, only.format("English texts"))
    written = command("gen", "hop_k", "-n", "20", "n_val=5", "n_test=5", "--out", "d", "--quiet")
    assert "hop_k, hops 1-4, at most 99 tokens per sequence" in written.stdout, written.stderr
    assert re.search(r"test.npz +5 sequences +\d+ labels", written.stdout) and "facts per graph" not in written.stdout
    assert_fails(command("export", "--data", "d", "--out", "e"), 3, only.format("English texts"))
    assert not Path("t").exists() and not Path("e").exists()


def test_sequences_without_any_label_are_told_in_a_line(command: Command) -> None:
    line = "gen brevo --set n_nodes=30 --hops 10 --n 2 --n-test 1 --set n_val=1 -o data -q"
    assert command(*line.split()).returncode == 0
    assert_fails(command("verify", "data"), 4, "no place has a label of these hops; ask fewer hops")
