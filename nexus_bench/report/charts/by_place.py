"""Charts of sequences: accuracy against the place of the label, and against the length of the sequence."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nexus_bench.io.csv_files import rows_of
from nexus_bench.io.plurals import counted
from nexus_bench.report.charts.palette import Palette
from nexus_bench.report.charts.parts import accuracy_axis, dotted_line, in_colour, panels, rounded, tips, who, zoom
from nexus_bench.report.charts.plotting import Spec, figure

_MOST_PANELS = 9  # hop counts
_AXES = {"place": "place of the label", "length": "length of the sequence"}


def accuracy_by(
    by: str,
    places: pd.DataFrame,
    orders: Mapping[str, int],
    chance: Mapping[int, float],
    palette: Palette,
    *,
    title: str,
) -> Spec | None:
    """Accuracy against place or length: a panel per hop count, a line per model over all of its seeds.

    Where every hop count has one place, as in word problems, all are one panel.

    Args:
        by: `place` or `length`.
        places: Rows of places.csv, with short model names.
        orders: Model -> attention order.
        chance: Hop -> chance.
        palette: The colours of the report.
        title: The task, its size and how models were trained.
    """
    points = _pooled(places[places["by"] == by])
    if points.empty:
        return None
    is_one = not points.duplicated(["model", "hop"]).any()
    hops = sorted(points["hop"].unique().tolist())
    names = dict.fromkeys(hops, f"{hops[0]} to {hops[-1]} hops") if is_one and len(hops) > 1 else _panels(hops)
    rows: list[dict[str, Any]] = [
        who(str(point["model"]), orders[str(point["model"])])
        | {"panel": names[point["hop"]], "hop": point["hop"], "at": point["at"]}
        | {"bin": point["bin"], "accuracy": rounded(point["n_correct"] / point["n_examples"])}
        | {"labels": point["n_examples"], "chance": rounded(chance.get(point["hop"]))}
        for point in rows_of(points[points["hop"].isin(list(names))])
    ]
    x: Spec = {"field": "at", "type": "quantitative", "title": _AXES[by]}
    x |= {
        "scale": {"nice": False, "zero": False, "padding": 6},
        "axis": {"format": "d", "grid": False, "tickMinStep": 1},
    }
    y = accuracy_axis("accuracy")
    layers: list[Spec] = [
        {
            "mark": dotted_line(),
            "encoding": {"x": x, "y": y | {"field": "chance"}},
        },
        {
            "params": [zoom("y")],
            "mark": {"type": "line", "point": {"size": 24}, "strokeWidth": 1.6, "clip": True},
            "encoding": {
                "x": x,
                "y": y,
                "color": in_colour(rows, palette) | {"legend": {"title": None, "columns": 2}},
                "tooltip": tips("model", "hop", "bin", "accuracy", "labels"),
            },
        },
    ]
    body = panels("rows", "panel", list(dict.fromkeys(names.values())), layers, height=110)
    return figure(title, {"rows": rows}, body)


def _pooled(places: pd.DataFrame) -> pd.DataFrame:
    """One row per (model, hop, number of the bin): labels of all seeds, whose bins may differ by a place or so."""
    number = places.groupby(["cell_id", "hop"], sort=False).cumcount()
    pooled = places.assign(number=number).groupby(["model", "hop", "number"], sort=False)
    found = pooled.agg(
        {"first": "min", "last": "max", "n_examples": "sum", "n_correct": "sum"} | {"cell_id": "size"}
    ).reset_index()
    middle = (pooled["first"].mean() + pooled["last"].mean()).reset_index(drop=True) / 2
    ends = found["first"].astype(str) + "-" + found["last"].astype(str)
    return found.assign(at=middle.round(1), bin=ends.where(found["first"] < found["last"], found["first"].astype(str)))


def _panels(hops: list[int]) -> dict[int, str]:
    """The hop counts that have a panel, and its name: of many the first, the last, and some evenly between."""
    n = min(len(hops), _MOST_PANELS)
    shown = dict.fromkeys(hops[i * (len(hops) - 1) // max(1, n - 1)] for i in range(n))
    return {hop: counted(hop, "hop") for hop in shown}
