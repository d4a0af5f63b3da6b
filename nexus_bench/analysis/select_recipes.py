"""Of several recipes of a model (learning rates, weight decays), the one that reports show: the best on validation."""

import pandas as pd

from nexus_bench.analysis.summary import RECIPE, SETTING
from nexus_bench.io.columns import SCORED, VAL


def select_recipes(results: pd.DataFrame) -> pd.DataFrame:
    """Keep, for every setting and model, the training recipe that is best on validation, with all of its splits.

    Test accuracy is never used. Of equally good recipes the first in the order of the results is kept. Answers of other
    models have no recipe, and are all kept.
    """
    val = results[results["split"] == VAL]
    keys = [*SETTING, "model"]
    means = val.groupby([*keys, *RECIPE], sort=False, dropna=False)["accuracy"].mean().reset_index()
    means["accuracy"] = means["accuracy"].fillna(-1.0)  # a recipe whose cells all failed comes last
    best = means.loc[means.groupby(keys, sort=False, dropna=False)["accuracy"].idxmax()]
    chosen = val.merge(best[[*keys, *RECIPE]], on=[*keys, *RECIPE])["cell_id"]
    return results[results["cell_id"].isin(chosen) | (results["status"] == SCORED)]
