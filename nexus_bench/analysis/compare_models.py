"""Which model reaches further: differences of hop reach, paired by seed, tested together."""

import itertools
from typing import Any

import pandas as pd

from nexus_bench.analysis.intervals import LEVEL, holm, paired_p, seeds_needed, t_interval
from nexus_bench.analysis.summary import reach_of

CLOSE = 0.05  # sizes within 5% count as equal
MOST_PAIRS = 25  # tests per table: 10 paired seeds are enough for so many
BETTER, WORSE, NOT_SHOWN, TOO_FEW = "better", "worse", "no difference shown", "too few seeds"
_SIZES = {"parameters": "n_params", "compute": "flops_per_step"}


def model_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Every model compared with every one before it; if that is more than 25 pairs, with the first one only.

    The choice of pairs does not depend on the results.

    Args:
        rows: Rows of results.csv, of one setting and split, with one recipe per model.

    Returns:
        One row per pair: model, baseline, and what `_tested` adds. Empty if there are no pairs.
    """
    models = list(dict.fromkeys(rows["model"]))
    pairs = list(itertools.combinations(models, 2))
    if len(pairs) > MOST_PAIRS:
        pairs = [(models[0], model) for model in models[1:]]
    return _tested([{"model": model, "baseline": baseline} for baseline, model in pairs], rows)


def matched_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Every model that is not standard attention, compared with the standard and looped models of its size.

    Args:
        rows: Rows of results.csv, of one setting and split, with one recipe per model.

    Returns:
        One row per pair: model, baseline, equal (what is equal), parameters and compute (baseline over model),
        and what `_tested` adds. Empty if there are no pairs.
    """
    sized = rows[rows["n_params"].notna()].drop_duplicates("model").set_index("model")
    is_baseline = sized["attention"] == "standard"
    is_nested = ~is_baseline & ~((sized["attention"] == "nexus") & (sized["order"] == 1))
    pairs: list[dict[str, Any]] = []
    for name, model in sized[is_nested].iterrows():
        for baseline_name, baseline in sized[is_baseline].iterrows():
            ratios = {size: float(baseline[of] / model[of]) for size, of in _SIZES.items()}
            equal = " and ".join(size for size, ratio in ratios.items() if abs(ratio - 1) <= CLOSE)
            if equal:
                pairs.append({"model": name, "baseline": baseline_name, "equal": equal} | ratios)
    return _tested(pairs, rows)


def _tested(pairs: list[dict[str, Any]], rows: pd.DataFrame) -> pd.DataFrame:
    """Compare each pair over the seeds that both have.

    Returns:
        The pairs, with reach and baseline_reach (means), n_seeds, mean, low and high of their difference, p of the
        exact paired test, p_holm (corrected for all of the pairs), and the verdict: `better` or `worse` if p_holm is
        below 0.05, `no difference shown`, or `too few seeds` if no outcome could have been told apart from chance.
    """
    measured = rows[rows["accuracy"].notna()]
    reaches = {key: reach_of(cell) for key, cell in measured.groupby(["model", "seed"], sort=False)}
    largest = rows["hop"].max()
    found = []
    for pair in pairs:
        seeds = [seed for model, seed in reaches if model == pair["model"] and (pair["baseline"], seed) in reaches]
        ours, theirs = ([reaches[pair[side], seed] for seed in seeds] for side in ("model", "baseline"))
        differences = [a - b for a, b in zip(ours, theirs, strict=True)]
        found.append(
            pair
            | {"reach": t_interval(ours).mean, "baseline_reach": t_interval(theirs).mean, "n_seeds": len(seeds)}
            | t_interval(differences, bounds=(-largest, largest))._asdict()
            | {"p": paired_p(differences)}
        )
    corrected = holm([row["p"] for row in found])
    for row, p in zip(found, corrected, strict=True):
        row |= {"p_holm": p, "verdict": _verdict(row["mean"], p, row["n_seeds"], len(found))}
    return pd.DataFrame(found)


def _verdict(difference: float, p: float, n_seeds: int, n_tests: int) -> str:
    if n_seeds < seeds_needed(n_tests):
        return TOO_FEW
    if p >= 1 - LEVEL:
        return NOT_SHOWN
    return BETTER if difference > 0 else WORSE
