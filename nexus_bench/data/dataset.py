"""Reading dataset folders: their manifest, their files, and batches from them."""

import hashlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nexus_bench.data.formats import FORMATS, View
from nexus_bench.data.law import Law
from nexus_bench.data.splits import HeldOut
from nexus_bench.data.task import TaskSpec, law_of
from nexus_bench.errors import ConfigError, CorruptArtefactError, NexusBenchError, StorageError, blame
from nexus_bench.generators.base import GENERATORS, Examples
from nexus_bench.io.columns import IID, TEST, TRAIN, VAL
from nexus_bench.io.entries import Spec, validate
from nexus_bench.io.files import read_bytes, read_json, sha256, sha256_of_file, to_json
from nexus_bench.io.hops import parse_hops
from nexus_bench.streams import permutations, stream
from nexus_bench.text.render import TextOptions

DATASET_FORMAT = 3  # raised by hand when the fields of the manifest or the files change
MANIFEST = "manifest.json"
CARD, CROISSANT = "README.md", "croissant.json"

Manifest = dict[str, Any]


class SplitFields(Spec):
    """What a manifest says of a split."""

    file: str
    sha256: str
    n_bytes: int = Field(ge=0)
    n_examples: int = Field(ge=0)
    n_repeated_graphs: int = Field(ge=0)


class ManifestFields(BaseModel):
    """The fields of a manifest that are read again, and their types; there are more for people."""

    model_config = ConfigDict(strict=True, extra="ignore")

    seed: int = Field(ge=0)
    file_format: Literal[tuple(FORMATS)]  # type: ignore[valid-type]
    n_graphs: dict[str, int]
    hops: list[int]
    params: dict[str, Any]
    hop_ood: list[int] | None
    size_ood: dict[str, Any] | None
    hop_query: str
    text: dict[str, Any] = Field(default={})
    splits: dict[str, SplitFields]
    content_sha256: str


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
    if not (folder / MANIFEST).exists() and not any(folder.glob("train.*")):
        what, out = ("dataset", "FOLDER") if folder.is_dir() else ("folder", folder)
        raise StorageError(f"{folder}: is not a {what}; make a dataset with `nexus-bench gen --out {out}`")
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("manifest_sha256") != manifest_sha256(manifest):
        raise CorruptArtefactError(f"{folder / MANIFEST}: was edited: its hash does not match; run gen again")
    if read_bytes(folder / MANIFEST) != to_json(manifest).encode():
        raise CorruptArtefactError(f"{folder / MANIFEST}: was edited: is not written as gen writes it; run gen again")
    family = GENERATORS.get(str(manifest.get("task")))
    for what, found, ours in (
        ("format", manifest.get("format_version"), DATASET_FORMAT),
        (f"version of {family.name}", manifest.get("task_version"), family.version),
    ):
        if found != ours:
            raise ConfigError(
                f"{folder}: is of {what} {found}, this is {ours}; make it again with gen, in another --out"
            )
    try:
        validate(ManifestFields, manifest, where=MANIFEST)
        if not {VAL, TEST} <= manifest["n_graphs"].keys():
            raise ValueError(f"n_graphs must hold {VAL} and {TEST}")
        laws = spec_of(manifest).laws()
        validate(TextOptions, manifest.get("text", {}), where="text")
        _check_splits(manifest, laws)
    except (ValueError, NexusBenchError) as error:  # a ValidationError is a ValueError
        if blame(error) is not None:
            raise
        said = " ".join(str(error).split())
        raise CorruptArtefactError(f"{folder / MANIFEST}: is not one that gen writes: {said}; run gen again") from error
    return manifest


