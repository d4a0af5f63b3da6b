import math

import pytest

from nexus_bench.analysis.intervals import Interval
from nexus_bench.reproductions.verdict import FAILS, HOLDS, IN_PART, OPEN, interval_of, together, verdict_of

INF = math.inf


@pytest.mark.parametrize(
    ("low", "high", "accepted", "verdict"),
    [
        (0.96, 0.99, (0.95, INF), HOLDS),
        (0.95, 0.95, (0.95, INF), HOLDS),
        (0.94, 0.99, (0.95, INF), OPEN),
        (0.90, 0.94, (0.95, INF), FAILS),
        (0.10, 0.29, (-INF, 0.3), HOLDS),
        (0.29, 0.31, (-INF, 0.3), OPEN),
        (0.31, 0.40, (-INF, 0.3), FAILS),
        (3.5, 4.5, (3, 5), HOLDS),
        (2.5, 4.5, (3, 5), OPEN),
        (2.0, 6.0, (3, 5), OPEN),
        (5.5, 6.0, (3, 5), FAILS),
        (1.0, 2.5, (3, 5), FAILS),
    ],
)
def test_an_interval_decides_if_all_or_none_of_it_is_accepted(
    low: float, high: float, accepted: tuple[float, float], verdict: str
) -> None:
    assert verdict_of(Interval((low + high) / 2, low, high), accepted, n_seeds=3) == verdict


def test_two_seeds_and_an_interval_without_ends_decide_nothing() -> None:
    assert verdict_of(Interval(1.0, 1.0, 1.0), (0.95, INF), n_seeds=2) == OPEN
    assert verdict_of(Interval(1.0, math.nan, math.nan), (0.95, INF), n_seeds=5) == OPEN


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        ([HOLDS, HOLDS], HOLDS),
        ([FAILS, FAILS], FAILS),
        ([HOLDS, FAILS], IN_PART),
        ([HOLDS, FAILS, OPEN], IN_PART),
        ([HOLDS, OPEN], OPEN),
        ([FAILS, OPEN], OPEN),
        ([HOLDS, IN_PART], IN_PART),
        ([], OPEN),
    ],
)
def test_a_claim_is_what_every_way_to_decide_its_open_figures_would_give(verdicts: list[str], verdict: str) -> None:
    assert together(verdicts) == verdict
    assert together(reversed(verdicts)) == verdict


def test_intervals_of_more_figures_are_wider_so_that_all_hold_together() -> None:
    values = [0.5, 0.6, 0.7]
    one, five = (interval_of(values, n_figures=n, bounds=(0, 1)) for n in (1, 5))
    assert (one.low, one.high) == pytest.approx((0.6 - 0.2484138, 0.6 + 0.2484138))  # t(.975, 2) = 4.302653, s = 0.1
    assert (five.low, five.high) == pytest.approx((0.6 - 0.5730111, 1.0))  # t(.995, 2) = 9.924843


def test_a_seed_without_a_value_leaves_the_mean_of_the_others_and_no_interval() -> None:
    found = interval_of([1.0, 1.0, math.nan, 1.0], n_figures=1, bounds=(0, 1))
    assert found.mean == 1 and math.isnan(found.low) and math.isnan(found.high)
