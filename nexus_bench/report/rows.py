"""The rows of a report: each cell once, variants told apart, answers from elsewhere beside trained models."""

import pandas as pd

from nexus_bench.analysis.select_recipes import is_tuning
from nexus_bench.analysis.summary import LENGTH, MODEL, RECIPE, SETTING
from nexus_bench.errors import ConfigError
from nexus_bench.io.columns import HOP_OOD, SCORED, TEST
from nexus_bench.io.options import without

VARIANT = ", variant "  # in the label of a model
_SAME_LAW = (TEST, HOP_OOD)  # splits of the trained size: their hops share one axis
# Options of how a task is presented and split
PRESENTED = ("n_val", "n_test", "hop_query", "size_ood", "content_sha256")


def told_apart(results: pd.DataFrame) -> pd.DataFrame:
    """Each cell once, and models of one name that are not the same as variants of it.

    Raises:
        ConfigError: No row is of the test split, all are of tuning, or two runs disagree on a cell.
    """
    results = once(results)
    tuning = is_tuning(results)
    if tuning.all():
        raise ConfigError(
            "these results are of tuning alone, which a report does not show; run `nexus-bench train RUN`"
        )
    if not (results["split"] == TEST).any():
        raise ConfigError("a report shows the test split, of which these results have no row; read their results.csv")
    return pd.concat([results[tuning], with_variants(results[~tuning])], ignore_index=True)


def on_one_axis(rows: pd.DataFrame) -> pd.DataFrame:
    """The test split with the hops of `hop_ood`, for what is said of all hops of a cell.

    Answers of other models have a cell for each split; theirs are those of the test split.
    """
    is_test = rows["split"] == TEST
    return rows[is_test | (rows["split"].isin(_SAME_LAW) & (rows["status"] != SCORED))].assign(split=TEST)


def once(results: pd.DataFrame) -> pd.DataFrame:
    """Each cell once, also where several runs share it.

    Raises:
        ConfigError: The runs disagree on a cell.
    """
    same = ["cell_id", "split", "hop"]
    distinct = results.drop_duplicates([*same, "n_correct", "n_examples"])
    for _, row in distinct[distinct.duplicated(same)].iterrows():
        raise ConfigError(
            f"the runs disagree on cell {row['cell_id']} ({row['model']}, seed {row['seed']}), at hop {row['hop']} of "
            f"{row['split']}; report each by itself, and compare them with `nexus-bench compare`"
        )
    kept = results.loc[is_tuning(results).sort_values(kind="stable").index].drop_duplicates(same)  # rather measured
    return results.loc[kept.index.sort_values()].reset_index(drop=True)


def with_variants(results: pd.DataFrame) -> pd.DataFrame:
    """Models of the same name that are not the same are variants of it, not further seeds of one.

    They have another version of their attention, or other values where its defaults have changed since; or their cells
    differ in nothing but their cell_id. Answers of other models have no seeds: theirs is that of the dataset.
    """
    models = [*SETTING, "model"]
    own_seed = results["seed"].where(results["status"] != SCORED, 0).rename("own_seed")
    again = results.groupby([*SETTING, *MODEL, "attention_version", *RECIPE, own_seed, "split", "hop"], dropna=False)
    told_apart = results.assign(again=again.cumcount())
    kind = told_apart.groupby([*SETTING, *MODEL, "attention_version", "again"], dropna=False, sort=False).ngroup()
    kinds = kind.groupby([results[name] for name in models], dropna=False, sort=False)
    variant = kinds.transform(lambda group: pd.factorize(group)[0]) + 1
    named = results["model"] + VARIANT + variant.astype("string")
    return results.assign(model=results["model"].where(kinds.transform("nunique") == 1, named))


def beside_trained(results: pd.DataFrame) -> pd.DataFrame:
    """Answers from elsewhere stand with the models trained on the same task; where there are none, by themselves."""
    is_external = results["status"] == SCORED
    own = ["encoding", "task_options", *LENGTH]
    same = [*(name for name in SETTING if name not in own), "task_itself"]
    itself = {text: without(text, PRESENTED) for text in results["task_options"].unique()}
    results = results.assign(task_itself=results["task_options"].map(itself))
    settings = results.loc[~is_external, [*SETTING, "task_itself"]].drop_duplicates()
    external = results[is_external].merge(settings, on=same, how="left", suffixes=("", "_trained"))
    if external.empty:
        return results
    is_beside = external["encoding_trained"].notna()
    external.loc[is_beside, "model"] += " (text)"
    for name in own:
        external[name] = external[f"{name}_trained"].fillna(external[name])
    return pd.concat([results[~is_external], external[results.columns]], ignore_index=True)
