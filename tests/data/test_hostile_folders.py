"""Dataset folders whose hashes fit, but that `gen` did not write."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nexus_bench
from nexus_bench.data.generate import generate
from nexus_bench.data.manifest import manifest_sha256
from nexus_bench.data.task import TaskSpec
from nexus_bench.data.verify import verify
from nexus_bench.errors import CorruptArtefactError, StorageError, UsageError
from nexus_bench.io.files import sha256_of_file, to_json

Manifest = dict[str, Any]


def rewrite(folder: Path, change: Callable[[Manifest], object] = lambda manifest: None) -> None:
    """Change the manifest, and make all hashes fit."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["splits"]["train"]["sha256"] = sha256_of_file(folder / "train.npz")
    change(manifest)
    manifest["manifest_sha256"] = manifest_sha256(manifest)
    (folder / "manifest.json").write_text(to_json(manifest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("splits"), "splits is missing"),
        (lambda m: m.update(splits=[]), "splits: input should be a valid dictionary"),
        (lambda m: m.update(params=None), "params: input should be a valid dictionary"),
        (lambda m: m.update(params={"n_nodes": "x"}), "n_nodes"),
        (lambda m: m.update(hops=[99999]), "hops must be at most 10000"),
        (lambda m: m.update(file_format="exe"), "file_format: input should be 'npz'"),
        (lambda m: m.update(seed=-1), "seed: input should be greater than or equal to 0"),
        (lambda m: m["splits"]["train"].pop("n_repeated_graphs"), "n_repeated_graphs is missing"),
        (lambda m: m["splits"].update(more=m["splits"]["train"]), "splits must be test, train, val"),
        (lambda m: m["n_graphs"].pop("test"), "n_graphs must hold val and test"),
        (lambda m: m["n_graphs"].update(train=-1), "train must have 1 graph or more, got -1"),
        (lambda m: m["splits"]["train"].update(file="../data/train.npz"), "the file of train must be train.npz"),
        (
            lambda m: m["splits"]["train"].update(file="/dev/zero"),
            "the file of train must be train.npz, got '/dev/zero",
        ),
        (lambda m: m.update(text={"target": 3}), "text: target: input should be 'answer' or 'steps', got 3"),
    ],
)
def test_a_manifest_that_gen_does_not_write_is_refused(
    change: Callable[[Manifest], object], message: str, dataset_folder: Path
) -> None:
    rewrite(dataset_folder, change)
    for reader in (verify, nexus_bench.load):
        with pytest.raises(CorruptArtefactError, match="is not one that gen writes") as error:
            reader(dataset_folder)
        assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts.astype(object), "cannot be read"),
        (lambda facts: facts.astype(np.float64), "facts must be int32 of the shape .*, got float64"),
        (lambda facts: facts[:, :1], "facts must be int32 of the shape"),
        (lambda facts: facts[:0], "facts must be int32 of the shape"),
        (lambda facts: facts - 99, "facts holds a number outside its vocabulary"),
        (lambda facts: facts + np.int32(2**30), "facts holds a number outside its vocabulary"),
    ],
)
def test_arrays_that_gen_does_not_write_are_refused(
    change: Callable[[np.ndarray], np.ndarray], message: str, dataset_folder: Path
) -> None:
    with np.load(dataset_folder / "train.npz") as arrays:
        kept = {name: arrays[name] for name in arrays}
    np.savez(dataset_folder / "train.npz", **kept | {"facts": change(kept["facts"])})
    rewrite(dataset_folder)
    with pytest.raises(CorruptArtefactError, match=message):
        nexus_bench.load(dataset_folder)
    with pytest.raises(CorruptArtefactError):
        verify(dataset_folder)


def test_hops_that_the_task_does_not_have_are_refused(dataset_folder: Path) -> None:
    rewrite(dataset_folder, lambda manifest: manifest.update(hops=[3]))
    with pytest.raises(CorruptArtefactError, match="hop holds one that is not among those asked for"):
        nexus_bench.load(dataset_folder)


