"""An example of a task, drawn: facts are arrows, the derivation is marked with its hops, a ring is the start."""

import functools
import html
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nexus_bench.data.gallery import example_of_hop
from nexus_bench.data.law import Law
from nexus_bench.data.show import Arrow, arrow_of, show_example
from nexus_bench.data.task import make_task, task_keys
from nexus_bench.errors import NexusBenchError
from nexus_bench.io.options import option_values
from nexus_bench.io.plurals import counted
from nexus_bench.report.charts.graph_layout import Point, layout, walks_of
from nexus_bench.report.charts.palette import INK, PAPER, SOFT
from nexus_bench.report.charts.plotting import FONT, Picture, drawing

PATH = "#0550ae"  # of the derivation: the colour of links, which pages have in both themes
_ARROW = 62.0  # pixels of an arrow in the mean
_MARGIN = 26  # pixels
_NEAREST = 36.0  # pixels between symbols at least
_MOST_AROUND = 36  # symbols of several chains on a circle; more stand in rows
_WIDEST = 9  # symbols in a row
_APART = 11.0  # pixels from the middle of a symbol to an arrow
_HEAD = 5.0  # pixels
_PREFIX = re.compile(r"[a-z_]{2,}(?=\d+$)")  # what all symbols of a vocabulary begin with
_SHOWN_HOP = 2


def task_pictures(rows: pd.DataFrame) -> list[Picture]:
    """A drawn example of each task of some results, at the setting of its first row; none of a task that is not here.

    Args:
        rows: Rows of results.csv.
    """
    firsts = rows.drop_duplicates("task")
    found = [(str(row["task"]), _law_of(row)) for _, row in firsts.iterrows()]
    return [_picture(name, law) for name, law in found if law is not None]


def example_svg(law: Law, facts: np.ndarray, query: np.ndarray) -> str:
    """Facts (f, a) and a query (r) of a task, as SVG of a few kB: the same bytes on every machine."""
    arrows = [arrow_of(law, fact) for fact in facts]
    path = [int(row) for row in law.solve(facts[None], query[None, None]).rows[0, 0] if row >= 0]
    at = _in_pixels(arrows)
    strokes = [_strokes(arrow, at, beside) for arrow, beside in _numbered(arrows)]
    plain = "".join(stroke for fact, stroke in enumerate(strokes) if fact not in path)
    marked = "".join(strokes[fact] for fact in path)
    lines = [
        f'<path d="{plain}" fill="none" stroke="{SOFT}"/>',
        f'<path d="{marked}" fill="none" stroke="{PATH}" stroke-width="2.5"/>',
    ]
    start = law.symbol(law.schema.query[0].vocabulary, int(query[0]))
    if start in at:
        x, y = at[start]
        lines.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{_APART:.0f}" fill="none" stroke="{PATH}"/>')
    short = {name: _PREFIX.sub("", name) for name in at}
    if len(set(short.values())) < len(short):
        short = {name: name for name in at}
    lines += [_text(short[name], place) for name, place in at.items()]
    for hop, fact in enumerate(path, start=1):
        label = f"{hop} {arrows[fact].label}" if arrows[fact].label else str(hop)
        lines.append(_text(label, _beside(arrows[fact], at), is_marked=True))
    width, height = (round(max(axis) + _MARGIN) for axis in zip(*at.values(), strict=True))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="{FONT}" font-size="10" text-anchor="middle">',
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
            *lines,
            "</svg>\n",
        ]
    )


def _law_of(row: Any) -> Law | None:
    """The task of a row of results.csv; None if it is not here, or draws sequences, which are no graphs."""
    try:
        keys = task_keys(str(row["task"]))
        told = option_values(row["task_options"])
        told |= {name: row[name] for name in ("distractors", "n_queries") if not pd.isna(row[name])}
        known = {*keys.all} - {"hop_ood", "size_ood"}
        entry = {key: value for key, value in told.items() if key in known}
        law = Law(make_task({"task": row["task"], "hops": row["train_hops"], **entry}, where="report").generator())
    except NexusBenchError:
        return None
    return None if law.schema.is_sequence or len(law.schema.fact) < 2 else law


def _picture(name: str, law: Law) -> Picture:
    hops = law.family.hops
    one = example_of_hop(law, min(hops, key=lambda hop: (abs(hop - _SHOWN_HOP), hop)), of="report")
    shown = show_example(law, one)
    caption = (
        f"{name}, one example: {counted(len(shown.facts), 'fact')} as arrows. Asked: {shown.query}; answer: "
        f"{shown.answer}. Blue: the derivation, its hops numbered; a ring is the start."
    )
    return Picture(
        f"task_{name}", caption, functools.cache(lambda: drawing(example_svg(law, one.facts[0], one.query[0, 0])))
    )


