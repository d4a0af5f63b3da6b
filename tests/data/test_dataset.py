import json
from pathlib import Path

import numpy as np
import pytest

from nexus_bench.data.dataset import StoredSource, read_dataset
from nexus_bench.data.formats import FORMATS
from nexus_bench.data.generate import generate
from nexus_bench.data.manifest import ContentHash
from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError, CorruptArtefactError, StorageError, UsageError
from nexus_bench.io.files import write_atomic


def write(folder: Path, spec: TaskSpec, **changes: object) -> dict[str, object]:
    given: dict[str, object] = {"seed": 3, "n_train": 50, "file_format": "npz"}
    return generate(folder, spec, **(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_format_gives_back_the_same_examples(file_format: str, tmp_path: Path, small_spec: TaskSpec) -> None:
    manifest = write(tmp_path / "data", small_spec, file_format=file_format)
    dataset = read_dataset(tmp_path / "data")
    content = ContentHash()
    for split, examples in dataset.splits.items():
        content.add(split, examples)
    assert content.hexdigest() == manifest["content_sha256"]
    assert {array.dtype for part in dataset.splits.values() for array in part} == {np.dtype(np.int32)}
    assert {split: part.n_graphs for split, part in dataset.splits.items()} == {"train": 50, "val": 7, "test": 13}


def test_npz_opens_with_numpy_alone(dataset_folder: Path, small_spec: TaskSpec) -> None:
    with np.load(dataset_folder / "test.npz") as arrays:
        assert arrays["facts"].shape == (13, 11, 2)
        assert arrays["query"].shape == (13, 5, 2)
        assert arrays["answer"].shape == arrays["hop"].shape == (13, 5)


def test_files_are_the_same_bytes_when_made_again(dataset_folder: Path, tmp_path: Path, small_spec: TaskSpec) -> None:
    write(tmp_path / "again", small_spec)
    for path in sorted(dataset_folder.iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_the_manifest_counts_and_names_everything(dataset_folder: Path) -> None:
    manifest = json.loads((dataset_folder / "manifest.json").read_text())
    assert manifest["task"] == "pointer_chase" and manifest["seed"] == 3 and manifest["hops"] == [1, 2, 3]
    assert manifest["params"] == {"n_queries": 5, "n_nodes": 11, "vocab_size": 33}
    assert manifest["n_graphs"] == {"train": 50, "val": 7, "test": 13}
    assert manifest["splits"]["test"]["n_examples"] == 65
    assert manifest["schema"]["query"] == [
        {"name": "start", "vocabulary": "node"},
        {"name": "hop", "vocabulary": "hop"},
    ]


@pytest.mark.parametrize("name", ["train.npz", "val.npz", "test.npz", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncated", "edited", "missing"])
def test_damage_to_any_file_is_found_and_named(name: str, damage: str, dataset_folder: Path) -> None:
    path = dataset_folder / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        path.write_bytes(data[:middle] if damage == "truncated" else data[:middle] + b"7" + data[middle + 1 :])
        assert path.read_bytes() != data
    with pytest.raises(CorruptArtefactError, match=name):
        read_dataset(dataset_folder)


def test_the_same_request_keeps_the_folder(dataset_folder: Path, small_spec: TaskSpec) -> None:
    before = {path: path.stat().st_mtime_ns for path in dataset_folder.iterdir()}
    write(dataset_folder, small_spec)
    assert {path: path.stat().st_mtime_ns for path in dataset_folder.iterdir()} == before


def test_another_dataset_or_other_files_are_kept(dataset_folder: Path, tmp_path: Path, small_spec: TaskSpec) -> None:
    with pytest.raises(UsageError, match=r"holds another dataset \(its seed differs\), which is kept"):
        write(dataset_folder, small_spec, seed=4)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="holds something else, which is kept"):
        write(other, small_spec)
    assert (other / "thesis.tex").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 2, "and nothing is left beside them"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, small_spec: TaskSpec) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write(tmp_path / "file" / "data", small_spec)
    with pytest.raises(StorageError, match="is not a folder"):
        read_dataset(tmp_path / "nowhere")


def test_a_failed_write_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="file: cannot be written: No space left on device; free some space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_epoch_holds_every_graph_once_and_its_order_is_the_seeds_own(dataset_folder: Path) -> None:
    dataset = read_dataset(dataset_folder)
    facts = {graph.tobytes() for graph in dataset.splits["train"].facts}
    orders = []
    for seed in (0, 1):
        source = StoredSource(dataset, seed=seed)
        epochs = [
            [graph.tobytes() for step in range(5) for graph in source.batch(5 * e + step, 10).facts] for e in (0, 1)
        ]
        assert all(set(epoch) == facts for epoch in epochs)
        assert epochs[0] != epochs[1]
        orders.append(epochs[0])
        assert (StoredSource(dataset, seed=seed).batch(7, 10).facts == source.batch(7, 10).facts).all()
    assert orders[0] != orders[1]


def test_a_batch_larger_than_the_dataset_is_refused(dataset_folder: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size must be at most the 50 training graphs, got 51"):
        StoredSource(read_dataset(dataset_folder), seed=0).batch(0, 51)
