"""A report as files: CSV for machines, Markdown and one page for people, PNG and SVG figures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from nexus_bench.analysis.compare_models import Declaration
from nexus_bench.analysis.declared import read_declared
from nexus_bench.errors import UsageError
from nexus_bench.io.columns import ACCURACY_COLUMNS, COMPARISON_COLUMNS, REACH_COLUMNS, REACHED_COLUMNS, columns_of
from nexus_bench.io.config import read_config
from nexus_bench.io.csv_files import beginning, read_csv, rows_of, to_csv
from nexus_bench.io.escapes import markdown
from nexus_bench.io.files import keep_others, write_atomic
from nexus_bench.io.packed import is_there
from nexus_bench.io.read_results import SPEC, TIMING, read_curves, read_places, read_results
from nexus_bench.report.as_markdown import figure_lines, table_as_markdown
from nexus_bench.report.build import Report, build_report
from nexus_bench.report.ci import github_summary
from nexus_bench.report.family_pages import FAMILIES, family_pages
from nexus_bench.report.page.report_page import to_html
from nexus_bench.report.provenance import provenance

# What a report writes, and how its files begin where that tells that nexus-bench wrote them
REPORT_FILES: dict[str, str | None] = {
    "report.md": "# nexus-bench",
    "report.csv": beginning(ACCURACY_COLUMNS),
    "reach.csv": beginning(REACH_COLUMNS),
    "reached.csv": beginning(REACHED_COLUMNS),
    "comparisons.csv": beginning(COMPARISON_COLUMNS),
    "report.html": None,
    "figures": None,
    FAMILIES: None,
}


class WrittenReport(NamedTuple):
    """A report, and its files if there was a folder to write them to."""

    report: Report
    files: list[Path]


def report(runs: Sequence[Path], out: Path | None = None, *, by: Sequence[str] = ()) -> WrittenReport:
    """The report of one or several runs, from their tables and what their spec.yaml declares.

    Inside GitHub Actions it is also appended to the summary of the step.

    Args:
        runs: Run folders; a cell that they share is counted once.
        out: Folder of the files; without it nothing is written.
        by: Parameters to show accuracy against; without them, every parameter of a task that varies.

    Raises:
        ConfigError: A run is of an older format, no row is of the test split, or two runs disagree on a cell.
        CorruptArtefactError: A file of a run is missing, truncated or edited.
        StorageError: A folder is not a run folder, or `out` cannot be written.
        UsageError: There is no run, or a parameter of `by` does not vary.
    """
    built = read_report(runs, by=by)
    files = write_report(built, out) if out else []
    github_summary(_folded(to_markdown(built, with_figures=False)))
    return WrittenReport(built, files)


def read_report(runs: Sequence[Path], *, by: Sequence[str] = ()) -> Report:
    """The report of one or several runs, of which nothing is written; see `report`."""
    if not runs:
        raise UsageError("a report needs at least one run folder")
    frames = [read_results(run) for run in runs]
    built = build_report(
        _joined(frames),
        _joined([read_curves(run) for run in runs]),
        [_declaration(run, of) for run, of in zip(runs, frames, strict=True)],
        places=_joined([read_places(run) for run in runs]),
        by=by,
        timing=_joined([_timing(run) for run in runs]),
    )
    return built._replace(provenance=provenance(runs, frames))


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)  # which copies


def _timing(run: Path) -> pd.DataFrame:
    """timing.csv of a run; without rows where there is none, as for answers of other models."""
    columns = columns_of("cell_id", "device", "train_seconds")  # which older versions wrote as well
    if is_there(run / TIMING):
        return read_csv(run / TIMING, columns, others=False)
    return pd.DataFrame({column.name: pd.Series(dtype=column.dtype) for column in columns})


def report_folder(runs: Sequence[Path], out: Path | None) -> Path | None:
    """Where the files of a report go: `out`, or the only run; None for several runs without `out`.

    Raises:
        UsageError: `out` holds another run or a dataset, or a file of a report that nexus-bench did not write.
    """
    is_its_own = len(runs) == 1 and out is not None and out.resolve() == runs[0].resolve()
    if out is not None and (out / SPEC).exists() and not is_its_own:
        raise UsageError(f"{out}: holds a run with its own report, which is not overwritten; choose another --out")
    keep_others(None if is_its_own else out, REPORT_FILES)
    return out or (runs[0] if len(runs) == 1 else None)


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write report.csv, reach.csv, reached.csv, comparisons.csv, report.md, report.html, and figures/.

    A report of several tasks also has families/, a page for each, where the tables and figures of report.md are then.

    Returns:
        The paths written; a folder counts as one.

    Raises:
        StorageError: The folder cannot be written.
    """
    downloads = to_csvs(report)
    pages = family_pages(report)
    short = to_markdown(report, with_sections=not pages)
    texts = downloads | {"report.md": short, "report.html": to_html(report, downloads=downloads)}
    for name, text in texts.items():
        write_atomic(folder / name, text)
    for picture in [picture for section in report.sections for picture in section.pictures] + report.examples:
        write_atomic(folder / "figures" / f"{picture.name}.png", picture.png)
        write_atomic(folder / "figures" / f"{picture.name}.svg", picture.svg)
    for name, text in pages.items():
        write_atomic(folder / FAMILIES / name, text)
    return [*(folder / name for name in texts), folder / "figures", *([folder / FAMILIES] if pages else [])]


