"""Drawings of attention: over the facts as a graph, as maps, and along the path."""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from nexus_bench.data.law import Law
from nexus_bench.data.show import Arrow, arrow_of
from nexus_bench.inspection.plotting import INK, PAPER, SOFT, new_figure, render, style
from nexus_bench.inspection.pointing import FACT, QUERY, Example, Walk
from nexus_bench.inspection.recording import Place
from nexus_bench.io.columns import Row
from nexus_bench.report.charts.graph_layout import Point, layout
from nexus_bench.report.charts.plotting import Picture

_PATH = "#0072B2"
_ATTENTION = LinearSegmentedColormap.from_list("attention", [SOFT, "#D55E00", "#A32900"])
_PANEL = 2.1  # inches
_WIDE_PANEL = 3.4  # inches, for graphs that branch
_MARGIN = 0.3  # around a graph whose circle has radius 1
_ASIDE = 0.14  # inches between an arrow and its number
_PREFIX = re.compile(r"[a-z_]{2,}(?=\d+$)")  # prefix that all symbols of a vocabulary share


def graph_picture(law: Law, example: Example, *, title: str) -> Picture:
    """The facts as arrows between names, a panel a level and head: what the query attends to, and the true path."""
    arrows = [arrow_of(law, fact) for fact in example.facts]
    at, panel = _layout([(arrow.start, arrow.end) for arrow in arrows])
    start = law.symbol(law.schema.query[0].vocabulary, int(example.query[0]))
    n_heads = max(len(weights) for weights in example.from_query)
    with style():
        wide, high = np.ptp(list(at.values()), axis=0) + 2 * _MARGIN
        figure = new_figure(
            width=max(panel * n_heads, 4.2), height=(panel * high / wide + 0.3) * len(example.places) + 0.9
        )
        grid = figure.subplots(len(example.places), n_heads, squeeze=False)
        for row, place, from_query in zip(grid, example.places, example.from_query, strict=True):
            for head, axes in enumerate(row):
                axes.set_axis_off()
                if head < len(from_query):
                    axes.set_title(_panel_title(place, head), fontsize=8)
                    _draw_graph(axes, arrows, at, from_query[head], example.path, start=start, panel=panel)
        key = ["arrows: facts, redder and thicker with the query's attention", "blue: the true path by its hops"]
        said = [f"{hop}: {arrows[fact].label}" for hop, fact in enumerate(example.path, start=1) if arrows[fact].label]
        key[1] += f" ({', '.join(said)})" if said else ""
        key += ["ring: the start"] if start in at else []
        figure.supxlabel(_wrapped(figure, "; ".join(key)), fontsize=8)
        return _finish(
            figure,
            "inspect_graph",
            title,
            "What the query attends to, drawn over the facts. Blue: the true path, its hops numbered; a ring is its "
            "start. The redder and thicker an arrow, the more attention its fact gets.",
        )


