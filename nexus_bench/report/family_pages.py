"""A page for each task of a report of several: its drawn example, its tables and its figures.

Every row has an anchor, so that a text can point at the row that a number is from.
"""

from collections.abc import Iterator

from nexus_bench.io.escapes import markdown
from nexus_bench.report.as_markdown import figure_lines, table_as_markdown
from nexus_bench.report.build import Report
from nexus_bench.report.section import Section
from nexus_bench.report.tables import Table

FAMILIES = "families"  # the folder of the pages, beside report.md
_FIGURES = ("seeds_by_hop", "reach_by_cost")  # on a page, which stays small so
_FURTHER = ("seeds_by_hop",)  # of splits outside the training distribution, and of parameters


def family_pages(report: Report, *, with_figures: bool = True) -> dict[str, str]:
    """File name -> page in Markdown; none for a report of a single task, which is itself such a page.

    Args:
        report: The report.
        with_figures: False where the figures of the report are not written.
    """
    tasks = list(dict.fromkeys(section.task for section in report.sections))
    return {page_name(task): family_page(report, task, with_figures) for task in tasks} if len(tasks) > 1 else {}


def page_name(task: str) -> str:
    """The file name of the page of a task."""
    return f"{task}.md"


def sections_of(report: Report, task: str) -> list[Section]:
    """The sections of a task, in the order of its page."""
    return [section for section in report.sections if section.task == task]


def shown_tables(section: Section) -> list[Table]:
    """The tables of a section on the page of its family: those of the report, and what training took."""
    return [*section.tables, *([section.timed] if section.timed else [])]


def anchor_of(table: Table, place: int) -> str:
    """How the anchors of a table's rows begin.

    Args:
        table: The table.
        place: Number of its section on the page, from 1.
    """
    return table.name if place == 1 else f"{table.name}-of-{place}"


def family_page(report: Report, task: str, with_figures: bool) -> str:
    """The page of a task in Markdown.

    Args:
        report: The report.
        task: The task.
        with_figures: False where the figures of the report are not written.
    """
    whole = "[the report](../report.md)" if with_figures else "the report"
    lines = [f"# {markdown(task)}", "", f"Of {whole} of {markdown(report.title)}.", ""]
    lines += [f"- {markdown(sentence)}" for sentence in report.finding if sentence.startswith(f"{task}: ")] + [""]
    drawn = [one for one in report.examples if one.name == f"task_{task}"]
    lines += figure_lines(drawn if with_figures else [], folder="../figures")
    for place, section in enumerate(sections_of(report, task), start=1):
        lines += [f"## {markdown(section.title)}", "", *_tables(section, place)]
        shown = _FIGURES if any(table.name == "reach" for table in section.tables) else _FURTHER
        pictures = [picture for picture in section.pictures if with_figures and picture.name.startswith(shown)]
        lines += figure_lines(pictures, folder="../figures")
    if with_figures:
        lines += ["Further figures are on the page that `nexus-bench open` shows."]
    return "\n".join(lines).rstrip("\n") + "\n"


def _tables(section: Section, place: int) -> Iterator[str]:
    for number, table in enumerate(shown_tables(section)):
        yield from (f"### {table.title}", "", table_as_markdown(table, anchor=anchor_of(table, place)), "")
        yield from (markdown(table.about), "")
        if number == 0 and section.notes:
            yield from (*(f"- {markdown(note)}" for note in section.notes), "")
