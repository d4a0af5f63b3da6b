"""`nexus_bench.load`: a dataset folder as arrays, or as a PyTorch dataset."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus_bench.data.dataset import Dataset, read_dataset
from nexus_bench.data.manifest import Manifest
from nexus_bench.errors import UsageError, unknown_name
from nexus_bench.generators.base import Examples

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset as TorchDataset


class LoadedDataset:
    """The splits of a dataset as arrays: `data["train"].facts`, or `data.train.facts`.

    Args:
        dataset: A dataset that was read and checked.

    Attributes:
        manifest: The content of `manifest.json`: the schema, every parameter, the hashes.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.manifest: Manifest = dataset.manifest
        self._splits = dataset.splits

    def __getitem__(self, split: str) -> Examples:
        if split not in self._splits:
            raise UsageError(unknown_name("split", split, self._splits))
        return self._splits[split]

    def __getattr__(self, split: str) -> Examples:
        if split.startswith("_") or split not in self._splits:
            raise AttributeError(unknown_name("split", split, self.__dict__.get("_splits", ())))
        return self._splits[split]

    def __iter__(self) -> Iterator[str]:
        return iter(self._splits)

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {examples.n_graphs:,}" for split, examples in self._splits.items())
        return f"<nexus-bench dataset {self.manifest['task']}: {counts} graphs>"

    def torch(self, split: str = "train") -> "TorchDataset[dict[str, Tensor]]":
        """One split as a map-style PyTorch dataset.

        Args:
            split: Its name.

        Returns:
            A dataset whose item is one graph with all of its queries: a dictionary of int64 tensors `facts`
            (facts, roles), `query` (queries, roles), `answer` (queries) and `hop` (queries). A `DataLoader` stacks
            them.

        Raises:
            UsageError: There is no such split.
        """
        import torch
        from torch.utils.data import Dataset as TorchDataset

        tensors = {name: torch.tensor(array, dtype=torch.int64) for name, array in self[split]._asdict().items()}

        class Graphs(TorchDataset[dict[str, "Tensor"]]):
            def __len__(self) -> int:
                return len(tensors["facts"])

            def __getitem__(self, index: Any) -> dict[str, "Tensor"]:
                return {name: tensor[index] for name, tensor in tensors.items()}

        return Graphs()


def load(path: str | Path) -> LoadedDataset:
    """Read a dataset folder that `nexus-bench gen` made, and check every file against its hash.

    Raises:
        ConfigError: Another version of the task made it.
        CorruptArtefactError: A file is missing, truncated or edited.
        StorageError: There is no such folder.
    """
    return LoadedDataset(read_dataset(Path(path)))
