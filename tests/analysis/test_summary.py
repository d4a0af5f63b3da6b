import math

import pandas as pd
import pytest

from nexus_bench.analysis.reached import seeds_reached
from nexus_bench.analysis.select_recipes import select_recipes
from nexus_bench.analysis.summary import accuracy_by_hop, hop_reach, reach_by_model, steps_to_reach, still_rising
from tests.made import table


def best_of(results: pd.DataFrame) -> pd.DataFrame:
    chosen = select_recipes(results)
    return chosen[chosen["split"] == "test"]


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


def test_a_recipe_is_chosen_on_the_cells_of_tuning_alone() -> None:
    tuning = table(("a", 0.1, 2, {1: 0.5}), ("a", 0.2, 2, {1: 0.6}), ("b", 0.1, 2, {1: None}), ("b", 0.2, 2, {1: 0.0}))
    cells = [(model, lr, 0, {1: 0.9 if lr == 0.1 else 0.3}) for model in "ab" for lr in (0.1, 0.2)]
    results = pd.concat([tuning.assign(purpose="tuning"), table(*cells).assign(purpose="measured")], ignore_index=True)
    chosen = select_recipes(results)
    assert set(zip(chosen["model"], chosen["lr"], chosen["seed"], strict=True)) == {("a", 0.2, 0), ("b", 0.2, 0)}, (
        "the measured seeds would choose 0.1; and a rate whose tuning cell failed is the worst"
    )


def test_a_recipe_of_which_a_seed_failed_is_chosen_after_all_others() -> None:
    """What is left of it are the seeds on which it did not fail, so their mean is no mean of the recipe."""
    cells = [("a", 0.1, seed, {1: 0.4}) for seed in (0, 1)]
    cells += [("a", 0.2, 0, {1: 1.0}), ("a", 0.2, 1, {1: None}), ("a", 0.3, 0, {1: None}), ("a", 0.3, 1, {1: None})]
    assert set(select_recipes(table(*cells))["lr"]) == {0.1}
    assert set(select_recipes(table(*cells[2:]))["lr"]) == {0.2}, "without another, the one that failed least"
    assert set(select_recipes(table(*cells[4:]))["lr"]) == {0.3}


@pytest.mark.parametrize(("threshold", "n_reached"), [(0.90, [3, 2, 1]), (0.95, [3, 1, 1]), (0.99, [3, 1, 1])])
def test_a_seed_reaches_a_hop_if_it_solves_all_up_to_it(threshold: float, n_reached: list[int]) -> None:
    results = table(
        ("a", 0.1, 0, {3: 1.0, 1: 1.0, 2: 1.0}),
        ("a", 0.1, 1, {3: 0.2, 1: 1.0, 2: 0.9}),
        ("a", 0.1, 2, {3: 1.0, 1: 1.0, 2: 0.1}),
        ("a", 0.1, 3, {3: None, 1: None, 2: None}),
    )
    found = seeds_reached(best_of(results))
    at = found[found["threshold"] == threshold]
    assert list(at["hop"]) == [1, 2, 3] and list(at["n_reached"]) == n_reached
    assert set(at["n_seeds"]) == {3}, "a failed seed is left out"


def test_no_count_is_given_up_to_the_partial_input_ceiling() -> None:
    results = table(("a", 0.1, 0, {1: 1.0, 2: 1.0})).assign(partial_input=lambda f: 0.93 + 0.03 * (f["hop"] == 2))
    found = seeds_reached(best_of(results)).set_index(["threshold", "hop"])["n_reached"]
    claims = found.notna().groupby("threshold").agg(list)
    assert claims.to_dict() == {0.90: [False, False], 0.95: [True, False], 0.99: [True, True]}


def test_a_model_whose_cells_all_failed_has_the_ceiling_of_its_task() -> None:
    results = table(("a", 0.1, 0, {1: 1.0, 2: 1.0}), ("b", 0.1, 0, {1: None, 2: None}))
    results["partial_input"] = results["partial_input"].mask((results["hop"] == 2) & results["accuracy"].notna(), 0.96)
    found = seeds_reached(best_of(results))
    failed = found[(found["model"] == "b") & (found["threshold"] == 0.95)]
    assert failed["n_reached"].fillna(-1).tolist() == [0, -1] and set(failed["n_seeds"]) == {0}


def test_answers_from_elsewhere_reach_a_hop_without_an_interval() -> None:
    answers = table(("m", 0.1, 0, {1: 1.0, 2: 0.5})).assign(status="scored")
    found = seeds_reached(best_of(answers))
    assert list(found["n_reached"]) == [1, 1, 1, 0, 0, 0] and found["low"].isna().all()


