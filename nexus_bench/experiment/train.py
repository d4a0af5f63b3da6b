"""What `nexus-bench train` does: train a suite in its folder, and report it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nexus_bench.errors import StorageError
from nexus_bench.experiment.display import Display
from nexus_bench.experiment.events import Event, Failure, Note
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.loggers.chosen import Loggers
from nexus_bench.experiment.plan import RunPlan, left_out_note, make_plan
from nexus_bench.experiment.restore_copy import is_copy, restore_cells
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.runner import run_plan
from nexus_bench.experiment.suite import Suite
from nexus_bench.experiment.undecided import undecided
from nexus_bench.io.plurals import counted
from nexus_bench.io.record_seals import cells_of_tables
from nexus_bench.report.build import Report
from nexus_bench.report.output import report


class TrainOutcome(NamedTuple):
    """The outcome of a run.

    Attributes:
        folder: The run folder.
        suite: The suite, with the recipes that were chosen.
        failures: The cells that failed.
        report: The report; None if cells failed and nothing can be reported or written.
        files: results.csv and the files of the report.
    """

    folder: RunFolder
    suite: Suite
    failures: list[Failure]
    report: Report | None
    files: list[Path]

    @property
    def titles(self) -> dict[str, str]:
        """The title of every cell of the suite, by cell_id."""
        return self.suite.titles


def train(
    plan: RunPlan,
    folder: RunFolder,
    execution: Execution,
    *,
    data: Path | None = None,
    quiet: bool = False,
    log_every: int | None = None,
    loggers: Sequence[str] = (),
) -> TrainOutcome:
    """Train the cells of a suite that a folder lacks, and report the whole suite.

    A suite that is tuned is planned again once its tuning is done; then the cells with the best recipes are trained.

    Args:
        plan: The result of `make_plan`.
        folder: The run folder; of a copy without its cells these are restored from its tables.
        execution: Mode, device and executor.
        data: Dataset folder to train on; None means the endless stream of the task.
        quiet: Show nothing but failures on stderr.
        log_every: Also show an evaluation of each cell every so many steps.
        loggers: Where learning curves go besides curve.csv; names of `loggers.chosen.LOGGERS`.

    Raises:
        ConfigError: The data is too small for its splits or for a batch.
        CorruptArtefactError: The dataset or a record is damaged.
        StorageError: The tables cannot be written, and no cell failed.
        UsageError: The folder holds something else, or is being written to; or what a logger needs is not installed.
    """
    failures: list[Failure] = []
    notes = [*plan.suite.notes, *([few] if plan.to_do and (few := undecided(plan.suite)) else [])]
    before = cells_of_tables(folder.path)
    if is_copy(folder):
        n_cells = counted(restore_cells(folder, plan.suite.name), "cell")
        notes.append(f"restored {n_cells} from the tables, without weights")
        plan = make_plan(plan.suite, folder)
    with Loggers(loggers, folder.path, plan.suite.name) as curves:
        while True:
            if leaving := left_out_note(plan.suite, before):
                notes.append(leaving)
                before = set()
            curves.begin(plan)
            with Display(plan, execution, folder.path, quiet=quiet, log_every=log_every) as display:

                def on_event(event: Event, display: Display = display) -> None:
                    display.on_event(event)
                    curves.on_event(event)

                while notes:
                    on_event(Note(notes.pop(0)))
                failures = run_plan(plan, folder, execution, data=data, on_event=on_event, failed=failures)
            purposes_before = plan.suite.purposes
            plan = make_plan(plan.suite, folder, failed=[failure.cell_id for failure in failures])
            if not plan.to_do and plan.suite.purposes == purposes_before:  # else the tables do not hold what was chosen
                break
    failures = [failure for failure in failures if failure.cell_id in plan.suite.purposes]
    try:
        built, files = report([folder.path], folder.path)
    except StorageError:
        if not failures:
            raise
        return TrainOutcome(folder, plan.suite, failures, None, [])  # failures are reported first
    return TrainOutcome(folder, plan.suite, failures, built, [folder.results_csv, *files])
