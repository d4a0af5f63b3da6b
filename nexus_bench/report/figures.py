"""The figures of a report.

Each function takes summaries with short model names and returns a picture, or None if there is nothing to show.
"""

import math
import textwrap
from collections.abc import Callable, Sequence

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nexus_bench.analysis.summary import REACHED
from nexus_bench.io.plurals import counted
from nexus_bench.report.orders import Series
from nexus_bench.report.plotting import (
    FAINT,
    INK,
    PAPER,
    SOFT,
    TITLE,
    Picture,
    legend_below,
    line_style,
    new_figure,
    render,
    style,
)
from nexus_bench.report.tables import REFERENCES

_DASHES = {"chance": ":", "shortcut": "-.", "partial_input": "--"}
_MOST_CURVES = 100  # cells of a model whose learning curves are drawn
_MOST_POINTS = 20_000  # of curves that are drawn as vectors: a page must stay small
_REACHES: dict[str, tuple[str, Callable[[float], float]]] = {
    "m": ("m, which weights can reach with refine q or k", lambda m: m),
    "2^m - 1": ("2^m - 1, with refine qk", lambda m: 2**m - 1),
}


def accuracy_by_hop(accuracy: pd.DataFrame, *, title: str, trained: Sequence[int]) -> Picture:
    """Accuracy against hop: one line per model with its interval as a band, one dot per seed; chance and shortcut.

    Args:
        accuracy: `summary.accuracy_by_hop` of one section.
        title: The task, its size and how models were trained.
        trained: The hops of training, whose range is shaded; empty for answers of other models.
    """
    models = list(accuracy.groupby("model", sort=False))
    with style():
        figure = new_figure(height=3.3)
        axes = figure.add_subplot()
        if trained:
            axes.axvspan(
                min(trained) - 0.4, max(trained) + 0.4, color=FAINT, alpha=0.35, linewidth=0, label="trained hops"
            )
        for index, (model, rows) in enumerate(models):
            look = line_style(index)
            shift = 0.3 * ((index + 0.5) / len(models) - 0.5)  # else seeds of several models hide each other
            axes.plot(rows["hop"], rows["mean"], label=str(model), markersize=4, zorder=3, **look)
            axes.fill_between(rows["hop"], rows["low"], rows["high"], color=look["color"], alpha=0.15, linewidth=0)
            for hop, seeds in zip(rows["hop"], rows["seeds"], strict=True):
                axes.plot([hop + shift] * len(seeds), seeds, ".", color=look["color"], alpha=0.55, markersize=4)
        reference = accuracy.groupby("hop", sort=True)[list(_DASHES)].mean()
        for name, dashes in _DASHES.items():
            axes.plot(reference.index, reference[name], dashes, color=SOFT, linewidth=1, label=REFERENCES[name])
        axes.set(xlabel="hops", ylabel="accuracy", ylim=(-0.02, 1.04))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        legend_below(axes)
        return _finish(
            figure,
            "accuracy_by_hop",
            title,
            "Accuracy by hop: one line per model, a band for its 95% interval over seeds, one dot per seed. The shaded "
            "hops were trained.",
        )


