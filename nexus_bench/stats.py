"""The statistics of a report: intervals over seeds, hop reach, selection on validation."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

SETTING = ("task", "task_version", "encoding", "train_hops", "n_facts", "n_symbols", "distractors", "n_queries")
RECIPE = ("lr", "batch_size", "steps")
REACHED = 0.95  # accuracy at which a hop counts as made


class Interval(NamedTuple):
    """A mean over seeds and its confidence interval; the bounds are NaN when one seed gives none."""

    mean: float
    low: float
    high: float


def t_interval(values: Sequence[float], *, level: float = 0.95, bounds: tuple[float, float] = (0, 1)) -> Interval:
    """Student's t-interval of a mean, clipped to what the measure can be.

    Args:
        values: One a seed; none give NaN.
        level: Confidence.
        bounds: Least and largest possible value.

    Source: the t-interval of any textbook, such as Casella and Berger, "Statistical Inference", section 9.2.
    """
    if not values:
        return Interval(math.nan, math.nan, math.nan)
    array = np.asarray(values, dtype=float)
    mean = float(array.mean())
    if len(array) < 2:
        return Interval(mean, math.nan, math.nan)
    half = float(stats.t.ppf((1 + level) / 2, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)))
    return Interval(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]))


def hop_reach(accuracy: dict[int, float]) -> int:
    """The largest hop such that accuracy is at least 0.95 at it and at every smaller one asked; 0 if none."""
    reach = 0
    for hop in sorted(accuracy):
        if not accuracy[hop] >= REACHED:
            break
        reach = hop
    return reach


def select_recipes(results: pd.DataFrame) -> pd.DataFrame:
    """Keep, for every setting and model, the training recipe that is best on validation.

    Test accuracy is never looked at. Equal recipes: the first in the order of the results. Answers from elsewhere have
    no recipe, and stay.
    """
    is_from_elsewhere = results["status"] == "scored"
    elsewhere, results = results[is_from_elsewhere], results[~is_from_elsewhere]
    val = results[results["split"] == "val"]
    keys = [*SETTING, "model"]
    means = val.groupby([*keys, *RECIPE], sort=False, dropna=False)["accuracy"].mean().reset_index()
    means["accuracy"] = means["accuracy"].fillna(-1.0)  # a recipe whose cells all failed comes last
    best = means.loc[means.groupby(keys, sort=False, dropna=False)["accuracy"].idxmax()]
    trained = results.merge(best[[*keys, *RECIPE]], on=[*keys, *RECIPE])
    return pd.concat([trained, elsewhere], ignore_index=True) if len(elsewhere) else trained


def accuracy_by_hop(results: pd.DataFrame, *, split: str = "test") -> pd.DataFrame:
    """One row a (setting, model, hop), in the order of the results.

    Args:
        results: Rows of results.csv with one recipe a model.
        split: Which split to summarise.

    Returns:
        The setting and model columns, hop, mean, low, high, n_seeds, n_failed, seeds (each seed's accuracy), and
        the mean chance, shortcut and partial.
    """
    rows = results[results["split"] == split]
    summary = []
    for key, group in rows.groupby([*SETTING, "model", "hop"], sort=False, dropna=False):
        measured = group.dropna(subset=["accuracy"])
        seeds = [float(value) for value in measured["accuracy"]]
        interval = t_interval(seeds)
        summary.append(
            dict(zip((*SETTING, "model", "hop"), key, strict=True))
            | interval._asdict()
            | {"n_seeds": len(seeds), "n_failed": len(group) - len(seeds), "seeds": seeds}
            | {name: measured[name].mean() for name in ("chance", "shortcut", "partial")}
        )
    return pd.DataFrame(summary)


def reach_by_model(results: pd.DataFrame, *, split: str = "test") -> pd.DataFrame:
    """One row a (setting, model): hop reach as a mean over seeds, its interval, and what the model costs.

    Args:
        results: Rows of results.csv with one recipe a model.
        split: Which split to summarise.

    Returns:
        The setting columns, model, mean, low, high, seeds (each seed's reach), n_failed, n_solved (cells that
        stopped early because validation stayed solved), order, n_params, flops_per_step, lr.
    """
    rows = results[results["split"] == split]
    summary = []
    for key, group in rows.groupby([*SETTING, "model"], sort=False, dropna=False):
        cells = [cell for _, cell in group.groupby("run_id", sort=False)]
        done = [cell for cell in cells if cell["accuracy"].notna().all()]
        reaches = [hop_reach(dict(zip(cell["hop"], cell["accuracy"], strict=True))) for cell in done]
        interval = t_interval(reaches, bounds=(0, int(group["hop"].max())))
        first = (done or cells)[0].iloc[0]
        summary.append(
            dict(zip((*SETTING, "model"), key, strict=True))
            | interval._asdict()
            | {"seeds": reaches, "n_failed": len(cells) - len(done)}
            | {"n_solved": sum(cell["status"].iloc[0] == "solved" for cell in done)}
            | {name: first[name] for name in ("order", "n_params", "flops_per_step", "lr")}
        )
    return pd.DataFrame(summary)