def to_csvs(report: Report) -> dict[str, str]:
    """The summaries as tables, by file name."""
    return {
        "report.csv": to_csv(rows_of(report.accuracy), ACCURACY_COLUMNS),
        "reach.csv": to_csv(rows_of(report.reach), REACH_COLUMNS),
        "reached.csv": to_csv(rows_of(report.reached), REACHED_COLUMNS),
        "comparisons.csv": to_csv(rows_of(report.comparisons), COMPARISON_COLUMNS),
    }


def to_document(report: Report) -> dict[str, Any]:
    """The summaries as JSON values; what was not measured is null."""
    return {
        "title": report.title,
        "finding": report.finding,
        "accuracy": _records(report.accuracy),
        "reach": _records(report.reach),
        "reached": _records(report.reached),
        "comparisons": _records(report.comparisons),
        "notes": {section.title: section.notes for section in report.sections},
    }


def to_markdown(report: Report, *, with_figures: bool = True, with_sections: bool = True) -> str:
    """The report as Markdown: the finding, tables, notes, and references to the figures.

    Args:
        report: The report.
        with_figures: False where the text is shown without the figures.
        with_sections: False where each task has a page of its own for its tables and figures.
    """
    first, *more = map(markdown, report.finding)
    lines = [f"# {markdown(report.title)}", "", f"**{first}**", "", *(f"- {sentence}" for sentence in more), ""]
    if with_figures and (pages := family_pages(report)):
        named = ", ".join(f"[{name.removesuffix('.md')}]({FAMILIES}/{name})" for name in pages)
        lines += [f"A page for each task, with what training took: {named}.", ""]
    for section in report.sections if with_sections else ():
        lines += [f"## {markdown(section.title)}", ""]
        for number, table in enumerate(section.tables):
            lines += [f"### {table.title}", "", table_as_markdown(table), "", table.about, ""]
            if number == 0 and section.notes:
                lines += [*(f"- {markdown(note)}" for note in section.notes), ""]
        lines += figure_lines(section.pictures if with_figures else ())
    if report.provenance:
        lines += ["## Provenance", "", *(f"- {markdown(sentence)}" for sentence in report.provenance), ""]
    if report.examples and with_figures:
        lines += ["## The tasks" if len(report.examples) > 1 else "## The task", "", *figure_lines(report.examples)]
    return "\n".join(lines)


def _folded(text: str) -> str:
    """A report as GitHub shows it: the finding, and all below it behind a click, so that what follows is seen."""
    finding, _, tables = text.partition("\n## ")
    return f"{finding}\n<details><summary>Tables and provenance</summary>\n\n## {tables}\n\n</details>\n"


def _declaration(run: Path, results: pd.DataFrame) -> Declaration:
    """What a run declares to compare; nothing without spec.yaml, as for answers of other models."""
    spec = run / SPEC
    value = read_config(spec).get("comparisons") if spec.is_file() else None
    return Declaration(read_declared(value, where=str(spec)), frozenset(results["cell_id"]))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=6))
    return records
