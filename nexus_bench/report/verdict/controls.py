"""Whether a family can be learned at all by the recipe of a study, as deeper models show on other seeds."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nexus_bench.io.columns import CURRICULUM
from nexus_bench.report.build import Report
from nexus_bench.report.family_pages import FAMILIES, anchor_of, page_name, sections_of
from nexus_bench.report.output import read_report
from nexus_bench.report.tables import Row, Table
from nexus_bench.report.verdict.study import CitedRow, Study, runs_of, study_of

_COUNT = re.compile(r"(\d+)/(\d+)")
_CURRICULUM = CURRICULUM.removeprefix(", ")  # of a part of a label


class Control(NamedTuple):
    """How far the best control came on one family.

    Attributes:
        model: Its name.
        furthest: The most hops that all of its seeds reach; 0 if none.
        serves: Whether that is the most that the study asks.
        row: Where it says so, from the folder of the report of the controls.
    """

    model: str
    furthest: int
    serves: bool
    row: CitedRow


class StudyWithControls(NamedTuple):
    """A study in its folder, and its controls.

    Attributes:
        study: The study.
        controls: Its controls by family.
        report: The report that the study is read from.
        of_controls: That of the controls; None if there are none.
    """

    study: Study
    controls: Mapping[str, Control]
    report: Report
    of_controls: Report | None


def read_study(run: Path, controls: Path | None) -> StudyWithControls:
    """The study in a folder.

    Args:
        run: A run folder, or a folder of runs.
        controls: The same of the controls; None or absent: there are none.

    Raises:
        ConfigError: The runs are of several studies.
        CorruptArtefactError: A file of a run was edited.
        UsageError: There is no run.
    """
    runs = runs_of(run)
    report = read_report(runs)
    study = study_of(report, runs)
    of_controls = read_report(runs_of(controls)) if controls is not None and controls.is_dir() else None
    return StudyWithControls(study, {} if of_controls is None else controls_of(of_controls, study), report, of_controls)


def controls_of(report: Report, study: Study) -> dict[str, Control]:
    """The best control of each family that was trained at the setting and by the curriculum of the study.

    Args:
        report: The report of the controls; it may hold further settings.
        study: The study.
    """
    found: dict[str, Control] = {}
    for family in study.families:
        setting = family.title.partition(", ")[2]
        curriculum = [_CURRICULUM + family.curriculum] if family.curriculum else []
        for place, section in enumerate(sections_of(report, family.task), start=1):
            if not section.title.endswith(setting) or section.tables[0].name != "reached":
                continue
            table = section.tables[0]
            names = [part.strip() for note in section.notes[:1] for part in note.strip(".").split(":")[-1].split(",")]
            for number, row in enumerate(table.rows, start=1):
                told = [part for part in [*row.cells[0].split(", "), *names] if part.startswith(_CURRICULUM)]
                if told == curriculum:
                    control = _control(table, row, place, number, family.task, max(family.hops))
                    if family.task not in found or control.furthest > found[family.task].furthest:
                        found[family.task] = control
    return found


def _control(table: Table, row: Row, place: int, number: int, task: str, most: int) -> Control:
    cells: Mapping[str, str] = dict(zip(table.columns, row.cells, strict=False))
    reached = 0
    for head, cell in cells.items():
        if re.fullmatch(r"\d+ hops?", head) and (count := _COUNT.match(cell)) and count[1] == count[2] != "0":
            reached = int(head.split(" ")[0])
    target = f"{FAMILIES}/{page_name(task)}#{anchor_of(table, place)}-{number}"
    return Control(row.cells[0], reached, reached == most, CitedRow(target, cells))