def test_an_array_of_an_absurd_size_is_refused(dataset_folder: Path) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<i4", "fortran_order": False, "shape": (10**13,)})
    with zipfile.ZipFile(dataset_folder / "train.npz", "w") as archive:
        for name in ("facts", "query", "answer", "hop"):
            archive.writestr(f"{name}.npy", head.getvalue())
    rewrite(dataset_folder)
    for reader in (verify, nexus_bench.load):
        with pytest.raises(CorruptArtefactError, match=r"train\.npz: is damaged: cannot be read"):
            reader(dataset_folder)


def test_an_archive_that_grows_when_it_is_read_is_refused(dataset_folder: Path) -> None:
    with np.load(dataset_folder / "train.npz") as arrays:
        np.savez_compressed(dataset_folder / "small.npz", **{name: arrays[name] for name in arrays})
    (dataset_folder / "small.npz").replace(dataset_folder / "train.npz")
    rewrite(dataset_folder)
    with pytest.raises(CorruptArtefactError, match=r"train\.npz: is damaged: cannot be read"):
        nexus_bench.load(dataset_folder)


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "text", "chat"])
def test_deeply_nested_lines_are_refused(file_format: str, tmp_path: Path, small_spec: TaskSpec) -> None:
    generate(tmp_path / "d", small_spec, seed=0, n_train=9, file_format=file_format)
    path = next((tmp_path / "d").glob("train.*"))
    path.write_text('{"graph":0,"facts":' + "[" * 100_000 + ',"query":[1],"answer":1,"hop":1}\n')
    manifest = json.loads((tmp_path / "d" / "manifest.json").read_text())
    manifest["splits"]["train"]["sha256"] = sha256_of_file(path)
    manifest["manifest_sha256"] = manifest_sha256(manifest)
    (tmp_path / "d" / "manifest.json").write_text(to_json(manifest))
    for reader in (verify, nexus_bench.load):
        with pytest.raises(CorruptArtefactError, match=r"train\.(jsonl|csv): (is damaged|facts must be)"):
            reader(tmp_path / "d")


@pytest.mark.parametrize("name", ["manifest.json", "train.npz"])
def test_a_pipe_in_a_dataset_is_refused_at_once(name: str, dataset_folder: Path) -> None:
    (dataset_folder / name).unlink()
    os.mkfifo(dataset_folder / name)
    with pytest.raises(StorageError, match="is a device or a pipe"):
        nexus_bench.load(dataset_folder)


@pytest.mark.parametrize("exists", [True, False])
def test_gen_follows_a_link(exists: bool, tmp_path: Path, small_spec: TaskSpec) -> None:
    if exists:
        (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    generate(tmp_path / "link", small_spec, seed=0, n_train=9, file_format="npz")
    assert (tmp_path / "link").is_symlink() and verify(tmp_path / "there")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]


def test_two_gen_into_one_folder_do_not_mix(tmp_path: Path, small_spec: TaskSpec) -> None:
    def in_the_middle(n_graphs: int) -> None:
        with pytest.raises(UsageError, match="d: another nexus-bench is writing to it; wait, or choose another --out"):
            generate(tmp_path / "d", small_spec, seed=0, n_train=50, file_format="npz")

    generate(tmp_path / "d", small_spec, seed=0, n_train=50, file_format="npz", on_graphs=in_the_middle)
    assert verify(tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [
        "README.md",
        "croissant.json",
        "manifest.json",
        "test.npz",
        "train.npz",
        "val.npz",
    ]


def test_what_a_killed_gen_left_is_not_in_the_dataset(tmp_path: Path, small_spec: TaskSpec) -> None:
    (tmp_path / ".d.unfinished").mkdir()
    (tmp_path / ".d.unfinished" / "stray").write_text("left")
    generate(tmp_path / "d", small_spec, seed=0, n_train=9, file_format="npz")
    assert not (tmp_path / "d" / "stray").exists() and not (tmp_path / ".d.unfinished").exists()


def test_gen_in_a_deleted_folder_is_one_line(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); from nexus_bench import cli; "
        "sys.exit(cli.run(['gen', '--hops', '1', '--n', '9', '--n-test', '9']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5 and done.stderr.count("\n") == 1
    assert done.stderr.endswith("cannot be written: No such file or directory; choose another --out\n")
