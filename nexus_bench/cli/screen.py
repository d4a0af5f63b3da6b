"""What is printed to stdout fits the terminal, and nothing of it is cut off; in a pipe lines are as long as needed."""

import os
import shutil
import sys
import textwrap

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_AS_NEEDED = 10_000  # characters in a line
_GAP = 2  # between columns


def print_table(table: Table) -> None:
    """Print a table: one too wide for the terminal loses its frame, then texts are wrapped, then words are broken."""
    console = Console(markup=False, emoji=False, width=_width() or _AS_NEEDED)  # names may look like markup
    if Measurement.get(console, console.options.update(width=_AS_NEEDED), table).maximum > console.width:
        _fit(table, console.width)
    console.print(table)


def print_text(text: str, *, indent: int = 0) -> None:
    """Print lines, wrapped at words.

    Args:
        text: Any number of lines.
        indent: How far the lines that wrapping makes are indented.
    """
    width = _width() or _AS_NEEDED
    wrapper = textwrap.TextWrapper(width, subsequent_indent=" " * indent, break_on_hyphens=False)
    for line in text.splitlines():
        typer.echo(wrapper.fill(line) if width < _AS_NEEDED and len(line) > width else line)


def _width() -> int | None:
    """Characters in a line of stdout; None for as many as needed, unless COLUMNS says how many."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size().columns
    return None


def _fit(table: Table, width: int) -> None:
    """Give every column the width of its longest word, or as much as there is, and the rest where most is wanted."""
    table.box, table.pad_edge = None, False
    texts = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    wanted = [max(len(line) for text in of_column for line in text.split("\n")) for of_column in texts]
    words = [max((len(word) for text in of_column for word in text.split()), default=0) for of_column in texts]
    left = max(width - _GAP * (len(texts) - 1), len(texts))
    longest = max((cut for cut in range(1, left + 1) if sum(min(word, cut) for word in words) <= left), default=1)
    widths = [min(word, longest) for word in words]
    while sum(widths) < left:
        at = max(range(len(widths)), key=lambda i: wanted[i] - widths[i])
        if wanted[at] <= widths[at]:
            break
        widths[at] += 1
    for column, of_it in zip(table.columns, widths, strict=True):
        column.width, column.overflow, column.no_wrap = max(of_it, 1), "fold", False
