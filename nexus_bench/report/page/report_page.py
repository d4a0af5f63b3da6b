"""A report as one page that needs no other file and no network."""

import base64
import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from nexus_bench.report.build import Report
from nexus_bench.report.charts.palette import INK, PAPER, SOFT, Palette, palette_of
from nexus_bench.report.charts.plotting import Picture
from nexus_bench.report.charts.task_drawing import PATH
from nexus_bench.report.page.packing import packed_csv, packed_rows, shared
from nexus_bench.report.tables import COSTS, HOP_REACH, Table

PARTS = Path(__file__).parent
# The library that draws, after the licences of what it holds, by `gzip -9n`. Packed once and kept so, since other
# versions of zlib would give other bytes
VEGA = "vega.js.gz"
_HOP = re.compile(r"\d+ hops?")  # heading of a column
_SHARE = re.compile(r"(\d+(?:\.\d+)?)(?:/(\d+))?(?: \[|$)")
_WIDE = ("accuracy_by", "learning_curves")  # figures that take the whole width


def to_html(report: Report, *, downloads: Mapping[str, str]) -> str:
    """The report as one HTML page.

    Args:
        report: The report.
        downloads: File name -> content of the tables that can be downloaded from it.
    """
    return rendered(
        PARTS / "page.html",
        title=report.title,
        finding=report.finding,
        provenance=report.provenance,
        examples=report.examples,
        inline=_inline,
        sections=report.sections,
        downloads=downloads,
        is_wide=lambda picture: picture.name.startswith(_WIDE),
        attributes=_attributes,
        as_cell=_as_cell,
        of_row=lambda row: "",
        is_legend_open=True,
        are_tables_first=False,
    )


def rendered(template: Path, *, sections: Sequence[Any], downloads: Mapping[str, str], **values: Any) -> str:
    """A page of sections with tables and figures.

    Args:
        template: `page.html`, or one that extends it.
        sections: As `section.Section`.
        downloads: File name -> content of what can be downloaded from the page.
        values: What else the template shows.
    """
    rows = [row for section in sections for table in section.tables for row in table.rows]
    models = list(dict.fromkeys(model for row in rows for model in row.models))
    chips = {model: number for number, model in enumerate(models)}
    pictures = [picture for section in sections for picture in section.pictures]
    tasks = dict.fromkeys(task for section in sections for task in section.task.split(" "))
    return (
        _environment(template.parent)
        .get_template(template.name)
        .render(
            sections=sections,
            tasks=list(tasks),
            models=models,
            colours=_colours(models, palette_of(models)),
            orders=sorted({order for row in rows for order in row.orders}),
            links=list(downloads),
            downloads=as_script({name: packed_csv(text) for name, text in downloads.items()}),
            figures=as_script(_packed(pictures)),
            chips=chips,
            orders_of=_orders_of(rows),
            numbers=lambda names: ",".join(str(chips[name]) for name in names),
            style=(PARTS / "page.css").read_text(encoding="utf-8"),
            vega=base64.b64encode((PARTS / VEGA).read_bytes()).decode(),
            script="\n".join((PARTS / name).read_text(encoding="utf-8") for name in ("unpack.js", "page.js")),
            **values,
        )
    )


@functools.cache
def _environment(folder: Path) -> jinja2.Environment:
    """Reads a template of the folder, and those that it extends, once."""
    loader = jinja2.FileSystemLoader([folder, PARTS])
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _colours(models: Sequence[str], palette: Palette) -> dict[str, tuple[str, str]]:
    """Model -> its colour on light and on dark pages."""
    return {model: (palette.of(model), palette.dark[palette.of(model)]) for model in models}


def _orders_of(rows: Sequence[Any]) -> dict[str, list[int]]:
    """Model -> its attention orders; of one that is in no row alone, those of its pairs."""
    found: dict[str, list[int]] = {}
    for row in sorted(rows, key=lambda row: len(row.models)):
        for model in row.models:
            if model not in found or len(row.models) == 1:
                found[model] = sorted({*found.get(model, ()), *row.orders})
    return found


def _attributes(table: Table, column: int, cells: Sequence[str] = ()) -> Markup:
    """Costs and numbers of seeds are not shown on a phone; hop reach, shares of seeds and accuracies have a tint.

    Args:
        table: The table.
        column: Number of the column.
        cells: The row; empty for the headings.
    """
    name = table.columns[column]
    if name in (*COSTS, "seeds"):
        return Markup(' class="at-desk"')
    is_shaded = _HOP.fullmatch(name) or name == HOP_REACH or (table.name == "by_parameter" and column > 1)
    share = _number(cells[column]) if is_shaded and cells else None
    if share is not None and (name == HOP_REACH or "reach" in cells[1:2]):
        share /= _largest_hop(table)
    return Markup("") if share is None else Markup(' style="--share: {}"').format(f"{min(share, 1):.2f}")


def _largest_hop(table: Table) -> float:
    """The largest hop of a table, in its headings or in its rows; where neither names hops, the largest reach."""
    told = [name.split(" ")[0] for name in table.columns if _HOP.fullmatch(name)]
    found = map(_number, told or [row.cells[1] for row in table.rows])
    return max((hop for hop in found if hop is not None), default=1.0) or 1.0


def _number(value: str) -> float | None:
    """What a cell tells, as `8/10 [0.44, 0.97]`, `0.998 [0.995, 1.000]` or `2.0`."""
    found = _SHARE.match(value)
    if found is None:
        return None
    return float(found[1]) / float(found[2] or 1) if float(found[2] or 1) else None


def _as_cell(value: str) -> Markup:
    """The value, and under it its interval."""
    shown, bracket, interval = value.partition(" [")
    small = Markup(" <small>[{}</small>").format(interval) if bracket else Markup("")
    return Markup("{}{}").format(shown, small)


def _inline(svg: str) -> Markup:
    """A drawing of ours in the colours of the theme; what names it holds is escaped in it."""
    for colour, name in ((PAPER, "page"), (INK, "ink"), (SOFT, "soft"), (PATH, "link")):
        svg = svg.replace(f'"{colour}"', f'"var(--{name})"')
    return Markup(svg)


def _packed(pictures: Sequence[Picture]) -> dict[str, Any]:
    """The specifications of figures, and their rows, packed."""
    specs = {picture.name: picture.spec for picture in pictures if picture.spec}
    bare = {name: {key: value for key, value in spec.items() if key != "datasets"} for name, spec in specs.items()}
    data = {name: {of: packed_rows(rows) for of, rows in spec["datasets"].items()} for name, spec in specs.items()}
    return shared(bare) | {"data": data}


def as_script(value: Any) -> str:
    """JSON that can stand in a script element, whatever the names in it hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
