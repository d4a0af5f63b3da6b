"""The chart of validation accuracy while training."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nexus_bench.analysis.summary import REACHED
from nexus_bench.report.charts.palette import DARK, hop_colours
from nexus_bench.report.charts.parts import accuracy_axis, dotted_line, in_colour_of_hops, panels, rounded, tips, zoom
from nexus_bench.report.charts.plotting import Spec, figure

_MOST_POINTS = 16_000  # a page must stay small


def learning_curves(curves: pd.DataFrame, orders: Mapping[str, int], *, title: str) -> Spec | None:
    """Validation accuracy while training: one panel per model, one colour per hop, one line per seed.

    Args:
        curves: Rows of curve.csv, with short model names.
        orders: Model -> attention order.
        title: The task, its size and how models were trained.
    """
    if curves.empty:
        return None
    if is_summarised(curves):
        means = curves.groupby(["model", "hop", "step"], sort=False)["accuracy"].mean()
        curves = means.reset_index().assign(cell_id="mean")
    cells = {cell: number for number, cell in enumerate(dict.fromkeys(curves["cell_id"]))}
    columns = (curves["model"], curves["cell_id"], curves["hop"], curves["step"], curves["accuracy"])
    rows: list[dict[str, Any]] = [
        {
            "model": str(model),
            "order": orders[str(model)],
            "cell": cells[cell],
            "hop": int(hop),
            "step": int(step),
            "accuracy": rounded(accuracy),
        }
        for model, cell, hop, step, accuracy in zip(*columns, strict=True)
        if not pd.isna(accuracy)
    ]
    if not rows:
        return None
    colours = hop_colours(sorted({row["hop"] for row in rows}))
    x: Spec = {"field": "step", "type": "quantitative", "title": "steps", "axis": {}}
    x["axis"] = {"format": "~s", "grid": False, "tickCount": 4, "labelOverlap": True}
    y = accuracy_axis("validation accuracy")
    hop = in_colour_of_hops(colours)
    layers: list[Spec] = [
        {
            "data": {"name": "solved"},
            "mark": dotted_line("rule"),
            "encoding": {"y": {"field": "accuracy", "type": "quantitative"}},
        },
        {
            "params": [zoom("x", "y")],
            "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.9, "clip": True},
            "encoding": {
                "x": x,
                "y": y,
                "color": hop,
                "detail": {"field": "cell"},
                "tooltip": tips("model", "hop", "step", "accuracy"),
            },
        },
    ]
    models = list(dict.fromkeys(row["model"] for row in rows))
    body = panels("rows", "model", models, layers, height=90)
    return figure(title, {"rows": rows, "solved": [{"accuracy": REACHED}]}, body, dark=DARK | dict(colours.values()))


def is_summarised(curves: pd.DataFrame) -> bool:
    """Whether there are so many curves that their means are drawn instead."""
    return len(curves) > _MOST_POINTS
