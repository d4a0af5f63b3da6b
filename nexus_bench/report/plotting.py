"""How figures look, and how they become files: the same bytes for the same figure."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1b1f24"  # text and axes; a page may replace it by its own colour
FAINT = "#d0d7de"  # grids and shades; likewise
PAPER = "#ffffff"  # background; likewise
SOFT = "#6b7280"  # reference lines; readable on light and dark pages
TITLE = "title"  # id of a figure's title in its SVG: a page removes it, since it shows the title itself
WIDTH = 5.2  # inches: text of 9 points can still be read on a phone

# Colour-blind readers can tell these apart: Okabe and Ito 2008, "Color universal design", without black and yellow,
# which are lost on dark and on light pages; then two of Tol 2021, "Colour schemes". Further lines are dashed.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#AA4499", "#999933")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")

_LINE = 0.16  # inches per line of a legend

_STYLE: Any = {
    "svg.hashsalt": "nexus-bench",
    "text.parse_math": False,  # a `$` in a name is a `$`
    "svg.fonttype": "none",  # keep text as text: it can be read aloud, searched and copied
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
        name: Name of the files, without suffix.
        caption: What it shows, and how to read it.
        png: For documents that cannot hold SVG, 150 dots per inch.
        svg: The same as vectors.
    """

    name: str
    caption: str
    png: bytes
    svg: str


@contextmanager
def style() -> Iterator[None]:
    """Figures drawn in this context share one style; other figures of the process are unchanged."""
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(*, height: float, width: float = WIDTH) -> Figure:
    """An empty figure; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def line_style(index: int) -> dict[str, Any]:
    """Colour, marker and dashes of the line with this index."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": ("-", "--", ":", "-.")[index // len(COLOURS) % 4],
    }


def legend_below(axes: Axes, *, most_columns: int = 2) -> None:
    """A legend under the axes: it takes no width, and the figure grows by its height.

    Args:
        axes: The axes whose lines it names.
        most_columns: At most so many columns; fewer if the labels are long.
    """
    handles, labels = axes.get_legend_handles_labels()
    figure = axes.get_figure(root=True)
    assert figure is not None
    longest = max(len(label) for label in labels)
    n_columns = max(1, min(most_columns, int(figure.get_figwidth() / (0.45 + 0.065 * longest))))
    figure.set_figheight(figure.get_figheight() + _LINE * -(-len(labels) // n_columns))
    figure.legend(handles, labels, loc="outside lower left", ncols=n_columns, frameon=False, fontsize=8)


def render(figure: Figure, *, name: str, caption: str) -> Picture:
    """Both files of a figure."""
    files = {}
    for file_format, metadata in (("png", {}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=file_format, dpi=150, metadata=metadata)
        files[file_format] = buffer.getvalue()
    return Picture(name, caption, files["png"], files["svg"].decode())
