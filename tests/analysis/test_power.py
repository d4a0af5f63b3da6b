"""What a number of seeds can show, against values computed by hand."""

import pytest

from nexus_bench.analysis.compare_models import BETTER, NOT_SHOWN, model_pairs
from nexus_bench.analysis.intervals import holm
from nexus_bench.analysis.power import fewest_further, power
from tests.made import table


@pytest.mark.parametrize(
    ("n_seeds", "n_tests", "fewest"),
    [(12, 13, 10), (12, 1, 6), (6, 1, 6), (5, 1, None), (10, 25, 10), (9, 25, None)],
)
def test_the_fewest_seeds_are_those_of_the_exact_test(n_seeds: int, n_tests: int, fewest: int | None) -> None:
    assert fewest_further(n_seeds, n_tests) == fewest
    if fewest is not None:
        assert n_tests * 2 / 2**fewest < 0.05 <= n_tests * 2 / 2 ** (fewest - 1)


def test_the_test_itself_shows_a_difference_from_this_number_on() -> None:
    for n_further, verdict in ((6, BETTER), (5, NOT_SHOWN)):
        cells = [("a", 0.1, seed, {1: 1.0, 2: 0.0}) for seed in range(12)]
        cells += [("b", 0.1, seed, {1: 1.0, 2: float(seed < n_further)}) for seed in range(12)]
        (row,) = model_pairs(table(*cells)[lambda frame: frame["split"] == "test"]).to_dict("records")
        assert row["verdict"] == verdict and holm([row["p"]]) == [row["p_holm"]]


def test_power_is_the_chance_of_so_many_seeds() -> None:
    by_hand = 0.9**12 + 12 * 0.9**11 * 0.1 + 66 * 0.9**10 * 0.1**2  # 12, 11 or 10 of 12
    assert power(12, 13, 0.9) == pytest.approx(by_hand)
    assert power(12, 13, 1.0) == 1 and power(12, 13, 0.0) == 0 and power(5, 1, 1.0) == 0
