"""Parts that charts share: small multiples, heatmaps, colours, the fields by which a page filters."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from nexus_bench.report.charts.palette import HIGH, INK, LOW, PAPER, SOFT, Palette, kind_of
from nexus_bench.report.charts.plotting import Spec

PANEL = 250  # pixels
HOPS: Spec = {"type": "quantitative", "title": "hops", "axis": {"format": "d", "grid": False, "tickMinStep": 1}}
DOTTED = [1, 3]
_NUMBERS = ("accuracy", "reach", "cost")


def panels(data: str, field: str, values: Sequence[str], layers: Sequence[Spec], *, height: int) -> Spec:
    """Small multiples: a panel per value, in their order."""
    columns = min(3, len(values))
    facet = {"field": field, "type": "nominal", "sort": list(values), "header": {"labelLimit": PANEL + 40}}
    return {
        "data": {"name": data},
        "facet": facet,
        "columns": columns,
        "spec": {"width": PANEL, "height": height, "layer": list(layers)},
    }


def heatmap(y: str, title: str | None, value: str, tooltip: list[Spec]) -> list[Spec]:
    """Cells coloured by a share, and the text `said` in each."""
    places: Spec = {
        "x": {"field": "hop", "type": "ordinal", "title": "hops", "axis": {"labelAngle": 0, "ticks": False}},
        "y": {"field": y, "type": "ordinal", "title": title, "axis": {"ticks": False}},
    }
    scale = {"domain": [0, 1], "range": [LOW, HIGH]}
    colour = {"field": value, "type": "quantitative", "scale": scale, "legend": None}
    return [
        {
            "mark": {"type": "rect", "stroke": PAPER, "strokeWidth": 2},
            "encoding": places | {"color": colour, "tooltip": tooltip},
        },
        {
            "mark": {"type": "text", "fontSize": 11},
            "encoding": {name: dict(place) for name, place in places.items()}
            | {"text": {"field": "said"}, "color": {"value": INK}},
        },
    ]


def who(model: str, order: Any) -> dict[str, Any]:
    """The fields by which a page filters, and the family."""
    return {"model": model, "family": kind_of(model).family, "order": 1 if pd.isna(order) else int(order)}


def in_colour(rows: Iterable[dict[str, Any]], palette: Palette) -> Spec:
    """Colour by model, without a legend: marks are labelled, and pages have a legend of their own."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    scale = {"domain": models, "range": [palette.of(model) for model in models]}
    return {"field": "model", "type": "nominal", "scale": scale, "legend": None}


def in_colour_of_hops(colours: Mapping[int, tuple[str, str]]) -> Spec:
    """Colour by hop, with a legend; the colours are those of `palette.hop_colours`."""
    scale = {"domain": list(colours), "range": [light for light, _ in colours.values()]}
    return {"field": "hop", "type": "ordinal", "title": "hops", "scale": scale}


def accuracy_axis(title: str) -> Spec:
    """The axis of accuracies, with room for a line at 1."""
    y: Spec = {"field": "accuracy", "type": "quantitative", "scale": {"domain": [0, 1.04], "nice": False}}
    return y | {"title": title, "axis": {"values": [0, 0.5, 1]}}


def thin_line(**more: Any) -> Spec:
    """The mark of what stands behind the models: a thin grey line, but for what `more` says."""
    return {"type": "line", "color": SOFT, "strokeWidth": 1, "clip": True} | more


def dotted_line(mark: str = "line") -> Spec:
    """The mark of what models are compared with, such as chance: a `line` through points, or a `rule` across."""
    return thin_line(type=mark, strokeDash=DOTTED)


def seed_tick() -> Spec:
    """The mark of one seed, beside the line of the means."""
    return {"type": "tick", "orient": "horizontal", "width": 9, "thickness": 1.5, "opacity": 0.55, "clip": True}


def tips(*fields: str) -> list[Spec]:
    """What is said of a mark under the pointer."""
    return [{"field": field, "format": ",.3~f"} if field in _NUMBERS else {"field": field} for field in fields]


def zoom(*axes: str, name: str = "") -> Spec:
    """Zoom with the shift key and the wheel, move by dragging, back by a double click."""
    return {
        "name": f"zoom{name}",
        "select": {"type": "interval", "encodings": list(axes), "zoom": "wheel![event.shiftKey]"},
        "bind": "scales",
    }


def line_of_means(encoding: Spec) -> Spec:
    """A layer: the means of the data as a line with points, under this encoding; its y axis can be zoomed."""
    return {
        "transform": [{"filter": "datum.kind === 'mean'"}],
        "params": [zoom("y")],
        "mark": {"type": "line", "point": {"size": 40}, "strokeWidth": 2, "clip": True},
        "encoding": encoding,
    }


def rounded(value: Any) -> float | None:
    """A number of four significant digits, and accuracies of three decimals; None for what was not measured."""
    if value is None or pd.isna(value):
        return None
    number = float(value)
    return round(number, 3) if abs(number) <= 1 else float(f"{number:.4g}")
