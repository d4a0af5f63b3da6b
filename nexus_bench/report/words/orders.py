"""Models that differ in nothing but their attention order."""

from typing import NamedTuple

import pandas as pd

_SHAPE = ["encoding", "position", "n_layers", "n_loops", "d_model", "n_heads", "mlp_ratio", "curriculum"]


class Series(NamedTuple):
    """Models of the same kind and shape.

    Attributes:
        name: Their common name, without the order.
        models: Order -> short model name, ascending; order 1 is standard attention of the same shape, if trained.
    """

    name: str
    models: dict[int, str]


def series_of(rows: pd.DataFrame, short: dict[str, str]) -> list[Series]:
    """The series of a section in the order of the results; models of a single order form no series.

    Args:
        rows: Rows of results.csv, of one setting.
        short: Label -> name of each model.
    """
    first = rows.drop_duplicates("model")
    if (
        "steps_done" in first
    ):  # a pretrained model as it came is no baseline where another one was trained like the rest
        first = first.sort_values("steps_done", key=lambda steps: steps.fillna(0).eq(0), kind="stable")
    nested: dict[tuple[object, ...], dict[int, str]] = {}
    standard: dict[tuple[object, ...], str] = {}
    for _, model in first.iterrows():
        label, order = str(model["model"]), model["order"]
        shape = tuple(None if pd.isna(model[name]) else model[name] for name in _SHAPE)
        part = f"order {order}"
        if part in label.split(", "):
            name = ", ".join(p for p in short[label].split(", ") if p != part)
            nested.setdefault((name, *shape), {})[int(order)] = short[label]
        elif model["attention"] == "standard":
            standard.setdefault(shape, short[label])
    series = []
    for (family, *looks), models in nested.items():
        if tuple(looks) in standard:
            models = {1: standard[tuple(looks)]} | models
        if len(models) > 1:
            series.append(Series(str(family), dict(sorted(models.items()))))
    return series
