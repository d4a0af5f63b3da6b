"""The loggers that a run has chosen by name, told of what happens; curve.csv is always written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from nexus_bench.errors import NexusBenchError, StorageError, UsageError, in_one_line, unknown_name
from nexus_bench.experiment.events import Event, Failure, Progress
from nexus_bench.experiment.loggers.base import Logger
from nexus_bench.experiment.plan import RunPlan
from nexus_bench.experiment.records import CellResult
from nexus_bench.io.columns import TEST
from nexus_bench.training.spec import CellSpec


def _tensorboard(folder: Path, suite: str) -> Logger:
    from nexus_bench.experiment.loggers.tensorboard import TensorBoard

    return TensorBoard(folder / "tensorboard")


def _wandb(folder: Path, suite: str) -> Logger:
    from nexus_bench.experiment.loggers.wandb import WandB

    return WandB(folder, suite)


def _mlflow(folder: Path, suite: str) -> Logger:
    from nexus_bench.experiment.loggers.mlflow import MLflow

    return MLflow(suite)


# name -> makes it for a run folder and a suite; None: curve.csv alone
LOGGERS: dict[str, Callable[[Path, str], Logger] | None] = {
    "csv": None,
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}


class Loggers:
    """Tells the loggers what happens.

    Args:
        names: Names of LOGGERS.
        folder: The run folder.
        suite: Its suite.

    Raises:
        StorageError: A logger failed, here or in any method.
        UsageError: A name is unknown, or what a logger needs is not installed.
    """

    def __init__(self, names: Sequence[str], folder: Path, suite: str) -> None:
        for name in names:
            if name not in LOGGERS:
                raise UsageError(unknown_name("logger", name, LOGGERS))
        self._loggers: dict[str, Logger] = {}
        for name in dict.fromkeys(names):
            if (make := LOGGERS[name]) is not None:
                with _told(name):
                    self._loggers[name] = make(folder, suite)
        self._cells: dict[str, CellSpec] = {}
        self._titles: dict[str, str] = {}

    def __enter__(self) -> "Loggers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with ExitStack() as closing:  # all of them, also behind one that fails
                for name, logger in self._loggers.items():
                    closing.enter_context(_told(name))
                    closing.callback(logger.close)
        except StorageError:
            if error is None:  # else it would hide why training ended
                raise

    def begin(self, plan: RunPlan) -> None:
        """The cells of a plan are trained next."""
        self._cells |= {cell.cell_id: cell for cell in plan.to_do}
        self._titles |= plan.titles

    def on_event(self, event: Event) -> None:
        """Tell the loggers of an evaluation on validation, or of the test of a cell that ends."""
        if isinstance(event, Progress):
            scores = event.point.scores.items()
            metrics = {f"accuracy/{hop} hops": at.accuracy for hop, at in scores}
            self._log(event.cell_id, metrics | {f"loss/{hop} hops": at.loss for hop, at in scores}, event.point.step)
        elif isinstance(event, CellResult):
            rows = [row for row in event.rows if row["split"] == TEST]
            metrics = {f"test accuracy/{row['hop']} hops": row["accuracy"] for row in rows}
            self._log(event.cell_id, metrics, rows[0]["steps_done"])
        if isinstance(event, CellResult | Failure):
            for name, logger in self._loggers.items():
                with _told(name):
                    logger.end(self._cells[event.cell_id], has_failed=isinstance(event, Failure))

    def _log(self, cell_id: str, metrics: Mapping[str, float], step: int) -> None:
        for name, logger in self._loggers.items():
            with _told(name):
                logger.log(self._cells[cell_id], self._titles[cell_id], metrics, step)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What goes wrong in a logger is one line that names it: its service is away, say, or does not know who asks.

    Raises:
        StorageError: The logger failed; cells that are done are kept.
    """
    try:
        yield
    except (NexusBenchError, MemoryError):
        raise
    except Exception as error:  # of packages of others, which raise what they like
        raise StorageError(
            f"--logger {name}: {in_one_line(error)}; mend that and give the same command again, or use --logger csv"
        ) from error