def order_by_hop(accuracy: pd.DataFrame, series: Sequence[Series], *, title: str) -> Picture | None:
    """Heatmaps of mean accuracy: one row per order, one column per hop; one map per series of models."""
    if not series:
        return None
    hops = sorted(accuracy["hop"].unique())
    by_model = accuracy.set_index(["model", "hop"])["mean"]
    with style():
        heights = [len(one.models) for one in series]
        figure = new_figure(height=0.9 + sum(0.3 * n + 0.42 for n in heights))
        grids = figure.subplots(len(series), squeeze=False, height_ratios=heights)[:, 0]
        for axes, one in zip(grids, series, strict=True):
            orders = list(one.models)
            values = [[float(by_model.get((one.models[o], hop), math.nan)) for hop in hops] for o in orders]
            axes.pcolormesh(values, cmap="cividis", vmin=0, vmax=1, edgecolors=PAPER, linewidth=1)
            for y, row in enumerate(values):
                for x, value in enumerate(row):
                    said = "-" if math.isnan(value) else f"{value:.2f}"
                    ink = "#f8f9fa" if value < 0.5 else "#111111"  # readable on the map, on light and dark pages
                    axes.text(x + 0.5, y + 0.5, said, ha="center", va="center", color=ink, fontsize=8)
            axes.set_xticks([x + 0.5 for x in range(len(hops))], [str(hop) for hop in hops])
            axes.set_yticks([y + 0.5 for y in range(len(orders))], [str(order) for order in orders])
            axes.set(ylabel="order")
            axes.set_title(one.name, loc="left")
            axes.tick_params(length=0)
        grids[-1].set_xlabel("hops")
        return _finish(
            figure,
            "order_by_hop",
            title,
            "Mean accuracy, by attention order and hop. Order 1 is standard attention.",
        )


def reach_by_order(reach: pd.DataFrame, series: Sequence[Series], *, title: str, largest: int) -> Picture | None:
    """Hop reach against order, with the reach that weights can express.

    Args:
        reach: `summary.reach_by_model` of one section.
        series: Models that differ in nothing but order.
        title: The task, its size and how models were trained.
        largest: The largest hop evaluated: no reach can be above it.
    """
    if not series:
        return None
    by_model = reach.set_index("model")
    orders = sorted({order for one in series for order in one.models})
    with style():
        figure = new_figure(height=3.2)
        axes = figure.add_subplot()
        fine = [orders[0] + i * (orders[-1] - orders[0]) / 60 for i in range(61)]
        for dashes, (label, bound) in zip(("--", ":"), _REACHES.values(), strict=True):
            axes.plot(fine, [bound(m) for m in fine], dashes, color=SOFT, linewidth=1, label=label, zorder=4)
        axes.axhline(largest, color=SOFT, linewidth=1, linestyle="-.", label="largest hop evaluated")
        for index, one in enumerate(series):
            look = line_style(index)
            at = by_model.loc[list(one.models.values())]
            shift = 0.16 * ((index + 0.5) / len(series) - 0.5)
            x = [order + shift for order in one.models]
            below, above = (at["mean"] - at["low"]).fillna(0), (at["high"] - at["mean"]).fillna(0)
            errors = [below.astype(float), above.astype(float)]
            axes.errorbar(x, at["mean"], errors, label=one.name, capsize=2, markersize=4, zorder=3, **look)
            for place, seeds in zip(x, at["seeds"], strict=True):
                axes.plot([place] * len(seeds), seeds, ".", color=look["color"], alpha=0.4, markersize=5)
        axes.set(xlabel="attention order m", ylabel="hop reach", ylim=(-0.1, largest + 0.6))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        legend_below(axes)
        return _finish(
            figure,
            "reach_by_order",
            title,
            "Hop reach against attention order: the mean over seeds with its 95% interval, one dot per seed. The lines "
            "show the reach that the weights of one layer can be constructed to have.",
        )


