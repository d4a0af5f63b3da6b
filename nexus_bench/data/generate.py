"""Writing dataset folders: drawn block by block and streamed to disk, whole or not at all."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nexus_bench.data.card import dataset_card
from nexus_bench.data.croissant import croissant
from nexus_bench.data.dataset import Dataset, read_dataset
from nexus_bench.data.faults import find_denied
from nexus_bench.data.formats import FORMATS, View, Writer
from nexus_bench.data.law import Law
from nexus_bench.data.manifest import (
    CARD,
    CROISSANT,
    DATASET_FORMAT,
    MANIFEST,
    ContentHash,
    Manifest,
    check_folder,
    manifest_sha256,
    read_manifest,
)
from nexus_bench.data.provenance import task_origin
from nexus_bench.data.splits import BLOCK_GRAPHS, Splits, worlds_of
from nexus_bench.data.task import TaskSpec, law_of
from nexus_bench.errors import CheckFailedError, StorageError, UsageError
from nexus_bench.generators.base import Examples
from nexus_bench.generators.parts.sequences import refuse_sequences
from nexus_bench.io.columns import IID, TEST, TRAIN, VAL
from nexus_bench.io.files import locked, sha256, sha256_of_file, to_json, unwritable, write_atomic
from nexus_bench.io.hops import format_hops
from nexus_bench.text.render import TextOptions
from nexus_bench.version import __version__

OnGraphs = Callable[[int], None]

_LOCK = ".lock"
_LEAST_CHECKED, _ONE_IN = 64, 128  # graphs of each split whose labels are checked
_CHECKED_AT_ONCE = 512  # graphs; fewer would cost more calls
_CHUNK_GRAPHS = 8 * BLOCK_GRAPHS  # graphs written at a time; the files do not depend on it


def default_folder(spec: TaskSpec, *, seed: int) -> Path:
    """The default folder of a dataset."""
    return Path("runs/data") / f"{spec.task}-hops{format_hops(spec.hops)}-seed{seed}"


def generate(
    folder: Path,
    spec: TaskSpec,
    *,
    seed: int,
    n_train: int,
    file_format: str,
    text: TextOptions | None = None,
    chunk_graphs: int = _CHUNK_GRAPHS,
    on_graphs: OnGraphs = lambda n_graphs: None,
) -> Manifest:
    """Write a dataset folder, whole or not at all; memory grows with `n_train` by only 8 bytes per graph.

    A folder that already holds the same dataset is checked and kept.

    Args:
        folder: The folder to write; a file or another dataset there is kept, and is an error.
        spec: The task.
        seed: Seed of the dataset.
        n_train: Training graphs.
        file_format: One of FORMATS.
        text: How the formats `text` and `chat` write the examples.
        chunk_graphs: Graphs in memory at a time; the files do not depend on it.
        on_graphs: Called with the number of graphs written since the last call.

    Returns:
        The manifest.

    Raises:
        CheckFailedError: The family draws a label that its solver denies; a sample of the graphs is checked.
        ConfigError: The task has too few distinct graphs, or the format needs a package that is missing.
        CorruptArtefactError: The folder holds the same dataset, damaged.
        StorageError: The disk is full or the folder cannot be written.
        UsageError: The folder holds something else, or another process is writing it.
    """
    if text is not None:
        refuse_sequences(spec.generator())
    laws = spec.laws()
    n_graphs = {TRAIN: n_train, VAL: spec.n_val, TEST: spec.n_test}
    n_graphs |= {name: spec.n_test for name in laws if name != IID}
    request: Manifest = {
        "format_version": DATASET_FORMAT,
        "task_version": laws[IID].family.version,
        "seed": seed,
        "file_format": file_format,
        "n_graphs": n_graphs,
        **spec.model_dump(mode="json", include={"task", "hops", "params", "hop_ood", "size_ood", "hop_query"}),
        **({"pattern_ood": True} if spec.pattern_ood else {}),
        **({} if text is None else {"text": text.model_dump()}),
    }
    if _holds_files(folder):
        return _keep_same(folder, request)
    splits = Splits(laws, seed=seed, n_val=spec.n_val, n_test=spec.n_test)
    with _unfinished(folder) as unfinished:
        if _holds_files(folder):  # of another process, which has just finished
            return _keep_same(folder, request)
        content = ContentHash()
        files = {}
        for split, count in n_graphs.items():
            form = FORMATS[file_format]
            path = unfinished / f"{split}.{form.suffix}"
            law = law_of(split, laws)
            writer = form.writer(path, count, View(law, text or TextOptions()))
            chunks = _checked(_chunks(splits, split, count, chunk_graphs), law, split, count)
            files[split] = _write_split(path, writer, split, law, chunks, count, content, on_graphs)
        manifest = request | {
            "schema": _schema_as_json(laws[IID]),
            "reasoning": laws[IID].family.reasoning,
            "splits": files,
            "content_sha256": content.hexdigest(),
            "nexus_bench": __version__,
            "origin": task_origin(spec.task),
        }
        card, metadata = dataset_card(manifest), to_json(croissant(manifest))
        manifest["card_sha256"] = sha256(card.encode())
        manifest["croissant_sha256"] = sha256(metadata.encode())
        manifest["manifest_sha256"] = manifest_sha256(manifest)
        write_atomic(unfinished / CARD, card)
        write_atomic(unfinished / CROISSANT, metadata)
        write_atomic(unfinished / MANIFEST, to_json(manifest))
    return manifest


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """An empty folder for this process alone, which gets its name once it holds a manifest, and is dropped otherwise.

    Raises:
        StorageError: It cannot be written.
        UsageError: Another process writes this folder.
    """
    try:
        place, is_whole = folder.resolve(), False  # a link stays one
        unfinished = place.parent / f".{place.name}.unfinished"
        unfinished.mkdir(parents=True, exist_ok=True)
        with locked(unfinished / _LOCK, guards=folder, advice="choose another --out"):
            try:
                for left in unfinished.iterdir():  # by a `gen` that was killed
                    if left.name != _LOCK:
                        left.unlink()
                yield unfinished
                if is_whole := (unfinished / MANIFEST).exists():
                    unfinished.replace(place)
                    (place / _LOCK).unlink()
            finally:
                if not is_whole:  # one of the name may be of another process by now
                    shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise unwritable(folder, error, "choose another --out") from error


def draw_dataset(spec: TaskSpec, *, seed: int, n_train: int = 0) -> Dataset:
    """The splits of a dataset like those that `generate` writes, in memory; without training graphs, unless asked for.

    Raises:
        ConfigError: The task has too few distinct graphs.
    """
    splits = Splits(spec.laws(), seed=seed, n_val=spec.n_val, n_test=spec.n_test)
    drawn = {split: held.examples for split, held in splits.held_out.items()}
    drawn |= {TRAIN: splits.train(0, n_train)} if n_train else {}
    content = ContentHash()
    for split, examples in drawn.items():
        content.add(split, examples)
    manifest = {"task_version": splits.law.family.version, "seed": seed, "content_sha256": content.hexdigest()}
    return Dataset(manifest, spec, drawn)


def _chunks(splits: Splits, split: str, n_graphs: int, chunk_graphs: int) -> Iterator[Examples]:
    if split == TRAIN:
        for start in range(0, n_graphs, chunk_graphs):
            yield splits.train(start, min(start + chunk_graphs, n_graphs))
    else:
        yield splits.held_out[split].examples


def _checked(chunks: Iterator[Examples], law: Law, split: str, n_graphs: int) -> Iterator[Examples]:
    """The chunks of a split, the labels of a sample of their graphs checked by the solver.

    The sample is one graph in 128, or 64 graphs of a smaller split. It begins one graph later in every block, so a
    fault at any place of a block is met in time.

    Raises:
        CheckFailedError: The solver denies a label.
    """
    one_in = max(1, min(_ONE_IN, n_graphs // _LEAST_CHECKED))
    start, numbers, waiting = 0, np.empty(0, dtype=np.int64), list[Examples]()
    for examples in chunks:
        graphs = np.arange(start, start + examples.n_graphs)
        sample = graphs % one_in == graphs // BLOCK_GRAPHS % one_in
        start += examples.n_graphs
        numbers = np.concatenate([numbers, graphs[sample]])
        waiting.append(examples.take(sample))
        yield examples
        if len(numbers) >= _CHECKED_AT_ONCE or start == n_graphs:
            denied = find_denied(law, Examples.concatenate(waiting))
            if denied:
                where = law.schema.at(int(numbers[denied.graph]), denied.query)
                raise CheckFailedError(
                    f"{law.family.name}: {split}, {where}: {denied.what}; "
                    f"correct the family: its {' or its '.join(law.schema.written)} is wrong"
                )
            numbers, waiting = numbers[:0], []


def _write_split(
    path: Path,
    writer: Writer,
    split: str,
    law: Law,
    chunks: Iterator[Examples],
    n_graphs: int,
    content: ContentHash,
    on_graphs: OnGraphs,
) -> Manifest:
    ids, n_examples = [], 0
    try:
        for examples in chunks:
            writer.write(examples)
            content.add(split, examples)
            ids.append(worlds_of(law, examples))
            n_examples += int((examples.hop > 0).sum())
            on_graphs(examples.n_graphs)
    except CheckFailedError:
        writer.close()  # its files are dropped next
        raise
    writer.close()
    return {
        "file": path.name,
        "sha256": sha256_of_file(path),
        "n_bytes": path.stat().st_size,
        "n_examples": n_examples,
        "n_repeated_graphs": n_graphs - len(np.unique(np.concatenate(ids))),
    }


def _schema_as_json(law: Law) -> Manifest:
    schema = law.schema
    return {
        "fact": [role._asdict() for role in schema.fact],
        "query": [role._asdict() for role in schema.query],
        "answer": schema.answer,
        "vocabularies": schema.vocabularies,
    }


def _holds_files(folder: Path) -> bool:
    try:
        return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise StorageError(f"{folder}: cannot be read: {error.strerror}; choose another --out") from error


def _keep_same(folder: Path, request: Manifest) -> Manifest:
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder}: holds something else, which is kept; choose another --out")
    manifest = read_manifest(folder)
    differs = [key for key, value in request.items() if manifest.get(key) != value]
    if differs:
        raise UsageError(
            f"{folder}: holds another dataset (its {', '.join(differs)} differs), which is kept; choose another --out"
        )
    check_folder(folder, manifest)
    return read_dataset(folder).manifest
