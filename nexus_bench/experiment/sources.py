"""The source of the examples of a cell."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nexus_bench.data.dataset import Dataset, StoredSource, read_dataset
from nexus_bench.data.splits import Splits
from nexus_bench.errors import ConfigError
from nexus_bench.io.columns import VAL
from nexus_bench.training.row import CellSource
from nexus_bench.training.spec import CellSpec


def open_sources(cells: Sequence[CellSpec], data: Path | None) -> list[CellSource]:
    """Open the examples of cells of one task; a dataset is read once, and cells of one seed share a source.

    Raises:
        ConfigError: As `open_source`.
        CorruptArtefactError: As `open_source`.
    """
    dataset = None if data is None else read_dataset(data)
    by_seed = {cell.seed: cell for cell in cells}
    opened = {seed: open_source(cell, data, dataset) for seed, cell in by_seed.items()}
    return [opened[cell.seed] for cell in cells]


def open_source(cell: CellSpec, data: Path | None, dataset: Dataset | None = None) -> CellSource:
    """Open the examples of a cell: a dataset folder, or the stream of its task.

    Args:
        cell: The cell.
        data: The dataset folder; None means the stream.
        dataset: What is in the folder, if it was read already.

    Raises:
        ConfigError: The cell is for a dataset and `data` is not that one, there are too few distinct graphs, or a
            held-out split has no example of one of its hops.
        CorruptArtefactError: The dataset is damaged.
    """
    task = cell.task
    if task.content_sha256 is not None and data is None:
        raise ConfigError(
            f"{task.task}: was trained on a dataset ({task.content_sha256[:16]}...); give its folder by --data"
        )
    if data is not None:
        dataset, wanted = dataset or read_dataset(data), task.content_sha256
        if wanted is None:
            raise ConfigError(f"{task.task}: was not trained on a dataset; omit --data")
        if (found := dataset.manifest["content_sha256"]) != wanted:
            raise ConfigError(
                f"{data}: is not the dataset of this cell, {wanted[:16]}..., but {found[:16]}...; give the right one"
            )
        return _with_every_hop(StoredSource(dataset, seed=cell.seed), f"{data}")
    source = Splits(task.laws(), seed=cell.seed, n_val=task.n_val, n_test=task.n_test)
    return _with_every_hop(source, f"{task.task}, seed {cell.seed}")


def _with_every_hop(source: CellSource, name: str) -> CellSource:
    """The source; what a split without one of its hops says of that hop would be nothing."""
    for split, (law, examples) in source.held_out.items():
        lacking = set(law.family.hops) - set(np.unique(examples.hop).tolist())
        if lacking:
            size = "n_val" if split == VAL else "n_test"
            raise ConfigError(
                f"{name}: split '{split}' has no example of hop {min(lacking)} among its {examples.answer.size} "
                f"queries; raise {size} from {examples.n_graphs}"
            )
    return source
