"""The manifest of a dataset folder: what it says, how it is read and checked, and the hash of the examples in it."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nexus_bench.data.formats import FORMATS, View
from nexus_bench.data.law import Law
from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError, CorruptArtefactError, NexusBenchError, StorageError, blame
from nexus_bench.generators.base import GENERATORS, Examples
from nexus_bench.io.columns import IID, TEST, TRAIN, VAL
from nexus_bench.io.entries import Spec, validate
from nexus_bench.io.files import read_bytes, read_json, sha256, sha256_of_file, to_json
from nexus_bench.io.hops import parse_hops
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
