"""Attention drawn: over the facts as a graph, as maps, and along the path."""

import textwrap
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from nexus_bench.drawing import INK, PAPER, SOFT, Picture, new_figure, render, style
from nexus_bench.generators.base import Generator
from nexus_bench.inspection.walk import FACT, QUERY, Example, Walk
from nexus_bench.results import Row
from nexus_bench.show import fact_ends

_PATH, _STRONG = "#56B4E9", "#D55E00"
_PANEL = 2.1  # inches
_GAP = 1.3  # between parts of a graph that nothing joins
_ASIDE = 0.32  # of an arrow's length: how far beside it its number stands

Point = tuple[float, float]


def graph_picture(law: Generator[Any], example: Example, *, title: str) -> Picture:
    """The facts as arrows between names, a panel a level and head: what the query attends to, and the true path."""
    ends = [fact_ends(law, fact) for fact in example.facts]
    at = _layout(ends)
    n_heads = max(len(weights) for weights in example.from_query)
    with style():
        size = _PANEL * len(example.places)
        figure = new_figure(width=max(_PANEL * n_heads, 4.2), height=size + 0.9)
        grid = figure.subplots(len(example.places), n_heads, squeeze=False)
        for row, place, from_query in zip(grid, example.places, example.from_query, strict=True):
            for head, axes in enumerate(row):
                axes.set_axis_off()
                if head < len(from_query):
                    axes.set_title(f"{place.title}, head {head + 1}", fontsize=8)
                    _draw_graph(axes, ends, at, from_query[head], example.path)
        return _finish(
            figure,
            "inspect_graph",
            title,
            "What the query attends to, drawn over the facts. Blue: the true path, its hops numbered. The redder and "
            "thicker an arrow, the more attention its fact gets.",
        )


def maps_picture(example: Example, *, title: str) -> Picture:
    """Heat maps: query and facts looking, in rows, at facts, in columns; the path first."""
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
                axes.set_title(f"{place.title}, head {head + 1}", fontsize=8)
                axes.set_yticks(
                    np.arange(n_hops + 1) + 0.5, ["query", *(f"hop {hop}" for hop in range(1, n_hops + 1))], fontsize=7
                )
                axes.set_xticks(np.arange(n_hops) + 0.5, [str(hop) for hop in range(1, n_hops + 1)], fontsize=7)
        grid[0, 0].invert_yaxis()
        figure.supxlabel("fact looked at: the path by its hops, then the others", fontsize=8)
        figure.supylabel("what looks", fontsize=8)
        figure.colorbar(mesh, ax=grid, shrink=0.6, label="attention weight")
        return _finish(
            figure,
            "inspect_maps",
            title,
            "Attention of the query and of every fact, by level and head; path facts first.",
        )


def walk_picture(walk: Walk, *, title: str) -> Picture:
    """How often each head of each level points at each hop, from the query, and along the path, from its facts."""
    names = list(dict.fromkeys(_head_name(row) for row in walk.rows))
    with style():
        figure = new_figure(height=1.5 + 0.24 * len(names), width=6.4)
        panels = figure.subplots(1, 2, sharey=True, width_ratios=_widths(walk.rows))
        for axes, source, label in zip(
            panels,
            (QUERY, FACT),
            ("the query points at the fact of hop", "a path fact points so many facts on"),
            strict=True,
        ):
            rows = [row for row in walk.rows if row["source"] == source]
            steps = sorted({int(row["step"]) for row in rows})
            values = np.zeros((len(names), len(steps)))
            for row in rows:
                values[names.index(_head_name(row)), steps.index(row["step"])] = row["pointed"]
            axes.pcolormesh(values, cmap="cividis", vmin=0, vmax=1, edgecolors=PAPER, linewidth=1)
            for (y, x), value in np.ndenumerate(values):
                ink = "#f8f9fa" if value < 0.5 else "#111111"
                axes.text(x + 0.5, y + 0.5, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=7)
            signed = "+d" if source == FACT else "d"
            axes.set_xticks(np.arange(len(steps)) + 0.5, [f"{step:{signed}}" if step else "0" for step in steps])
            axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=8)
            axes.set_xlabel("\n".join(textwrap.wrap(label, 26)))
            axes.tick_params(length=0)
        panels[0].invert_yaxis()
        return _finish(
            figure,
            "inspect_walk",
            title,
            f"Share of {walk.n_examples:,} examples in which the strongest fact of a head is the one named: from the "
            "query, by its hop; from facts on the path, by how many facts on (+) or back (-) along it.",
        )


