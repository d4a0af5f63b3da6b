"""Learning curves for Weights & Biases, one run per cell, grouped by suite; its own variables say where they go."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexus_bench.experiment.loggers.base import imported
from nexus_bench.training.spec import CellSpec

_PROJECT = "nexus-bench"  # unless WANDB_PROJECT names another


class WandB:
    """Sends the values of cells, as runs that are open at the same time.

    Args:
        folder: The run folder; what wandb writes on this machine is kept there.
        suite: The group of the runs.

    Raises:
        UsageError: wandb is not installed.
    """

    def __init__(self, folder: Path, suite: str) -> None:
        self._wandb = imported("wandb", "setup", logger="wandb", install="'wandb>=0.20'")
        self._folder, self._suite = folder, suite
        self._runs: dict[str, Any] = {}

    def log(self, cell: CellSpec, title: str, metrics: Mapping[str, float], step: int) -> None:
        """Send values of a cell."""
        if cell.cell_id not in self._runs:
            self._folder.mkdir(parents=True, exist_ok=True)
            settings = self._wandb.setup().settings
            self._runs[cell.cell_id] = self._wandb.init(
                project=settings.project or _PROJECT,
                group=self._suite,
                name=title,
                config={"cell_id": cell.cell_id} | cell.model_dump(mode="json"),
                dir=str(self._folder),
                reinit="create_new",
                settings=self._wandb.Settings(silent=True, console="off"),
            )
        self._runs[cell.cell_id].log(dict(metrics), step=step)

    def end(self, cell: CellSpec, *, has_failed: bool) -> None:
        """End the run of a cell."""
        if run := self._runs.pop(cell.cell_id, None):
            run.finish(exit_code=int(has_failed))

    def close(self) -> None:
        """End the runs of cells that were stopped."""
        for run in self._runs.values():
            run.finish(exit_code=1)
