"""Commands about run folders: which there are, how far one is, and its report in a browser."""

import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from nexus_bench.cli.choices import runs as run_folders
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Run
from nexus_bench.errors import StorageError, UsageError

if TYPE_CHECKING:
    from nexus_bench.experiment.status import CellState


def status(
    run: Run,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again and again while a process trains there.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, max=86_400, metavar="SECONDS", help="With --watch: how often.")
    ] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show which cells of a run are done.

    And which are recorded without weights, running (at which step), failed (and why) or still to do.
    """
    from nexus_bench.cli.printing import status_table
    from nexus_bench.cli.screen import print_table
    from nexus_bench.experiment.restore_copy import is_copy
    from nexus_bench.experiment.run_folder import open
    from nexus_bench.experiment.status import read_status

    if watch and as_json:
        raise UsageError(f"--watch is for people; write `nexus-bench status {run} --json` as often as you like")
    folder = open(run)
    states = read_status(folder)
    if watch:
        states = _watched(run, states, every)
    if as_json:
        print_document("status", cells=states)
    else:
        print_table(status_table(states, is_copy=is_copy(folder)))


def _watched(run: Path, states: "list[CellState]", every: float) -> "list[CellState]":
    """Show the states as they change, until no process trains there any more; the last ones."""
    from rich.console import Console
    from rich.live import Live

    from nexus_bench.cli.printing import status_table
    from nexus_bench.experiment.restore_copy import is_copy
    from nexus_bench.experiment.run_folder import RunFolder
    from nexus_bench.experiment.status import DONE, RECORDED, read_status

    folder = RunFolder(run)
    if not folder.is_written_to():
        closed = (DONE, RECORDED) if is_copy(folder) else (DONE,)
        is_open = any(cell.state not in closed for cell in states)
        goes_on = f"`nexus-bench train {run}` goes on"
        typer.echo(f"no process is training in {run}; {goes_on if is_open else 'all of its cells are done'}", err=True)
        return states
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while folder.is_written_to():
            if console.is_terminal:
                live.update(status_table(states, is_copy=is_copy(folder)), refresh=True)
            time.sleep(every)
            states = read_status(folder)
    return states


def runs(
    where: Annotated[
        Optional[Path], typer.Argument(readable=False, metavar="[FOLDER]", help="Look below it; default runs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs here: state, finding and size.

    Every run folder below FOLDER, the newest first.
    """
    from nexus_bench.cli.run_lines import runs_as_text
    from nexus_bench.cli.screen import print_text
    from nexus_bench.experiment.found_runs import find_runs

    root = where or Path("runs")
    if where is not None and not where.is_dir():
        raise UsageError(f"{where}: is not a folder; `nexus-bench runs` looks below runs")
    found = find_runs(root)
    if as_json:
        print_document("runs", runs=found)
    elif found:
        print_text(runs_as_text(found), indent=2)
    else:
        typer.echo(f"no runs below {root}; `nexus-bench train quick` makes one", err=True)


def open_(
    run: Annotated[
        Optional[Path],
        typer.Argument(
            readable=False, metavar="[RUN]", help="A run folder; default the newest.", autocompletion=run_folders
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the report of a run in the browser.

    Where there is no browser, its path is printed alone. A run without a page gets its report first.
    """
    from nexus_bench.experiment.found_runs import find_runs
    from nexus_bench.io.packed import is_there
    from nexus_bench.io.read_results import where_runs_are

    if run is None:
        found = find_runs(Path("runs"))
        if not found:
            raise UsageError("no runs below runs; name a run folder, or make one with `nexus-bench train quick`")
        run = Path(found[0].path)
    page = run if run.suffix == ".html" else run / "report.html"
    if not page.is_file():
        if page == run or not (is_there(run / "results.csv") or (run / "spec.yaml").is_file()):
            raise StorageError(f"{run}: is not a run folder; {where_runs_are(run)}")
        from nexus_bench.report.output import report

        report([run], run)
    is_shown = webbrowser.open(page.absolute().as_uri())
    if as_json:
        print_document("open", file=page, is_shown=is_shown)
    else:
        typer.echo(page if is_shown else f"{page}: no browser here; copy it to where there is one")
