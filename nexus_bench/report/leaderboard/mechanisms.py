"""The page of mechanisms by tasks: `python -m nexus_bench.report.leaderboard.mechanisms RUN... docs/mechanisms.md`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nexus_bench.analysis.select_recipes import is_tuning
from nexus_bench.analysis.summary import SETTING
from nexus_bench.io.files import write_atomic
from nexus_bench.io.plurals import counted
from nexus_bench.io.read_results import read_results
from nexus_bench.io.scripts import errors_in_a_line, paths_given, tell_absent
from nexus_bench.report.as_markdown import table_as_markdown
from nexus_bench.report.leaderboard.standings import GatheredStandings, Setting, Standing, gather, run_names
from nexus_bench.report.tables import Row, Table, number

_HEAD = """# Mechanisms by tasks

Written by `python -m nexus_bench.report.leaderboard.mechanisms runs/beside/mechanisms runs/beside/mechanisms-flat
docs/mechanisms.md` from runs of the suites `mechanisms` and `mechanisms-flat`: new mechanisms on the tasks of the
[reproductions](reproductions.md), as sequences of tokens and small enough for all of them together. Each mechanism has
two blocks and about the parameters of standard attention of width 64. Of the learning rates 1e-3 and 3e-3 the better on
validation of another seed is trained on 3 seeds. **This is exploration**: nothing was declared, no difference is
tested, and a mechanism that fails here may learn the task at another size, length or rate.

