"""Challenges of a study: runs that try to overturn what it says, by a model or recipe of somebody's choice."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nexus_bench.analysis.compare_models import BETTER, WORSE
from nexus_bench.analysis.declared import DeclaredComparison, read_declared
from nexus_bench.io.config import read_config
from nexus_bench.io.files import write_atomic
from nexus_bench.io.read_results import SPEC
from nexus_bench.report.build import Report
from nexus_bench.report.family_pages import FAMILIES, family_page, page_name
from nexus_bench.report.output import read_report
from nexus_bench.report.verdict.study import DeclaredOutcome, Pair, StudiedFamily, Study, runs_of, study_of
from nexus_bench.report.verdict.tables import SAID

KINDS = REVERSED, NOT_AGAIN, AGAIN = "Reversed", "Not shown again", "Shown again"
HEADS = ("challenge", "family", "comparison", "the study", "the challenge")


class Challenge(NamedTuple):
    """One comparison that was made again on one family by another recipe.

    Attributes:
        run: The name of its folder.
        family: What was found there.
        pair: The models.
        outcome: Of the challenge.
        before: That of the study; None if the study does not compare these two on the family.
    """

    run: str
    family: StudiedFamily
    pair: Pair
    outcome: DeclaredOutcome
    before: DeclaredOutcome | None

    @property
    def kind(self) -> str | None:
        """One of `KINDS`; None if the study shows no difference of these two on the family, or compares them not."""
        if self.before is None or self.before.verdict not in (BETTER, WORSE):
            return None
        if self.outcome.verdict == self.before.verdict:
            return AGAIN
        return REVERSED if self.outcome.verdict in (BETTER, WORSE) else NOT_AGAIN


def read_reports(folder: Path | None) -> dict[Path, Report]:
    """The report of each run of a folder of challenges, by run; none if it is absent.

    Raises:
        CorruptArtefactError: A file of a run was edited.
    """
    return {one: read_report([one]) for one in runs_of(folder)} if folder is not None and folder.is_dir() else {}


def read_challenges(reports: Mapping[Path, Report], study: Study, run: Path) -> tuple[Challenge, ...]:
    """The challenges of a study.

    Args:
        reports: Those of their runs, from `read_reports`.
        study: The study that they are about.
        run: The run folder of the study, or the folder of its runs.

    Raises:
        ConfigError: A run asks one family at several settings.
        CorruptArtefactError: The settings of a run were edited.
    """
    asked = _asked(runs_of(run)[0]) if reports else ()
    found: list[Challenge] = []
    for one, report in reports.items():
        challenge = study_of(report, [one])
        for family in challenge.families:
            before = {known.task: known.outcomes for known in study.families}.get(family.task, ())
            places: Mapping[DeclaredComparison, DeclaredOutcome | None] = dict(zip(asked, before, strict=False))
            for of_run, outcome in zip(_asked(one), family.outcomes, strict=True):
                pair = study.pairs[asked.index(of_run)] if of_run in asked else _pair(of_run)
                if outcome is not None:
                    found.append(Challenge(one.name, family, pair, outcome, places.get(of_run)))
    return tuple(found)


def write_pages(reports: Mapping[Path, Report]) -> None:
    """Write the pages of families that `challenge_table` points at, into the runs of challenges.

    Raises:
        StorageError: One cannot be written.
    """
    for one, report in reports.items():
        for task in dict.fromkeys(section.task for section in report.sections):
            write_atomic(one / FAMILIES / page_name(task), family_page(report, task, with_figures=False))


def challenge_table(challenges: Sequence[Challenge], to: str, to_challenges: str) -> list[str]:
    """A row per comparison that was made again, as Markdown.

    Args:
        challenges: What was found.
        to: The folder of the report of the study, from the page.
        to_challenges: That of the runs of challenges.
    """
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    for one in challenges:
        mark = "**" if one.kind in (REVERSED, NOT_AGAIN) else ""
        before = "not compared" if one.before is None else _said(one.before, to)
        cells = (
            f"`{one.run}`",
            f"`{one.family.task}`",
            f"{one.pair.model} against {one.pair.baseline}",
            before,
            f"{mark}{_said(one.outcome, f'{to_challenges}/{one.run}')}{mark}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def challenged(challenges: Sequence[Challenge], to_challenges: str) -> str:
    """What challenges came to, in a sentence or two; empty if there is none."""
    if not challenges:
        return ""
    said = "Other recipes, written down before they were run, were tried to overturn what is shown above."
    for kind in KINDS:
        if found := [one for one in challenges if one.kind == kind]:
            said += f" {kind}: {'; '.join(_each(one, to_challenges) for one in found)}."
    return said


def _each(one: Challenge, to_challenges: str) -> str:
    return (
        f"`{one.family.task}`, {one.pair.model} against {one.pair.baseline}: "
        f"{_said(one.outcome, f'{to_challenges}/{one.run}')}"
    )


def _said(outcome: DeclaredOutcome, to: str) -> str:
    cells = outcome.row.cells
    told = f"{cells['difference'].partition(' ')[0]}, p {cells['p (Holm)']}: {SAID[outcome.verdict]}"
    return outcome.row.link(told, to=to)


def _asked(run: Path) -> tuple[DeclaredComparison, ...]:
    return read_declared(read_config(run / SPEC).get("comparisons"), where=str(run / SPEC)).asked


def _pair(asked: DeclaredComparison) -> Pair:
    """The names of two models, without what they share."""
    ours, theirs = (side.split(", ") for side in asked)
    return Pair(*(", ".join(part for part in one if part not in ours or part not in theirs) for one in (ours, theirs)))