def _draw_graph(
    axes: Axes, ends: Sequence[tuple[str, str]], at: dict[str, Point], weights: np.ndarray, path: list[int]
) -> None:
    parallel: dict[tuple[str, str], int] = {}
    for fact, (start, end) in enumerate(ends):
        beside = parallel[start, end] = parallel.get((start, end), -1) + 1
        shape: dict[str, Any] = {"connectionstyle": f"arc3,rad={0.12 + 0.14 * beside}", "shrinkA": 7, "shrinkB": 7}
        if fact in path:
            under = FancyArrowPatch(at[start], at[end], arrowstyle="-", color=_PATH, linewidth=7, alpha=0.45, **shape)
            axes.add_patch(under)
        weight = float(weights[fact])
        arrow = FancyArrowPatch(
            at[start],
            at[end],
            arrowstyle="-|>",
            mutation_scale=7,
            color=_STRONG if weight > 0.05 else SOFT,
            alpha=0.25 + 0.75 * weight,
            linewidth=0.6 + 3.2 * weight,
            **shape,
        )
        axes.add_patch(arrow)
    for name, place in at.items():
        axes.text(place[0], place[1], name.removeprefix("node"), ha="center", va="center", fontsize=6, color=INK)
    for hop, fact in enumerate(path, start=1):
        (x0, y0), (x1, y1) = (at[name] for name in ends[fact])
        x, y = (x0 + x1) / 2 + _ASIDE * (y1 - y0), (y0 + y1) / 2 - _ASIDE * (x1 - x0)
        axes.text(x, y, str(hop), ha="center", va="center", fontsize=7, color=_PATH, weight="bold")
    places = np.array(list(at.values()))
    low, high = places.min(axis=0) - 0.25, places.max(axis=0) + 0.25
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")


def _layout(ends: Sequence[tuple[str, str]]) -> dict[str, Point]:
    """Where each name stands: cycles as circles, other connected parts by their distances, part beside part."""
    graph = nx.DiGraph(ends)
    placed: dict[str, Point] = {}
    parts = sorted(nx.weakly_connected_components(graph), key=lambda part: (-len(part), min(part)))
    per_row = int(np.ceil(np.sqrt(len(parts))))
    for index, part in enumerate(parts):
        inside = graph.subgraph(part)
        if all(degree == 1 for _, degree in (*inside.in_degree(), *inside.out_degree())):
            inside = nx.DiGraph(nx.find_cycle(inside, min(part)))
            at = nx.circular_layout(inside)
        else:
            at = nx.kamada_kawai_layout(nx.Graph(sorted(inside.edges)))
        right, down = (2 + _GAP) * (index % per_row), (2 + _GAP) * (index // per_row)
        placed |= {str(name): (float(x) + right, float(y) - down) for name, (x, y) in at.items()}
    return placed


def _widths(rows: Sequence[Row]) -> list[int]:
    return [len({row["step"] for row in rows if row["source"] == source}) for source in (QUERY, FACT)]


def _head_name(row: Row) -> str:
    parts = [f"{name} {row[name]}" for name in ("layer", "loop") if row[name] > 1]
    return ", ".join([*parts, f"level {row['level']}", *([row["path"]] if row["path"] else []), f"head {row['head']}"])


def _finish(figure: Figure, name: str, title: str, caption: str) -> Picture:
    figure.suptitle("\n".join(textwrap.wrap(title, int(figure.get_figwidth() * 15))), x=0.01, ha="left", fontsize=8)
    return render(figure, name=name, caption=caption)
