"""The source of the examples of a cell."""

from pathlib import Path

from nexus_bench.data.dataset import StoredSource, read_dataset
from nexus_bench.data.splits import Splits
from nexus_bench.errors import ConfigError
from nexus_bench.training.engine import Source
from nexus_bench.training.spec import CellSpec


def open_source(cell: CellSpec, data: Path | None) -> Source:
    """Open the examples of a cell: a dataset folder, or the stream of its task.

    Raises:
        ConfigError: The cell is for a dataset and `data` is not that one, or there are too few distinct graphs.
        CorruptArtefactError: The dataset is damaged.
    """
    task = cell.task
    if task.content_sha256 is not None and data is None:
        raise ConfigError(
            f"{task.task}: was trained on a dataset ({task.content_sha256[:16]}...); give its folder by --data"
        )
    if data is not None:
        dataset, wanted = read_dataset(data), task.content_sha256
        if wanted is None:
            raise ConfigError(f"{task.task}: was not trained on a dataset; omit --data")
        if (found := dataset.manifest["content_sha256"]) != wanted:
            raise ConfigError(
                f"{data}: is not the dataset of this cell, {wanted[:16]}..., but {found[:16]}...; give the right one"
            )
        return StoredSource(dataset, seed=cell.seed)
    return Splits(task.laws(), seed=cell.seed, n_val=task.n_val, n_test=task.n_test)
