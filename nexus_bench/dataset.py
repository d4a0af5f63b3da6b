"""Dataset folders: `train`, `val` and `test` files and a manifest that catches any change to them."""

import hashlib
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexus_bench.errors import ConfigError, CorruptArtefactError, StorageError, UsageError
from nexus_bench.files import read_bytes, read_json, sha256, to_json, write_atomic
from nexus_bench.formats import FORMATS
from nexus_bench.generators.base import GENERATORS, Examples, Generator
from nexus_bench.splits import SPLITS, Splits, world_ids
from nexus_bench.streams import permutations, stream

FORMAT_VERSION = 1
MANIFEST = "manifest.json"

Manifest = dict[str, Any]


class Dataset(NamedTuple):
    """A verified dataset folder, read into memory."""

    manifest: Manifest
    generator: Generator[Any]
    train: Examples
    val: Examples
    test: Examples


class StoredSource:
    """Training batches from a dataset: every graph once an epoch, in an order of the seed's own.

    Args:
        dataset: Where the examples are.
        seed: Of the order.
    """

    def __init__(self, dataset: Dataset, *, seed: int) -> None:
        self.generator = dataset.generator
        self.val = dataset.val
        self.test = dataset.test
        self._train = dataset.train
        self._key = ("epoch order", dataset.manifest["content_sha256"], seed)
        self._newest: tuple[int, np.ndarray] | None = None

    def batch(self, step: int, batch_size: int) -> Examples:
        """The training graphs of one step.

        Raises:
            ConfigError: The dataset has fewer training graphs than a batch.
        """
        n_graphs = self._train.n_graphs
        steps_per_epoch = n_graphs // batch_size
        if steps_per_epoch == 0:
            raise ConfigError(f"batch_size must be at most the {n_graphs} training graphs, got {batch_size}")
        epoch, place = divmod(step, steps_per_epoch)
        if self._newest is None or self._newest[0] != epoch:
            self._newest = (epoch, permutations(stream(*self._key, epoch), 1, n_graphs)[0])
        return self._train.take(self._newest[1][place * batch_size : (place + 1) * batch_size])


def write_dataset(
    folder: Path, generator: Generator[Any], *, seed: int, n_train: int, n_val: int, n_test: int, file_format: str
) -> Manifest:
    """Write a dataset folder, whole or not at all.

    A folder that already holds the same dataset is verified and kept.

    Returns:
        The manifest.

    Raises:
        ConfigError: The task has too few distinct graphs.
        CorruptArtefactError: The folder holds the same dataset, damaged.
        StorageError: The disk is full or the folder cannot be written.
        UsageError: The folder holds something else.
    """
    request = {
        "format_version": FORMAT_VERSION,
        "task": generator.name,
        "task_version": generator.version,
        "hops": list(generator.hops),
        "params": generator.params.model_dump(),
        "seed": seed,
        "file_format": file_format,
        "n_graphs": {"train": n_train, "val": n_val, "test": n_test},
    }
    if _holds_files(folder):
        return _verify_same(folder, request)
    splits = Splits(generator, seed=seed, n_val=n_val, n_test=n_test)
    parts = {"train": splits.train(0, n_train), "val": splits.val, "test": splits.test}
    unfinished = folder.parent / f".{folder.name}.unfinished"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a gen that was killed
        unfinished.mkdir(parents=True)
        files = {split: _write_split(unfinished, split, parts[split], file_format) for split in SPLITS}
        manifest = request | {
            "schema": _schema_as_json(generator),
            "splits": files,
            "content_sha256": content_sha256(parts),
        }
        manifest["manifest_sha256"] = _manifest_sha256(manifest)
        write_atomic(unfinished / MANIFEST, to_json(manifest))
        unfinished.replace(folder)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror}; choose another --out") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """A dataset's manifest, verified against its own hash.

    Raises:
        CorruptArtefactError: It is missing, truncated or edited.
        StorageError: There is no such folder.
    """
    if not folder.is_dir():
        raise StorageError(f"{folder}: is not a folder; make a dataset with `nexus-bench gen --out {folder}`")
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("manifest_sha256") != _manifest_sha256(manifest):
        raise CorruptArtefactError(f"{folder / MANIFEST}: was edited: its hash does not match; run gen again")
    return manifest


def read_dataset(folder: Path) -> Dataset:
    """Read a dataset folder and check every file against its hash.

    Raises:
        ConfigError: Its task is not known, or has changed its version since.
        CorruptArtefactError: A file is missing, truncated or edited.
    """
    manifest = read_manifest(folder)
    family = GENERATORS.get(manifest["task"])
    if (manifest["format_version"], manifest["task_version"]) != (FORMAT_VERSION, family.version):
        raise ConfigError(f"{folder}: was made by another version of {family.name}; run gen again")
    generator = family(family.Params.model_validate(manifest["params"]), tuple(manifest["hops"]))
    parts = {}
    for split in SPLITS:
        about = manifest["splits"][split]
        path = folder / about["file"]
        data = read_bytes(path)
        if sha256(data) != about["sha256"]:
            raise CorruptArtefactError(f"{path}: is truncated or edited: its hash does not match; run gen again")
        parts[split] = FORMATS[manifest["file_format"]].from_bytes(data)
    return Dataset(manifest, generator, parts["train"], parts["val"], parts["test"])


def content_sha256(parts: dict[str, Examples]) -> str:
    """The hash of the examples themselves, the same for every file format and machine."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for name, array in parts[split]._asdict().items():
            digest.update(f"{split}/{name}/{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
    return digest.hexdigest()


def _write_split(folder: Path, split: str, examples: Examples, file_format: str) -> Manifest:
    data = FORMATS[file_format].to_bytes(examples)
    file = f"{split}.{file_format}"
    write_atomic(folder / file, data)
    n_worlds = len(np.unique(world_ids(examples.facts)))
    return {
        "file": file,
        "sha256": sha256(data),
        "n_bytes": len(data),
        "n_examples": examples.answer.size,
        "n_repeated_graphs": examples.n_graphs - n_worlds,
    }


def _schema_as_json(generator: Generator[Any]) -> Manifest:
    schema = generator.schema
    return {
        "fact": [role._asdict() for role in schema.fact],
        "query": [role._asdict() for role in schema.query],
        "answer": schema.answer,
        "vocabularies": schema.vocabularies,
    }


def _manifest_sha256(manifest: Manifest) -> str:
    return sha256(to_json({k: v for k, v in manifest.items() if k != "manifest_sha256"}).encode())


def _holds_files(folder: Path) -> bool:
    try:
        return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise StorageError(f"{folder}: cannot be read: {error.strerror}; choose another --out") from error


def _verify_same(folder: Path, request: Manifest) -> Manifest:
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder}: holds something else, which is kept; choose another --out")
    manifest = read_manifest(folder)
    differs = [key for key, value in request.items() if manifest.get(key) != value]
    if differs:
        raise UsageError(
            f"{folder}: holds another dataset (its {', '.join(differs)} differs), which is kept; choose another --out"
        )
    return read_dataset(folder).manifest