def maps_picture(example: Example, *, title: str) -> Picture:
    """Heat maps: attending query and facts in rows, attended facts in columns; the path first."""
    rest = [fact for fact in range(len(example.facts)) if fact not in example.path]
    order = [*example.path, *rest]
    n_hops = len(example.path)
    n_heads = max(len(weights) for weights in example.from_query)
    with style():
        figure = new_figure(width=max(_PANEL * n_heads, 4.2), height=_PANEL * len(example.places) + 1.1)
        grid = figure.subplots(len(example.places), n_heads, squeeze=False, sharex=True, sharey=True)
        for row, place, from_query, from_facts in zip(
            grid, example.places, example.from_query, example.from_facts, strict=True
        ):
            for head, axes in enumerate(row):
                if head >= len(from_query):
                    axes.set_axis_off()
                    continue
                looking = np.concatenate([from_query[head][None], from_facts[head][order]])[:, order]
                mesh = axes.pcolormesh(looking, cmap="cividis", vmin=0, vmax=1)
                axes.axhline(1, color=PAPER, linewidth=1)
                axes.axhline(1 + n_hops, color=PAPER, linewidth=0.6, linestyle=":")
                axes.axvline(n_hops, color=PAPER, linewidth=0.6, linestyle=":")
                axes.set_title(_panel_title(place, head), fontsize=7)
                axes.set_yticks(
                    np.arange(n_hops + 1) + 0.5, ["query", *(f"hop {hop}" for hop in range(1, n_hops + 1))], fontsize=7
                )
                axes.set_xticks(np.arange(n_hops) + 0.5, [str(hop) for hop in range(1, n_hops + 1)], fontsize=7)
        grid[0, 0].invert_yaxis()
        figure.supxlabel("attended fact: the path by its hops, then the others", fontsize=8)
        figure.supylabel("attending position", fontsize=8)
        figure.colorbar(mesh, ax=grid, shrink=0.6, label="attention weight")
        return _finish(
            figure,
            "inspect_maps",
            title,
            "Attention of the query and of every fact, by level and head; path facts first.",
        )


def walk_picture(walk: Walk, *, title: str) -> Picture:
    """How often heads point at each hop or away from it (from the query), and along the path (from its facts)."""
    names = list(dict.fromkeys(_head_name(row) for row in walk.rows))
    kinds = (
        (QUERY, "pointed", "the query points at hop"),
        (QUERY, "avoided", "the query points away from hop"),
        (QUERY, "mean_ablated", "right, if its attention to hop is mean-ablated"),
        (FACT, "pointed", "a path fact points this many facts ahead"),
    )
    widths = [len({row["step"] for row in walk.rows if row["source"] == source}) for source, _, _ in kinds]
    with style():
        figure = new_figure(height=1.6 + 0.24 * len(names), width=1.9 + 0.42 * sum(widths))
        panels = figure.subplots(1, len(kinds), sharey=True, width_ratios=widths)
        for axes, (source, column, label) in zip(panels, kinds, strict=True):
            rows = [row for row in walk.rows if row["source"] == source]
            steps = sorted({int(row["step"]) for row in rows})
            values = np.full((len(names), len(steps)), np.nan)
            for row in rows:
                if row[column] is not None:
                    values[names.index(_head_name(row)), steps.index(row["step"])] = row[column]
            axes.pcolormesh(values, cmap="cividis", vmin=0, vmax=1, edgecolors=PAPER, linewidth=1)
            for (y, x), value in np.ndenumerate(values):
                if np.isnan(value):
                    continue
                ink = "#f8f9fa" if value < 0.5 else "#111111"
                axes.text(x + 0.5, y + 0.5, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=7)
            signed = "+d" if source == FACT else "d"
            axes.set_xticks(np.arange(len(steps)) + 0.5, [f"{step:{signed}}" if step else "0" for step in steps])
            axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=8)
            axes.set_xlabel("\n".join(textwrap.wrap(label, max(12, 5 * len(steps)))), fontsize=8)
            axes.tick_params(length=0)
        panels[0].invert_yaxis()
        return _finish(
            figure,
            "inspect_walk",
            title,
            f"Share of {walk.n_examples:,} examples in which a head gives its largest weight to the given fact: from "
            "the query, facts are given by their hop; from facts on the path, by how many facts further on (+) or "
            "back (-) they are. A head points away from the fact with its smallest weight. `any head` counts the "
            "examples in which at least one head does so. Mean-ablated: all heads give that fact their mean weight "
            f"of the other facts (without ablation, {walk.accuracy:.2f} are right).",
        )


