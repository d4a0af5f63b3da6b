"""Charts of hop reach, against order and against cost."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from nexus_bench.report.charts.palette import SOFT, Palette, kind_of
from nexus_bench.report.charts.parts import PANEL, in_colour, panels, rounded, thin_line, tips, who, zoom
from nexus_bench.report.charts.plotting import Spec, figure
from nexus_bench.report.words.orders import Series

_SMALL_SPREAD = 0.01  # of costs: a panel with less has nothing to tell
_MOST_LABELS = 4  # models of which orders are written beside their marks: more would meet
_REACHES: dict[str, Callable[[int], int]] = {
    "m, with refine q or k": lambda m: m,
    "2^m - 1, with refine qk": lambda m: 2**m - 1,
}


def reach_by_order(
    reach: pd.DataFrame, series: Sequence[Series], palette: Palette, *, title: str, largest: int
) -> Spec | None:
    """Hop reach against order, a panel per series, with the reach that weights can express.

    Args:
        reach: `summary.reach_by_model` of one section.
        series: Models that differ in nothing but order.
        palette: The colours of the report.
        title: The task, its size and how models were trained.
        largest: The largest hop evaluated: no reach can be above it.
    """
    if not series or reach["mean"].isna().all():
        return None
    found = {str(row["model"]): row for _, row in reach.iterrows()}
    rows, orders = [], sorted({order for one in series for order in one.models})
    for one in series:
        for order, model in one.models.items():
            same = who(model, order) | {"series": one.name}
            seeds: list[int] = list(found[model]["seeds"])
            rows.append(same | {"kind": "mean", "reach": rounded(found[model]["mean"]), "seeds": len(seeds)})
            rows += [
                same | {"kind": "seed", "reach": hops, "seeds": seeds.count(hops)} for hops in dict.fromkeys(seeds)
            ]
    bounds = [
        {"order": order, "bound": name, "reach": bound(order)}
        for name, bound in _REACHES.items()
        for order in orders
        if bound(order) <= largest
    ]
    above = {order: sorted({b(order) for b in _REACHES.values() if b(order) > largest}) for order in orders}
    beyond = [
        {"order": order, "reach": largest + 0.5, "said": f"{', '.join(map(str, reaches))} \u2191"}
        for order, reaches in above.items()
        if reaches
    ]
    x: Spec = {"field": "order", "type": "ordinal", "title": "attention order m", "axis": {"labelAngle": 0}}
    domain = {"domain": [0, largest + (0.8 if beyond else 0.3)], "nice": False}
    y: Spec = {"field": "reach", "type": "quantitative", "title": "hop reach", "scale": domain}
    y["axis"] = {"values": list(range(largest + 1)), "format": "d"}
    colour = in_colour(rows, palette)
    most = max(row["seeds"] for row in rows if row["kind"] == "seed")
    layers: list[Spec] = [
        {
            "data": {"name": "bounds"},
            "mark": {"type": "point", "color": SOFT, "size": 190, "strokeWidth": 1},
            "encoding": {
                "x": x,
                "y": y,
                "shape": {
                    "field": "bound",
                    "type": "nominal",
                    "title": "weights can reach",
                    "scale": {"domain": list(_REACHES), "range": ["square", "diamond"]},
                },
                "tooltip": tips("bound", "order", "reach"),
            },
        },
        {
            "data": {"name": "beyond"},
            "mark": {"type": "text", "color": SOFT, "fontSize": 11},
            "encoding": {"x": x, "y": y, "text": {"field": "said"}},
        },
        {
            "transform": [{"filter": "datum.kind === 'mean'"}],
            "mark": {"type": "line", "color": SOFT, "strokeWidth": 1},
            "encoding": {"x": x, "y": y},
        },
        {
            "transform": [{"filter": "datum.kind === 'seed'"}],
            "mark": {"type": "circle", "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "size": {
                    "field": "seeds",
                    "type": "quantitative",
                    "legend": None,
                    "scale": {"domain": [0, most], "rangeMin": 0, "rangeMax": 150},
                },
                "color": colour,
                "tooltip": tips("model", "reach", "seeds"),
            },
        },
    ]
    body = panels("rows", "series", [one.name for one in series], layers, height=34 * (largest + 1))
    return figure(title, {"rows": rows, "bounds": bounds, "beyond": beyond}, body, dark=palette.dark)


def reach_by_cost(reach: pd.DataFrame, palette: Palette, *, title: str) -> Spec | None:
    """Hop reach against parameters and against the FLOPs of a training step; a line joins the best for their cost.

    A panel whose costs differ by less than 1% is left out; so is a model where what it costs is not known.
    """
    sized = reach[reach["n_params"].notna() & reach["mean"].notna()]
    if len(sized) < 2:
        return None
    is_named = len(sized) <= _MOST_LABELS
    data: dict[str, list[dict[str, Any]]] = {}
    side_by_side: list[Spec] = []
    for column, unit, label in (("n_params", 1e3, "thousand parameters"), ("flops_per_step", 1e6, "MFLOP per step")):
        known = sized[sized[column].notna()]
        cost = known[column].astype(float) / unit
        if len(known) < 2 or not has_spread(list(cost)):
            continue
        best = best_so_far(list(zip(cost, known["mean"], strict=True)))
        rows = [
            who(str(model), order)
            | {"cost": rounded(value), "reach": rounded(mean), "front": rounded(front)}
            | {"label": f"order {order}" if is_named and not pd.isna(order) and order > 1 else ""}
            for model, order, value, mean, front in zip(
                known["model"], known["order"], cost, known["mean"], best, strict=True
            )
        ]
        is_wide = bool(cost.max() > 4 * cost.min())
        scale = {"type": "log", "nice": False, "padding": 24} if is_wide else {"zero": False, "padding": 24}
        x: Spec = {"field": "cost", "type": "quantitative", "title": label, "scale": scale}
        x["axis"] = {"format": ",~r", "tickCount": 5, "labelOverlap": True, "grid": False}
        top = {"domain": [0, math.ceil(float(sized["mean"].max())) + 0.4], "nice": False}
        y: Spec = {"field": "reach", "type": "quantitative", "title": "hop reach", "scale": top}
        y["axis"] = {"tickMinStep": 1, "format": "d"} | ({"values": [0, 1]} if sized["mean"].max() <= 1 else {})
        data[column] = rows
        colour = in_colour(rows, palette)
        side_by_side.append(
            {
                "data": {"name": column},
                "width": PANEL,
                "height": 170,
                "layer": [
                    {
                        "mark": thin_line(interpolate="step-after"),
                        "encoding": {"x": x, "y": y | {"field": "front"}},
                    },
                    {
                        "mark": {"type": "text", "dy": -12, "fontSize": 11, "clip": True},
                        "encoding": {"x": x, "y": y, "color": colour, "text": {"field": "label"}},
                    },
                    {
                        "params": [zoom("x", name=column)],
                        "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1, "clip": True},
                        "encoding": {
                            "x": x,
                            "y": y,
                            "color": colour,
                            "tooltip": tips("model", "cost", "reach"),
                        },
                    },
                ],
            }
        )
    if not side_by_side:
        return None
    families = list(dict.fromkeys(kind_of(str(model)).family for model in sized["model"]))
    key = family_shapes(families)
    body: Spec = {"concat": side_by_side, "columns": 2}
    for panel in side_by_side:
        panel["layer"][-1]["encoding"]["shape"] = key
    return figure(title, data, body, dark=palette.dark)


def best_so_far(points: Sequence[tuple[float, float]]) -> list[float]:
    """The Pareto front by cost: for each pair (cost, reach) the largest reach of those that cost at most as much."""
    return [max(reach for cost, reach in points if cost <= limit) for limit, _ in points]


def has_spread(costs: Sequence[float]) -> bool:
    """Whether costs differ by 1% or more."""
    return max(costs) >= (1 + _SMALL_SPREAD) * min(costs)


def family_shapes(families: Sequence[str]) -> Spec:
    """A shape for each family of models, with a legend."""
    shapes = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]
    return {
        "field": "family",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(families), "range": [shapes[i % len(shapes)] for i in range(len(families))]},
        "legend": {"columns": 2, "symbolFillColor": SOFT},
    }
