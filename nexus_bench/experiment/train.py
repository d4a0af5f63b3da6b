"""A suite trained in its folder, and reported: what `nexus-bench train` does."""

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from nexus_bench.errors import StorageError
from nexus_bench.experiment.display import Display
from nexus_bench.experiment.events import Event, Failure
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.folder import RunFolder
from nexus_bench.experiment.plan import Plan
from nexus_bench.experiment.runner import run_plan
from nexus_bench.experiment.tensorboard import TensorBoard
from nexus_bench.report.build import Report
from nexus_bench.report.output import report


class Trained(NamedTuple):
    """What a run came to.

    Attributes:
        folder: The run.
        failures: The cells that failed.
        report: None where cells failed and nothing can be reported or written.
        files: results.csv and the files of the report.
    """

    folder: RunFolder
    failures: list[Failure]
    report: Report | None
    files: list[Path]


def train(
    plan: Plan,
    folder: RunFolder,
    execution: Execution,
    *,
    data: Path | None = None,
    quiet: bool = False,
    log_every: int | None = None,
    tensorboard: bool = False,
) -> Trained:
    """Train what a folder lacks of a suite, and report all of it.

    Args:
        plan: From `make_plan`.
        folder: Where everything goes.
        execution: How.
        data: Dataset folder to train on; None means the endless stream of the task.
        quiet: Show nothing but failures on stderr.
        log_every: Also show an evaluation of each cell every so many steps.
        tensorboard: Write learning curves for TensorBoard.

    Raises:
        ConfigError: The data is too small for its splits or for a batch.
        CorruptArtefactError: The dataset or a record is damaged.
        StorageError: The tables cannot be written, and no cell failed.
        UsageError: The folder holds something else, or is being written to.
    """
    with ExitStack() as stack:
        board = stack.enter_context(TensorBoard(folder.path / "tensorboard")) if tensorboard else None
        display = stack.enter_context(Display(plan, quiet=quiet, log_every=log_every))

        def on_event(event: Event) -> None:
            display.on_event(event)
            if board:
                board.on_event(event)

        failures = run_plan(plan, folder, execution, data=data, on_event=on_event)
    try:
        built, files = report([folder.path], folder.path)
    except StorageError:
        if not failures:
            raise
        return Trained(folder, failures, None, [])  # what failed is told first
    return Trained(folder, failures, built, [folder.results_csv, *files])
