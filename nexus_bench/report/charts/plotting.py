"""How figures look, and how they become files: a figure is a Vega-Lite specification, drawn without a browser.

The same specification is drawn by the page, so that there is one definition of each figure. Source of the language:
https://vega.github.io/vega-lite/.
"""

import functools
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nexus_bench.report.charts.palette import DARK, FAINT, INK, PAPER, SOFT

Spec = dict[str, Any]  # of Vega-Lite

VERSION = "6.4"  # of Vega-Lite, as in `vega.js.gz`
FONT = "Liberation Sans, Arial, Helvetica, Narrowed, sans-serif"  # the first comes with vl-convert: as it lays out
# Where a reader has none of these, DejaVu stands for them, as wide as they are, so that no text is cut off.
_NARROWED = '@font-face{font-family:"Narrowed";src:local("DejaVu Sans");size-adjust:86%}'
_TITLE = 92  # characters in a line
_SCALE = 2.0  # pixels of a PNG per pixel of the figure
_CONFIG: Spec = {
    "font": FONT,
    "view": {"stroke": None},
    "aria": False,  # the figure as a whole has a description
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": SOFT,
        "tickColor": SOFT,
        "gridColor": FAINT,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 320,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 11,
        "labelLimit": 320,
        "orient": "bottom",
        "titleFontWeight": "normal",
    },
    "header": {"labelColor": INK, "labelFontSize": 12, "labelAnchor": "start", "labelLimit": 0, "title": None},
    "title": {"color": INK, "fontSize": 12, "fontWeight": "normal", "anchor": "start", "offset": 12},
}


class RenderedFigure(NamedTuple):
    """A figure as files: pixels, for documents that cannot hold vectors, and vectors."""

    png: bytes
    svg: str


class Picture(NamedTuple):
    """A figure, drawn once a file of it is asked for: a page needs none.

    Attributes:
        name: Name of the files, without suffix.
        caption: What it shows, and how to read it.
        draw: Gives both files.
        spec: The specification that the page draws; None where a figure has none.
    """

    name: str
    caption: str
    draw: Callable[[], RenderedFigure]
    spec: Spec | None = None

    @property
    def png(self) -> bytes:
        """The figure in pixels, two per pixel of its specification."""
        return self.draw().png

    @property
    def svg(self) -> str:
        """The figure in vectors."""
        return self.draw().svg

    def __reduce__(self) -> tuple[Callable[..., "Picture"], tuple[Any, ...]]:
        """To be pickled: what is drawn from a specification is drawn again when it is asked for."""
        if self.spec is None:
            return Picture, (self.name, self.caption, functools.partial(RenderedFigure, *self.draw()))
        return functools.partial(render, self.spec, name=self.name, caption=self.caption), ()


def figure(
    title: str, data: Mapping[str, Sequence[Mapping[str, Any]]], body: Spec, *, dark: Mapping[str, str] = DARK
) -> Spec:
    """A whole specification.

    Args:
        title: The task, its size and how models were trained.
        data: Name -> rows; the body refers to them by `{"data": {"name": ...}}`.
        body: Its marks and encodings.
        dark: What colours become on a dark page.
    """
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": textwrap.wrap(title, _TITLE)},
        "background": PAPER,
        "padding": 8,
        "config": _CONFIG,
        "usermeta": {"dark": dict(dark)},
        "datasets": {name: list(rows) for name, rows in data.items()},
    } | body


def render(spec: Spec, *, name: str, caption: str) -> Picture:
    """A figure of a specification."""
    return Picture(name, caption, functools.cache(lambda: _drawn(spec)), spec)


def _drawn(spec: Spec) -> RenderedFigure:
    import vl_convert  # 0.3 s to start, which only files need

    return drawing(_renumbered(vl_convert.vegalite_to_svg(spec, vl_version=VERSION)))


def drawing(svg: str) -> RenderedFigure:
    """Both files of what is drawn as SVG, which begins with its outermost element."""
    import vl_convert

    return RenderedFigure(vl_convert.svg_to_png(svg, scale=_SCALE), svg.replace(">", f"><style>{_NARROWED}</style>", 1))


def _renumbered(svg: str) -> str:
    """The drawing with its clips numbered from 1, as Vega counts them over all drawings of a process."""
    numbers: dict[str, str] = {}
    return re.sub(
        r'(id="clip|url\(#clip)(\d+)', lambda found: found[1] + numbers.setdefault(found[2], str(len(numbers) + 1)), svg
    )
