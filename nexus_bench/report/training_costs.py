"""What the training of each model took: seconds, and the operations of the steps that were made."""

import pandas as pd

from nexus_bench.analysis.summary import reaches_of
from nexus_bench.report.tables import HOP_REACH, Table, names_of, number

COLUMNS = ("model", HOP_REACH, "seconds", "hops/minute", "TFLOP", "hops/PFLOP", "seeds")


def training_costs(rows: pd.DataFrame, timing: pd.DataFrame | None) -> Table | None:
    """Hop reach in relation to what training took: one row per model, means over seeds.

    Args:
        rows: Rows of results.csv, of one setting and the test split.
        timing: Rows of timing.csv.

    Returns:
        The table; None if no cell was timed.
    """
    if timing is None or not timing["cell_id"].isin(rows["cell_id"]).any():
        return None
    seconds = timing.drop_duplicates("cell_id").set_index("cell_id")["train_seconds"].astype(float)
    is_done = rows["accuracy"].notna().groupby(rows["cell_id"]).transform("all")
    names = names_of(rows)
    found = []
    for label in names.short:
        own = rows[is_done & (rows["model"] == label)]
        cells = own.drop_duplicates("cell_id").set_index("cell_id")
        reach = reaches_of(own, ["cell_id"]).mean() if len(own) else float("nan")
        took = seconds.reindex(cells.index).mean()
        tflop = float(cells["steps_done"].mul(cells["flops_per_step"]).astype(float).mean()) / 1e12
        numbers = [number(reach, 1), number(took, 1), number(_per(60 * reach, took), 2)]
        numbers += [number(tflop, 1), number(_per(1e3 * reach, tflop), 1), str(len(cells))]
        found.append(names.row([label], [names.short[label], *numbers]))
    devices = ", ".join(dict.fromkeys(timing.loc[timing["cell_id"].isin(rows["cell_id"]), "device"].dropna()))
    about = (
        "Training of one seed, as a mean: its seconds (of cells trained in one stack, an equal share), the operations "
        "of the steps that were made, and hop reach by both. A solved seed stops early, so both fall with what is "
        f"learned soon. Seconds ({devices}) compare models of one run only, and no other run repeats them."
    )
    return Table("training", "What training took", about, list(COLUMNS), found, [])


def _per(reach: float, cost: float) -> float:
    """Not known where nothing was spent, as by a pretrained model as it came."""
    return reach / cost if cost > 0 else float("nan")
