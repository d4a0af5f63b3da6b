"""Intervals and tests on plain numbers: one value per seed, or counts of examples."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95  # confidence of every interval; 1 - LEVEL is the probability of a false claim in a whole table
_MOST_SIGNS = 2**26  # drawn at a time, so that memory does not grow with the number of seeds
_MOST_EXACT = 16  # up to so many seeds every sign flip is tried (65,536); with more, 65,536 are drawn


class Interval(NamedTuple):
    """A mean and its confidence interval; the bounds are NaN where there is none."""

    mean: float
    low: float
    high: float


def t_interval(values: Sequence[float], *, level: float = LEVEL, bounds: tuple[float, float] = (0, 1)) -> Interval:
    """Student's t-interval of a mean over seeds, clipped to the range of the measure.

    Args:
        values: One per seed; no value gives NaN, one value gives no bounds.
        level: Confidence.
        bounds: Smallest and largest possible value.

    Source: the t-interval as in textbooks such as Casella and Berger, "Statistical Inference", section 9.2.
    """
    if not values:
        return Interval(math.nan, math.nan, math.nan)
    array = np.asarray(values, dtype=float)
    mean = float(array.mean())
    if len(array) < 2:
        return Interval(mean, math.nan, math.nan)
    half = float(stats.t.ppf((1 + level) / 2, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)))
    return Interval(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]))


def wilson_interval(n_right: int, n: int, *, level: float = LEVEL) -> Interval:
    """The interval of a share of examples, for answers without seeds.

    Args:
        n_right: Examples answered right.
        n: Examples evaluated; 0 gives NaN.
        level: Confidence.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    low, high = stats.binomtest(n_right, n).proportion_ci(level, method="wilson")
    return Interval(n_right / n, float(low), float(high))


def exact_interval(n_reached: int, n: int, *, level: float = LEVEL) -> Interval:
    """The interval of a share of seeds, which holds for any share and number of seeds: 0.69 to 1 for 10 of 10.

    Args:
        n_reached: Seeds that got there.
        n: Seeds measured; 0 gives NaN.
        level: Confidence, two-sided.

    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26.
    """
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    low, high = stats.binomtest(n_reached, n).proportion_ci(level, method="exact")
    return Interval(n_reached / n, float(low), float(high))


def share_difference(new: tuple[int, int], base: tuple[int, int], *, level: float = LEVEL) -> Interval:
    """The interval of the difference of two shares of examples, new minus base.

    Args:
        new: Examples answered right, and examples evaluated.
        base: The same for the base.
        level: Confidence.

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17, method 10.
    """
    a, b = wilson_interval(*new, level=level), wilson_interval(*base, level=level)
    difference = a.mean - b.mean
    return Interval(
        difference,
        difference - math.hypot(a.mean - a.low, b.high - b.mean),
        difference + math.hypot(a.high - a.mean, b.mean - b.low),
    )


def paired_p(differences: Sequence[float]) -> float:
    """Two-sided p of a paired test: are the signs of these differences, one per seed, random?

    Up to 16 seeds all assignments of signs are tried, which is exact. With more seeds the distribution of the sum is
    computed, exact as well, if all differences are whole, as those of hop reach are; otherwise 65,536 assignments are
    drawn from a fixed stream, and p counts the observed one in, which is valid (Phipson and Smyth 2010).

    Source: Fisher 1935, "The Design of Experiments", section 21.
    """
    if len(differences) < 2 or not any(differences):
        return 1.0
    if len(differences) > _MOST_EXACT and all(float(difference).is_integer() for difference in differences):
        return _whole_p([int(difference) for difference in differences])
    tested = stats.permutation_test(
        (np.asarray(differences, dtype=float),),
        np.mean,
        permutation_type="samples",
        n_resamples=2**_MOST_EXACT,
        batch=min(2**_MOST_EXACT, max(1, _MOST_SIGNS // len(differences))),
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(tested.pvalue)


def _whole_p(differences: Sequence[int]) -> float:
    """`paired_p` of whole numbers: how often their sum is at least as far from 0 if every sign is random.

    Of k differences of the size s, the sum is s times (2 times a binomial count of k minus k).
    """
    sizes, counts = np.unique(np.abs(differences), return_counts=True)
    probabilities = np.ones(1)  # of the sums -reach, -reach + 1, ..., reach
    for size, count in zip(sizes[sizes > 0].tolist(), counts[sizes > 0].tolist(), strict=True):
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        probabilities = np.convolve(probabilities, steps)
    reach = len(probabilities) // 2
    is_as_far = np.abs(np.arange(-reach, reach + 1)) >= abs(sum(differences))
    return float(min(1.0, probabilities[is_as_far].sum()))


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number of tests.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6.
    """
    corrected = [0.0] * len(p)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = largest
    return corrected


def seeds_needed(n_tests: int) -> int:
    """The fewest paired seeds with which one of so many tests can be significant: 6 for one test, 10 for up to 25.

    With n seeds the least possible p is 2 / 2^n, and Holm multiplies the smallest p of a table by the number of tests.
    """
    return math.ceil(1 + math.log2(max(n_tests, 1) / (1 - LEVEL)))
