"""How drawings of attention look, and how they become files: the same bytes for the same drawing."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from nexus_bench.report.charts.plotting import Picture, RenderedFigure

INK = "#1b1f24"  # text and axes
PAPER = "#ffffff"  # background
SOFT = "#6b7280"  # reference lines

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
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
}


@contextmanager
def style() -> Iterator[None]:
    """Figures drawn in this context share one style; other figures of the process are unchanged."""
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(*, height: float, width: float) -> Figure:
    """An empty figure; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def render(figure: Figure, *, name: str, caption: str) -> Picture:
    """Both files of a figure."""
    files = {}
    for file_format, metadata in (("png", {}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=file_format, dpi=150, metadata=metadata)
        files[file_format] = buffer.getvalue()
    drawn = RenderedFigure(files["png"], files["svg"].decode())
    return Picture(name, caption, lambda: drawn)
