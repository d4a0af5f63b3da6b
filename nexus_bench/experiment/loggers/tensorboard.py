"""Learning curves for TensorBoard, one line per cell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexus_bench.experiment.loggers.base import imported
from nexus_bench.training.spec import CellSpec


class TensorBoard:
    """Writes event files, one folder per cell.

    Args:
        folder: The log folder of TensorBoard.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        module = imported("torch.utils.tensorboard", "SummaryWriter", logger="tensorboard", install="tensorboard")
        self._make = module.SummaryWriter
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def log(self, cell: CellSpec, title: str, metrics: Mapping[str, float], step: int) -> None:
        """Write values of a cell."""
        if cell.cell_id not in self._writers:
            self._writers[cell.cell_id] = self._make(str(self._folder / cell.cell_id))
        for name, value in metrics.items():
            self._writers[cell.cell_id].add_scalar(name, value, step)

    def end(self, cell: CellSpec, *, has_failed: bool) -> None:
        """Close the file of a cell."""
        if writer := self._writers.pop(cell.cell_id, None):
            writer.close()

    def close(self) -> None:
        """Close all files."""
        for writer in self._writers.values():
            writer.close()
