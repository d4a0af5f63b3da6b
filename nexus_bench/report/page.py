"""A report as one page that needs no other file and no network."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path

import jinja2

from nexus_bench.report.build import Report
from nexus_bench.report.plotting import FAINT, INK, PAPER, TITLE, Picture

_PARTS = Path(__file__).parent
_THEME = {INK: "currentColor", FAINT: "var(--line)", PAPER: "none"}


def to_html(report: Report, *, downloads: Mapping[str, str]) -> str:
    """The report as one HTML page.

    Args:
        report: The report.
        downloads: File name -> content of the tables that can be downloaded from it.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PARTS), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    rows = [row for section in report.sections for table in section.tables for row in table.rows]
    return environment.get_template("page.html").render(
        title=report.title,
        finding=report.finding,
        sections=report.sections,
        tasks=list(dict.fromkeys(section.task for section in report.sections)),
        models=list(dict.fromkeys(model for row in rows for model in row.models)),
        orders=sorted({order for row in rows for order in row.orders}),
        links={name: _as_link(text) for name, text in downloads.items()},
        inline=inline_svg,
        style=(_PARTS / "page.css").read_text(encoding="utf-8"),
        script=(_PARTS / "page.js").read_text(encoding="utf-8"),
    )


def inline_svg(picture: Picture) -> str:
    """The drawing for a page: without its title, in the page's colours, with identifiers of its own."""
    drawing = picture.svg[picture.svg.index("<svg") :]
    drawing = re.sub(rf'<g id="{TITLE}">.*?</g>', "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{picture.name}-", drawing)
    for colour, themed in _THEME.items():
        drawing = drawing.replace(colour, themed)
    return drawing


def _as_link(text: str) -> str:
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.encode()).decode()
