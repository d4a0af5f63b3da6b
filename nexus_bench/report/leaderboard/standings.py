"""What every model of several runs comes to in every setting: the numbers of a leaderboard, each of one run alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from nexus_bench.analysis.intervals import Interval, exact_interval, t_interval, wilson_interval
from nexus_bench.analysis.reached import seeds_reached
from nexus_bench.analysis.select_recipes import select_recipes
from nexus_bench.analysis.summary import REACHED, SETTING, reaches_of
from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.io.columns import SCORED, VAL
from nexus_bench.io.plurals import counted
from nexus_bench.io.read_results import PRETRAIN, command_of, read_results
from nexus_bench.report.rows import beside_trained, on_one_axis, told_apart
from nexus_bench.report.tables import names_of
from nexus_bench.report.words.reaches import Reach, reach_of
from nexus_bench.report.words.section_titles import apart, asked, named, that_differ


class Setting(NamedTuple):
    """A task at one size with one length of training: what is comparable.

    Attributes:
        number: From 0, in the order of the runs.
        task: The task family.
        shape: The encoding: `fact`, `flat`, `sequence` or `text`.
        title: The task, its size and how models were trained.
        apart: What tells it from the other settings of its task, in words; empty for the only one.
        largest: The largest hop asked.
    """

    number: int
    task: str
    shape: str
    title: str
    apart: str
    largest: int


class Standing(NamedTuple):
    """What one model of one run comes to in one setting.

    Attributes:
        run: The name of the run.
        task: The task family.
        shape: The encoding.
        setting: Number of the setting; only models with the same number can be compared.
        model: The model in words.
        shown_as: What the report of the run calls it.
        order: Attention order.
        reach: The largest hop that at least half of the seeds reach; null where nothing is claimed or all cells failed.
        n_reached: Seeds that reach this hop; where `reach` is 0, the smallest hop asked.
        n_seeds: Seeds measured.
        low: Lower end of the 95% Clopper-Pearson interval of n_reached / n_seeds; null for answers of other models.
        high: Its upper end.
        accuracy: Mean over seeds of the mean accuracy over the hops asked.
        accuracy_low: Lower end of its 95% interval.
        accuracy_high: Its upper end.
        hops: The hops asked.
        accuracies: Accuracy at each of them, mean over seeds.
        reaches: Hop reach of each seed, at most the largest hop that something is claimed of.
        mean_reach: Their mean.
        mean_low: Lower end of its 95% t-interval, from 0 to the largest hop claimed; null where all seeds agree.
        mean_high: Its upper end.
        n_failed: Cells that failed; they are left out of every figure.
        n_params: Trained parameters.
        train_flops: Operations of the whole training (flops_per_step times steps made), mean over seeds.
        cells: The cells.
    """

    run: str
    task: str
    shape: str
    setting: int
    model: str
    shown_as: str
    order: int
    reach: int | None
    n_reached: int
    n_seeds: int
    low: float
    high: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    hops: list[int]
    accuracies: list[float]
    reaches: list[int]
    mean_reach: float
    mean_low: float
    mean_high: float
    n_failed: int
    n_params: int | None
    train_flops: float
    cells: list[str]

    @property
    def place(self) -> tuple[float, float, float]:
        """What models of a setting are sorted by: reach, then the share of seeds, then accuracy."""
        share = self.n_reached / self.n_seeds if self.n_seeds else 0.0
        nothing = -1.0 if self.reach is None else float(self.reach)
        return nothing, share, -1.0 if pd.isna(self.accuracy) else round(self.accuracy, 6)


class GatheredStandings(NamedTuple):
    """The settings and standings of several runs, and what was left out of them, in sentences."""

    settings: list[Setting]
    standings: list[Standing]
    left_out: list[str]


def run_names(runs: Sequence[Path]) -> list[str]:
    """The name of each run: its folder, with as many folders above it as tell it from the others.

    Raises:
        UsageError: There is no run, or one is given twice.
    """
    if not runs:
        raise UsageError("a leaderboard needs at least one run folder")
    parts = [run.resolve().parts for run in runs]
    for number, one in enumerate(parts):
        if one in parts[:number]:
            raise UsageError(f"{runs[number]}: is given twice; name it once")
    depths = [1] * len(runs)
    while True:
        names = ["/".join(one[-depth:]) for one, depth in zip(parts, depths, strict=True)]
        twice = [names.count(name) > 1 for name in names]
        if not any(twice):
            return names
        depths = [depth + is_twice for depth, is_twice in zip(depths, twice, strict=True)]


def gather(runs: Sequence[Path]) -> GatheredStandings:
    """The standings of all models in all runs.

    Each run is summarised by itself, as in its report: seeds of two runs are never pooled.

    Raises:
        ConfigError: A run is of an older format, has no row of the test split, or no run has hops.
        CorruptArtefactError: A file of a run is missing, truncated or edited.
        StorageError: A folder is not a run folder.
        UsageError: There is no run, or one is given twice.
    """
    frames, left_out = [], []
    for name, run in zip(run_names(runs), runs, strict=True):
        if command_of(run) == PRETRAIN:
            left_out.append(f"{name} is of `pretrain`, which asks no hops; `nexus-bench losses` shows it")
            continue
        results = read_results(run)
        try:
            frames.append(select_recipes(told_apart(results)).assign(run=name))
        except ConfigError as error:
            raise ConfigError(f"{run}: {error}") from error
    if not frames:
        raise ConfigError(f"none of these folders has hops to show: {'; '.join(left_out)}")
    rows = beside_trained(pd.concat(frames, ignore_index=True))
    rows = on_one_axis(rows[rows["split"] != VAL])
    rows = rows.assign(setting=rows.groupby(list(SETTING), sort=False, dropna=False).ngroup())
    standings: list[Standing] = []
    known: dict[tuple[int, str], list[set[tuple[Any, ...]]]] = {}
    for _, of_run in rows.groupby(["setting", "run"], sort=False):
        short = names_of(of_run).short
        copied = 0
        for model, group in of_run.groupby("model", sort=False):
            measured = set(group[["cell_id", "hop", "n_correct"]].itertuples(index=False, name=None))
            same = known.setdefault((int(group["setting"].iloc[0]), str(model)), [])
            if measured in same:
                copied += 1
                continue
            same.append(measured)
            standings.append(_standing(group, short[str(model)]))
        if copied:
            name = of_run["run"].iloc[0]
            told = f"{counted(copied, 'model')} of {name} {'has' if copied == 1 else 'have'}"
            left_out.append(f"{told} the same cells as a run before it, and each counts once")
    return GatheredStandings(_settings(rows), standings, left_out)


def _settings(rows: pd.DataFrame) -> list[Setting]:
    parts = [part for _, part in rows.groupby("setting", sort=True)]
    firsts = [part.iloc[0] for part in parts]
    differ = that_differ(rows)
    trained_size = pd.Series(dtype="Int64")  # the same: rows are of no other law than that of training
    return [
        Setting(
            number,
            str(first["task"]),
            str(first["encoding"]),
            f"{named(part, differ)}, {asked(part, trained_size)}",
            label,
            int(part["hop"].max()),
        )
        for number, (part, first, label) in enumerate(zip(parts, firsts, apart(firsts), strict=True))
    ]


def _standing(rows: pd.DataFrame, shown_as: str) -> Standing:
    """The standing of one model.

    Args:
        rows: Its rows in one run and setting, as `on_one_axis` gives them.
        shown_as: What the report of the run calls it.
    """
    first = rows.iloc[0]
    counts = seeds_reached(rows)
    reach = reach_of(counts[counts["threshold"] == REACHED])
    is_done = rows["accuracy"].notna().groupby(rows["cell_id"]).transform("all")
    done = rows[is_done]
    cells = done.drop_duplicates("cell_id")
    claimed = max((count.hop for count in reach.counts), default=0)
    reaches = [min(int(found), claimed) for found in reaches_of(done, ["cell_id"])] if len(done) else []
    means = t_interval(reaches if claimed else [], bounds=(0, claimed))
    half, n_reached, n_seeds = _half_way(reach)
    share = exact_interval(n_reached, n_seeds if reach.has_seeds and half is not None else 0)
    accuracy = _accuracy(done)
    by_hop = done.groupby("hop")["accuracy"].mean()
    flops = (cells["flops_per_step"] * cells["steps_done"].fillna(cells["steps"])).astype("Float64")
    return Standing(
        run=str(first["run"]),
        task=str(first["task"]),
        shape=str(first["encoding"]),
        setting=int(first["setting"]),
        model=str(first["model"]),
        shown_as=shown_as,
        order=1 if pd.isna(first["order"]) else int(first["order"]),
        reach=half,
        n_reached=n_reached,
        n_seeds=n_seeds,
        low=share.low,
        high=share.high,
        accuracy=accuracy.mean,
        accuracy_low=accuracy.low,
        accuracy_high=accuracy.high,
        hops=[int(hop) for hop in by_hop.index],
        accuracies=[float(value) for value in by_hop],
        reaches=reaches,
        mean_reach=means.mean,
        mean_low=means.low,
        mean_high=means.high,
        n_failed=rows["cell_id"].nunique() - len(cells),
        n_params=None if cells.empty or pd.isna(cells["n_params"].iloc[0]) else int(cells["n_params"].iloc[0]),
        train_flops=float("nan") if flops.isna().all() else float(flops.mean()),
        cells=[str(cell_id) for cell_id in rows["cell_id"].unique()],
    )


def _half_way(reach: Reach) -> tuple[int | None, int, int]:
    """The largest hop that at least half of the seeds reach, how many do, and of how many.

    Where none is, 0, with the seeds that reach the smallest hop; None where nothing is claimed.
    """
    if not reach.counts or not reach.n_seeds:
        return None, 0, reach.n_seeds
    there = [count for count in reach.counts if 2 * count.n_reached >= count.n_seeds > 0]
    at = there[-1] if there else reach.counts[0]
    return (at.hop if there else 0), at.n_reached, at.n_seeds


def _accuracy(done: pd.DataFrame) -> Interval:
    """Over the hops asked: of seeds Student's interval; of answers from elsewhere, which have none, Wilson's."""
    if len(done) and (done["status"] == SCORED).all():
        return wilson_interval(int(done["n_correct"].sum()), int(done["n_examples"].sum()))
    return t_interval([float(value) for value in done.groupby("cell_id", sort=False)["accuracy"].mean()])
