"""The tables of a report, as text: values with their intervals, and marks for what is missing."""

import math
from typing import Any, NamedTuple

import pandas as pd

from nexus_bench.analysis.summary import REACHED
from nexus_bench.io.plurals import counted

_ROUNDING = 1e-9  # of a mean of equal values
COSTS = ("parameters", "MFLOP/step")  # columns
HOP_REACH = "hop reach"  # column
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


def names_of(accuracy: pd.DataFrame, among: pd.DataFrame | None = None) -> Names:
    """The models of `summary.accuracy_by_hop`.

    Args:
        accuracy: Rows of the models.
        among: Rows of these and of others that are shown elsewhere, so that a name means one model; None if there are
            no others.
    """
    first = accuracy.drop_duplicates("model")
    labels = [str(model) for model in first["model"]]
    orders = [1 if pd.isna(order) else int(order) for order in first["order"]]
    parts = {
        label: label.split(", ") for label in [*labels, *map(str, () if among is None else among["model"].unique())]
    }
    common = [part for part in parts[labels[0]][1:] if len(parts) > 1 and all(part in p[1:] for p in parts.values())]
    short = {label: ", ".join(part for part in parts[label] if part not in common) for label in labels}
    return Names(short, common, dict(zip(labels, orders, strict=True)))


def reached(counts: pd.DataFrame, accuracy: pd.DataFrame, reach: pd.DataFrame, names: Names) -> Table:
    """How many seeds reach each hop: one row per model.

    Args:
        counts: `reached.seeds_reached`.
        accuracy: `summary.accuracy_by_hop` of the same rows.
        reach: `summary.reach_by_model`, which has the costs; empty where they are not shown.
        names: The display names of models.
    """
    counts = counts[counts["threshold"] == REACHED]
    hops = sorted(int(hop) for hop in counts["hop"].unique())
    n_failed = accuracy.groupby("model")["n_failed"].max()
    rows = []
    for label in names.short:
        at = counts[counts["model"] == label].set_index("hop")
        model = reach.set_index("model").loc[label] if len(reach) else None
        cells = [names.short[label], *([] if model is None else [number(model["mean"], 1)])]
        cells += [_count_of(at.loc[hop]) if hop in at.index else "-" for hop in hops]
        if n_failed.any():
            cells.append(str(n_failed[label]))
        if model is not None:
            cells += [_count(model["n_params"]), _count(model["flops_per_step"], 1e6)]
        rows.append(names.row([label], cells))
    columns = ["model", *([HOP_REACH] if len(reach) else []), *(counted(hop, "hop") for hop in hops)]
    columns += [*(["failed"] if n_failed.any() else []), *(COSTS if len(reach) else [])]
    about = (
        "Seeds whose accuracy is 0.95 or more at every hop evaluated up to this one, of all seeds measured; in "
        "brackets the 95% Clopper-Pearson interval of their share, which is wide for few seeds even if all agree."
    )
    if len(reach):
        about += " Hop reach is the largest hop that a seed reaches, as a mean over seeds."
    if counts["n_reached"].isna().any():
        about += " A dash claims nothing: there the partial-input ceiling is itself 0.95 or more, or not known."
    if (counts["low"].isna() & (counts["n_reached"].notna()) & (counts["n_seeds"] > 0)).any():
        about += " Answers of other models have no seeds: yes or no."
    return Table("reached", "Seeds that reach each hop", about, columns, rows, [])


def staircase(accuracy: pd.DataFrame, reach: pd.DataFrame, names: Names) -> Table:
    """Accuracy by hop, hop reach and cost: one row per model."""
    hops = sorted(int(hop) for hop in accuracy["hop"].unique())
    rows = []
    for label in names.short:
        at = accuracy[accuracy["model"] == label].set_index("hop")
        cells = [interval(at.loc[hop], digits=3) if hop in at.index else "-" for hop in hops]
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
                [names.short[label]]
                + ([] if model is None else [interval(model, digits=1)])
                + cells
                + [f"{n_seeds}, {n_failed} failed" if n_failed else str(n_seeds)]
                + cost,
            )
        )
    columns = ["model", *([HOP_REACH] if len(reach) else []), *(counted(hop, "hop") for hop in hops), "seeds"]
    columns += COSTS if len(reach) else ()
    means = accuracy.groupby("hop")[list(REFERENCES)].mean()
    none = [""] if len(reach) else []
    references = [[label, *none, *(number(means[name][hop], 3) for hop in hops)] for name, label in REFERENCES.items()]
    about = (
        "Accuracy is the mean over seeds with the 95% t-interval in brackets (none for one seed, or if all seeds are "
        "equal; answers of other models have Wilson's interval, over examples)"
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
                interval(model, digits=1),
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
    columns = ["model", HOP_REACH, "of each seed", parameters, "hops/Mparameter", flops, "hops/GFLOP"]
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
    accuracies: dict[tuple[str, str, str], dict[int, Any]] = {}
    ended: dict[tuple[str, str, str], str] = {}
    for label, seed, cell_id, hop, accuracy, status in rows[
        ["model", "seed", "cell_id", "hop", "accuracy", "status"]
    ].itertuples(index=False, name=None):
        cell = (str(label), str(seed), str(cell_id))
        accuracies.setdefault(cell, {})[int(hop)] = accuracy
        ended.setdefault(cell, str(status))
    found = []
    for (label, seed, cell_id), at in accuracies.items():
        cells = [names.short[label], seed, *(number(at.get(hop), 3) for hop in hops)]
        found.append(names.row([label], [*cells, ended[label, seed, cell_id]]))
    columns = ["model", "seed", *(counted(hop, "hop") for hop in hops), "ended"]
    about = (
        "Test accuracy of every cell. `solved`: training stopped early because validation stayed solved; `failed`: no "
        "accuracy."
    )
    return Table("seeds", "Every seed", about, columns, found, [])


def number(value: Any, digits: int, sign: str = "") -> str:
    """A number as text; what was not measured is a dash."""
    return "-" if value is None or pd.isna(value) else f"{value:{sign}.{digits}f}"


def interval(row: Any, *, digits: int, sign: str = "") -> str:
    """A mean with its interval as text; equal seeds have none, since they do not show that further seeds are equal."""
    mean = number(row["mean"], digits, sign)
    if math.isnan(row["low"]) or row["high"] - row["low"] < _ROUNDING:
        return mean
    return f"{mean} [{number(row['low'], digits, sign)}, {number(row['high'], digits, sign)}]"


def _count_of(at: Any) -> str:
    """`8/10 [0.44, 0.97]`; without seeds `yes` or `no`; without a claim a dash."""
    if pd.isna(at["n_reached"]):
        return "-"
    if pd.isna(at["low"]) and at["n_seeds"]:
        return "yes" if at["n_reached"] else "no"
    count = f"{at['n_reached']}/{at['n_seeds']}"
    return count if pd.isna(at["low"]) else f"{count} [{at['low']:.2f}, {at['high']:.2f}]"


def _there(at: Any) -> str:
    there = f"{at['n_there']} of {at['n_seeds']}"
    return f"{at['median']:,.0f} ({there})" if at["n_there"] else f"never ({there})"


def _count(value: Any, unit: float = 1) -> str:
    return "-" if pd.isna(value) else f"{value / unit:,.0f}"
