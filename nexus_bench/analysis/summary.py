"""The rows of results.csv, summarised over seeds: accuracy by hop, hop reach and its cost, steps to 0.95."""

from typing import Any

import pandas as pd

from nexus_bench.analysis.intervals import Interval, t_interval, wilson_interval
from nexus_bench.errors import ConfigError
from nexus_bench.io.columns import SCORED, VAL

TASK = (
    *("task", "task_version", "encoding", "train_hops", "n_facts", "vocab_size", "distractors", "n_queries"),
    "task_options",
)
LENGTH = ("batch_size", "steps", "reuse")  # of training: only models with the same are compared
SETTING = (*TASK, *LENGTH)
MODEL = ("model", "mlp_ratio", "attention_options", "model_options")  # the label leaves defaults out
RECIPE = ("lr", "recipe_options")  # chosen on validation
REACHED = 0.95  # accuracy from which a hop counts as solved
_RISE = 0.02  # of mean accuracy: more than noise of a validation split


def hop_reach(accuracy: dict[int, float]) -> int:
    """The largest hop such that accuracy is at least 0.95 at it and at every smaller hop evaluated; 0 if none."""
    reach = 0
    for hop in sorted(accuracy):
        if not accuracy[hop] >= REACHED:
            break
        reach = hop
    return reach


def accuracy_by_hop(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per (setting, split, model, hop), in the order of the results.

    Args:
        rows: Rows of results.csv, with one recipe per model.

    Returns:
        The setting, split, model, order and hop, mean, low, high, n_seeds, n_failed, seeds (each seed's accuracy), the
        chance and partial_input of the task, and the mean shortcut. The interval is Student's over seeds; for answers
        of other models, which have no seeds, it is Wilson's over examples.

    Raises:
        ConfigError: Rows of one setting, split and hop have another chance: they are of several tasks.
    """
    _check_one_task(rows)
    summary = []
    for key, group in rows.groupby([*SETTING, "split", "model", "hop"], sort=False, dropna=False):
        measured = group.dropna(subset=["accuracy"])
        seeds = [float(value) for value in measured["accuracy"]]
        names = dict(zip((*SETTING, "split", "model", "hop"), key, strict=True))
        summary.append(
            names
            | {"order": group["order"].iloc[0]}
            | _interval(measured, seeds)._asdict()
            | {"n_seeds": len(seeds), "n_failed": len(group) - len(seeds), "seeds": seeds}
            | {name: measured[name].mean() for name in ("chance", "shortcut", "partial_input")}
        )
    return pd.DataFrame(summary)


def reach_by_model(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per (setting, split, model): hop reach as a mean over seeds, its interval, and what the model costs.

    Args:
        rows: Rows of results.csv, with one recipe per model.

    Returns:
        The setting, split, model and order, mean, low, high, seeds (each seed's reach), n_failed, n_solved (cells that
        stopped early because validation stayed solved), n_params, flops_per_step, lr, recipe_options,
        reach_per_mparam (hops per million parameters) and reach_per_gflop (hops per GFLOP of a training step).
    """
    summary = []
    for key, group in rows.groupby([*SETTING, "split", "model"], sort=False, dropna=False):
        is_done = group["accuracy"].notna().groupby(group["cell_id"]).transform("all")
        cells, done = group.drop_duplicates("cell_id"), group[is_done].drop_duplicates("cell_id")
        reaches = [int(reach) for reach in reaches_of(group[is_done], ["cell_id"])]
        first = (cells if done.empty else done).iloc[0]
        interval = t_interval(reaches, bounds=(0, int(group["hop"].max())))
        summary.append(
            dict(zip((*SETTING, "split", "model"), key, strict=True))
            | {"order": first["order"]}
            | interval._asdict()
            | {"seeds": reaches, "n_failed": len(cells) - len(done)}
            | {"n_solved": int((done["status"] == "solved").sum())}
            | {name: first[name] for name in ("n_params", "flops_per_step", *RECIPE)}
            | {"reach_per_mparam": 1e6 * interval.mean / first["n_params"]}
            | {"reach_per_gflop": 1e9 * interval.mean / first["flops_per_step"]}
        )
    return pd.DataFrame(summary)


def steps_to_reach(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per (setting, model, hop): the steps after which validation stayed at 0.95 or more.

    Args:
        rows: Rows of results.csv, with one recipe per model.

    Returns:
        The setting, model, order and hop, median (of the seeds that got there; NaN if none), n_there, n_seeds (that did
        not fail).
    """
    val = rows[(rows["split"] == VAL) & rows["accuracy"].notna()]
    summary = []
    for key, group in val.groupby([*SETTING, "model", "hop"], sort=False, dropna=False):
        there = group["steps_to_95"].dropna()
        summary.append(
            dict(zip((*SETTING, "model", "hop"), key, strict=True))
            | {"order": group["order"].iloc[0]}
            | {"median": float(there.median()) if len(there) else float("nan")}
            | {"n_there": len(there), "n_seeds": len(group)}
        )
    return pd.DataFrame(summary)


def still_rising(curves: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Number of cells whose validation accuracy was still rising when training ended.

    Rising means: mean accuracy over the hops gained more than 0.02 between the first and the last evaluation of the
    last fifth of the steps.

    Args:
        curves: Rows of curve.csv.

    Returns:
        Model -> (cells that were rising, all cells).
    """
    means = curves.groupby(["model", "cell_id", "step"], sort=False)["accuracy"].mean().reset_index()
    means = means.sort_values("step", kind="stable")
    cell = [means["model"], means["cell_id"]]
    last = means[means["step"] >= 0.8 * means["step"].groupby(cell).transform("max")]
    gained = last.groupby(["model", "cell_id"], sort=False)["accuracy"].agg(["first", "last"])
    rising = (gained["last"] - gained["first"] > _RISE).groupby(level="model")
    n_rising, n_cells = rising.sum(), rising.size()
    return {str(model): (int(n_rising[model]), int(n_cells[model])) for model in dict.fromkeys(curves["model"])}


def reaches_of(rows: pd.DataFrame, key: list[str]) -> "pd.Series[int]":
    """The hop reach (`hop_reach`) of every cell, without a loop over cells.

    Args:
        rows: Rows of results.csv of one split.
        key: The columns that tell its cells apart.

    Returns:
        Key -> reach, in the order of the rows.
    """
    ordered = rows.sort_values("hop", kind="stable")
    is_at_least = (ordered["accuracy"] >= REACHED).fillna(False).astype(bool)
    so_far = is_at_least.groupby([ordered[name] for name in key]).cummin()
    reached = ordered["hop"].where(so_far.astype(bool), 0).reindex(rows.index)
    return reached.groupby([rows[name] for name in key], sort=False).max()


def _check_one_task(rows: pd.DataFrame) -> None:
    """What can be guessed is a property of the task, so it is the same for every model and seed of a setting."""
    measured = rows.dropna(subset=["chance"])
    for key, group in measured.groupby([*SETTING, "split", "hop"], sort=False, dropna=False):
        if group["chance"].nunique() > 1:
            values = ", ".join(f"{value:g}" for value in sorted(group["chance"].unique()))
            raise ConfigError(
                f"chance is {values} in rows of {key[0]} that no column tells apart, at hop {key[-1]} of {key[-2]}: "
                "they are of different tasks; report each run by itself"
            )


def _interval(measured: pd.DataFrame, seeds: list[float]) -> Interval:
    if len(measured) == 1 and measured["status"].iloc[0] == SCORED:
        row: Any = measured.iloc[0]
        return wilson_interval(int(row["n_correct"]), int(row["n_examples"]))
    return t_interval(seeds)
