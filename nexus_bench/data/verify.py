"""Checks of a dataset folder, derived from its facts: hashes, schema, labels, hops, repeats, overlap, balance."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nexus_bench.data.dataset import ContentHash, Manifest, check_folder, read_examples, read_manifest, spec_of
from nexus_bench.data.labels import find_denied
from nexus_bench.data.law import Law
from nexus_bench.data.splits import WorldIds, among, world_ids
from nexus_bench.data.task import law_of
from nexus_bench.errors import CorruptArtefactError
from nexus_bench.generators.base import Examples
from nexus_bench.io.columns import IID, TRAIN
from nexus_bench.io.files import sha256_of_file
from nexus_bench.streams import Mask

_CHUNK_GRAPHS = 4096  # graphs solved at a time
_SIGMAS = 6.0  # a share further than this from the declared one is not due to chance


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
        check = _Check(path, law_of(split, laws), laws[IID], examples, is_edited=is_edited)
        check.schema(manifest["n_graphs"][split])
        check.graphs()
        check.labels()
        if is_edited:
            edited.append(path)
            continue
        content.add(split, examples)
        worlds[split] = world_ids(examples.facts)
        n_repeated = examples.n_graphs - len(np.unique(worlds[split]))
        if n_repeated != about["n_repeated_graphs"]:
            check.fail(f"{n_repeated} graphs repeat, the manifest says {about['n_repeated_graphs']}")
        rows.append(Verified(split, examples.n_graphs, examples.answer.size, n_repeated, check.balance()))
    if edited:
        raise CorruptArtefactError(
            f"{edited[0]}: was edited: its hash does not match, though every row in it is right; run gen again"
        )
    _check_overlap(folder, manifest, worlds)
    if content.hexdigest() != manifest["content_sha256"]:
        raise CorruptArtefactError(f"{folder}: the content hash of the manifest is of other examples; run gen again")
    return rows


class _Check:
    """The checks of one file, each of which names the first bad row."""

    def __init__(self, path: Path, law: Law, trained: Law, examples: Examples, *, is_edited: bool) -> None:
        self.path, self.law, self.family, self.examples = path, law, law.family, examples
        self._schema = trained.schema  # a larger graph must do with the symbols of training
        self._is_edited = is_edited

    def fail(self, what: str) -> None:
        advice = "run gen again" if self._is_edited else "the file is as gen wrote it, so correct the family"
        raise CorruptArtefactError(f"{self.path}: {what}; {advice}")

    def schema(self, n_graphs: int) -> None:
        """Shapes as declared, ids within their vocabularies, hops among those asked for."""
        family, schema, examples = self.family, self._schema, self.examples
        shape = (n_graphs, family.n_queries)
        wanted = ((n_graphs, family.n_facts, len(schema.fact)), (*shape, len(schema.query)), shape, shape)
        for name, array, expected in zip(Examples._fields, examples, wanted, strict=True):
            if array.shape != expected or array.dtype != np.int32:
                self.fail(f"{name} must be int32 of the shape {expected}, got {array.dtype} of {array.shape}")
        for name, array, roles in (("facts", examples.facts, schema.fact), ("query", examples.query, schema.query)):
            for column, role in enumerate(roles):
                size = schema.vocabularies[role.vocabulary]
                values = array[:, :, column]
                outside = np.logical_or(values < 0, values >= size).any(axis=1)
                self._no(np.asarray(outside), f"{name}: {role.name} is not in 0..{size - 1}")
        bad = (examples.answer < 0) | (examples.answer >= schema.n_classes)
        self._no_query(bad, f"answer is not in 0..{schema.n_classes - 1}")
        self._no_query(~np.isin(examples.hop, family.hops), f"hop is not among those asked for, {list(family.hops)}")

    def graphs(self) -> None:
        """Check that no graph has a fact or a query twice."""
        self._no(_has_twins(self.examples.facts), "a fact is twice in the graph")
        self._no(_has_twins(self.examples.query), "a query is asked twice of the graph")

    def labels(self) -> None:
        """Check answers and hops with the solver, and that as many different facts as hops derive each answer."""
        for start in range(0, self.examples.n_graphs, _CHUNK_GRAPHS):
            part = self.examples.take(slice(start, start + _CHUNK_GRAPHS))
            denied = find_denied(self.law, part)
            if denied:
                self._fail_query(start + denied.graph, denied.query, denied.what)

    def balance(self) -> float:
        """Check that no answer is commoner than `chance` and hops are even; returns the largest share of an answer."""
        answer, hop, n = self.examples.answer, self.examples.hop, self.examples.hop.size
        largest = 0.0
        for k in self.family.hops:
            here = hop == k
            expected = 1 / len(self.family.hops)
            if abs(here.mean() - expected) > _SIGMAS * np.sqrt(expected * (1 - expected) / n):
                self.fail(f"hop {k} is in {here.mean():.1%} of the examples, expected {expected:.1%}")
            if not here.any():
                continue  # a small split may lack a hop
            counts = np.bincount(answer[here])
            share, chance = counts.max() / counts.sum(), self.family.chance(k)
            if share > chance + _SIGMAS * np.sqrt(chance * (1 - chance) / counts.sum()):
                name = self.law.symbol(self._schema.answer, int(counts.argmax()))
                self.fail(f"at {k} hops {share:.1%} of the answers are {name}; chance allows at most {chance:.1%}")
            largest = max(largest, float(share))
        return largest

    def _no(self, bad: Mask, what: str) -> None:
        if bad.any():
            graph = int(bad.argmax())
            self.fail(f"row {self._row(graph, 0)} (graph {graph}): {what}")

    def _no_query(self, bad: Mask, what: str) -> None:
        if bad.any():
            graph, query = (int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
            self._fail_query(graph, query, what)

    def _fail_query(self, graph: int, query: int, what: str) -> None:
        self.fail(f"row {self._row(graph, query)} (graph {graph}, query {query}): {what}")

    def _row(self, graph: int, query: int) -> int:
        """Where a file of rows has it, counted from 1, the head of a CSV not counted."""
        return graph * self.family.n_queries + query + 1


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


def _has_twins(tuples: np.ndarray) -> Mask:
    """Whether a row (g, n, c) holds the same tuple twice: array (g)."""
    size = int(tuples.max()) + 1
    key = np.zeros(tuples.shape[:2], dtype=np.int64)
    for column in range(tuples.shape[2]):
        key = key * size + tuples[:, :, column]
    if float(size) ** tuples.shape[2] >= 2.0**63:  # too wide for one number: compare as bytes
        key = np.array([[row.tobytes() for row in graph] for graph in tuples])
    key = np.sort(key, axis=1)
    twins: Mask = (key[:, 1:] == key[:, :-1]).any(axis=1)
    return twins
