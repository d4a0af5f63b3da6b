"""Checks of a dataset folder, derived from its facts: hashes, schema, labels, hops, repeats, overlap, balance."""

from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from nexus_bench.data.dataset import read_examples
from nexus_bench.data.faults import Fault, find_denied, find_misfit, find_twins, find_uneven, majority
from nexus_bench.data.manifest import ContentHash, Manifest, check_folder, read_manifest, spec_of
from nexus_bench.data.splits import WorldIds, among, worlds_of
from nexus_bench.data.task import law_of
from nexus_bench.errors import CorruptArtefactError
from nexus_bench.generators.base import Schema
from nexus_bench.io.columns import IID, TRAIN
from nexus_bench.io.files import sha256_of_file

_CHUNK_GRAPHS = 4096  # graphs solved at a time


class Verified(NamedTuple):
    """The checks of one split.

    Attributes:
        split: Name of the split.
        n_graphs: Number of graphs.
        n_examples: Number of labels solved again.
        n_repeated_graphs: Graphs whose facts occurred before in the split; counted, not an error.
        majority: Share of the most common answer, at the hop where it is largest.
    """

    split: str
    n_graphs: int
    n_examples: int
    n_repeated_graphs: int
    majority: float


def verify(folder: Path) -> list[Verified]:
    """Check a dataset folder.

    Returns:
        One row per split.

    Raises:
        ConfigError: Another version of the task made it.
        CorruptArtefactError: Something is wrong; the message names the first bad row.
        StorageError: The folder cannot be read.
    """
    manifest = read_manifest(folder)
    check_folder(folder, manifest)
    laws = spec_of(manifest).laws()
    content = ContentHash()
    worlds: dict[str, WorldIds] = {}
    rows, edited = [], []
    for split, about in manifest["splits"].items():
        path = folder / about["file"]
        is_edited = sha256_of_file(path) != about["sha256"]
        examples = read_examples(path, manifest, law_of(split, laws), is_edited=is_edited)
        law = law_of(split, laws)
        is_sequence = law.schema.is_sequence
        check = _Check(path, law.schema, 1 if is_sequence else law.family.n_queries, is_edited=is_edited)
        # a larger graph must do with the symbols of training
        check.no(find_misfit(law.family, laws[IID].schema, examples, n_graphs=manifest["n_graphs"][split]))
        check.no(None if is_sequence else find_twins(examples))
        for start in range(0, examples.n_graphs, _CHUNK_GRAPHS):
            check.no(find_denied(law, examples.take(slice(start, start + _CHUNK_GRAPHS))), first_graph=start)
        if is_edited:
            edited.append(path)
            continue
        content.add(split, examples)
        worlds[split] = worlds_of(law, examples)
        n_repeated = examples.n_graphs - len(np.unique(worlds[split]))
        if n_repeated != about["n_repeated_graphs"]:
            check.fail(f"{n_repeated} graphs repeat, the manifest says {about['n_repeated_graphs']}")
        check.no(find_uneven(law, examples))
        common = max(majority(examples, hop).share for hop in law.family.hops)
        rows.append(Verified(split, examples.n_graphs, int((examples.hop > 0).sum()), n_repeated, common))
    if edited:
        raise CorruptArtefactError(
            f"{edited[0]}: was edited: its hash does not match, though every row in it is right; run gen again"
        )
    _check_overlap(folder, manifest, worlds)
    if content.hexdigest() != manifest["content_sha256"]:
        raise CorruptArtefactError(f"{folder}: the content hash of the manifest is of other examples; run gen again")
    return rows


class _Check:
    """What is wrong with one file, told with the first bad row."""

    def __init__(self, path: Path, schema: Schema, n_queries: int, *, is_edited: bool) -> None:
        self._path, self._schema, self._n_queries, self._is_edited = path, schema, n_queries, is_edited

    def no(self, fault: Fault | None, *, first_graph: int = 0) -> None:
        """Fail if there is a fault, in examples that begin with this graph; a sequence is one row."""
        if fault is None:
            return
        if fault.graph is None:
            self.fail(fault.what)
        graph = first_graph + fault.graph
        row = (
            graph * self._n_queries + min(fault.query or 0, self._n_queries - 1) + 1
        )  # where a file of rows has it; a CSV's head not counted
        self.fail(f"row {row} ({self._schema.at(graph, fault.query)}): {fault.what}")

    def fail(self, what: str) -> NoReturn:
        advice = "run gen again" if self._is_edited else "the file is as gen wrote it, so correct the family"
        raise CorruptArtefactError(f"{self._path}: {what}; {advice}")


def _check_overlap(folder: Path, manifest: Manifest, worlds: dict[str, WorldIds]) -> None:
    """Check that no world of one split is in another; training is compared last, since it is drawn last."""
    names = [name for name in worlds if name != TRAIN] + [TRAIN]
    for i, name in enumerate(names):
        for other in names[:i]:
            shared = among(worlds[name], np.sort(worlds[other]))
            if shared.any():
                graph = int(shared.argmax())
                raise CorruptArtefactError(
                    f"{folder / manifest['splits'][name]['file']}: graph {graph} has the facts of a graph "
                    f"of {other}: {int(shared.sum())} such; run gen again"
                )
