import itertools
import math

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from nexus_bench.analysis.intervals import (
    exact_interval,
    holm,
    paired_p,
    seeds_needed,
    share_difference,
    t_interval,
    wilson_interval,
)


@pytest.mark.parametrize("values", [[0.2, 0.5, 0.4], [0.9, 0.8, 0.85, 0.95, 0.7, 0.6]])
def test_interval_agrees_with_scipy_and_statsmodels(values: list[float]) -> None:
    low, high = scipy.stats.t.interval(
        0.95, len(values) - 1, loc=sum(values) / len(values), scale=scipy.stats.sem(values)
    )
    found = t_interval(values)
    assert found == pytest.approx((sum(values) / len(values), max(low, 0), min(high, 1)))
    low, high = DescrStatsW(values).tconfint_mean(alpha=0.01)
    assert t_interval(values, level=0.99, bounds=(-9, 9))[1:] == pytest.approx((low, high))


@pytest.mark.parametrize(("n_reached", "n"), [(0, 3), (8, 10), (10, 10), (5, 12)])
def test_a_share_of_seeds_has_the_interval_of_clopper_and_pearson(n_reached: int, n: int) -> None:
    low, high = proportion_confint(n_reached, n, method="beta")
    assert exact_interval(n_reached, n) == pytest.approx((n_reached / n, low, high))


def test_seeds_that_all_agree_leave_room_for_others() -> None:
    assert exact_interval(10, 10)[1:] == pytest.approx((0.69, 1), abs=0.005)
    assert exact_interval(8, 10)[1:] == pytest.approx((0.44, 0.97), abs=0.005)
    assert all(math.isnan(value) for value in exact_interval(0, 0))


def test_interval_is_clipped_to_what_the_measure_can_be() -> None:
    assert t_interval([0.01, 0.5, 0.99]) == pytest.approx((0.5, 0.0, 1.0))
    assert t_interval([1, 3, 5], bounds=(0, 5)).high == 5


def test_one_seed_gives_no_interval_equal_seeds_a_point_and_none_nothing() -> None:
    one = t_interval([0.7])
    assert one.mean == 0.7 and math.isnan(one.low) and math.isnan(one.high)
    assert t_interval([1.0, 1.0, 1.0]) == (1.0, 1.0, 1.0)
    assert all(math.isnan(value) for value in t_interval([]))


@pytest.mark.parametrize("level", [0.95, 0.995])
@pytest.mark.parametrize(("n_right", "n"), [(0, 7), (3, 7), (7, 7), (912, 1024)])
def test_the_interval_of_a_share_agrees_with_statsmodels(n_right: int, n: int, level: float) -> None:
    expected = proportion_confint(n_right, n, alpha=1 - level, method="wilson")
    assert wilson_interval(n_right, n, level=level)[1:] == pytest.approx(expected)
    assert wilson_interval(n_right, n).mean == n_right / n


def test_the_interval_of_no_examples_is_unknown() -> None:
    assert all(math.isnan(value) for value in wilson_interval(0, 0))


@pytest.mark.parametrize(
    ("new", "base"), [((56, 70), (48, 80)), ((9, 10), (3, 10)), ((0, 11), (11, 11)), ((5, 5), (5, 5))]
)
@pytest.mark.parametrize("level", [0.95, 0.995])
def test_the_interval_of_a_difference_agrees_with_statsmodels(
    new: tuple[int, int], base: tuple[int, int], level: float
) -> None:
    found = share_difference(new, base, level=level)
    expected = confint_proportions_2indep(*new, *base, compare="diff", method="newcomb", alpha=1 - level)
    assert found[1:] == pytest.approx(expected)
    assert found.mean == pytest.approx(new[0] / new[1] - base[0] / base[1])


def by_hand(differences: list[float]) -> float:
    observed = abs(sum(differences))
    dealt = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(value >= observed - 1e-12 for value in dealt) / len(dealt)


@pytest.mark.parametrize(
    "differences",
    [[1.0] * 6, [0.1, -0.2, 0.3, 0.05, 0.4], [0, 0, 1, 1, 2], [1, -1, 1, -1], [0.3, 0.3, -0.1, 0.2, 0.25, 0.31, 0.02]],
)
def test_the_paired_test_tries_every_sign(differences: list[float]) -> None:
    assert paired_p(differences) == pytest.approx(by_hand(differences))
    assert paired_p([-d for d in differences]) == pytest.approx(by_hand(differences))


def test_the_paired_test_agrees_with_scipy_where_there_are_many_seeds() -> None:
    differences = np.random.default_rng(3).normal(0.3, 1, 23)
    assert paired_p(list(differences)) == pytest.approx(scipy.stats.ttest_1samp(differences, 0).pvalue, abs=0.02)
    assert paired_p(list(differences)) == paired_p(list(differences)), "drawn from a fixed stream"


@pytest.mark.parametrize("differences", [[], [1.0], [0.0], [0.0, 0.0, 0.0]])
def test_nothing_to_tell_apart_is_no_evidence(differences: list[float]) -> None:
    assert paired_p(differences) == 1.0


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03], [0.5], [0.2, 0.001, 0.2, 0.04, 0.9], [1.0, 1.0]])
def test_holm_agrees_with_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))


@pytest.mark.parametrize(("n_tests", "n_seeds"), [(1, 6), (2, 7), (3, 7), (6, 8), (12, 9), (25, 10), (26, 11)])
def test_fewer_seeds_than_needed_can_show_nothing(n_tests: int, n_seeds: int) -> None:
    assert seeds_needed(n_tests) == n_seeds
    best = [paired_p([1.0] * n_seeds), *[1.0] * (n_tests - 1)]
    short = [paired_p([1.0] * (n_seeds - 1)), *[1.0] * (n_tests - 1)]
    assert min(holm(best)) < 0.05 <= min(holm(short))


def test_with_more_seeds_p_is_exact_where_differences_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = [3, 0, 1, 1, -2, 1, 0, 2, 5, -1, 1, 1, 2, -3]
    tried = paired_p(differences)
    monkeypatch.setattr("nexus_bench.analysis.intervals._MOST_EXACT", 5)
    assert paired_p(differences) == pytest.approx(tried, rel=1e-12)
    assert paired_p([1] * 40) == pytest.approx(2 / 2**40)