def reach_by_cost(reach: pd.DataFrame, *, title: str) -> Picture | None:
    """Hop reach against parameters and against the FLOPs of a training step; a line joins the best for their cost."""
    sized = reach[reach["n_params"].notna() & reach["mean"].notna()]
    if len(sized) < 2:
        return None
    with style():
        figure = new_figure(height=2.9)
        left, right = figure.subplots(1, 2, sharey=True)
        panels = ((left, "n_params", 1e3, "thousand parameters"), (right, "flops_per_step", 1e6, "MFLOP per step"))
        for axes, column, unit, label in panels:
            cost = sized[column].astype(float) / unit
            for index, (model, x, mean) in enumerate(zip(sized["model"], cost, sized["mean"], strict=True)):
                look = line_style(index) | {"linestyle": "none"}
                axes.plot([x], [mean], label=str(model), markersize=5, alpha=0.9, zorder=3, **look)
            front = pareto_front(list(zip(cost, sized["mean"], strict=True)))
            axes.plot(*zip(*front, strict=True), color=SOFT, linewidth=1, drawstyle="steps-post", label="Pareto front")
            axes.plot(*zip(*front, strict=True), "o", color=SOFT, markersize=10, fillstyle="none", linewidth=0)
            axes.set_xlabel(label)
            if cost.max() > 4 * cost.min():
                axes.set_xscale("log")
                axes.margins(x=0.1)
            else:
                around = 0.1 * max(cost.max() - cost.min(), 0.2 * cost.max())  # a few parameters must not fill the axis
                axes.set_xlim(cost.min() - around, cost.max() + around)
                axes.ticklabel_format(axis="x", useOffset=False)
                axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.grid(axis="y")
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        left.set(ylabel="hop reach", ylim=(-0.1, float(sized["mean"].max()) + 0.5))
        legend_below(left)
        return _finish(
            figure,
            "reach_by_cost",
            title,
            "Hop reach against parameters and against the operations of a training step. Ringed and joined by a line: "
            "models that no other model beats in both.",
        )


def learning_curves(curves: pd.DataFrame, *, title: str) -> Picture | None:
    """Validation accuracy while training: one panel per model, one colour per hop, one line per seed.

    Args:
        curves: Rows of curve.csv, with short model names.
        title: The task, its size and how models were trained.
    """
    if curves.empty:
        return None
    cells = curves.drop_duplicates("cell_id")
    number = cells.groupby("model", sort=False).cumcount()
    is_cut = bool((number >= _MOST_CURVES).any())
    curves = curves[curves["cell_id"].isin(cells.loc[number < _MOST_CURVES, "cell_id"])] if is_cut else curves
    models = list(dict.fromkeys(curves["model"]))
    hops = sorted(int(hop) for hop in curves["hop"].unique())
    shades = matplotlib.colormaps["viridis"]
    colours = {hop: shades(0.15 + 0.65 * i / max(len(hops) - 1, 1)) for i, hop in enumerate(hops)}
    n_rows = -(-len(models) // 2)
    with style():
        figure = new_figure(height=0.8 + 1.45 * n_rows)
        grid = figure.subplots(n_rows, 2, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, model in zip(grid, models, strict=False):
            of_model = curves[curves["model"] == model]
            for (hop, _), line in of_model.groupby(["hop", "cell_id"], sort=True):
                look = {"color": colours[int(hop)], "linewidth": 0.8, "alpha": 0.75}
                axes.plot(line["step"], line["accuracy"], rasterized=len(curves) > _MOST_POINTS, **look)
            axes.axhline(REACHED, color=SOFT, linewidth=0.6, linestyle=":")
            axes.set_title("\n".join(textwrap.wrap(str(model), 40)), loc="left", fontsize=8)
            axes.set_ylim(-0.02, 1.04)
        for axes in grid[len(models) :]:
            axes.set_axis_off()
        for axes in grid[max(len(models) - 2, 0) : len(models)]:  # the lowest of each column
            axes.set_xlabel("steps")
            axes.tick_params(labelbottom=True)
        for hop in hops:
            grid[0].plot([], [], color=colours[hop], label=counted(hop, "hop"))
        figure.supylabel("validation accuracy", fontsize=9)
        legend_below(grid[0], most_columns=5)
        return _finish(
            figure,
            "learning_curves",
            title,
            "Validation accuracy by hop while training: one line per seed"
            + (f", of the first {_MOST_CURVES} of each model" if is_cut else "")
            + ". Each hop is learned in a sudden step.",
        )


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The Pareto front by cost: pairs (cost, reach) so that no other has at most the cost and at least the reach."""
    front: list[tuple[float, float]] = []
    for cost, reach in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or reach > front[-1][1]:
            front.append((cost, reach))
    return front


def _finish(figure: Figure, name: str, title: str, caption: str) -> Picture:
    wrapped = "\n".join(textwrap.wrap(title, 74))
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=9, color=INK, gid=TITLE)
    return render(figure, name=name, caption=caption)
