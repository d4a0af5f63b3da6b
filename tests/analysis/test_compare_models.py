"""Which model is said to be better, and when nothing is said."""

import pandas as pd
import pytest

from nexus_bench.analysis.compare_models import BETTER, NOT_SHOWN, TOO_FEW, WORSE, matched_pairs, model_pairs
from tests.made import table


def runs(**reaches: list[int | None]) -> pd.DataFrame:
    """Test rows of models that reach so many of 3 hops, a value a seed; None is a failed cell."""
    cells = [
        (model, 0.1, seed, {hop: None if reach is None else float(hop <= reach) for hop in (1, 2, 3)})
        for model, by_seed in reaches.items()
        for seed, reach in enumerate(by_seed)
    ]
    frame = table(*cells)
    return frame[frame["split"] == "test"]


@pytest.mark.parametrize(("n_seeds", "verdict"), [(3, TOO_FEW), (5, TOO_FEW), (6, BETTER), (10, BETTER)])
def test_nothing_is_better_with_fewer_than_six_paired_seeds(n_seeds: int, verdict: str) -> None:
    pair = model_pairs(runs(a=[1] * n_seeds, b=[2] * n_seeds)).iloc[0]
    assert (pair["model"], pair["baseline"], pair["verdict"]) == ("b", "a", verdict)
    assert pair["p"] == 2 / 2**n_seeds


def test_the_loser_is_called_worse() -> None:
    pair = model_pairs(runs(a=[2] * 6, b=[1] * 6)).iloc[0]
    assert (pair["model"], pair["verdict"], pair["mean"]) == ("b", WORSE, -1)


def test_holm_counts_every_pair_of_the_table() -> None:
    pairs = model_pairs(runs(a=[1] * 7, b=[2] * 7, c=[3] * 7))
    assert list(pairs["p"]) == [2 / 2**7] * 3
    assert list(pairs["p_holm"]) == pytest.approx([3 * 2 / 2**7] * 3)
    assert list(pairs["verdict"]) == [BETTER] * 3
    assert set(model_pairs(runs(a=[1] * 6, b=[2] * 6, c=[3] * 6))["verdict"]) == {TOO_FEW}


def test_seeds_that_disagree_show_no_difference() -> None:
    pair = model_pairs(runs(a=[1, 2, 1, 2, 1, 2], b=[2, 1, 2, 1, 2, 2])).iloc[0]
    assert pair["verdict"] == NOT_SHOWN and pair["low"] < 0 < pair["high"]


def test_seeds_further_and_behind_are_counted() -> None:
    pair = model_pairs(runs(a=[1, 2, 1, 3, 1], b=[2, 1, 1, 3, 3])).iloc[0]
    assert (pair["n_further"], pair["n_behind"], pair["n_seeds"]) == (2, 1, 5)


def test_equal_models_show_no_difference() -> None:
    pair = model_pairs(runs(a=[3] * 6, b=[3] * 6)).iloc[0]
    assert (pair["p"], pair["mean"], pair["low"], pair["high"], pair["verdict"]) == (1, 0, 0, 0, NOT_SHOWN)


def test_only_seeds_that_both_measured_are_paired() -> None:
    pair = model_pairs(runs(a=[1] * 7, b=[2, None, 2, 2, 2, 2, None])).iloc[0]
    assert (pair["n_seeds"], pair["verdict"]) == (5, TOO_FEW)
    lost = model_pairs(runs(a=[1, 1], b=[None, None])).iloc[0]
    assert (lost["n_seeds"], lost["verdict"]) == (0, TOO_FEW)


def test_more_than_25_pairs_become_pairs_with_the_first_model() -> None:
    models = {chr(97 + i): [1, 1] for i in range(8)}  # 28 pairs
    pairs = model_pairs(runs(**models))
    assert set(pairs["baseline"]) == {"a"} and len(pairs) == 7
    del models["h"]  # 21 pairs
    assert len(model_pairs(runs(**models))) == 21


def test_a_single_model_has_no_pairs() -> None:
    assert model_pairs(runs(a=[1, 2])).empty
    assert matched_pairs(runs(a=[1, 2])).empty


def test_a_rival_equal_in_both_sizes_is_tested_once() -> None:
    rows = runs(standard=[1] * 6, nested=[2] * 6)
    rows["attention"] = rows["model"].where(rows["model"] == "standard", "mine")
    pair = matched_pairs(rows)
    assert list(pair["equal"]) == ["parameters and compute"]
    assert list(pair["verdict"]) == [BETTER]