def _in_pixels(arrows: Sequence[Arrow]) -> dict[str, Point]:
    """Places from the upper left corner; no two symbols are near each other."""
    ends = [(arrow.start, arrow.end) for arrow in arrows]
    walks = walks_of(ends)
    if sum(map(len, walks)) > _MOST_AROUND and len(walks) > 1:
        at, scale = _in_rows(walks), _ARROW
    else:
        at = layout(ends).at
        spans = [_span(at[arrow.start], at[arrow.end]) for arrow in arrows if arrow.start != arrow.end] or [1.0]
        nearest = min((_span(at[a], at[b]) for a, b in itertools.combinations(at, 2)), default=1.0)
        scale = max(_ARROW * len(spans) / sum(spans), _NEAREST / nearest)
    left, top = min(x for x, _ in at.values()), max(y for _, y in at.values())
    return {name: (_MARGIN + scale * (x - left), _MARGIN + scale * (top - y)) for name, (x, y) in at.items()}


def _in_rows(walks: Sequence[Sequence[str]]) -> dict[str, Point]:
    """Chains from left to right, in columns; in arrows."""
    longest = max(map(len, walks))
    n_columns = max(1, round(_WIDEST / longest))
    return {
        name: (longest * (number % n_columns) + step, -0.6 * (number // n_columns))
        for number, walk in enumerate(walks)
        for step, name in enumerate(walk)
    }


def _span(one: Point, other: Point) -> float:
    return math.sqrt((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2)


def _numbered(arrows: Sequence[Arrow]) -> list[tuple[Arrow, int]]:
    """Each arrow, and how many with the same two ends come before it."""
    seen: dict[tuple[str, ...], int] = {}
    numbered = []
    for arrow in arrows:
        ends = tuple(sorted((arrow.start, arrow.end)))
        seen[ends] = seen.get(ends, -1) + 1
        numbered.append((arrow, seen[ends]))
    return numbered


def _strokes(arrow: Arrow, at: dict[str, Point], beside: int) -> str:
    """The path of an arrow with its head; further arrows between the same symbols are bent more and more."""
    (x0, y0), (x1, y1) = at[arrow.start], at[arrow.end]
    if arrow.start == arrow.end:
        r = 7 + 3 * beside
        return f"M{x0 - 4:.1f} {y0 - _APART:.1f}a{r} {r} 0 1 1 8 0"
    span = max(_span((x0, y0), (x1, y1)), 1e-9)
    right, down = (x1 - x0) / span, (y1 - y0) / span
    bend = 14.0 * ((beside + 1) // 2) * (1 if beside % 2 else -1) * (1 if arrow.start < arrow.end else -1)
    x0, y0, x1, y1 = x0 + _APART * right, y0 + _APART * down, x1 - _APART * right, y1 - _APART * down
    line = f"M{x0:.1f} {y0:.1f}" + (
        f"Q{(x0 + x1) / 2 - 2 * bend * down:.1f} {(y0 + y1) / 2 + 2 * bend * right:.1f} {x1:.1f} {y1:.1f}"
        if bend
        else f"L{x1:.1f} {y1:.1f}"
    )
    back, aside = -_HEAD, 0.6 * _HEAD
    tips = [(x1 + back * right - s * aside * down, y1 + back * down + s * aside * right) for s in (1, -1)]
    return f"{line}M{tips[0][0]:.1f} {tips[0][1]:.1f}L{x1:.1f} {y1:.1f}L{tips[1][0]:.1f} {tips[1][1]:.1f}"


def _beside(arrow: Arrow, at: dict[str, Point]) -> Point:
    """The place of what is written at an arrow: beside its middle, above a loop."""
    (x0, y0), (x1, y1) = at[arrow.start], at[arrow.end]
    if arrow.start == arrow.end:
        return x0, y0 - _APART - 18
    span = max(_span((x0, y0), (x1, y1)), 1e-9)
    return (x0 + x1) / 2 + 9 * (y1 - y0) / span, (y0 + y1) / 2 - 9 * (x1 - x0) / span


def _text(text: str, at: Point, *, is_marked: bool = False) -> str:
    """Text around a place; that of the derivation has a border of paper, as it may stand on arrows."""
    colour = PATH if is_marked else INK
    look = f' font-size="9" font-weight="700" stroke="{PAPER}" stroke-width="3" paint-order="stroke"' * is_marked
    return f'<text x="{at[0]:.1f}" y="{at[1] + 3.5:.1f}" fill="{colour}"{look}>{html.escape(text)}</text>'