```
nexus-bench train mechanisms --mode tf32
nexus-bench train mechanisms-flat --mode tf32
nexus-bench leaderboard runs/mechanisms runs/mechanisms-flat -o board    # the same numbers to hover and sort
```
"""
_NOTHING = "Neither suite has been trained for this page yet."
_ABOUT = {
    "accuracy": (
        "The mean over the hops asked of the test split, then over seeds, and half its 95% t-interval, or its longer "
        "side, where it is cut off at 0 or 1; none if all seeds agree."
    ),
    "reach": (
        "The largest hop up to which accuracy stays at .95 or more, as a mean over seeds, likewise, cut off at 0 or "
        "the largest hop that counts. Hops from the first whose partial-input ceiling is .95 or more do not count, as "
        "in `brevo` at 3; where none is left, `-`."
    ),
}


class _Matrix(NamedTuple):
    """Mechanisms by tasks, of one run.

    Attributes:
        names: Label -> name, of all mechanisms that were tried, in the order of the suite.
        settings: The tasks of the run.
        standings: What was measured.
    """

    names: dict[str, str]
    settings: list[Setting]
    standings: list[Standing]

    @property
    def trained(self) -> dict[str, str]:
        """The names of what was measured."""
        measured = {one.model for one in self.standings}
        return {label: name for label, name in self.names.items() if label in measured}


def mechanisms_page(runs: Sequence[Path]) -> str:
    """The page as Markdown.

    Args:
        runs: Run folders; those that are not there, or in which nothing has been trained but to choose learning rates,
            are left out.

    Raises:
        ConfigError: A run is of an older format, or has no row of the test split.
        CorruptArtefactError: A file of a run is missing, truncated or edited.
    """
    tables = {run: read_results(run) for run in runs if run.is_dir()}
    there = {run: cells for run, cells in tables.items() if not is_tuning(cells).all()}
    if not there:
        return f"{_HEAD}\n{_NOTHING}\n"
    found = gather(list(there))
    matrices = _matrices(found, dict(zip(run_names(list(there)), there.values(), strict=True)))
    parts = [
        _HEAD,
        _settings(found),
        _left(pd.concat(there.values(), ignore_index=True)),
        "## Accuracy",
        _table(matrices, "accuracy", _accuracy),
    ]
    parts += ["## Hop reach", _table(matrices, "reach", _reach), "## What they cost", _costs(matrices)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _settings(found: GatheredStandings) -> str:
    """Which column is which task, and what failed."""
    lines = [f"- **{_column(setting)}**: {setting.title}" for setting in found.settings]
    failed = sum(standing.n_failed for standing in found.standings)
    notes = [f"{counted(failed, 'cell')} failed, and stand in no figure."] if failed else []
    return "\n".join([*lines, "", *notes])


def _left(cells: pd.DataFrame) -> str:
    """What has only been tuned until now, or lacks seeds that others have; empty if nothing is left."""
    measured = cells[~is_tuning(cells)]
    pair = [*SETTING, "model"]
    n_tried, n_seeds = len(cells.drop_duplicates(pair)), measured.groupby(pair, dropna=False)["seed"].nunique()
    n_measured, n_short = len(n_seeds), int((n_seeds < n_seeds.max()).sum())
    if n_measured == n_tried and not n_short:
        return ""
    without = [
        f"{counted(len(names), what)} ({', '.join(sorted(names))})"
        for column, what in (("attention", "mechanism"), ("task", "task"))
        if (names := set(cells[column]) - set(measured[column]))
    ]
    nothing = f" Without any figure: {' and '.join(without)}." if without else ""
    short = f", {n_short} of them on fewer than {n_seeds.max()} seeds" if n_short else ""
    return (
        f"**Not whole**: {n_measured} of {n_tried} pairs of a mechanism and a task are trained beyond the choice of a "
        f"rate{short}.{nothing}"
    )


def _matrices(found: GatheredStandings, tables: dict[str, pd.DataFrame]) -> list[_Matrix]:
    matrices = []
    for run, cells in tables.items():
        standings = [one for one in found.standings if one.run == run]
        numbers = {one.setting for one in standings}
        settings = [setting for setting in found.settings if setting.number in numbers]
        matrices.append(_Matrix(_short_names(list(cells["model"].unique())), settings, standings))
    return matrices


def _short_names(labels: Sequence[str]) -> dict[str, str]:
    """Labels without the parts that no two of them need to be told apart.

    So a mechanism has one name in all columns, whichever others have been trained there.
    """
    parts = {label: label.split(", ") for label in labels}
    for kind in dict.fromkeys(_kind(part) for of_one in parts.values() for part in of_one[1:]):
        fewer = {label: [of_one[0], *(p for p in of_one[1:] if _kind(p) != kind)] for label, of_one in parts.items()}
        if len(set(map(tuple, fewer.values()))) == len(parts):
            parts = fewer
    return {label: ", ".join(of_one) for label, of_one in parts.items()}


def _kind(part: str) -> str:
    """What a part of a label is about: `order` of `order 2`, `inject` of `inject`."""
    return part.rpartition(" ")[0] or part


def _table(matrices: Sequence[_Matrix], name: str, cell: Callable[[Standing], str]) -> str:
    """For each run a row per mechanism, a column per setting."""
    told = []
    for one in matrices:
        at = {(standing.model, standing.setting): cell(standing) for standing in one.standings}
        rows = [
            Row([short, *(at.get((label, setting.number), "") for setting in one.settings)], (), ())
            for label, short in one.trained.items()
        ]
        told.append(table_as_markdown(Table(name, "", "", ["model", *map(_column, one.settings)], rows, [])))
    return "\n\n".join([*told, _ABOUT[name]])


def _costs(matrices: Sequence[_Matrix]) -> str:
    """Parameters and operations of a whole training, relative to the first model of each run."""
    told = []
    for one in matrices:
        baseline = next(iter(one.names))
        first = {standing.setting: standing for standing in one.standings if standing.model == baseline}
        rows = []
        for label, short in one.trained.items():
            pairs = [(s, first[s.setting]) for s in one.standings if s.model == label and s.setting in first]
            sizes = [s.n_params / base.n_params for s, base in pairs if s.n_params and base.n_params]
            work = [s.train_flops / base.train_flops for s, base in pairs]
            rows.append(Row([short, _range(sizes), _range(work)], (), ()))
        told.append(table_as_markdown(Table("costs", "", "", ["model", "parameters", "operations"], rows, [])))
    about = (
        "Both relative to the first mechanism of the suite on the same tasks, where both are trained; operations of "
        "the training that was made, which ends early once a task is solved."
    )
    return "\n\n".join([*told, about])


def _column(setting: Setting) -> str:
    return f"{setting.task}, {setting.apart}" if setting.apart else setting.task


def _accuracy(one: Standing) -> str:
    return _with_half_width(one.accuracy, one.accuracy_low, one.accuracy_high, digits=3)


def _reach(one: Standing) -> str:
    return _with_half_width(one.mean_reach, one.mean_low, one.mean_high, digits=1)


def _with_half_width(mean: float, low: float, high: float, *, digits: int) -> str:
    """An end that is cut off at the least or largest value possible is no half; equal seeds have no interval."""
    half = 0.0 if pd.isna(low) else max(high - mean, mean - low)
    return f"{number(mean, digits)} ± {half:.{digits}f}" if half else number(mean, digits)


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


if __name__ == "__main__":
    with errors_in_a_line():
        *folders, page = paths_given("nexus_bench.report.leaderboard.mechanisms RUN... PAGE", least=2)
        tell_absent(folders)
        write_atomic(page, mechanisms_page(folders))
