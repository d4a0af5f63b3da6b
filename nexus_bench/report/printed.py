"""A report on the terminal: the staircases, and where the rest is."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable

from nexus_bench.report.build import Report
from nexus_bench.report.tables import Table

_PRINTED = ("accuracy", "matched")  # tables; the others are in the files


def print_report(report: Report, paths: Sequence[Path]) -> None:
    """Print the staircase of every setting, the notes, and where the files are."""
    console = output()
    for section in report.sections:
        console.print(section.title, style="bold", markup=False)
        for table in section.tables:
            if table.name in _PRINTED:
                _print_table(console, table)
        for note in section.notes:
            console.print(note, markup=False)
        console.print()
    for path in paths:
        console.print(str(path), markup=False)


def _print_table(console: Console, table: Table) -> None:
    with_intervals, without = (_as_grid(table, with_intervals=has) for has in (True, False))
    if _fits(console, with_intervals):
        console.print(with_intervals)
    else:
        if _fits(console, without):
            console.print(without)
        else:
            for cells in [row.cells for row in table.rows] + table.references:
                told = [
                    f"{name} {cell.split(' [')[0]}" for name, cell in zip(table.columns[1:], cells[1:], strict=False)
                ]
                console.print("; ".join([cells[0], *told]), markup=False)
        console.print("This terminal is too narrow for the intervals; they are in report.md.")
    console.print(table.about, markup=False)
    console.print()


def _fits(console: Console, grid: RichTable) -> bool:
    unbounded = console.options.update(max_width=10_000)
    return Measurement.get(console, unbounded, grid).maximum <= console.width


def _as_grid(table: Table, *, with_intervals: bool) -> RichTable:
    grid = RichTable(*table.columns, box=None, header_style="")
    for column in grid.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    for row in table.rows:
        grid.add_row(*(row.cells if with_intervals else [cell.split(" [")[0] for cell in row.cells]))
    for cells in table.references:
        grid.add_row(*cells, style="dim")
    return grid


def output() -> Console:
    """Standard output without colours in figures; as wide as it needs to be when it is not a terminal."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
