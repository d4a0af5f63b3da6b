"""Models of the same size side by side: what a mechanism buys at equal parameters, and at equal compute."""

import pandas as pd

from nexus_bench.stats import hop_reach, t_interval

CLOSE = 0.05  # sizes within 5% count as equal
_SIZES = {"parameters": "n_params", "compute": "flops_per_step"}


def matched_pairs(results: pd.DataFrame, *, split: str = "test") -> pd.DataFrame:
    """Every model that is not standard attention, beside the standard and looped models of its size.

    Args:
        results: Rows of results.csv of one setting, with one recipe a model.
        split: Which split to compare.

    Returns:
        One row a (model, what is equal, rival): model, equal, rival, parameters and compute (the rival's, over the
        model's), reach and rival_reach (means over the seeds that both have), and the mean, low and high of their
        difference, paired by seed. Without such pairs it is empty.
    """
    rows = results[(results["split"] == split) & results["accuracy"].notna() & results["n_params"].notna()]
    reaches = {
        key: hop_reach(dict(zip(cell["hop"], cell["accuracy"], strict=True)))
        for key, cell in rows.groupby(["model", "seed"], sort=False)
    }
    models = rows.drop_duplicates("model").set_index("model")
    is_rival = models["attention"] == "standard"
    n_hops = rows["hop"].max()
    found = []
    for name, model in models[~is_rival & ~((models["attention"] == "nexus") & (models["order"] == 1))].iterrows():
        for equal, column in _SIZES.items():
            for rival_name, rival in models[is_rival].iterrows():
                if abs(rival[column] / model[column] - 1) > CLOSE:
                    continue
                seeds = [seed for other, seed in reaches if other == name and (rival_name, seed) in reaches]
                pairs = [(reaches[name, seed], reaches[rival_name, seed]) for seed in seeds]
                difference = t_interval([a - b for a, b in pairs], bounds=(-n_hops, n_hops))
                found.append(
                    {"model": name, "equal": equal, "rival": rival_name}
                    | {size: rival[of] / model[of] for size, of in _SIZES.items()}
                    | {"reach": t_interval([a for a, _ in pairs], bounds=(0, n_hops)).mean}
                    | {"rival_reach": t_interval([b for _, b in pairs], bounds=(0, n_hops)).mean}
                    | difference._asdict()
                )
    return pd.DataFrame(found)