def check_folder(folder: Path, manifest: Manifest) -> None:
    """Check the files of a dataset folder that hold no examples: card and metadata, and that there are no others.

    Args:
        folder: The folder.
        manifest: Its manifest; one of an older version does not say how they were written.

    Raises:
        CorruptArtefactError: One of them was edited or is missing, or a library would read another file as data.
    """
    for name, wanted in ((CARD, manifest.get("card_sha256")), (CROISSANT, manifest.get("croissant_sha256"))):
        if wanted is not None and sha256_of_file(folder / name) != wanted:
            raise CorruptArtefactError(
                f"{folder / name}: was edited: its hash does not match; restore it, or run gen again"
            )
    known = {MANIFEST, CARD, CROISSANT, *(about["file"] for about in manifest["splits"].values())}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if str(place) not in known and not path.is_dir() and not any(part.startswith(".") for part in place.parts):
            raise CorruptArtefactError(
                f"{path}: is not of this dataset, but libraries that read folders would read it; move it elsewhere"
            )


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
        law = law_of(split, laws)
        splits[split] = read_examples(path, manifest, law, is_edited=False)
        if fault := fault_of(splits[split], law, laws[IID], manifest["n_graphs"][split]):
            raise CorruptArtefactError(f"{path}: {fault}; run gen again")
    return Dataset(manifest, spec, splits)


def read_examples(path: Path, manifest: Manifest, law: Law, *, is_edited: bool) -> Examples:
    """The examples in a file of a split; nothing is said of what they are.

    Args:
        path: The file.
        manifest: The manifest of its folder.
        law: What it was drawn by.
        is_edited: Whether its hash differs.

    Raises:
        ConfigError: The format needs a package that is missing.
        CorruptArtefactError: It cannot be read.
    """
    try:
        return FORMATS[manifest["file_format"]].read(path, view_of(manifest, law))
    except NexusBenchError:
        raise
    except Exception as error:  # each of the libraries has exceptions of its own for what it cannot read
        if blame(error) is not None:
            raise
        state = "is truncated or edited" if is_edited else "is damaged"
        detail = f": {' '.join(str(error).split())}" if "text" in manifest and isinstance(error, ValueError) else ""
        raise CorruptArtefactError(f"{path}: {state}: cannot be read{detail}; run gen again") from error


def fault_of(examples: Examples, law: Law, trained: Law, n_graphs: int) -> str:
    """What is wrong with the types and shapes of examples, or with ids outside their vocabularies; empty if nothing.

    Args:
        examples: What was read.
        law: What the split is drawn by.
        trained: What training is drawn by; a larger graph must do with its symbols.
        n_graphs: Graphs that the split has.
    """
    schema, shape = trained.schema, (n_graphs, law.family.n_queries)
    wanted = ((n_graphs, law.family.n_facts, len(schema.fact)), (*shape, len(schema.query)), shape, shape)
    for name, array, expected in zip(Examples._fields, examples, wanted, strict=True):
        if array.shape != expected or array.dtype != np.int32:
            return f"{name} must be int32 of the shape {expected}, got {array.dtype} of {array.shape}"
    facts, query = ([schema.vocabularies[role.vocabulary] for role in roles] for roles in (schema.fact, schema.query))
    sizes = (facts, query, schema.n_classes, max(law.family.hops) + 1)
    for name, array, size in zip(Examples._fields, examples, sizes, strict=True):
        if ((array < -int(schema.is_sequence)) | (array >= np.array(size))).any():
            return f"{name} holds a number outside its vocabulary; `nexus-bench verify` names the row"
    if not (np.isin(examples.hop, law.family.hops) | (examples.answer < 0)).all():
        return f"hop holds one that is not among those asked for, {list(law.family.hops)}"
    return ""


def _check_splits(manifest: Manifest, laws: dict[str, Law]) -> None:
    """Check that a manifest has the splits of its task, each in a file of its own name.

    Raises:
        ValueError: It has others, or a file is elsewhere.
    """
    names = {TRAIN, VAL, TEST, *laws} - {IID}
    if not set(manifest["splits"]) == set(manifest["n_graphs"]) == names:
        raise ValueError(f"splits must be {', '.join(sorted(names))}")
    for split, about in manifest["splits"].items():
        expected = f"{split}.{FORMATS[manifest['file_format']].suffix}"
        if about["file"] != expected:
            raise ValueError(f"the file of {split} must be {expected}, got {about['file']!r}")
        if manifest["n_graphs"][split] < 1:
            raise ValueError(f"{split} must have 1 graph or more, got {manifest['n_graphs'][split]}")


def manifest_sha256(manifest: Manifest) -> str:
    """The hash of a manifest, without the field of the hash itself."""
    return sha256(to_json({k: v for k, v in manifest.items() if k != "manifest_sha256"}).encode())
