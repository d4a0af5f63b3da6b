"""An example of a task of sequences, drawn: tokens in rows, labels below them, and what derives the asked label."""

import html
from collections.abc import Sequence

from nexus_bench.data.law import Law
from nexus_bench.data.show import asked_place, rows_read, show_sequence
from nexus_bench.generators.base import Examples
from nexus_bench.report.charts.palette import INK, PAPER, SOFT
from nexus_bench.report.charts.plotting import FONT
from nexus_bench.report.charts.task_drawing import PATH

_WIDEST = 640  # pixels of a row at most
_LETTER = 6.5  # pixels
_LINE = 46  # pixels from a row to the next
_MARGIN = 14  # pixels


def sequence_svg(law: Law, one: Examples) -> str:
    """The first sequence of some examples, as SVG of a few kB: the same bytes on every machine."""
    shown = show_sequence(law, one)
    asked = asked_place(one)
    width = round(_LETTER * max(map(len, (*shown.facts, *shown.labels)))) + 12
    columns = min(len(shown.facts), (_WIDEST - 2 * _MARGIN) // width)
    at = [
        (_MARGIN + width * (place % columns) + width // 2, _MARGIN + 16 + _LINE * (place // columns))
        for place in range(len(shown.facts))
    ]
    steps: dict[int, list[int]] = {}
    for hop, row in enumerate(rows_read(law, one, asked), start=1):
        steps.setdefault(row, []).append(hop)
    boxes = "".join(f"M{at[row][0] - width // 2 + 2} {at[row][1] - 12}h{width - 4}v16h{4 - width}z" for row in steps)
    numbers = [(", ".join(map(str, hops)), at[row]) for row, hops in steps.items()]
    labels = [(label, place) for label, place in zip(shown.labels, at, strict=True) if label != "-"]
    answer = [(shown.answer, at[asked])] if shown.labels[asked] != "-" else []
    total, height = 2 * _MARGIN + width * columns, at[-1][1] + _LINE - 16
    x, y = at[asked]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}" '
            f'font-family="{FONT}" font-size="10" text-anchor="middle">',
            f'<rect width="{total}" height="{height}" fill="{PAPER}"/>',
            f'<path d="{boxes}" fill="none" stroke="{PATH}" stroke-width="1.5"/>',
            f'<ellipse cx="{x}" cy="{y - 4}" rx="{width // 2 - 1}" ry="11" fill="none" stroke="{PATH}"/>',
            _texts(list(zip(shown.facts, at, strict=True)), 0, f'fill="{INK}"'),
            _texts([one for one in labels if one not in answer], 17, f'fill="{SOFT}"'),
            _texts(answer, 17, f'fill="{PATH}" font-weight="700"'),
            _texts(numbers, -15, f'fill="{PATH}" font-size="9" font-weight="700"'),
            "</svg>\n",
        ]
    )


def _texts(texts: Sequence[tuple[str, tuple[int, int]]], down: int, look: str) -> str:
    """Texts at their places, each so many pixels further down."""
    spans = "".join(f'<tspan x="{x}" y="{y + down}">{html.escape(text)}</tspan>' for text, (x, y) in texts)
    return f"<text {look}>{spans}</text>"
