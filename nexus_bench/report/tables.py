"""The tables of a report, as text: values with their intervals, and marks for what is missing."""

import math
from typing import Any, NamedTuple

import pandas as pd

from nexus_bench.io.plurals import counted

_DIFFERENCE = ("difference", "reach", "baseline's reach", "seeds", "p", "p (Holm)", "verdict")
COSTS = ("parameters", "MFLOP/step")  # columns
REFERENCES = {"chance": "chance", "shortcut": "best shortcut", "partial_input": "partial-input ceiling"}


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        cells: The cells as text; the first names what the row is about.
        models: The models that the row is about, so that a page can filter by model.
        orders: Their attention orders.
    """

    cells: list[str]
    models: tuple[str, ...]
    orders: tuple[int, ...]


class Table(NamedTuple):
    """Rows under headings.

    Attributes:
        name: Name of the table in files.
        title: What it holds.
        about: How to read it.
        columns: Headings; the first is the model.
        rows: In the order of the results.
        references: Rows to compare with, such as chance; they belong to no model and are shorter than `columns`.
    """

    name: str
    title: str
    about: str
    columns: list[str]
    rows: list[Row]
    references: list[list[str]]


class Names(NamedTuple):
    """The display names of the models of a section.

    Attributes:
        short: Label -> label without the parts that all models share.
        common: The parts that all models share.
        orders: Label -> attention order.
    """

    short: dict[str, str]
    common: list[str]
    orders: dict[str, int]

    def row(self, labels: list[str], cells: list[str]) -> Row:
        """A row about some models."""
        orders = tuple(dict.fromkeys(self.orders[label] for label in labels))
        return Row(cells, tuple(self.short[label] for label in labels), orders)


def names_of(accuracy: pd.DataFrame) -> Names:
    """The models of `summary.accuracy_by_hop`."""
    first = accuracy.drop_duplicates("model")
    labels = [str(model) for model in first["model"]]
    orders = [1 if pd.isna(order) else int(order) for order in first["order"]]
    parts = {label: label.split(", ") for label in labels}
    common = [part for part in parts[labels[0]][1:] if len(labels) > 1 and all(part in p[1:] for p in parts.values())]
    short = {label: ", ".join(part for part in parts[label] if part not in common) for label in labels}
    return Names(short, common, dict(zip(labels, orders, strict=True)))


def staircase(accuracy: pd.DataFrame, reach: pd.DataFrame, names: Names) -> Table:
    """Accuracy by hop, hop reach and cost: one row per model."""
    hops = sorted(int(hop) for hop in accuracy["hop"].unique())
    rows = []
    for label in names.short:
        at = accuracy[accuracy["model"] == label].set_index("hop")
        cells = [_interval(at.loc[hop], digits=3) if hop in at.index else "-" for hop in hops]
        model = reach.set_index("model").loc[label] if len(reach) else None
        n_seeds, n_failed = (
            (int(at["n_seeds"].max()), int(at["n_failed"].max()))
            if model is None
            else (len(model["seeds"]), model["n_failed"])
        )
        cost = [] if model is None else [_count(model["n_params"]), _count(model["flops_per_step"], 1e6)]
        rows.append(
            names.row(
                [label],
                [names.short[label], *cells]
                + ([] if model is None else [_interval(model, digits=1)])
                + [f"{n_seeds}, {n_failed} failed" if n_failed else str(n_seeds)]
                + cost,
            )
        )
    columns = ["model", *(counted(hop, "hop") for hop in hops)]
    columns += ["hop reach", "seeds", *COSTS] if len(reach) else ["seeds"]
    means = accuracy.groupby("hop")[list(REFERENCES)].mean()
    references = [[label, *(number(means[name][hop], 3) for hop in hops)] for name, label in REFERENCES.items()]
    about = (
        "Accuracy is the mean over seeds with the 95% t-interval in brackets (one seed gives none; answers of other "
        "models have Wilson's interval, over examples)"
    )
    if len(reach):
        about += (
            "; hop reach is the largest hop up to which a seed's accuracy stays at 0.95 or more, likewise a mean over "
            "seeds"
        )
    return Table("accuracy", "Accuracy by hop", f"{about}.", columns, rows, references)


def efficiency(reach: pd.DataFrame, names: Names) -> Table:
    """Hop reach in relation to cost: one row per model."""
    rows = [
        names.row(
            [model["model"]],
            [
                names.short[model["model"]],
                _interval(model, digits=1),
                " ".join(str(seed) for seed in model["seeds"]),
                _count(model["n_params"]),
                number(model["reach_per_mparam"], 2),
                _count(model["flops_per_step"], 1e6),
                number(model["reach_per_gflop"], 2),
            ],
        )
        for _, model in reach.iterrows()
    ]
    parameters, flops = COSTS
    columns = ["model", "hop reach", "of each seed", parameters, "hops/Mparameter", flops, "hops/GFLOP"]
    about = "Hop reach per million parameters, and per GFLOP of a training step."
    return Table("reach", "Hop reach and what it costs", about, columns, rows, [])


def steps_to_95(steps: pd.DataFrame, names: Names) -> Table:
    """When each hop was learned: one row per model."""
    hops = sorted(int(hop) for hop in steps["hop"].unique())
    rows = []
    for label, at in steps.groupby("model", sort=False):
        by_hop = at.set_index("hop")
        cells = ["-" if hop not in by_hop.index else _there(by_hop.loc[hop]) for hop in hops]
        rows.append(names.row([str(label)], [names.short[str(label)], *cells]))
    about = (
        "The evaluated step from which validation stays at 0.95 or more: the median of the seeds that got there, and "
        "how many did."
    )
    return Table("steps", "Steps to 0.95", about, ["model", *(counted(hop, "hop") for hop in hops)], rows, [])


def every_seed(rows: pd.DataFrame, names: Names) -> Table:
    """The accuracy of each seed: one row per cell, including failed ones."""
    hops = sorted(int(hop) for hop in rows["hop"].unique())
    found = []
    for (label, seed, _), cell in rows.groupby(["model", "seed", "cell_id"], sort=False, dropna=False):
        at = dict(zip(cell["hop"], cell["accuracy"], strict=True))
        cells = [names.short[str(label)], str(seed), *(number(at.get(hop), 3) for hop in hops)]
        found.append(names.row([str(label)], [*cells, str(cell["status"].iloc[0])]))
    columns = ["model", "seed", *(counted(hop, "hop") for hop in hops), "ended"]
    about = (
        "Test accuracy of every cell. `solved`: training stopped early because validation stayed solved; `failed`: no "
        "accuracy."
    )
    return Table("seeds", "Every seed", about, columns, found, [])


def comparisons(pairs: pd.DataFrame, names: Names) -> Table:
    """Which model reaches further: one row per pair."""
    rows = [
        names.row(
            [pair["model"], pair["baseline"]],
            [names.short[pair["model"]], names.short[pair["baseline"]], *_difference(pair)],
        )
        for _, pair in pairs.iterrows()
    ]
    columns = ["model", "baseline", *_DIFFERENCE]
    about = (
        "Hop reach over the seeds that both have, the difference with its 95% t-interval, p of the exact paired test "
        "(every sign flip), and p corrected by Holm for all rows; the corrected p decides the verdict."
    )
    return Table("comparisons", "Which model reaches further", about, columns, rows, [])


def matched(pairs: pd.DataFrame, names: Names) -> Table:
    """Models of the same size: one row per pair."""
    rows = [
        names.row(
            [pair["model"], pair["baseline"]],
            [names.short[pair["model"]], pair["equal"], names.short[pair["baseline"]], *_difference(pair)]
            + [f"x {pair[size]:.2f}" for size in ("parameters", "compute")],
        )
        for _, pair in pairs.iterrows()
    ]
    columns = ["model", "equal", "baseline", *_DIFFERENCE, "baseline's parameters", "baseline's compute"]
    about = (
        "Models of the same size, within 5%, compared likewise; Holm corrects for the rows of this table. The "
        "baseline's parameters and compute are in multiples of the model's."
    )
    return Table("matched", "Models of the same size", about, columns, rows, [])


def number(value: Any, digits: int, sign: str = "") -> str:
    """A number as text; what was not measured is a dash."""
    return "-" if value is None or pd.isna(value) else f"{value:{sign}.{digits}f}"


def _difference(pair: pd.Series) -> list[str]:
    return [
        _interval(pair, digits=1, sign="+"),
        number(pair["reach"], 1),
        number(pair["baseline_reach"], 1),
        str(pair["n_seeds"]),
        f"{pair['p']:.2g}",
        f"{pair['p_holm']:.2g}",
        pair["verdict"],
    ]


def _there(at: Any) -> str:
    there = f"{at['n_there']} of {at['n_seeds']}"
    return f"{at['median']:,.0f} ({there})" if at["n_there"] else f"never ({there})"


def _interval(row: Any, *, digits: int, sign: str = "") -> str:
    mean = number(row["mean"], digits, sign)
    if math.isnan(row["low"]):
        return mean
    return f"{mean} [{number(row['low'], digits, sign)}, {number(row['high'], digits, sign)}]"


def _count(value: Any, unit: float = 1) -> str:
    return "-" if pd.isna(value) else f"{value / unit:,.0f}"
