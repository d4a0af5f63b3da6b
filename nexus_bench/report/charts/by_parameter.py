"""The chart of accuracy against a parameter of the task."""

from typing import Any

import pandas as pd

from nexus_bench.report.charts.palette import DARK, hop_colours
from nexus_bench.report.charts.parts import (
    accuracy_axis,
    dotted_line,
    in_colour_of_hops,
    line_of_means,
    panels,
    rounded,
    seed_tick,
    tips,
    who,
)
from nexus_bench.report.charts.plotting import Spec, figure

_WIDE = 4  # a largest value of that many times the smallest: steps are ratios


def accuracy_by_parameter(accuracy: pd.DataFrame, parameter: str, *, title: str) -> Spec:
    """Accuracy against a parameter: one panel per model, one colour per hop, means and seeds; chance is dotted.

    Args:
        accuracy: `summary.accuracy_by_hop` at each value, in the column `value`, with short model names.
        parameter: Its name.
        title: The task and how models were trained.
    """
    rows: list[dict[str, Any]] = []
    for _, row in accuracy.iterrows():
        same = who(str(row["model"]), row["order"]) | {"hop": int(row["hop"]), "value": row["value"]}
        ends = {name: rounded(row[name]) for name in ("low", "high")}
        rows.append(same | {"kind": "mean", "accuracy": rounded(row["mean"]), "seeds": int(row["n_seeds"])} | ends)
        rows += [same | {"kind": "seed", "accuracy": rounded(seed)} for seed in row["seeds"]]
    rows = [row for row in rows if row["accuracy"] is not None]
    chance = accuracy.groupby("value", sort=False)["chance"].mean()
    lines = [{"value": value, "accuracy": rounded(share), "reference": "chance"} for value, share in chance.items()]
    values = list(dict.fromkeys(accuracy["value"]))
    colours = hop_colours(sorted({row["hop"] for row in rows}))
    x: Spec = {"field": "value", "title": parameter, "type": "ordinal", "sort": values, "axis": {"labelAngle": 0}}
    if not any(isinstance(value, str) for value in values):
        is_wide = min(values) > 0 and max(values) >= _WIDE * min(values)
        scale = {"type": "log"} if is_wide else {"zero": False}
        x = {
            "field": "value",
            "title": parameter,
            "type": "quantitative",
            "scale": scale | {"nice": False, "padding": 12},
        }
        x["axis"] = {"values": values, "format": "~r", "labelOverlap": True, "grid": False}
    y = accuracy_axis("accuracy")
    hop = in_colour_of_hops(colours)
    layers: list[Spec] = [
        {
            "data": {"name": "references"},
            "mark": dotted_line(),
            "encoding": {"x": x, "y": y, "tooltip": tips("reference", "value", "accuracy")},
        },
        line_of_means(
            {
                "x": x,
                "y": y,
                "color": hop,
                "tooltip": tips("model", "hop", "value", "accuracy", "low", "high", "seeds"),
            }
        ),
        {
            "transform": [{"filter": "datum.kind === 'seed'"}],
            "mark": seed_tick(),
            "encoding": {"x": x, "y": y, "color": hop, "tooltip": tips("model", "hop", "value", "accuracy")},
        },
    ]
    models = list(dict.fromkeys(row["model"] for row in rows))
    body = panels("rows", "model", models or ["none measured"], layers, height=120)
    return figure(title, {"rows": rows, "references": lines}, body, dark=DARK | dict(colours.values()))
