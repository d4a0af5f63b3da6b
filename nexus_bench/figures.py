"""Figures of a report, the same bytes for the same results."""

import io
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito 2008, "Color universal design": told apart by colour-blind readers; then dashes.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STYLE: Any = {"svg.hashsalt": "nexus-bench", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}


def accuracy_figure(summary: pd.DataFrame, *, title: str, file_format: str) -> bytes:
    """Accuracy against hop: a line a model, its interval as a band, a dot a seed, chance and shortcut below.

    Args:
        summary: `stats.accuracy_by_hop` of one setting, with short model names.
        title: What was asked.
        file_format: `png` or `svg`.

    Returns:
        The content of the file.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for index, (model, rows) in enumerate(summary.groupby("model", sort=False)):
            colour, marker = _COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)]
            style = "--" if index >= len(_COLOURS) else "-"
            axes.plot(rows["hop"], rows["mean"], style, color=colour, marker=marker, label=str(model), zorder=3)
            axes.fill_between(rows["hop"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
            for hop, seeds in zip(rows["hop"], rows["seeds"], strict=True):
                axes.plot([hop] * len(seeds), seeds, ".", color=colour, alpha=0.6, markersize=4, zorder=2)
        reference = summary.groupby("hop", sort=True)[["chance", "shortcut", "partial"]].mean()
        for name, dashes, label in (
            ("chance", ":", "chance"),
            ("shortcut", "-.", "best shortcut"),
            ("partial", "--", "elimination ceiling"),
        ):
            axes.plot(reference.index, reference[name], dashes, color="0.45", linewidth=1, label=label)
        axes.set(xlabel="hops", ylabel="test accuracy", ylim=(-0.02, 1.04))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color="0.9")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=file_format, dpi=150, metadata={"Date": None} if file_format == "svg" else None)
        return buffer.getvalue()
