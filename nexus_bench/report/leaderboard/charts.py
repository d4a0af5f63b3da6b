"""Charts of a leaderboard: hop reach per parameter and per operation of training, with intervals, a panel a family."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from nexus_bench.report.charts.hop_reach import best_so_far, family_shapes, has_spread
from nexus_bench.report.charts.palette import Palette, kind_of
from nexus_bench.report.charts.parts import in_colour, panels, rounded, thin_line, tips, who, zoom
from nexus_bench.report.charts.plotting import Picture, Spec, figure, render
from nexus_bench.report.leaderboard.boards import Board
from nexus_bench.report.leaderboard.standings import Standing

PER_PARAMETER = "reach_per_parameter"  # name of a figure
_COSTS: dict[str, tuple[str, str, Callable[[Standing], float]]] = {
    PER_PARAMETER: ("parameters", "thousand parameters", lambda one: _nan(one.n_params) / 1e3),
    "reach_per_flop": ("the operations of the whole training", "TFLOP of training", lambda one: one.train_flops / 1e12),
}


def cost_pictures(board: Board, short: Mapping[str, str], palette: Palette, *, suffix: str) -> list[Picture]:
    """Both charts of a board; one in which nothing differs in cost by 1% is left out.

    Args:
        board: The board.
        short: Model -> its name on the board.
        palette: The colours of the page.
        suffix: Of the names of the figures.
    """
    drawn = []
    for name, (against, label, cost_of) in _COSTS.items():
        spec = _chart(board, short, palette, label=label, cost_of=cost_of)
        caption = (
            f"Mean hop reach against {against}, with the 95% t-interval over seeds (none where all seeds agree). "
            "Joined by a line: models that no other model beats in both."
        )
        if spec is not None:
            drawn.append(render(spec, name=name + suffix, caption=caption))
    return drawn


def _chart(
    board: Board, short: Mapping[str, str], palette: Palette, *, label: str, cost_of: Callable[[Standing], float]
) -> Spec | None:
    rows: list[dict[str, Any]] = []
    families = []
    for setting in board.settings:
        own = [line.standings[setting.number] for line in board.lines if setting.number in line.standings]
        sized = [(cost_of(one), one) for one in own if cost_of(one) > 0 and not math.isnan(one.mean_reach)]
        if len(sized) < 2 or not has_spread([cost for cost, _ in sized]):
            continue
        families.append(setting.task)
        sized.sort(key=lambda pair: pair[0])
        best = best_so_far([(cost, one.mean_reach) for cost, one in sized])
        rows += [
            who(short[one.model], one.order)
            | {"task": one.task, "run": one.run, "parameters": one.n_params}
            | {"cost": float(f"{cost:.4g}"), "reach": rounded(one.mean_reach), "front": rounded(front)}
            | {
                "interval": _interval(one),
                "low": rounded(_end(one, one.mean_low)),
                "high": rounded(_end(one, one.mean_high)),
            }
            for (cost, one), front in zip(sized, best, strict=True)
        ]
    if not families:
        return None
    costs = [row["cost"] for row in rows]
    scale = {"type": "log", "nice": False, "padding": 24} if max(costs) > 4 * min(costs) else {"zero": False}
    x: Spec = {"field": "cost", "type": "quantitative", "title": label, "scale": {"padding": 24} | scale}
    x["axis"] = {"format": ",~r", "tickCount": 4, "labelOverlap": True, "grid": False}
    top = max(1, math.ceil(max(row["high"] for row in rows)))
    y: Spec = {"field": "reach", "type": "quantitative", "title": "hop reach"}
    y |= {"scale": {"domain": [0, top + 0.4], "nice": False}, "axis": {"values": list(range(top + 1)), "format": "d"}}
    colour = in_colour(rows, palette)
    layers: list[Spec] = [
        {"mark": thin_line(interpolate="step-after"), "encoding": {"x": x, "y": y | {"field": "front"}}},
        {
            "mark": {"type": "rule", "strokeWidth": 1.5, "clip": True},
            "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": colour},
        },
        {
            "params": [zoom("x")],
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1, "clip": True},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour,
                "shape": family_shapes(list(dict.fromkeys(kind_of(row["model"]).family for row in rows))),
                "tooltip": tips("model", "run", "cost", "reach", "interval"),
            },
        },
    ]
    body = panels("rows", "task", families, layers, height=190)
    body["resolve"] = {"scale": {"x": "independent"}}
    return figure(board.title, {"rows": rows}, body, dark=palette.dark)


def _interval(standing: Standing) -> str:
    low, high = standing.mean_low, standing.mean_high
    return f"{low:.2f} to {high:.2f}" if high > low else "none: all seeds agree, or there is one"


def _end(standing: Standing, value: float) -> float:
    """An end of the interval; the mean itself where there is none."""
    return standing.mean_reach if math.isnan(value) else value


def _nan(value: int | None) -> float:
    return float("nan") if value is None or pd.isna(value) else float(value)


def models_of(boards: Sequence[Board], shorts: Sequence[Mapping[str, str]]) -> list[str]:
    """The names of all models on the page, each once."""
    return list(
        dict.fromkeys(short[line.model] for board, short in zip(boards, shorts, strict=True) for line in board.lines)
    )