def _draw_graph(
    axes: Axes,
    arrows: Sequence[Arrow],
    at: dict[str, Point],
    weights: np.ndarray,
    path: list[int],
    *,
    start: str,
    panel: float,
) -> None:
    places = np.array(list(at.values()))
    low, high = places.min(axis=0) - _MARGIN, places.max(axis=0) + _MARGIN
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    n_beside: dict[tuple[str, str], int] = {}
    for fact, (first, last, _) in enumerate(arrows):
        beside = n_beside[first, last] = n_beside.get((first, last), -1) + 1
        weight = float(weights[fact])
        look: dict[str, Any] = {"color": _ATTENTION(weight), "linewidth": 0.5 + 1.8 * weight, "zorder": 2 + weight}
        if first == last:
            middle, size = _loop(at[first], places.mean(axis=0), beside)
            if fact in path:
                axes.add_patch(Circle(middle, size, fill=False, color=_PATH, linewidth=7, alpha=0.25))
            axes.add_patch(Circle(middle, size, fill=False, **look))
            continue
        shape: dict[str, Any] = {"connectionstyle": f"arc3,rad={0.08 + 0.14 * beside}", "shrinkA": 6, "shrinkB": 6}
        if fact in path:
            under = FancyArrowPatch(at[first], at[last], arrowstyle="-", color=_PATH, linewidth=7, alpha=0.25, **shape)
            axes.add_patch(under)
        head: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 5 + 6 * weight}
        axes.add_patch(FancyArrowPatch(at[first], at[last], **head, **look, **shape))
    short = {name: _PREFIX.sub("", name) for name in at}
    if len(set(short.values())) < len(short):
        short = {name: name for name in at}
    for name, (x, y) in at.items():
        ring = {"boxstyle": "circle,pad=0.15", "facecolor": "none", "edgecolor": _PATH} if name == start else None
        axes.text(x, y, short[name], ha="center", va="center", fontsize=6, color=INK, bbox=ring, zorder=4)
    for hop, fact in enumerate(path, start=1):
        first, last, _ = arrows[fact]
        (x0, y0), (x1, y1) = at[first], at[last]
        if first == last:
            (x, y), _ = _loop(at[first], places.mean(axis=0), 0)
        else:
            aside = _ASIDE * float((high - low).max()) / panel / max(float(np.hypot(x1 - x0, y1 - y0)), 1e-9)
            x, y = (x0 + x1) / 2 + aside * (y1 - y0), (y0 + y1) / 2 - aside * (x1 - x0)
        axes.text(x, y, str(hop), ha="center", va="center", fontsize=7, color=_PATH, weight="bold", zorder=4)


def _loop(at: Point, centre: np.ndarray, beside: int) -> tuple[Point, float]:
    """Centre and radius of the circle of a fact that leads from a symbol to itself, on its outer side."""
    away = np.array(at) - centre
    away = away / max(float(np.hypot(*away)), 1e-9)
    size = 0.1 + 0.04 * beside
    x, y = np.array(at) + (size + 0.06) * away
    return (float(x), float(y)), size


def _layout(ends: Sequence[tuple[str, str]]) -> tuple[dict[str, Point], float]:
    """The position of each symbol, and the size of a panel."""
    at, radius = layout(ends)
    return at, _WIDE_PANEL if radius is None else radius * _PANEL


def _head_name(row: Row) -> str:
    parts = [f"{name} {row[name]}" for name in ("layer", "loop") if row[name] > 1]
    head = "any head" if row["head"] is None else f"head {row['head']}"
    return ", ".join([*parts, f"level {row['level']}", *([row["path"]] if row["path"] else []), head])


def _panel_title(place: Place, head: int) -> str:
    return "\n".join(textwrap.wrap(f"{place.title}, head {head + 1}", 26))


def _wrapped(figure: Figure, text: str) -> str:
    return "\n".join(textwrap.wrap(text, int(figure.get_figwidth() * 15)))


def _finish(figure: Figure, name: str, title: str, caption: str) -> Picture:
    figure.suptitle(_wrapped(figure, title), x=0.01, ha="left", fontsize=8)
    return render(figure, name=name, caption=caption)
