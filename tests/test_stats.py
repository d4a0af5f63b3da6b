import math

import pandas as pd
import pytest
import scipy.stats

from nexus_bench.columns import COLUMNS
from nexus_bench.stats import accuracy_by_hop, hop_reach, reach_by_model, select_recipes, t_interval


def table(*cells: tuple[str, float, int, dict[int, float | None]]) -> pd.DataFrame:
    """Results of cells given as (model, lr, seed, accuracy by hop); validation equals test."""
    rows = [
        {
            "run_id": f"{model}-{lr}-{seed}",
            "suite": "s",
            "task": "t",
            "model": model,
            "order": 1,
            "lr": lr,
            "batch_size": 2,
            "steps": 3,
            "seed": seed,
            "split": split,
            "hop": hop,
            "accuracy": accuracy,
            "chance": 0.1,
            "shortcut": 0.12,
            "partial": 0.2,
            "n_params": 1000,
            "flops_per_step": 2_000_000,
            "status": "failed" if accuracy is None else "trained",
        }
        for model, lr, seed, by_hop in cells
        for split in ("val", "test")
        for hop, accuracy in by_hop.items()
    ]
    frame = pd.DataFrame(rows, columns=[column.name for column in COLUMNS])
    return frame.astype({column.name: column.dtype for column in COLUMNS})


@pytest.mark.parametrize("values", [[0.2, 0.5, 0.4], [0.9, 0.8, 0.85, 0.95, 0.7, 0.6]])
def test_interval_agrees_with_scipy(values: list[float]) -> None:
    low, high = scipy.stats.t.interval(
        0.95, len(values) - 1, loc=sum(values) / len(values), scale=scipy.stats.sem(values)
    )
    found = t_interval(values)
    assert found == pytest.approx((sum(values) / len(values), max(low, 0), min(high, 1)))


def test_interval_is_clipped_to_what_the_measure_can_be() -> None:
    assert t_interval([0.01, 0.5, 0.99]) == pytest.approx((0.5, 0.0, 1.0))
    assert t_interval([1, 3, 5], bounds=(0, 5)).high == 5


def test_one_seed_gives_no_interval_and_equal_seeds_a_point() -> None:
    one = t_interval([0.7])
    assert one.mean == 0.7 and math.isnan(one.low) and math.isnan(one.high)
    assert t_interval([1.0, 1.0, 1.0]) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("accuracy", "reach"),
    [
        ({1: 1.0, 2: 0.95, 3: 0.94}, 2),
        ({1: 0.94, 2: 1.0}, 0),
        ({3: 1.0, 1: 1.0, 2: 0.2}, 1),
        ({2: 1.0, 4: 1.0}, 4),
        ({1: 1.0, 2: math.nan, 3: 1.0}, 1),
    ],
)
def test_reach_is_the_last_hop_before_the_first_fall(accuracy: dict[int, float], reach: int) -> None:
    assert hop_reach(accuracy) == reach


def test_recipe_is_chosen_by_validation_alone() -> None:
    results = table(("a", 0.1, 0, {1: 0.5}), ("a", 0.2, 0, {1: 0.6}), ("b", 0.1, 0, {1: 0.9}), ("b", 0.2, 0, {1: 0.3}))
    results.loc[(results["split"] == "test") & (results["lr"] == 0.1) & (results["model"] == "a"), "accuracy"] = 1.0
    chosen = select_recipes(results)
    assert set(zip(chosen["model"], chosen["lr"], strict=True)) == {("a", 0.2), ("b", 0.1)}


def test_failed_cells_are_missing_and_never_zero() -> None:
    results = table(
        ("a", 0.1, 0, {1: 0.8}), ("a", 0.1, 1, {1: None}), ("a", 0.1, 2, {1: 0.6}), ("b", 0.1, 0, {1: None})
    )
    summary = accuracy_by_hop(select_recipes(results)).set_index("model")
    assert summary.loc["a", "mean"] == pytest.approx(0.7)
    assert (summary.loc["a", "n_seeds"], summary.loc["a", "n_failed"]) == (2, 1)
    assert math.isnan(summary.loc["b", "mean"]) and summary.loc["b", "n_seeds"] == 0
    reach = reach_by_model(select_recipes(results)).set_index("model")
    assert reach.loc["a", "seeds"] == [0, 0] and reach.loc["b", "seeds"] == []


def test_reach_is_a_mean_over_seeds() -> None:
    results = table(
        ("a", 0.1, 0, {1: 1.0, 2: 1.0, 3: 0.1}),
        ("a", 0.1, 1, {1: 1.0, 2: 0.5, 3: 1.0}),
        ("a", 0.1, 2, {1: 1.0, 2: 1.0, 3: 1.0}),
    )
    reach = reach_by_model(select_recipes(results)).iloc[0]
    assert reach["seeds"] == [2, 1, 3]
    assert reach["mean"] == pytest.approx(2.0)
    assert (reach["low"], reach["high"]) == (0.0, 3.0)
