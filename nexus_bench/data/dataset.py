"""Reading dataset folders: their manifest, their files, and batches from them."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexus_bench.data.formats import FORMATS, View
from nexus_bench.data.law import Law
from nexus_bench.data.splits import HeldOut
from nexus_bench.data.task import TaskSpec, law_of
from nexus_bench.errors import ConfigError, CorruptArtefactError, StorageError
from nexus_bench.generators.base import GENERATORS, Examples
from nexus_bench.io.columns import IID, TEST, TRAIN, VAL
from nexus_bench.io.files import read_json, sha256, sha256_of_file, to_json
from nexus_bench.io.hops import parse_hops
from nexus_bench.streams import permutations, stream
from nexus_bench.text.render import TextOptions

DATASET_FORMAT = 3  # raised by hand when the fields of the manifest or the files change
MANIFEST = "manifest.json"

Manifest = dict[str, Any]


class Dataset(NamedTuple):
    """A verified dataset folder, read into memory.

    Attributes:
        manifest: The content of `manifest.json`.
        spec: The task it was drawn from.
        splits: The examples by split: `train`, `test`, `val`, and further ones such as `hop_ood` if there are any.
    """

    manifest: Manifest
    spec: TaskSpec
    splits: dict[str, Examples]


class StoredSource:
    """Training batches from a dataset: every graph once per epoch, in an order that the seed determines.

    Args:
        dataset: The dataset.
        seed: Seed of the order.
    """

    def __init__(self, dataset: Dataset, *, seed: int) -> None:
        laws = dataset.spec.laws()
        self.law = laws[IID]
        self.held_out = {
            split: HeldOut(law_of(split, laws), examples)
            for split, examples in dataset.splits.items()
            if split != TRAIN
        }
        self._train = dataset.splits[TRAIN]
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
        newest = self._newest
        if newest is None or newest[0] != epoch:
            newest = self._newest = (epoch, permutations(stream(*self._key, epoch), 1, n_graphs)[0])
        return self._train.take(newest[1][place * batch_size : (place + 1) * batch_size])


class ContentHash:
    """The hash of the examples themselves, the same for every file format, chunk size and machine."""

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}
        self._n_graphs: dict[str, int] = {}

    def add(self, split: str, examples: Examples) -> None:
        """The next graphs of a split."""
        for name, array in examples._asdict().items():
            key = f"{split}/{name}/{array.shape[1:]}"
            self._digests.setdefault(key, hashlib.sha256()).update(np.ascontiguousarray(array, dtype="<i4").data)
            self._n_graphs[key] = self._n_graphs.get(key, 0) + len(array)

    def hexdigest(self) -> str:
        """The hash over all splits, in the order of their names."""
        parts = [[key, self._n_graphs[key], self._digests[key].hexdigest()] for key in sorted(self._digests)]
        return sha256(to_json(parts).encode())


def read_manifest(folder: Path) -> Manifest:
    """A dataset's manifest, verified against its own hash.

    Raises:
        ConfigError: Another version of the format or of the task made it.
        CorruptArtefactError: It is missing, truncated or edited.
        StorageError: There is no such folder.
    """
    if not folder.is_dir():
        raise StorageError(f"{folder}: is not a folder; make a dataset with `nexus-bench gen --out {folder}`")
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("manifest_sha256") != manifest_sha256(manifest):
        raise CorruptArtefactError(f"{folder / MANIFEST}: was edited: its hash does not match; run gen again")
    family = GENERATORS.get(manifest["task"])
    for what, found, ours in (
        ("format", manifest["format_version"], DATASET_FORMAT),
        (f"version of {family.name}", manifest["task_version"], family.version),
    ):
        if found != ours:
            raise ConfigError(
                f"{folder}: is of {what} {found}, this is {ours}; make it again with gen, in another --out"
            )
    return manifest


def spec_of(manifest: Manifest) -> TaskSpec:
    """The task that a manifest describes."""
    fields = {name: manifest[name] for name in ("task", "params", "hop_query", "size_ood")}
    hops = {"hops": parse_hops(manifest["hops"]), "hop_ood": manifest["hop_ood"] and parse_hops(manifest["hop_ood"])}
    hops |= {"pattern_ood": manifest.get("pattern_ood", False)}
    counts = {f"n_{split}": manifest["n_graphs"][split] for split in (VAL, TEST)}
    return TaskSpec.model_validate(fields | hops | counts)


def view_of(manifest: Manifest, law: Law) -> View:
    """How the files of a dataset are to be read."""
    return View(law, TextOptions.model_validate(manifest.get("text", {})))


def read_dataset(folder: Path) -> Dataset:
    """Read a dataset folder and check every file against its hash.

    Raises:
        ConfigError: Its task is unknown, or the version of the task has changed since.
        CorruptArtefactError: A file is missing, truncated or edited.
    """
    manifest = read_manifest(folder)
    spec = spec_of(manifest)
    laws = spec.laws()
    splits = {}
    for split, about in manifest["splits"].items():
        path = folder / about["file"]
        if sha256_of_file(path) != about["sha256"]:
            raise CorruptArtefactError(
                f"{path}: is truncated or edited: its hash does not match; "
                f"`nexus-bench verify {folder}` names the row, gen makes it again"
            )
        splits[split] = FORMATS[manifest["file_format"]].read(path, view_of(manifest, law_of(split, laws)))
    return Dataset(manifest, spec, splits)


def manifest_sha256(manifest: Manifest) -> str:
    """The hash of a manifest, without the field of the hash itself."""
    return sha256(to_json({k: v for k, v in manifest.items() if k != "manifest_sha256"}).encode())
