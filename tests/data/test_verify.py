"""`verify` finds what is wrong in a dataset, whoever made it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nexus_bench
from nexus_bench.data.faults import find_uneven
from nexus_bench.data.formats import FORMATS
from nexus_bench.data.generate import generate
from nexus_bench.data.manifest import ContentHash, manifest_sha256, spec_of, view_of
from nexus_bench.data.splits import world_ids
from nexus_bench.data.task import TaskSpec, law_of, make_task
from nexus_bench.data.verify import verify
from nexus_bench.errors import CorruptArtefactError
from nexus_bench.generators.base import Examples
from nexus_bench.io.files import sha256_of_file, to_json
from nexus_bench.streams import stream

Change = Callable[[dict[str, Examples]], None]


def forge(folder: Path, change: Change) -> None:
    """Change examples and mend every hash, as another tool could have made them."""
    manifest = json.loads((folder / "manifest.json").read_text())
    file_format = FORMATS[manifest["file_format"]]
    law = spec_of(manifest).generator()
    view = view_of(manifest, law)
    parts = {split: file_format.read(folder / about["file"], view) for split, about in manifest["splits"].items()}
    change(parts)
    content = ContentHash()
    for split, examples in parts.items():
        path = folder / manifest["splits"][split]["file"]
        path.unlink()
        writer = file_format.writer(path, examples.n_graphs, view)
        writer.write(examples)
        writer.close()
        content.add(split, examples)
        n_repeated = examples.n_graphs - len(np.unique(world_ids(examples.facts)))
        manifest["splits"][split] |= {"sha256": sha256_of_file(path), "n_repeated_graphs": n_repeated}
    manifest["content_sha256"] = content.hexdigest()
    (folder / "manifest.json").write_text(to_json(manifest | {"manifest_sha256": manifest_sha256(manifest)}))


def a_wrong_label(parts: dict[str, Examples]) -> None:
    parts["val"].answer[4, 2] = (parts["val"].answer[4, 2] + 1) % 33


def a_wrong_hop(parts: dict[str, Examples]) -> None:
    parts["test"].hop[5, 1] = parts["test"].hop[5, 1] % 3 + 1


def an_unknown_symbol(parts: dict[str, Examples]) -> None:
    parts["train"].facts[7, 3, 1] = 33


def an_unknown_answer(parts: dict[str, Examples]) -> None:
    parts["train"].answer[7, 3] = -1


def a_fact_twice(parts: dict[str, Examples]) -> None:
    parts["test"].facts[2, 0] = parts["test"].facts[2, 1]


def a_query_twice(parts: dict[str, Examples]) -> None:
    parts["test"].query[2, 0] = parts["test"].query[2, 1]


def a_test_graph_in_training(parts: dict[str, Examples]) -> None:
    for whole, other in zip(parts["train"], parts["test"], strict=True):
        whole[11] = other[3]
    parts["train"].facts[11] = parts["train"].facts[11, ::-1]


def one_hop_only(parts: dict[str, Examples]) -> None:
    keep = np.flatnonzero(parts["train"].hop[:, 0] == 1)
    pick = np.resize(keep, parts["train"].n_graphs)
    for whole in parts["train"]:
        whole[:] = whole[pick]


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_dataset_as_it_was_made_is_right(file_format: str, tmp_path: Path, small_spec: TaskSpec) -> None:
    generate(tmp_path / "d", small_spec, seed=3, n_train=50, file_format=file_format)
    rows = {row.split: row for row in verify(tmp_path / "d")}
    assert {split: row.n_examples for split, row in rows.items()} == {"train": 250, "val": 35, "test": 65}
    assert all(row.n_repeated_graphs == 0 for row in rows.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (a_wrong_label, r"val.csv: row 23 \(graph 4, query 2\): answer is node\d+, the facts give node\d+"),
        (a_wrong_hop, r"test.csv: row 27 \(graph 5, query 1\): hop is \d, the facts give \d"),
        (an_unknown_symbol, r"train.csv: row 36 \(graph 7\): facts: dst is not in 0\.\.32"),
        (an_unknown_answer, r"train.csv: row 39 \(graph 7, query 3\): answer is not in 0\.\.32"),
        (a_fact_twice, r"test.csv: row 11 \(graph 2\): a fact is twice in the graph"),
        (a_query_twice, r"test.csv: row 11 \(graph 2\): a query is asked twice of the graph"),
        (a_test_graph_in_training, r"train.csv: graph 11 has the facts of a graph of test: 1 such"),
    ],
)
def test_a_forged_dataset_is_found_out(change: Change, message: str, tmp_path: Path, small_spec: TaskSpec) -> None:
    generate(tmp_path / "d", small_spec, seed=3, n_train=50, file_format="csv")
    forge(tmp_path / "d", change)
    with pytest.raises(CorruptArtefactError, match=message):
        verify(tmp_path / "d")


def test_advice_tells_an_edited_file_from_a_family_that_is_wrong(tmp_path: Path, small_spec: TaskSpec) -> None:
    generate(tmp_path / "d", small_spec, seed=3, n_train=50, file_format="csv")
    forge(tmp_path / "d", a_wrong_label)
    with pytest.raises(CorruptArtefactError, match="the file is as gen wrote it, so correct the family"):
        verify(tmp_path / "d")
    with (tmp_path / "d" / "val.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(CorruptArtefactError, match="run gen again"):
        verify(tmp_path / "d")


def test_arrays_of_another_type_or_shape_are_refused(dataset_folder: Path) -> None:
    with np.load(dataset_folder / "test.npz") as arrays:
        wide = {name: array.astype(np.int64) for name, array in arrays.items()}
    np.savez(dataset_folder / "test.npz", **wide)
    with pytest.raises(CorruptArtefactError, match=r"facts must be int32 of the shape \(13, 11, 2\), got int64 of"):
        verify(dataset_folder)
    np.savez(dataset_folder / "test.npz", **{name: array[:5].astype(np.int32) for name, array in wide.items()})
    with pytest.raises(CorruptArtefactError, match=r"got int32 of \(5, 11, 2\)"):
        verify(dataset_folder)


def test_a_dataset_of_one_hop_alone_is_not_balanced(tmp_path: Path) -> None:
    spec = make_task({"task": "pointer_chase", "hops": "1-3", "n_queries": 1, "n_val": 9, "n_test": 9}, where="test")
    generate(tmp_path / "d", spec, seed=3, n_train=600, file_format="npz")
    forge(tmp_path / "d", one_hop_only)
    with pytest.raises(CorruptArtefactError, match=r"hop 1 is in 100.0% of the examples, expected 33.3%"):
        verify(tmp_path / "d")


@pytest.mark.parametrize(
    "sizes",
    [{"task": "mano", "modulus": 997}, {"task": "word_problem", "hops": "1-12", "n_tokens": 12, "group": "A_5"}],
)
def test_answers_of_which_few_are_expected_may_come_thrice(sizes: dict[str, object], tmp_path: Path) -> None:
    """Of 80 answers out of 997 some are alike, and of 20 words of 60 elements too."""
    for seed in range(3):
        spec = make_task({"n_val": 256, "n_test": 20, **sizes}, where="test")
        generate(tmp_path / str(seed), spec, seed=seed, n_train=20, file_format="npz")
        verify(tmp_path / str(seed))


def test_an_answer_that_is_too_common_is_found(tmp_path: Path) -> None:
    spec = make_task({"task": "mano", "hops": "1-3", "modulus": 997, "n_val": 9, "n_test": 9}, where="test")
    law = law_of("test", spec.laws())
    drawn = law.sample(300, stream("common"))
    assert find_uneven(law, drawn) is None
    drawn.answer[:30][drawn.answer[:30] >= 0] = 5
    fault = find_uneven(law, drawn)
    assert fault is not None and "of the answers are 5; chance allows" in fault.what


@pytest.mark.parametrize("chance", [0.0, -1.0])
def test_a_family_that_has_no_chance_is_told_of_its_commonest_answer(
    chance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = law_of("test", make_task({"task": "mano", "hops": "1-3", "n_val": 9, "n_test": 9}, where="test").laws())
    monkeypatch.setattr(type(law.family), "chance", lambda self, hop: chance)
    fault = find_uneven(law, law.sample(30, stream("none")))
    assert fault is not None and "chance allows at most" in fault.what


def test_an_edited_file_names_its_row_although_its_hash_is_wrong_already(tmp_path: Path, small_spec: TaskSpec) -> None:
    folder = tmp_path / "d"
    generate(folder, small_spec, seed=3, n_train=50, file_format="jsonl")
    lines = (folder / "test.jsonl").read_text().splitlines()
    row = json.loads(lines[40])
    lines[40] = json.dumps(row | {"answer": (row["answer"] + 1) % 33}, separators=(",", ":"))
    (folder / "test.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(CorruptArtefactError, match=r"row 41 \(graph 8, query 0\): answer is node"):
        verify(folder)


def test_an_edit_that_changes_no_example_is_told_as_such(tmp_path: Path, small_spec: TaskSpec) -> None:
    folder = tmp_path / "d"
    generate(folder, small_spec, seed=3, n_train=50, file_format="csv")
    text = (folder / "val.csv").read_text()
    (folder / "val.csv").write_text(text.replace("],[", "], ["))
    with pytest.raises(CorruptArtefactError, match="its hash does not match, though every row in it is right"):
        verify(folder)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_truncated_file_is_named(file_format: str, tmp_path: Path, small_spec: TaskSpec) -> None:
    folder = tmp_path / "d"
    generate(folder, small_spec, seed=3, n_train=50, file_format=file_format)
    path = folder / f"train.{FORMATS[file_format].suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CorruptArtefactError, match=rf"{path.name}: "):
        verify(folder)


def test_every_flipped_bit_of_a_parquet_file_is_caught(tmp_path: Path, small_spec: TaskSpec) -> None:
    generate(tmp_path / "d", small_spec, seed=3, n_train=50, file_format="parquet")
    whole = (tmp_path / "d" / "test.parquet").read_bytes()
    for i in range(20):
        broken = tmp_path / "broken"
        shutil.copytree(tmp_path / "d", broken)
        data = bytearray(whole)
        data[(2 * i + 1) * len(data) // 40] ^= 1 << i % 8
        (broken / "test.parquet").write_bytes(data)
        with pytest.raises(CorruptArtefactError, match=r"test\.parquet"):
            verify(broken)
        shutil.rmtree(broken)


@pytest.mark.parametrize("change", [lambda card: card.replace("synthetic", "real"), lambda card: card + "\n", None])
def test_an_edited_card_is_found(
    change: Callable[[str], str] | None, dataset_folder: Path, small_spec: TaskSpec
) -> None:
    card = dataset_folder / "README.md"
    if change is None:
        card.unlink()
    else:
        card.write_text(change(card.read_text()))
    for check in (verify, lambda folder: generate(folder, small_spec, seed=3, n_train=50, file_format="npz")):
        with pytest.raises(
            CorruptArtefactError, match=r"README\.md: (was edited: its hash does not match|is missing); "
        ):
            check(dataset_folder)


@pytest.mark.parametrize("name", ["train-00001.parquet", "more/train.jsonl"])
def test_a_file_that_a_library_would_read_as_data_is_found(name: str, dataset_folder: Path) -> None:
    (dataset_folder / name).parent.mkdir(exist_ok=True)
    (dataset_folder / name).write_text("x")
    with pytest.raises(CorruptArtefactError, match=rf"{name}: is not of this dataset, .*; move it elsewhere"):
        verify(dataset_folder)


def test_hidden_files_are_not_of_a_dataset(dataset_folder: Path) -> None:
    (dataset_folder / ".gitattributes").write_text("*.npz binary")
    (dataset_folder / ".cache").mkdir()
    (dataset_folder / ".cache" / "x.parquet").write_text("x")
    assert verify(dataset_folder)


def test_a_dataset_of_an_older_version_whose_card_has_no_hash_is_read(dataset_folder: Path) -> None:
    path = dataset_folder / "manifest.json"
    manifest = {key: value for key, value in json.loads(path.read_text()).items() if key != "card_sha256"}
    path.write_text(to_json(manifest | {"manifest_sha256": manifest_sha256(manifest)}))
    (dataset_folder / "README.md").write_text("of an older version\n")
    assert verify(dataset_folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("{", '{"seed": 4,', 1),
        lambda text: json.dumps(json.loads(text)),
        lambda text: text + "\n",
        lambda text: text.replace("\n", "\r\n"),
    ],
    ids=["a key twice", "other spaces", "a line more", "other ends of lines"],
)
def test_a_manifest_is_what_gen_wrote_byte_for_byte(change: Callable[[str], str], dataset_folder: Path) -> None:
    path = dataset_folder / "manifest.json"
    path.write_bytes(change(path.read_text()).encode())
    for reader in (verify, nexus_bench.load):
        with pytest.raises(CorruptArtefactError, match=r"manifest\.json: was edited: "):
            reader(dataset_folder)
