"""Tables and figures of a report in Markdown."""

from collections.abc import Sequence

import pandas as pd

from nexus_bench.io.escapes import markdown, markdown_cell
from nexus_bench.report.charts.plotting import Picture
from nexus_bench.report.tables import Table


def figure_lines(pictures: Sequence[Picture], *, folder: str = "figures") -> list[str]:
    """Each figure as a picture with its caption.

    Args:
        pictures: The figures.
        folder: Where their files are, from the page.
    """
    return [
        line for picture in pictures for line in (f"![{markdown(picture.caption)}]({folder}/{picture.name}.svg)", "")
    ]


def table_as_markdown(table: Table, *, anchor: str | None = None) -> str:
    """One table as Markdown, its reference rows last.

    Args:
        table: The table.
        anchor: How the anchors of its rows begin, `<anchor>-1` being the first row; without it they have none.
    """
    body = [[*map(markdown_cell, cells)] for cells in [row.cells for row in table.rows] + table.references]
    if anchor is not None:
        for number, cells in enumerate(body, start=1):
            cells[0] = f'<a id="{anchor}-{number}"></a>{cells[0]}'
    filled = [cells + [""] * (len(table.columns) - len(cells)) for cells in body]
    return pd.DataFrame(filled, columns=table.columns).to_markdown(index=False, disable_numparse=True)
