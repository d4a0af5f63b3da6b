"""Claimed against measured: the figures of a scale, each with its values, interval and verdict."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from nexus_bench.analysis.select_recipes import select_recipes
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.suite import Suite
from nexus_bench.io.columns import FAILED, Row
from nexus_bench.io.config import Config
from nexus_bench.io.csv_files import rows_of
from nexus_bench.io.hops import format_hops
from nexus_bench.reproductions.selection import Values, planned_rows, rows_of_figure, told, values
from nexus_bench.reproductions.spec import Check, Figure, Reproduction
from nexus_bench.reproductions.verdict import interval_of, together, verdict_of

_RELATIONS = {
    **{"equals": "", "at_least": "at least ", "at_most": "at most "},
    **{"above": "above ", "near": "like ", "not_below": "not below "},
}


class JudgedFigure(NamedTuple):
    """One figure, claimed and measured.

    Attributes:
        row: The row of reproduction.csv.
        claimed: What is claimed, in words.
        verdict: On this figure.
        n_failed: Seeds that are missing since a cell of theirs failed; the others are not trained yet.
    """

    row: Row
    claimed: str
    verdict: str
    n_failed: int


class JudgedClaim(NamedTuple):
    """A claim, claimed and measured.

    Attributes:
        figures: Every figure of every check, in their order.
        checks: The verdict on each check.
        verdict: On the whole claim.
        n_missing: Values that are missing, as cells failed or are not trained yet.
    """

    figures: list[JudgedFigure]
    checks: list[str]
    verdict: str
    n_missing: int


def check_figures(reproduction: Reproduction, scale: str) -> None:
    """Check that every figure selects rows that the suite and the questions of a scale will give.

    Raises:
        ConfigError: The suite is not valid, or a figure selects nothing, or too much.
    """
    suite = reproduction.suite(scale)
    _judged(reproduction, scale, _planned(reproduction, scale, suite), len(suite.seeds))


def judge(reproduction: Reproduction, scale: str, results: pd.DataFrame) -> JudgedClaim:
    """Compare what is claimed with the results of a run, finished or not.

    Args:
        reproduction: The reproduction.
        scale: Which of its scales was trained.
        results: Its results.csv.

    Raises:
        ConfigError: The suite of the scale is not valid, or a figure selects nothing, or too much.
    """
    suite = reproduction.suite(scale)
    planned = _planned(reproduction, scale, suite)
    return _judged(reproduction, scale, planned, len(suite.seeds), rows_of(select_recipes(results)))


def _planned(reproduction: Reproduction, scale: str, suite: Suite) -> list[Row]:
    try:
        return planned_rows(suite, reproduction.scale(scale).ask)
    except ConfigError as error:
        raise ConfigError(f"reproduction {reproduction.reproduction}: {scale}: {error}") from error


def _judged(
    reproduction: Reproduction, scale: str, planned: list[Row], n_seeds: int, measured: Sequence[Row] | None = None
) -> JudgedClaim:
    checks = reproduction.scale(scale).checks
    n_figures = sum(len(check.figures) for check in checks)
    found: list[list[JudgedFigure]] = []
    for number, check in enumerate(checks, 1):
        of_check = []
        for nth, figure in enumerate(check.figures, 1):
            what = f"reproduction {reproduction.reproduction}: {scale}: check {number}, figure {nth}"
            made = _SourcedFigure(check, figure, planned, measured, n_seeds, what)
            of_check.append(made.judged(number, n_figures))
        found.append(of_check)
    figures = [one for of_check in found for one in of_check]
    verdicts = [together(one.verdict for one in of_check) for of_check in found]
    n_missing = sum(one.row["n_missing"] for one in figures)
    return JudgedClaim(figures, verdicts, together(one.verdict for one in figures), n_missing)


class _SourcedFigure(NamedTuple):
    """A figure, and where its values come from."""

    check: Check
    figure: Figure
    planned: list[Row]
    measured: Sequence[Row] | None
    n_seeds: int
    what: str

    def judged(self, number: int, n_figures: int) -> JudgedFigure:
        check, figure = self.check, self.figure
        where, hops = check.where | figure.where, figure.hops or check.hops
        rows, by_seed = self._values(where, hops)
        against, failed = figure.against, self._failed(where)
        if against is not None:
            failed |= self._failed(where | against)
            same, others = self._values(where | against, hops)
            if same == rows:
                raise ConfigError(f"{self.what}: is compared with itself; name what differs under {figure.relation}")
            if _hops_of(same) != _hops_of(rows):
                raise ConfigError(
                    f"{self.what}: is of hops {_hops_of(rows)}, and what it is compared with of hops {_hops_of(same)}; "
                    "name `hops` that both have"
                )
            by_seed = {seed: by_seed[seed] - others.get(seed, math.nan) for seed in by_seed}
        seeds = list(by_seed.values()) + [math.nan] * (self.n_seeds - len(by_seed))
        top = {"accuracy": 1.0, "reach": float(max(row["hop"] for row in rows))}.get(check.measure, math.inf)
        bounds = (0.0, top) if against is None else (-top, top)
        self._check_value(top, bounds)
        interval = interval_of(seeds, n_figures=n_figures, bounds=bounds)
        there = [value for value in seeds if not math.isnan(value)]
        verdict = verdict_of(interval, figure.accepted, n_seeds=len(there))
        row = {
            "check": number,
            "claim": check.claim,
            "measure": check.measure,
            "where": told(where),
            "hops": _hops_of(rows),
            "relation": figure.relation,
            "against": None if against is None else told(against),
            "claimed": figure.by if figure.relation == "above" else figure.claimed,
            "within": figure.within,
            **interval._asdict(),
            "n_seeds": len(there),
            "n_missing": len(seeds) - len(there),
            "seeds": there,
            "verdict": verdict,
        }
        return JudgedFigure(row, _words(figure), verdict, len(failed))

    def _check_value(self, top: float, bounds: tuple[float, float]) -> None:
        """Refuse a figure whatever the results would be: one that no value meets, or that all values do.

        Raises:
            ConfigError: It is so.
        """
        figure, (low, high) = self.figure, self.figure.accepted
        value, name = (figure.by, "by") if figure.claimed is None else (figure.claimed, figure.relation)
        if not 0 <= value <= top:
            allowed = "0 or more" if top == math.inf else f"in 0..{top:g}"
            raise ConfigError(f"{self.what}: {name} must be {allowed} for {self.check.measure}, got {value:g}")
        if low <= bounds[0] and bounds[1] <= high:
            raise ConfigError(f"{self.what}: every {self.check.measure} is accepted; claim something that can fail")

    def _values(self, where: Config, hops: tuple[int, ...] | None) -> tuple[list[Row], Values]:
        """The planned rows, and the values of the measured ones; none where nothing is measured yet."""
        planned = rows_of_figure(self.planned, where, hops, what=self.what)
        return planned, values(self._there(where, hops), self.check.measure)

    def _failed(self, where: Config) -> set[int]:
        """Seeds whose cell failed; it has no rows of what was asked later, only those of its test split."""
        own = {name: value for name, value in where.items() if name != "split"}
        return {row["seed"] for row in self._there(own, None) if row["status"] == FAILED}

    def _there(self, where: Config, hops: tuple[int, ...] | None) -> list[Row]:
        """The measured rows, of failed cells too; none where they are not one set, as of what is not trained yet."""
        try:
            return rows_of_figure(self.measured or [], where, hops, what=self.what)
        except ConfigError:  # of what is planned, each figure is one set of rows
            return []


def _hops_of(rows: list[Row]) -> str:
    return format_hops(tuple(sorted({row["hop"] for row in rows})))


def _words(figure: Figure) -> str:
    """What is claimed of a figure, as a table shows it."""
    name, against = figure.relation, figure.against
    if against is None:
        tolerance = f" ± {figure.within:g}" if name == "equals" else f", within {figure.within:g}"
        return f"{_RELATIONS[name]}{figure.claimed:g}{tolerance if figure.within else ''}"
    more = f" by {figure.by:g} or more" if figure.by else f", within {figure.within:g}"
    return f"{_RELATIONS[name]}{told(against)}{more if figure.by or figure.within else ''}"
