"""How figures look, and how they become files: the same bytes for the same figure."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1b1f24"  # text and axes; a page may put its own colour in its place
FAINT = "#d0d7de"  # grids and shades, likewise
PAPER = "#ffffff"  # what is behind, likewise
SOFT = "#6b7280"  # references; readable on light and on dark
WIDTH = 5.2  # inches: text of 9 points can still be read on a phone

# Told apart by colour-blind readers: Okabe and Ito 2008, "Color universal design", without black and yellow, which are
# lost on dark and on light pages. Beyond these the lines are dashed.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")

_STYLE: Any = {
    "svg.hashsalt": "nexus-bench",
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
}


class Picture(NamedTuple):
    """A figure as files.

    Attributes:
        name: Of the files, without suffix.
        caption: What it shows, and how to read it.
        png: For documents that cannot hold SVG, 150 dots an inch.
        svg: The same as vectors.
    """

    name: str
    caption: str
    png: bytes
    svg: str


@contextmanager
def style() -> Iterator[None]:
    """Figures drawn inside look alike; nobody else's are changed."""
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(*, height: float, width: float = WIDTH) -> Figure:
    """An empty figure; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def line_style(index: int) -> dict[str, Any]:
    """Colour, marker and dashes of the line of this number."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": ("-", "--", ":", "-.")[index // len(COLOURS) % 4],
    }


def legend_below(axes: Axes, *, n_columns: int = 2) -> None:
    """A legend under the axes, where it takes no width."""
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=n_columns, frameon=False)


def render(figure: Figure, *, name: str, caption: str) -> Picture:
    """Both files of a figure."""
    files = {}
    for file_format, metadata in (("png", {}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=file_format, dpi=150, metadata=metadata)
        files[file_format] = buffer.getvalue()
    return Picture(name, caption, files["png"], files["svg"].decode())
