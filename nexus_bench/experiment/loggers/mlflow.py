"""Learning curves for MLflow, one run per cell in an experiment per suite; MLFLOW_TRACKING_URI says where they go."""

from collections.abc import Mapping
from typing import Any

from nexus_bench.experiment.loggers.base import imported
from nexus_bench.training.spec import CellSpec


class MLflow:
    """Sends the values of cells, as runs that are open at the same time.

    Args:
        suite: The name of the experiment.

    Raises:
        UsageError: MLflow is not installed.
    """

    def __init__(self, suite: str) -> None:
        self._client = imported("mlflow", "MlflowClient", logger="mlflow", install="mlflow").MlflowClient()
        found = self._client.get_experiment_by_name(suite)
        self._experiment = found.experiment_id if found else self._client.create_experiment(suite)
        self._runs: dict[str, str] = {}

    def log(self, cell: CellSpec, title: str, metrics: Mapping[str, float], step: int) -> None:
        """Send values of a cell."""
        if cell.cell_id not in self._runs:
            run = self._client.create_run(self._experiment, run_name=title, tags={"cell_id": cell.cell_id})
            self._runs[cell.cell_id] = run.info.run_id
            for name, value in _parameters(cell).items():
                self._client.log_param(run.info.run_id, name, value)
        for name, value in metrics.items():
            self._client.log_metric(self._runs[cell.cell_id], name, value, step=step)

    def end(self, cell: CellSpec, *, has_failed: bool) -> None:
        """End the run of a cell."""
        if run := self._runs.pop(cell.cell_id, None):
            self._client.set_terminated(run, "FAILED" if has_failed else "FINISHED")

    def close(self) -> None:
        """End the runs of cells that were stopped."""
        for run in self._runs.values():
            self._client.set_terminated(run, "KILLED")


def _parameters(cell: CellSpec) -> dict[str, Any]:
    """The values of a cell by name, such as `model.d_model`."""
    return {"seed": cell.seed} | {
        f"{part}.{name}": value
        for part, values in cell.model_dump(mode="json", exclude={"seed"}).items()
        for name, value in values.items()
    }