def test_failed_cells_are_missing_and_never_zero() -> None:
    results = table(
        ("a", 0.1, 0, {1: 0.8}), ("a", 0.1, 1, {1: None}), ("a", 0.1, 2, {1: 0.6}), ("b", 0.1, 0, {1: None})
    )
    summary = accuracy_by_hop(best_of(results)).set_index("model")
    assert summary.loc["a", "mean"] == pytest.approx(0.7)
    assert (summary.loc["a", "n_seeds"], summary.loc["a", "n_failed"]) == (2, 1)
    assert math.isnan(summary.loc["b", "mean"]) and summary.loc["b", "n_seeds"] == 0
    reach = reach_by_model(best_of(results)).set_index("model")
    assert reach.loc["a", "seeds"] == [0, 0] and reach.loc["b", "seeds"] == []


def test_reach_is_a_mean_over_seeds() -> None:
    results = table(
        ("a", 0.1, 0, {1: 1.0, 2: 1.0, 3: 0.1}),
        ("a", 0.1, 1, {1: 1.0, 2: 0.5, 3: 1.0}),
        ("a", 0.1, 2, {1: 1.0, 2: 1.0, 3: 1.0}),
    )
    reach = reach_by_model(best_of(results)).iloc[0]
    assert reach["seeds"] == [2, 1, 3]
    assert reach["mean"] == pytest.approx(2.0)
    assert (reach["low"], reach["high"]) == (0.0, 3.0)


def test_a_chosen_recipe_keeps_all_of_its_splits() -> None:
    results = table(("a", 0.1, 0, {1: 0.5}), ("a", 0.2, 0, {1: 0.6}))
    larger = results[results["split"] == "test"].assign(split="size_ood", n_facts=24)
    chosen = select_recipes(pd.concat([results, larger], ignore_index=True))
    assert set(zip(chosen["split"], chosen["lr"], strict=True)) == {("val", 0.2), ("test", 0.2), ("size_ood", 0.2)}


def test_all_seeds_equal_and_all_solved_have_an_interval_of_no_width() -> None:
    results = table(*(("a", 0.1, seed, {1: 1.0, 2: 1.0}) for seed in range(3))).assign(status="solved")
    summary, reach = accuracy_by_hop(best_of(results)), reach_by_model(best_of(results)).iloc[0]
    assert list(summary["low"]) == list(summary["high"]) == [1.0, 1.0]
    assert (reach["mean"], reach["low"], reach["high"], reach["n_solved"]) == (2, 2, 2, 3)


def test_a_model_without_some_hops_is_summed_up_at_the_others() -> None:
    summary = accuracy_by_hop(best_of(table(("a", 0.1, 0, {1: 1.0, 3: 0.5}), ("b", 0.1, 0, {1: 1.0, 2: 0.5}))))
    assert list(zip(summary["model"], summary["hop"], strict=True)) == [("a", 1), ("a", 3), ("b", 1), ("b", 2)]


def test_reach_stands_beside_what_it_cost() -> None:
    reach = reach_by_model(best_of(table(("a", 0.1, 0, {1: 1.0, 2: 1.0, 3: 0.1})))).iloc[0]
    assert reach["reach_per_mparam"] == pytest.approx(2 / 0.001)  # 1,000 parameters
    assert reach["reach_per_gflop"] == pytest.approx(2 / 0.002)  # 2,000,000 operations


def test_answers_from_elsewhere_have_an_interval_over_examples() -> None:
    results = table(("m", 0.1, 0, {1: 0.5})).assign(status="scored", n_examples=20, n_correct=10)
    row = accuracy_by_hop(best_of(results)).iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((0.2993, 0.7007), abs=1e-4)  # Wilson, 10 of 20
    assert math.isnan(accuracy_by_hop(best_of(results.assign(status="trained"))).iloc[0]["low"])


def test_what_was_still_rising_at_the_end_is_counted() -> None:
    points = [("a", "x", step, step / 100) for step in range(10, 101, 10)]  # gains .2 in the last fifth
    points += [("a", "y", step, min(step, 80) / 100) for step in range(10, 101, 10)]  # none
    points += [("b", "z", 10, 1.0)]  # a single evaluation says nothing
    curves = pd.DataFrame(points, columns=["model", "cell_id", "step", "accuracy"])
    assert still_rising(curves) == {"a": (1, 2), "b": (0, 1)}


def test_steps_to_95_are_a_median_of_the_seeds_that_got_there() -> None:
    results = table(*(("a", 0.1, seed, {1: 1.0, 2: 0.1}) for seed in range(3)), ("b", 0.1, 0, {1: None}))
    results["steps_to_95"] = results["steps_to_95"].mask(results["hop"] == 1, 100 * results["seed"] + 50)
    steps = steps_to_reach(results).set_index(["model", "hop"])
    assert tuple(steps.loc[("a", 1), ["median", "n_there", "n_seeds"]]) == (150.0, 3, 3)
    assert math.isnan(steps.loc[("a", 2), "median"]) and steps.loc[("a", 2), "n_there"] == 0
    assert "b" not in steps.index.get_level_values("model"), (
        "a failed cell learned nothing, and is not counted as never"
    )
