"""Is a run worse than the one before? Cells are paired by their columns, and their difference is tested over seeds."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from nexus_bench.analysis.intervals import LEVEL, Interval, share_difference, t_interval
from nexus_bench.analysis.summary import MODEL, RECIPE, SETTING, hop_reach
from nexus_bench.errors import ConfigError
from nexus_bench.io.columns import FAILED, TEST
from nexus_bench.io.options import only, varying

METRICS = ("accuracy", "reach")
REGRESSION, WITHIN_NOISE, OK, IMPROVEMENT = "regression", "within noise", "ok", "improvement"
MISSING, NEW_ONLY = "missing", "new only"  # and FAILED, as in `status`
FAILING = (REGRESSION, FAILED)
EXAMPLES_ONLY = "one seed: the interval covers the noise of examples, not that of training"
LACKS = "the new run has no"
FAILED_BEFORE = ("failed in the base at", "failed in both runs at")  # seeds that fail nothing and are in no mean
NO_INTERVAL = "one seed: no interval, so any drop beyond the allowed one counts"
IDENTITY = (*SETTING, *MODEL, *RECIPE, "curriculum")  # versions of code, mode and suite are left out: they may differ
_ROUNDING = 1e-9  # a drop of 1 - 0.98 is no more than 0.02
_MOST_NAMED = 5  # values in an error message


class Compared(NamedTuple):
    """One (setting, model, recipe) in both runs, at one hop or over all of them.

    Attributes:
        cell: Its columns of IDENTITY; None where they are empty.
        split: The split of the examples.
        hop: Of accuracy; None for reach.
        metric: `accuracy` or `reach`.
        base_seeds: The base at each seed that both runs measured; if the new run measured none, at all its own seeds.
        new_seeds: The new run, likewise.
        difference: Mean over the paired seeds of new minus base, and its interval, which is NaN where there is none.
        level: Confidence of this interval; NaN where there is none.
        verdict: `regression`: the mean fell by more than is allowed, and the interval is below 0. `within noise`: it
            fell as far, but the interval reaches 0. `improvement`: it rose as far, and the interval is above 0. `ok`:
            none of these. `failed`: a cell that the base measured failed in the new run. `missing`: the new run has
            no value to compare with the base. `new only`: only the new run measured it.
        note: Why there is no verdict, or what it leaves out.
    """

    cell: dict[str, Any]
    split: str
    hop: int | None
    metric: str
    base_seeds: list[float]
    new_seeds: list[float]
    difference: Interval
    level: float
    verdict: str
    note: str

    @property
    def n_seeds(self) -> int:
        """How many seeds are paired."""
        return min(len(self.base_seeds), len(self.new_seeds))

    @property
    def base(self) -> float:
        """The mean of `base_seeds`."""
        return t_interval(self.base_seeds).mean

    @property
    def new(self) -> float:
        """The mean of `new_seeds`."""
        return t_interval(self.new_seeds).mean


class _Score(NamedTuple):
    """One seed: NaN if it failed; the counts of examples behind it, if there are any."""

    value: float
    counts: tuple[int, int] | None = None


_Seeds = dict[int, _Score]
_Cells = dict[tuple[Any, ...], dict[int, _Seeds]]  # IDENTITY -> hop -> seed


class _Pair(NamedTuple):
    cell: tuple[Any, ...]
    hop: int | None
    base: _Seeds
    new: _Seeds

    @property
    def paired(self) -> list[int]:
        """Seeds that both measured."""
        return [seed for seed in _measured(self.base) if seed in _measured(self.new)]


def compare_results(
    base: pd.DataFrame,
    new: pd.DataFrame,
    *,
    metric: str,
    max_drop: float,
    split: str = TEST,
    confidence: float = LEVEL,
    strict: bool = False,
) -> list[Compared]:
    """Compare a run with the one before it.

    With two or more paired seeds the interval is Student's interval of the differences. With one seed, the interval of
    accuracy is Newcombe's interval for two shares of examples, which does not cover the variation of training; reach
    has no interval, and any drop beyond `max_drop` counts. Each interval holds by itself: with a correction for the
    size of the table, three seeds would show next to nothing. So at a confidence of 0.95 noise alone puts one interval
    in forty below zero; it counts as a regression only if the mean also fell by more than `max_drop`.

    Args:
        base: Rows of results.csv of the accepted run.
        new: Rows of results.csv of the run to check.
        metric: `accuracy`, hop by hop, or `reach`, over the hops that both have.
        max_drop: How far a mean may fall, in accuracy or in hops; 0 or more.
        split: The split to compare.
        confidence: Confidence of each interval; use more for a large grid.
        strict: A comparison that lacks a seed in the new run is `missing`, whatever the other seeds scored.

    Returns:
        One entry per cell (all seeds together) and hop, in the order of the base; then what only the new run has.

    Raises:
        ConfigError: The runs share no cells, or one of them holds several that its columns do not tell apart.
    """
    old = _cells(base, split, run="base")
    young = _cells(new, split, run="new run")
    pairs = [
        _Pair(cell, hop, before, after)
        for cell in dict.fromkeys([*old, *young])
        for hop, before, after in _by_hop(old.get(cell, {}), young.get(cell, {}), metric=metric)
    ]
    if not any(pair.paired or _failed(pair) for pair in pairs):
        raise ConfigError(_nothing_shared(old, young, split))
    largest = max((hop for cells in (old, young) for hops in cells.values() for hop in hops), default=1)
    bounds = (-1.0, 1.0) if metric == "accuracy" else (-float(largest), float(largest))
    compared = []
    for pair in pairs:
        difference, note = _difference(pair, level=confidence, bounds=bounds)
        verdict, reason = _verdict(pair, difference, max_drop, strict=strict)
        cell = dict(zip(IDENTITY, pair.cell, strict=True))
        ours, theirs = ([s[seed].value for seed in (pair.paired or _measured(s))] for s in (pair.base, pair.new))
        own_level = math.nan if math.isnan(difference.low) else confidence
        note = "; ".join(part for part in (reason, note) if part)
        compared.append(Compared(cell, split, pair.hop, metric, ours, theirs, difference, own_level, verdict, note))
    return compared


def _cells(results: pd.DataFrame, split: str, *, run: str) -> _Cells:
    rows = results[results["split"] == split]
    if rows.empty:
        has = ", ".join(dict.fromkeys(results["split"])) or "no rows"
        raise ConfigError(f"the {run} has no rows of split '{split}'; it has {has}")
    rows = rows.assign(curriculum=rows["curriculum"].fillna("none"))  # answers of other models have none
    names = (*IDENTITY, "seed", "hop", "accuracy", "n_correct", "n_examples")
    columns = [rows[name].astype(object).where(rows[name].notna(), None) for name in names]
    cells: _Cells = {}
    for *identity, seed, hop, accuracy, n_correct, n_examples in zip(*columns, strict=True):
        seeds = cells.setdefault(tuple(identity), {}).setdefault(int(hop), {})
        if seed in seeds:
            cell = dict(zip(IDENTITY, identity, strict=True))
            raise ConfigError(
                f"the {run} has several cells of {cell['task']}, {cell['model']}, seed {seed}, which the columns of "
                "results.csv do not tell apart; run each setting into a folder of its own"
            )
        counts = None if n_correct is None or n_examples is None else (int(n_correct), int(n_examples))
        seeds[seed] = _Score(math.nan if accuracy is None else float(accuracy), counts)
    return cells


def _by_hop(
    base: dict[int, _Seeds], new: dict[int, _Seeds], *, metric: str
) -> Iterable[tuple[int | None, _Seeds, _Seeds]]:
    if metric == "accuracy":
        return [(hop, base.get(hop, {}), new.get(hop, {})) for hop in dict.fromkeys([*base, *new])]
    shared = [hop for hop in base if hop in new]  # hop reach over different hops cannot be compared
    if base and new and not shared:
        new = {}
    return [(None, _reaches(base, shared or base), _reaches(new, shared or new))]


def _reaches(by_hop: Mapping[int, _Seeds], hops: Iterable[int]) -> _Seeds:
    accuracy: dict[int, dict[int, float]] = {}
    for hop in hops if by_hop else ():
        for seed, score in by_hop[hop].items():
            accuracy.setdefault(seed, {})[hop] = score.value
    return {
        seed: _Score(math.nan if any(map(math.isnan, at.values())) else hop_reach(at)) for seed, at in accuracy.items()
    }


def _measured(seeds: _Seeds) -> list[int]:
    return [seed for seed, score in seeds.items() if not math.isnan(score.value)]


def _failed(pair: _Pair) -> list[int]:
    return [seed for seed in _measured(pair.base) if seed in pair.new and math.isnan(pair.new[seed].value)]


def _difference(pair: _Pair, *, level: float, bounds: tuple[float, float]) -> tuple[Interval, str]:
    """The interval of new minus base, and a note on what it leaves out."""
    scores = [(pair.new[seed], pair.base[seed]) for seed in pair.paired]
    if len(scores) != 1:
        return t_interval([new.value - base.value for new, base in scores], level=level, bounds=bounds), ""
    new, base = scores[0]
    if new.counts is None or base.counts is None:
        return Interval(new.value - base.value, math.nan, math.nan), NO_INTERVAL
    return share_difference(new.counts, base.counts, level=level), EXAMPLES_ONLY


def _verdict(pair: _Pair, difference: Interval, max_drop: float, *, strict: bool) -> tuple[str, str]:
    """The verdict, and the reason for it where the numbers do not show it."""
    if failed := _failed(pair):
        return FAILED, f"failed at {_listed('seed', failed)}"
    if not pair.paired:
        return _unpaired(pair)
    absent = [seed for seed in _measured(pair.base) if seed not in pair.new]
    measured = _measured(pair.new)
    lost = [seed for seed in pair.base if seed in pair.new and math.isnan(pair.base[seed].value)]
    once, twice = [seed for seed in measured if seed in lost], [seed for seed in lost if seed not in measured]
    told = zip((LACKS, *FAILED_BEFORE), (absent, once, twice), strict=True)
    note = "; ".join(f"{what} {_listed('seed', seeds)}" for what, seeds in told if seeds)
    if absent and strict:
        return MISSING, note
    mean, low, high = difference
    if abs(mean) <= max_drop + _ROUNDING:
        return OK, note
    if mean > 0:  # without an interval (NaN) both comparisons are false, and only the mean counts
        return (OK if low <= 0 else IMPROVEMENT), note
    return (WITHIN_NOISE if high >= 0 else REGRESSION), note


def _unpaired(pair: _Pair) -> tuple[str, str]:
    if _measured(pair.base):
        return MISSING, "no seed of the base is in the new run" if pair.new else "the new run has no such cell"
    if _measured(pair.new):
        return NEW_ONLY, "failed in the base" if pair.base else "the base has no such cell"
    return MISSING, "measured in neither run"


def _nothing_shared(base: _Cells, new: _Cells, split: str) -> str:
    """The first column in which the runs differ, in one line."""
    keys = [[(*c, seed, hop) for c, hops in run.items() for hop in hops for seed in hops[hop]] for run in (base, new)]
    for i, name in enumerate((*IDENTITY, "seed", "hop")):
        before = {key[:i] for key in keys[0]} & {key[:i] for key in keys[1]}
        if not {key[: i + 1] for key in keys[0]} & {key[: i + 1] for key in keys[1]}:
            ours, theirs = (list(dict.fromkeys(key[i] for key in run if key[:i] in before)) for run in keys)
            if name.endswith("_options"):
                return _no_shared_options(name, ours, theirs, split)
            return (
                f"the runs share no cells of {split}: {_listed(name, ours)} in the base, {_listed(name, theirs)} in "
                "the new run; compare runs of the same suite"
            )
    return f"nothing to compare on {split}: every cell that both runs have failed in the base; train the base again"


def _no_shared_options(name: str, ours: list[Any], theirs: list[Any], split: str) -> str:
    """The keys in which the two closest sets of options differ."""
    pairs = ((varying([a, b]), a, b) for a in ours for b in theirs)
    keys, before, after = min(pairs, key=lambda pair: len(pair[0]))
    return (
        f"the runs share no cells of {split}: {name}: {only(before, keys)} in the base, {only(after, keys)} in the new "
        "run; compare runs of the same suite"
    )


def _listed(name: str, values: list[Any]) -> str:
    named = ", ".join("none" if value is None else str(value) for value in values[:_MOST_NAMED])
    return f"{name} {named}" + (f" and {len(values) - _MOST_NAMED} more" if len(values) > _MOST_NAMED else "")
