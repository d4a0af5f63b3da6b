"""The figures of a report: a chart each, under a name and with a caption.

Each function takes summaries with short model names and returns a picture, or None if there is nothing to show.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from nexus_bench.report.charts import by_hop, by_parameter, by_place, by_step, hop_reach
from nexus_bench.report.charts.palette import Palette
from nexus_bench.report.charts.plotting import Picture, Spec, render
from nexus_bench.report.words.orders import Series


def reach_by_order(
    reach: pd.DataFrame, series: Sequence[Series], palette: Palette, *, title: str, largest: int
) -> Picture | None:
    """Hop reach against order: `hop_reach.reach_by_order`."""
    return _picture(
        hop_reach.reach_by_order(reach, series, palette, title=title, largest=largest),
        "reach_by_order",
        "Hop reach against attention order: a disc is as large as its seeds are many, a line joins the means. "
        f"Outlined: what the weights of one layer can be set to reach, as a number above {largest}, the last hop.",
    )


def seeds_by_hop(counts: pd.DataFrame, orders: Mapping[str, int], *, title: str) -> Picture | None:
    """How many seeds reach each hop: `by_hop.seeds_by_hop`."""
    return _picture(
        by_hop.seeds_by_hop(counts, orders, title=title),
        "seeds_by_hop",
        "How many seeds reach each hop: their accuracy is 0.95 or more at every hop up to it. A dash claims nothing.",
    )


def accuracy_by_hop(accuracy: pd.DataFrame, palette: Palette, *, title: str, trained: Sequence[int]) -> Picture | None:
    """Accuracy against hop: `by_hop.accuracy_by_hop`."""
    return _picture(
        by_hop.accuracy_by_hop(accuracy, palette, title=title, trained=trained),
        "accuracy_by_hop",
        "Accuracy by hop, a panel per family of models; the lines of other families are grey. A line per model "
        "joins the means, a tick is a seed, a model is named at the largest hop up to which its mean is 0.95 or more. "
        "The shaded hops were trained.",
    )


def accuracy_by_parameter(accuracy: pd.DataFrame, parameter: str, *, title: str) -> Picture:
    """Accuracy against a parameter of the task: `by_parameter.accuracy_by_parameter`."""
    return render(
        by_parameter.accuracy_by_parameter(accuracy, parameter, title=title),
        name=f"accuracy_by_{parameter}",
        caption=f"Accuracy by {parameter}, a panel per model, a colour per hop. A line joins the means of models that "
        "were trained and tested at each value, a tick is a seed; dotted: chance.",
    )


def accuracy_by_places(
    places: pd.DataFrame, orders: Mapping[str, int], chance: Mapping[int, float], palette: Palette, *, title: str
) -> list[Picture]:
    """Accuracy of sequences against the place of the label, and against the length: `by_place.accuracy_by`."""
    told = {"place": "the place of the label", "length": "the length of the sequence, where lengths differ"}
    drawn = [
        _picture(
            by_place.accuracy_by(by, places, orders, chance, palette, title=title),
            f"accuracy_by_{by}",
            f"Accuracy by {what}. A line per model over all of its seeds, a panel per hop count (of many, some), or "
            "one panel where a place is a hop count; dotted: chance. A point is a bin of neighbours with as many "
            "labels as the next.",
        )
        for by, what in told.items()
    ]
    return [picture for picture in drawn if picture is not None]


def order_by_hop(accuracy: pd.DataFrame, series: Sequence[Series], *, title: str) -> Picture | None:
    """Mean accuracy by order and hop: `by_hop.order_by_hop`."""
    caption = "Mean accuracy, by attention order and hop. Order 1 is standard attention."
    return _picture(by_hop.order_by_hop(accuracy, series, title=title), "order_by_hop", caption)


def reach_by_cost(reach: pd.DataFrame, palette: Palette, *, title: str) -> Picture | None:
    """Hop reach against cost: `hop_reach.reach_by_cost`."""
    return _picture(
        hop_reach.reach_by_cost(reach, palette, title=title),
        "reach_by_cost",
        "Mean hop reach against parameters and against the operations of a training step (a panel in which models "
        "differ by less than 1% is left out). Joined by a line: models that no other model beats in both.",
    )


def learning_curves(curves: pd.DataFrame, orders: Mapping[str, int], *, title: str) -> Picture | None:
    """Validation accuracy while training: `by_step.learning_curves`."""
    lines = "the mean over seeds" if by_step.is_summarised(curves) else "one line per seed"
    return _picture(
        by_step.learning_curves(curves, orders, title=title),
        "learning_curves",
        f"Validation accuracy by hop while training: {lines}.",
    )


def _picture(spec: Spec | None, name: str, caption: str) -> Picture | None:
    return None if spec is None else render(spec, name=name, caption=caption)
