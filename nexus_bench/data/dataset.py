"""Reading the examples of a dataset folder: its files, and batches from them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nexus_bench.data.formats import FORMATS
from nexus_bench.data.law import Law
from nexus_bench.data.manifest import Manifest, read_manifest, spec_of, view_of
from nexus_bench.data.splits import HeldOut
from nexus_bench.data.task import TaskSpec, law_of
from nexus_bench.errors import ConfigError, CorruptArtefactError, NexusBenchError, blame
from nexus_bench.generators.base import Examples
from nexus_bench.io.columns import IID, TRAIN
from nexus_bench.io.files import sha256_of_file
from nexus_bench.streams import permutations, stream


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
