"""A study as a verdict reads it: family by family, each figure with the row of a page that it stands in."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nexus_bench.analysis.declared import Declared, matching, read_declared
from nexus_bench.analysis.summary import REACHED
from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.io.bundled import bundled, read_bundled
from nexus_bench.io.columns import CURRICULUM, TEST
from nexus_bench.io.config import Config, read_config
from nexus_bench.io.packed import is_there
from nexus_bench.io.read_results import RESULTS, SPEC
from nexus_bench.report.build import Report
from nexus_bench.report.family_pages import FAMILIES, anchor_of, page_name, sections_of, shown_tables
from nexus_bench.report.section import Section
from nexus_bench.report.tables import Names, Table, names_of
from nexus_bench.report.words.brief_names import brief_names, named, without_curriculum


class CitedRow(NamedTuple):
    """A row of a table on the page of a family, to which a sentence of the verdict links.

    Attributes:
        target: The page and the anchor of the row, from the folder of the report.
        cells: Heading -> text.
    """

    target: str
    cells: Mapping[str, str]

    def link(self, text: str, *, to: str) -> str:
        """A text that points at the row; `to` is the folder of the report."""
        return f"[{text}]({to}/{self.target})"


class StudiedModel(NamedTuple):
    """What a study found of one model on one task family.

    Attributes:
        name: As short as it can be told apart from the others.
        order: Its attention order.
        label: As results name it.
        reach: Mean hop reach.
        seeds: Hop reach of each seed.
        rows: Table -> its row: `reached`, `reach`, `steps`, and `training` if that was timed.
    """

    name: str
    order: int
    label: str
    reach: float
    seeds: tuple[int, ...]
    rows: Mapping[str, CitedRow]


class DeclaredOutcome(NamedTuple):
    """A declared comparison on one family: its verdict, as `compare_models` gives it, and its row."""

    verdict: str
    row: CitedRow


class StudiedFamily(NamedTuple):
    """What a study found on one task family.

    Attributes:
        task: Its name.
        page: Its page, from the folder of the report.
        title: Its size and how models were trained.
        curriculum: Of its training, as labels have it; empty if there was none.
        hops: Those asked.
        claimed: Those of which something can be claimed, as the ceiling is low enough.
        ceiling: The row of the partial-input ceiling.
        models: By name, in the order of the suite.
        outcomes: One for each declared comparison; None where a model is missing.
        notes: Those of the report.
        figures: Kind -> name of the file, without suffix.
    """

    task: str
    page: str
    title: str
    curriculum: str
    hops: tuple[int, ...]
    claimed: tuple[int, ...]
    ceiling: CitedRow
    models: Mapping[str, StudiedModel]
    outcomes: tuple[DeclaredOutcome | None, ...]
    notes: tuple[str, ...]
    figures: Mapping[str, str]


class Pair(NamedTuple):
    """The names of the two models of a declared comparison."""

    model: str
    baseline: str


class Study(NamedTuple):
    """A study.

    Attributes:
        suite: The name of the bundled suite, or of what was run.
        families: Those with results, in the order of the suite.
        missing: Those of the bundled suite without results.
        pairs: What is declared.
        shared: What all models share, in words, but for the curriculum, which is that of the family.
        n_seeds: The seeds of a model, the fewest and the most.
    """

    suite: str
    families: tuple[StudiedFamily, ...]
    missing: tuple[str, ...]
    pairs: tuple[Pair, ...]
    shared: tuple[str, ...]
    n_seeds: tuple[int, int]

    @property
    def n_asked(self) -> int:
        """The families of the study, with those that are missing."""
        return len(self.families) + len(self.missing)


def runs_of(folder: Path) -> list[Path]:
    """The run in a folder, or all runs one level below, by name: a study can be run family by family.

    Raises:
        UsageError: There is none.
    """
    found = [path for path in (folder, *sorted(folder.glob("*/"))) if is_there(path / RESULTS)]
    if not found:
        raise UsageError(f"{folder}: holds no run; train one with `nexus-bench train reference -o {folder}`")
    return found[:1] if found[0] == folder else found


def study_of(report: Report, runs: Sequence[Path]) -> Study:
    """The study that a report is of.

    Args:
        report: The report on all of its runs.
        runs: Their folders; what they declare must be the same in all.

    Raises:
        ConfigError: Runs are of several studies, or a family has several settings.
    """
    specs = [read_config(run / SPEC) for run in runs]
    suite, all_tasks = _suite_of(specs)
    declared = read_declared(specs[0].get("comparisons"), where=str(runs[0] / SPEC))
    if any(read_declared(spec.get("comparisons"), where="") != declared for spec in specs):
        raise ConfigError(f"{runs[0]}: the runs of a study declare the same comparisons, these do not; give them apart")
    accuracy = report.accuracy[report.accuracy["split"] == TEST]
    names = names_of(accuracy.assign(model=accuracy["model"].map(without_curriculum)))
    brief = brief_names(names.short)
    tasks = sorted(
        dict.fromkeys(accuracy["task"]), key=lambda task: all_tasks.index(task) if task in all_tasks else len(all_tasks)
    )
    families = tuple(_family(report, task, declared, brief) for task in tasks)
    labels = list(names.short)
    pairs = tuple(Pair(*(named(side, labels, brief) for side in one)) for one in declared.asked)
    sizes = [len(model.seeds) for family in families for model in family.models.values()]
    missing = tuple(task for task in all_tasks if task not in tasks)
    return Study(suite, families, missing, pairs, tuple(names.common), (min(sizes), max(sizes)))


def _suite_of(specs: Sequence[Config]) -> tuple[str, list[str]]:
    """The suite that runs belong to, and all of its tasks; a family that was run by itself has a longer name."""
    suites = {str(spec.get("suite")) for spec in specs}
    known = [name for name in bundled("suite") if all(one == name or one.startswith(f"{name}-") for one in suites)]
    if known:
        suite = max(known, key=len)
        return suite, [str(entry["task"]) for entry in read_bundled("suite", suite)["tasks"]]
    if len(suites) > 1:
        raise ConfigError(f"the runs are of several suites: {', '.join(sorted(suites))}; a study is of one")
    return suites.pop(), []


def _family(report: Report, task: str, declared: Declared, brief: Mapping[str, str]) -> StudiedFamily:
    section = _main_section(report, task)
    of_task = report.accuracy[(report.accuracy["task"] == task) & (report.accuracy["split"] == TEST)]
    names = names_of(of_task)
    page = f"{FAMILIES}/{page_name(task)}"
    tables = {table.name: table for table in shown_tables(section)}
    reach = report.reach[(report.reach["task"] == task) & (report.reach["split"] == TEST)].set_index("model")
    reached = report.reached[(report.reached["task"] == task) & (report.reached["threshold"] == REACHED)]
    claims = reached[reached["split"] == TEST].groupby("hop")["n_reached"].apply(lambda counts: counts.notna().all())
    accuracy = tables["accuracy"]
    ceiling = _cited(page, accuracy, len(accuracy.rows) + len(accuracy.references))
    curricula = {label.partition(CURRICULUM)[2] for label in names.short}
    if len(curricula) > 1:
        raise ConfigError(f"{task}: has {len(curricula)} curricula in these results; a study has one of each family")
    told = {label: brief[without_curriculum(label)] for label in names.short}
    models = {
        told[label]: StudiedModel(
            told[label],
            names.orders[label],
            label,
            float(reach["mean"][label]),
            tuple(reach["seeds"][label]),
            {
                name: row
                for name in ("reached", "reach", "steps", "training")
                if (row := _row(page, tables, name, [short]))
            },
        )
        for label, short in names.short.items()
    }
    outcomes = tuple(_outcome(report.comparisons, task, *one, names, page, tables) for one in declared.asked)
    hops = tuple(sorted(int(hop) for hop in claims.index))
    claimed = tuple(hop for hop in hops if claims[hop])
    figures = {re.sub(r"_\d+$", "", picture.name): picture.name for picture in section.pictures}
    return StudiedFamily(
        task,
        page,
        section.title,
        curricula.pop(),
        hops,
        claimed,
        ceiling,
        models,
        outcomes,
        tuple(section.notes),
        figures,
    )


def _main_section(report: Report, task: str) -> Section:
    found = [one for one in sections_of(report, task) if any(table.name == "reach" for table in one.tables)]
    if len(found) != 1:
        raise ConfigError(f"{task}: has {len(found)} settings in these results; a study has one of each family")
    if found[0] is not sections_of(report, task)[0]:
        raise ConfigError(f"{task}: the first section of its page is not of the test split")
    return found[0]


def _outcome(
    comparisons: pd.DataFrame,
    task: str,
    model: str,
    baseline: str,
    names: Names,
    page: str,
    tables: Mapping[str, Table],
) -> DeclaredOutcome | None:
    sides = [matching(name, list(names.short)) for name in (model, baseline)]
    if any(len(side) != 1 for side in sides):
        return None
    (ours,), (theirs,) = sides
    rows = comparisons[(comparisons["task"] == task) & (comparisons["kind"] == "declared")]
    row = rows[(rows["model"] == ours) & (rows["baseline"] == theirs)]
    cited = _row(page, tables, "declared", [names.short[ours], names.short[theirs]])
    return DeclaredOutcome(str(row["verdict"].iloc[0]), cited) if len(row) and cited else None


def _row(page: str, tables: Mapping[str, Table], name: str, models: Sequence[str]) -> CitedRow | None:
    """The row of a table that is about these models; None if there is none."""
    if name not in tables:
        return None
    table = tables[name]
    at = [number for number, row in enumerate(table.rows, start=1) if row.models == tuple(models)]
    return _cited(page, table, at[0]) if at else None


def _cited(page: str, table: Table, number: int) -> CitedRow:
    """A row by its number from 1; those to compare with follow the others."""
    cells = [*(row.cells for row in table.rows), *table.references][number - 1]
    return CitedRow(f"{page}#{anchor_of(table, 1)}-{number}", dict(zip(table.columns, cells, strict=False)))
