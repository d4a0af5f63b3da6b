"""Charts against hops: accuracy, and the seeds that reach each hop."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nexus_bench.analysis.summary import hop_reach
from nexus_bench.report.charts.palette import FAINT, SHADE, SIZES, SOFT, Palette
from nexus_bench.report.charts.parts import (
    DOTTED,
    HOPS,
    PANEL,
    heatmap,
    in_colour,
    line_of_means,
    panels,
    rounded,
    seed_tick,
    thin_line,
    tips,
    who,
)
from nexus_bench.report.charts.plotting import Spec, figure
from nexus_bench.report.tables import REFERENCES
from nexus_bench.report.words.orders import Series

_LONGEST = 26  # characters of a label
_LETTER = 7  # pixels of a letter at most, also in wider fonts
_DASHES = {"chance": DOTTED, "shortcut": [9, 3, 1, 3], "partial_input": [6, 3]}


def accuracy_by_hop(accuracy: pd.DataFrame, palette: Palette, *, title: str, trained: Sequence[int]) -> Spec | None:
    """Accuracy against hop, a panel per family of models: means, seeds, references; other families in grey.

    Args:
        accuracy: `summary.accuracy_by_hop` of one section.
        palette: The colours of the report.
        title: The task, its size and how models were trained.
        trained: The hops of training, whose range is shaded; empty for answers of other models.

    Returns:
        None if no cell was measured.
    """
    rows: list[dict[str, Any]] = []
    for (model, order), group in accuracy.groupby(["model", "order"], sort=False, dropna=False):
        same = who(str(model), order)
        group = group.sort_values("hop", kind="stable")
        for hop, mean, n_seeds, seeds in zip(
            group["hop"], group["mean"], group["n_seeds"], group["seeds"], strict=True
        ):
            rows.append(same | {"kind": "mean", "hop": int(hop), "accuracy": rounded(mean), "seeds": int(n_seeds)})
            rows += [same | {"kind": "seed", "hop": int(hop), "accuracy": rounded(seed)} for seed in seeds]
    measured = [row for row in rows if row["accuracy"] is not None]
    if not measured:
        return None
    means = [row for row in measured if row["kind"] == "mean"]
    reached = {
        str(model): hop_reach(dict(zip(group["hop"], group["mean"], strict=True)))
        for model, group in accuracy.groupby("model", sort=False)
    }
    rows = [*measured, *_labels(means, reached)]
    hops = sorted(int(hop) for hop in accuracy["hop"].unique())
    reference = accuracy.groupby("hop", sort=True)[list(_DASHES)].mean()
    lines = [
        {"hop": int(str(hop)), "reference": REFERENCES[name], "accuracy": rounded(value)}
        for name in _DASHES
        for hop, value in reference[name].items()
    ]
    x: Spec = HOPS | {"field": "hop"}
    x |= {"scale": {"domain": [hops[0] - 0.4, hops[-1] + 0.4], "nice": False, "zero": False}}
    x["axis"] = HOPS["axis"] | {"values": hops}
    scale = {"domain": [0, 1.24], "nice": False}
    axis = {"values": [0, 0.25, 0.5, 0.75, 1], "format": ".2~f"}
    y: Spec = {"field": "accuracy", "type": "quantitative", "title": "accuracy", "scale": scale, "axis": axis}
    colour = in_colour(rows, palette)
    band = [{"from": min(trained) - 0.4, "to": max(trained) + 0.4}] if trained else []
    layers: list[Spec] = [
        {
            "data": {"name": "trained"},
            "mark": {"type": "rect", "color": FAINT, "opacity": SHADE, "clip": True},
            "encoding": {"x": x | {"field": "from"}, "x2": {"field": "to"}},
        },
        {
            "data": {"name": "references"},
            "mark": thin_line(),
            "encoding": {
                "x": x,
                "y": y,
                "strokeDash": {
                    "field": "reference",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": [REFERENCES[name] for name in _DASHES], "range": list(_DASHES.values())},
                    "legend": {"symbolStrokeColor": SOFT, "symbolType": "stroke", "symbolSize": 1600},
                },
                "tooltip": tips("reference", "hop", "accuracy"),
            },
        },
        {
            "data": {"name": "others"},
            "mark": thin_line(color=FAINT),
            "encoding": {"x": x, "y": y, "detail": {"field": "model"}},
        },
        line_of_means(
            {
                "x": x,
                "y": y,
                "color": colour,
                "detail": {"field": "model"},
                "tooltip": tips("model", "hop", "accuracy", "seeds"),
            }
        ),
        {
            "transform": [{"filter": "datum.kind === 'seed'"}],
            "mark": seed_tick(),
            "encoding": {"x": x, "y": y, "color": colour, "tooltip": tips("model", "hop", "accuracy")},
        },
    ]
    for align in ("left", "center", "right"):
        layers.append(
            {
                "transform": [{"filter": f"datum.kind === 'label' && datum.align === '{align}'"}],
                "mark": {"type": "text", "align": align, "baseline": "bottom", "fontSize": 11, "clip": True},
                "encoding": {
                    "x": x,
                    "y": y,
                    "text": {"field": "label"},
                    "color": colour,
                },
            }
        )
    families = list(dict.fromkeys(row["family"] for row in measured))
    data = {
        "rows": rows,
        "others": _without(means, "family", "order", "kind", "seeds"),
        "references": lines,
        "trained": band,
    }
    body = panels("rows", "family", families, layers, height=170)
    return figure(title, data, body, dark=palette.dark)


def order_by_hop(accuracy: pd.DataFrame, series: Sequence[Series], *, title: str) -> Spec | None:
    """Heatmaps of mean accuracy: one row per order, one column per hop; one map per series of models."""
    if not series or accuracy["mean"].isna().all():
        return None
    by_model = {(row["model"], row["hop"]): row["mean"] for _, row in accuracy.iterrows()}
    rows = [
        who(model, order)
        | {"series": one.name, "order": order, "hop": int(hop), "accuracy": rounded(by_model.get((model, hop)))}
        for one in series
        for order, model in one.models.items()
        for hop in sorted(accuracy["hop"].unique())
    ]
    rows = [row | {"said": "-" if row["accuracy"] is None else f"{row['accuracy']:.2f}"} for row in rows]
    layers = heatmap("order", "order", "accuracy", tips("model", "hop", "accuracy"))
    n_orders = max(len(one.models) for one in series)
    body = panels("rows", "series", [one.name for one in series], layers, height=26 * n_orders)
    body["resolve"] = {"scale": {"y": "independent"}}
    return figure(title, {"rows": rows}, body)


def seeds_by_hop(counts: pd.DataFrame, orders: Mapping[str, int], *, title: str) -> Spec | None:
    """A heatmap of how many seeds reach each hop, a row per model.

    Args:
        counts: `reached.seeds_reached` of one section, of one threshold.
        orders: Model -> attention order.
        title: The task, its size and how models were trained.

    Returns:
        None if no cell was measured.
    """
    if not counts["n_seeds"].any():
        return None
    rows = []
    for model, hop, n, n_seeds in zip(
        counts["model"], counts["hop"], counts["n_reached"], counts["n_seeds"], strict=True
    ):
        is_claim = not pd.isna(n) and n_seeds > 0
        share = rounded(int(n) / int(n_seeds)) if is_claim else None
        said = f"{int(n)}/{int(n_seeds)}" if is_claim else "-"
        rows.append(who(str(model), orders[str(model)]) | {"hop": int(hop), "share": share, "said": said})
    models = list(dict.fromkeys(str(model) for model in counts["model"]))
    layers = heatmap("model", None, "share", tips("model", "hop", "said"))
    body = {
        "data": {"name": "rows"},
        "layer": layers,
        "width": min(60 * counts["hop"].nunique(), 700),
        "height": {"step": 22},
    }
    for layer in layers:
        layer["encoding"]["y"]["sort"] = models
    return figure(title, {"rows": rows}, body)


def _labels(means: Sequence[dict[str, Any]], reached: Mapping[str, int]) -> list[dict[str, Any]]:
    """The name of each model at the hop up to which its mean is 0.95 or more; models of one place share a label."""
    by_model: dict[str, list[dict[str, Any]]] = {}
    for row in means:
        by_model.setdefault(row["model"], []).append(row)
    places: dict[tuple[str, int], list[str]] = {}
    for model, rows in by_model.items():
        places.setdefault((rows[0]["family"], reached[model] or rows[0]["hop"]), []).append(model)
    hops = sorted({row["hop"] for row in means})
    labels: list[dict[str, Any]] = []
    taken: dict[str, list[tuple[float, float]]] = {}  # of each panel: from where to where labels stand on their line
    for (family, hop), models in places.items():
        at = next(row for row in by_model[models[0]] if row["hop"] == hop)
        texts = list(dict.fromkeys(_within(model, family) for model in models))
        text = ", ".join(texts)
        if len(text) > _LONGEST:
            text = f"{texts[0]} +{len(texts) - 1}" if len(texts) > 1 else text
        align = "left" if hop == hops[0] else "right" if hop == hops[-1] else "center"
        width = _LETTER * len(text) * (hops[-1] - hops[0] + 0.8) / PANEL  # in hops
        start = hop - {"left": 0, "center": 0.5, "right": 1}[align] * width
        meets = any(start < end and begin < start + width for begin, end in taken.setdefault(family, []))
        if not meets:
            taken[family].append((start, start + width))
        up = 0.12 if meets else 0.03  # of accuracy
        labels.append(at | {"kind": "label", "label": text, "align": align, "accuracy": at["accuracy"] + up})
    return labels


def _within(model: str, family: str) -> str:
    """What tells a model from others of its family, but for sizes, which a label has no room for."""
    words = family.split(", ")
    parts = [part for part in model.split(", ") if part not in words and part.split(" ")[0] not in SIZES]
    return ", ".join(parts) or words[0]


def _without(rows: Sequence[dict[str, Any]], *fields: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in fields} for row in rows]
