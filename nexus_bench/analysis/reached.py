"""How many seeds reach each hop, with an interval that also holds where all seeds agree."""

from typing import Any

import pandas as pd

from nexus_bench.analysis.intervals import exact_interval
from nexus_bench.analysis.summary import REACHED, SETTING
from nexus_bench.io.columns import SCORED

THRESHOLDS = (0.90, REACHED, 0.99)  # of accuracy


def seeds_reached(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per (setting, model, split, hop, threshold): how many seeds reach the hop.

    A seed reaches a hop if its accuracy is at least the threshold at this hop and at every smaller hop evaluated. No
    count is given where the partial-input ceiling is at least the threshold: there, so high an accuracy does not show
    that every hop was made, or not known. Failed cells are left out.

    Args:
        rows: Rows of results.csv whose hops share one axis, with one recipe per model.

    Returns:
        The setting, model, split, hop, threshold, n_reached (missing where there is no claim), n_seeds, low and high:
        the two-sided 95% Clopper-Pearson interval of the share. Answers of other models have no seeds: they count as
        one, without an interval.
    """
    found: list[dict[str, Any]] = []
    rows = _with_ceilings(rows)
    for key, group in rows.groupby([*SETTING, "model"], sort=False, dropna=False):
        names = dict(zip((*SETTING, "model"), key, strict=True))
        n_hops = group.groupby("cell_id")["accuracy"].transform("size")
        done = group[group.groupby("cell_id")["accuracy"].transform("count") == n_hops].sort_values("hop")
        done = done.assign(lowest=done.groupby("cell_id")["accuracy"].cummin())
        for (hop, split), asked in group.groupby(["hop", "split"], sort=True):
            seeds = done[(done["hop"] == hop) & (done["split"] == split)]
            has_seeds = not (asked["status"] == SCORED).any()
            is_unknown = asked["accuracy"].notna() & asked["partial_input"].isna()
            for threshold in THRESHOLDS:
                n_reached = int((seeds["lowest"] >= threshold).sum())
                is_claim = not (is_unknown | (asked["partial_input"] >= threshold)).any()
                interval = exact_interval(n_reached, len(seeds) if is_claim and has_seeds else 0)
                found.append(
                    names
                    | {"split": split, "hop": hop, "threshold": threshold}
                    | {"n_reached": n_reached if is_claim else None, "n_seeds": len(seeds)}
                    | {"low": interval.low, "high": interval.high}
                )
    return pd.DataFrame(found).astype({"n_reached": "Int64"})


def _with_ceilings(rows: pd.DataFrame) -> pd.DataFrame:
    """Failed cells with the ceiling of the measured ones beside them, as it is of the task; without any, with none."""
    beside = rows.groupby([*SETTING, "split", "hop"], dropna=False)["partial_input"].transform("max")
    return rows.assign(partial_input=rows["partial_input"].where(rows["accuracy"].notna(), beside))
