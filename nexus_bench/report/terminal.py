"""A report on the terminal: how many seeds reach each hop, accuracy by hop, the finding, and where the rest is."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable

from nexus_bench.report.build import Report
from nexus_bench.report.tables import COSTS, Table

_PRINTED = ("reached", "accuracy", "declared", "by_parameter", "crossed")  # tables; the others are in the files


def print_report(report: Report, paths: Sequence[Path]) -> None:
    """Print the main tables and notes of every setting, and at the end the finding, and where the files are."""
    console = output()
    for section in report.sections:
        console.print(section.title, style="bold")
        for table in section.tables:
            if table.name in _PRINTED:
                _print_table(console, table)
        for note in section.notes:
            console.print(note)
        console.print()
    for number, sentence in enumerate(report.finding):
        console.print(sentence, style="" if number else "bold")
    if paths:
        console.print()
    for path in paths:
        console.print(str(path))


def _print_table(console: Console, table: Table) -> None:
    """The table, cut to the width of the terminal.

    Intervals are put below their values first; then sizes are left out, then intervals.
    """
    without_costs = [name for name in table.columns if name not in COSTS]
    without_seeds = [name for name in without_costs if name != "seeds"]
    grids = [
        ("", _as_grid(table, table.columns, "beside")),
        ("", _as_grid(table, table.columns, "below")),
        ("the sizes", _as_grid(table, without_costs, "below")),
        ("the sizes and the number of seeds", _as_grid(table, without_seeds, "below")),
        ("the intervals", _as_grid(table, table.columns, "none")),
        ("the intervals and sizes", _as_grid(table, without_costs, "none")),
    ]
    lost, fitting = next(((lost, grid) for lost, grid in grids if _fits(console, grid)), ("a table", None))
    if fitting is not None:
        console.print(fitting)
    else:
        for cells in [row.cells for row in table.rows] + table.references:
            told = [f"{name} {cell.split(' [')[0]}" for name, cell in zip(table.columns[1:], cells[1:], strict=False)]
            console.print("; ".join([cells[0], *told]))
    if lost:
        console.print(f"This terminal is too narrow for {lost}; report.md has all.")
    console.print(table.about)
    console.print()


def _fits(console: Console, grid: RichTable) -> bool:
    unbounded = console.options.update(max_width=10_000)
    return Measurement.get(console, unbounded, grid).maximum <= console.width


def _as_grid(table: Table, columns: Sequence[str], intervals: str) -> RichTable:
    """The table with these columns, and intervals `beside` or `below` their values, or `none`."""
    grid = RichTable(*columns, box=None, header_style="", pad_edge=False)
    kept = [table.columns.index(name) for name in columns]
    for column in grid.columns[1:]:
        column.justify = "right"
        column.no_wrap = True

    def shown(cell: str) -> str:
        value, opened, rest = cell.partition(" [")
        return {"beside": cell, "below": f"{value}\n{opened.strip()}{rest}".strip(), "none": value}[intervals]

    for row in table.rows:
        grid.add_row(*(shown(row.cells[i]) if i else row.cells[i] for i in kept))
    for cells in table.references:
        grid.add_row(*(cells[i] for i in kept if i < len(cells)), style="dim")
    return grid


def output() -> Console:
    """Standard output without colours for numbers: wrapped at words, but as wide as needed if it is not a terminal."""
    is_terminal = sys.stdout.isatty()
    width = None if is_terminal else 10_000
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=not is_terminal, width=width)
