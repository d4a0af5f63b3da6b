"""When a claim holds: the rule, on plain numbers."""

import math
from collections.abc import Iterable, Sequence

from nexus_bench.analysis.intervals import LEVEL, Interval, t_interval

HOLDS, IN_PART, FAILS, OPEN = "holds", "holds in part", "does not hold", "not decided"  # values of `verdict`
FEWEST_SEEDS = 3  # that decide anything
_ROUNDING = 1e-9  # of sums and differences of measured values

RULE = f"""\
A figure is a mean over seeds, or the mean of differences from other rows, paired by seed. Its interval is Student's, at
a level such that all intervals of a scale hold together with {LEVEL:.0%} confidence (Bonferroni: each of n is at the
level 1 - {1 - LEVEL:.2f} / n). The claim about it accepts some values: a value within a tolerance, at least or at most
a value, or a difference of at least so much.

- *{HOLDS}*: the whole interval is accepted.
- *{FAILS}*: no value of the interval is accepted.
- *{OPEN}*: some values of the interval are accepted and others are not; or a seed has no value, since its cell failed
  or was not trained; or there are fewer than {FEWEST_SEEDS} seeds.

If all seeds agree, the interval has no width, and what is decided rests on their number alone. Of several figures
together (a check, or the whole claim): *{IN_PART}* if some hold and some do not. Otherwise, if any is not decided,
*{OPEN}*; else they all hold, or none does.
"""


def interval_of(values: Sequence[float], *, n_figures: int, bounds: tuple[float, float]) -> Interval:
    """The interval of a figure among several: a mean over seeds, without bounds if a value is missing.

    Args:
        values: One per seed; NaN where it is missing.
        n_figures: Figures whose intervals hold together.
        bounds: Smallest and largest possible value.
    """
    there = [value for value in values if not math.isnan(value)]
    made = t_interval(there, level=1 - (1 - LEVEL) / n_figures, bounds=bounds)
    return made if len(there) == len(values) else Interval(made.mean, math.nan, math.nan)


def verdict_of(interval: Interval, accepted: tuple[float, float], *, n_seeds: int) -> str:
    """The verdict on one figure.

    Args:
        interval: As from `interval_of`.
        accepted: The least and the largest value with which it holds.
        n_seeds: Seeds that have a value.
    """
    low, high = interval.low + _ROUNDING, interval.high - _ROUNDING
    if n_seeds < FEWEST_SEEDS or math.isnan(interval.low):
        return OPEN
    if accepted[0] <= low and high <= accepted[1]:
        return HOLDS
    if interval.high < accepted[0] - _ROUNDING or interval.low > accepted[1] + _ROUNDING:
        return FAILS
    return OPEN


def together(verdicts: Iterable[str]) -> str:
    """The verdict on several figures: what every way to decide the open ones would give, or that it is open."""
    found = set(verdicts)
    if {HOLDS, FAILS} <= found or IN_PART in found:
        return IN_PART
    if not found or OPEN in found:
        return OPEN
    return found.pop()
