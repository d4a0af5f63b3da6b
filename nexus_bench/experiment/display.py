"""Display on stderr, or in a notebook, while training: the plan, and the progress of the run."""

import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable
from rich.text import Text

from nexus_bench.errors import NexusBenchError, blame
from nexus_bench.experiment.cell_lines import CellLines, labels_of
from nexus_bench.experiment.estimate import Estimate
from nexus_bench.experiment.events import CellBegun, Event, Failure, JobDone, Note
from nexus_bench.experiment.events import Progress as CellProgress
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.notebook import NotebookView
from nexus_bench.experiment.plan import RunPlan, left_out_note
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.undecided import undecided
from nexus_bench.io.plurals import counted
from nexus_bench.io.record_seals import cells_of_tables
from nexus_bench.model.costs import cost_of
from nexus_bench.report.terminal import output
from nexus_bench.training.checkpoint_heads import saved_steps
from nexus_bench.training.peaks import peak_here
from nexus_bench.training.recipe import Point
from nexus_bench.training.spec import CellSpec

_MOST_LINES = 6  # lines of running cells
_FIRST_FORECAST = 60.0  # seconds
_SOLVED = 0.95  # accuracy from which a hop counts as reached


class Display:
    """Progress on stderr: one live view on a terminal, and one line per cell that ends.

    Args:
        plan: The plan of the run.
        execution: How it is carried out.
        folder: The run folder.
        quiet: Show only failures.
        log_every: Also print an evaluation of each cell every so many steps; None prints none.
    """

    def __init__(
        self, plan: RunPlan, execution: Execution, folder: Path, *, quiet: bool, log_every: int | None = None
    ) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._cells = {cell.cell_id: cell for cell in plan.to_do}
        self._log_every = log_every
        self._newest: dict[str, Point] = {}
        self._running: dict[str, None] = {}  # in the order in which they were begun
        self._last_error = ""
        self._n_ended = 0
        self._n_done = len(plan.done)
        self._n_cells = len(plan.suite.cells)
        self._lines = CellLines(plan.to_do, plan.titles)
        self._labels = labels_of(plan.to_do, plan.titles)
        self._has_heading = False
        self._execution = execution
        self._bar = Progress(
            TextColumn("steps"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TextColumn("{task.fields[left]}"),
            console=self._console,
        )
        self._total = sum(cell.train.steps for cell in plan.to_do)
        self._steps = self._bar.add_task("steps", total=self._total, left="")
        self._titles = plan.titles
        self._began: float | None = None  # when the first cell began
        self._n_steps, self._operations = 0, 0.0  # of all cells since then, as far as evaluations tell
        self._ends: float | None = None  # when all steps are made, at the speed so far
        self._told = _FIRST_FORECAST  # seconds after which the time that is left is told, where there is no view
        self._n_later = plan.suite.n_later
        self._live: Live | NotebookView = Live(
            console=self._console, get_renderable=self._view, refresh_per_second=2, transient=True
        )
        if self._console.is_jupyter:
            self._live = NotebookView(self._view)
        n_workers = 1 if execution.executor == "inline" else len(execution.places)
        where = f"{self._device()}, {counted(n_workers, 'worker')}, mode {execution.mode}"
        self._beginning = f"{plan.suite.name}: {counted(len(plan.to_do), 'cell')} to train on {where}, into {folder}"
        if self._console.is_terminal and plan.to_do:
            self._print(self._beginning)
        if plan.done and not quiet:
            self._console.print(f"{len(plan.done)} of {len(plan.suite.cells)} cells are already done", highlight=False)
        for note in plan.notes:
            self._print(note)

    def __enter__(self) -> "Display":
        if (self._console.is_terminal or self._console.is_jupyter) and not self._quiet:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if error is not None and not isinstance(error, NexusBenchError) and blame(error) is None:
            n_done = self._n_done + self._n_ended
            self._console.print(f"stopped: {n_done} of {self._n_cells} cells are done; the same command continues")

    def on_event(self, event: Event) -> None:
        """Handle an event."""
        if isinstance(event, Note):
            self._print(event.text)
        elif isinstance(event, CellBegun):
            self._running[event.cell_id] = None
            if self._began is None and not self._console.is_terminal and not self._console.is_jupyter:
                self._print(self._beginning)  # not before: what cannot begin is told by one line alone
            self._began = self._began or time.monotonic()
        elif isinstance(event, CellProgress):
            self._tell_point(event)
        elif not isinstance(event, JobDone):
            cell = self._cells[event.cell_id]
            self._n_ended += 1
            self._running.pop(event.cell_id, None)
            self._total -= cell.train.steps - self._steps_of(event.cell_id)  # steps that are not needed
            self._bar.update(self._steps, total=self._total)
            self._tell_end(cell, event)
        if self._live.is_started:
            self._live.refresh()

    def _tell_point(self, event: CellProgress) -> None:
        cell, point, before = self._cells[event.cell_id], event.point, self._steps_of(event.cell_id)
        self._bar.advance(self._steps, point.step - before)
        n_made = min(point.step - before, cell.train.eval_every)  # the others were made before it was stopped
        self._n_steps += n_made
        if self._live.is_started:
            compute = cost_of(cell.model, cell.task).compute or 0
            self._operations += n_made * compute * cell.train.batch_size
        self._newest[event.cell_id] = point
        self._forecast()
        if self._log_every and point.step // self._log_every > before // self._log_every:
            figures = "  ".join(f"{hop}: {at.accuracy:.3f} ({at.loss:.3f})" for hop, at in point.scores.items())
            self._print(
                f"{self._titles[cell.cell_id]} | step {point.step:,} | validation accuracy (loss) by hop  {figures}"
            )

    def _forecast(self) -> None:
        """Reckon when all steps are made, at the mean speed so far; without a view tell it after 1, 2, 4, 8 minutes."""
        now = time.monotonic()
        if self._began is None or not self._n_steps:
            return
        took = now - self._began
        n_left = self._bar.tasks[0].remaining or 0
        left = n_left * took / self._n_steps
        self._ends = now + left
        if n_left and took >= self._told and not self._live.is_started:
            later = f", then {counted(self._n_later, 'more cell')}" if self._n_later else ""
            self._print(f"after {_duration(took)}: about {_duration(left)} left at the speed so far{later}")
            while self._told <= took:
                self._told *= 2

    def _tell_end(self, cell: CellSpec, event: CellResult | Failure) -> None:
        count = f"{self._n_ended}/{len(self._cells)}"
        if isinstance(event, Failure):
            self._last_error = event.reason
            self._console.print(f"{count} FAILED {event.reason}", markup=False, highlight=False, soft_wrap=True)
        else:
            if not self._has_heading:
                self._print(self._lines.heading)
                self._has_heading = True
            self._print(self._lines.line(self._n_ended, event))

    def _print(self, line: str) -> None:
        if self._quiet:
            return
        if isinstance(self._live, NotebookView):
            self._live.tell(line)
        else:
            self._console.print(line, markup=False, highlight=False, soft_wrap=not self._console.is_terminal)

    def _device(self) -> str:
        n = self._execution.n_devices if self._execution.device == "cuda" else 1
        return f"{n} x cuda" if n > 1 else self._execution.device

    def _view(self) -> Group:
        """The whole view: validation accuracy by hop, running cells, the rate, the last error, the progress bar."""
        running = list(self._running)
        lines = [
            Text(f"running: {self._labels[at]}, seed {self._cells[at].seed}, step {self._steps_of(at):,}")
            for at in running[:_MOST_LINES]
        ]
        if len(running) > _MOST_LINES:
            lines.append(Text(f"and {len(running) - _MOST_LINES} more"))
        if not running and not self._n_ended:
            lines.append(Text(f"starting to train on {self._device()}"))
        if self._began is not None and self._n_steps:
            seconds = max(1e-3, time.monotonic() - self._began)
            tflops = 1e-12 * self._operations / seconds
            rate = f"sustained: {self._n_steps / seconds:,.0f} model-steps/s, {tflops:.3g} TFLOP/s"
            peak = peak_here(self._execution.device, self._execution.mode)
            share = "" if peak is None else f", {tflops / (peak * self._execution.n_devices):.1%} of peak"
            lines.append(Text(f"{rate}{share} on {self._device()}"))
        if self._last_error:
            lines.append(Text(f"last error: {self._last_error}", style="red"))
        left = "-:--:--" if self._ends is None else timedelta(seconds=round(max(0, self._ends - time.monotonic())))
        self._bar.update(self._steps, left=left)
        return Group(self._staircase(), *lines, self._bar)

    def _staircase(self) -> RichTable:
        """Validation accuracy so far, by hop, of what differs in more than the seed: mean over the seeds begun."""
        labels: dict[str, list[str]] = {}
        for cell_id, label in self._labels.items():
            labels.setdefault(label, []).append(cell_id)
        hops = sorted({hop for cell in self._cells.values() for hop in cell.task.hops})
        table = RichTable("validation so far", *(counted(hop, "hop") for hop in hops), "cells", box=None)
        for column in table.columns[1:]:
            column.justify, column.no_wrap = "right", True
        for label, cells in labels.items():
            begun = [self._newest[cell_id] for cell_id in cells if cell_id in self._newest]
            means = []
            for hop in hops:
                seen = [point.scores[hop].accuracy for point in begun if hop in point.scores]
                mean = sum(seen) / len(seen) if seen else 0.0
                means.append(Text(f"{mean:.2f}" if seen else "", style="green" if mean >= _SOLVED else ""))
            table.add_row(label, *means, f"{len(begun)}/{len(cells)}")
        return table

    def _steps_of(self, cell_id: str) -> int:
        return self._newest[cell_id].step if cell_id in self._newest else 0


def steps_to_go_on_from(plan: RunPlan, execution: Execution, folder: RunFolder) -> dict[str, int]:
    """Cell id -> the saved step from which it goes on, of the cells that were begun in this mode and are not done."""
    done = {cell.cell_id for cell in plan.done}
    saved = saved_steps(folder.all_checkpoints, mode=execution.mode)
    return {cell_id: step for cell_id, step in saved.items() if cell_id not in done}


def print_plan(plan: RunPlan, told: Estimate, execution: Execution, folder: RunFolder) -> None:
    """Print the cells of a suite, the time they will take at most, and what happens to what the folder holds."""
    table = RichTable("cell_id", "cell", "lr", "steps", "at most", box=None)
    titles, done = plan.titles, {cell.cell_id for cell in plan.done}
    saved = steps_to_go_on_from(plan, execution, folder)
    for cell in plan.suite.cells:
        lasts = "done" if cell.cell_id in done else "left"
        if cell.cell_id in told.cells:
            lasts = _duration(told.cells[cell.cell_id])
        begun = f"{saved[cell.cell_id]} of " if cell.cell_id in saved else ""
        steps = f"{begun}{cell.train.steps}"
        table.add_row(cell.cell_id, titles[cell.cell_id], f"{cell.train.lr:g}", steps, lasts)
    console = output()
    console.print(table)
    n_places = 1 if execution.executor == "inline" else len(execution.places)
    console.print(
        f"{len(plan.to_do)} of {len(plan.suite.cells)} cells to train, {n_places} at a time: "
        f"at most about {_duration(told.seconds)} in mode {execution.mode}"
    )
    if plan.suite.n_later:
        best = "each model with the recipe that is best on validation"
        console.print(f"then {plan.suite.n_later} more cells, within that time: {best}")
    n_begun = len(saved.keys() & {cell.cell_id for cell in plan.to_do})
    goes_on = f"{counted(n_begun, 'cell')} {'goes' if n_begun == 1 else 'go'} on from a saved step" if n_begun else None
    leaving = left_out_note(plan.suite, cells_of_tables(folder.path))
    for note in filter(None, (goes_on, *plan.notes, leaving, *plan.suite.notes, undecided(plan.suite))):
        console.print(note)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
