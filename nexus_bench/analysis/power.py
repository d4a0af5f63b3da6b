"""What a number of paired seeds can show at all, before any result is known."""

from functools import cache

from scipy import stats

from nexus_bench.analysis.intervals import LEVEL, paired_p, seeds_needed
from nexus_bench.io.plurals import counted


@cache
def fewest_further(n_seeds: int, n_tests: int) -> int | None:
    """On how many seeds one model must reach further, all others being ties, for the first of so many tests to show it.

    Differences are of one size. Holm multiplies the smallest p of a family by the number of its tests.

    Returns:
        None if not even all seeds would do.
    """
    shown = (n for n in range(n_seeds + 1) if n_tests * paired_p([1] * n + [0] * (n_seeds - n)) < 1 - LEVEL)
    return next(shown, None)


def power(n_seeds: int, n_tests: int, share: float) -> float:
    """The chance that a difference is shown, if the model reaches further on this share of all seeds that there are.

    On all others the two tie.

    Args:
        n_seeds: Paired seeds.
        n_tests: Tests of the family; this one is the first, as the one of the smallest p.
        share: From 0 to 1.
    """
    fewest = fewest_further(n_seeds, n_tests)
    return 0.0 if fewest is None else float(stats.binom.sf(fewest - 1, n_seeds, share))


def needs(n_tests: int, what: str = "comparison") -> str:
    """`2 comparisons need 7 seeds`: the fewest with which one of so many tests can show anything."""
    return f"{counted(n_tests, what)} need{'s' if n_tests == 1 else ''} {seeds_needed(n_tests)} seeds"
