"""What a notebook shows of a report: its figures, its tables, its page. All that the API knows of `report` is here."""

import base64
import html
import webbrowser
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from nexus_bench.api import values
from nexus_bench.errors import UsageError, unknown_name
from nexus_bench.io.files import write_atomic
from nexus_bench.io.record_seals import check_records
from nexus_bench.io.renames import KEY, present_name
from nexus_bench.report.build import Report
from nexus_bench.report.charts.plotting import Picture
from nexus_bench.report.output import WrittenReport, report, to_csvs, to_markdown
from nexus_bench.report.page.report_page import to_html
from nexus_bench.report.tables import Table

_TABLES = ("reached", "accuracy", "declared", "by_parameter", "crossed")  # those that a terminal prints, too


class WholeTexts(pd.DataFrame):
    """A table of which every column and every text is shown whole, also one that is longer than pandas shows texts."""

    @property
    def _constructor(self) -> type["WholeTexts"]:
        return WholeTexts  # so that its parts are, too

    def _repr_html_(self) -> str | None:
        with pd.option_context("display.max_colwidth", None, "display.max_columns", None):
            shown: str | None = super()._repr_html_()  # type: ignore[misc]  # its stubs lack it
            return shown

    def __repr__(self) -> str:
        shown = ("display.max_colwidth", None, "display.max_columns", None, "display.expand_frame_repr", False)
        with pd.option_context(*shown):
            return super().__repr__()


class Figure:
    """A figure: a notebook shows it, `save` writes it.

    Args:
        picture: The drawn figure.
    """

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    @property
    def name(self) -> str:
        """Its name, as `accuracy_by_hop`."""
        return self._picture.name

    @property
    def caption(self) -> str:
        """What it shows, and how to read it."""
        return self._picture.caption

    @property
    def png(self) -> bytes:
        """The figure as pixels."""
        return self._picture.png

    @property
    def svg(self) -> str:
        """The figure as vectors."""
        return self._picture.svg

    def save(self, path: str | Path) -> Path:
        """Write it to a file that ends in .png or .svg.

        Raises:
            StorageError: The file cannot be written.
            UsageError: It ends otherwise.
        """
        path = values.path("path", path)
        contents: dict[str, bytes | str] = {".png": self.png, ".svg": self.svg}
        if path.suffix not in contents:
            raise UsageError(f"{path}: a figure is saved as .png or .svg; choose one of both")
        write_atomic(path, contents[path.suffix])
        return path

    def as_image(self) -> str:
        """As an image of a page, so that what is inside has identifiers of its own."""
        encoded = base64.b64encode(self.svg.encode()).decode()
        return f'<img alt="{html.escape(self.caption)}" src="data:image/svg+xml;base64,{encoded}">'

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<figure {self.name}: {self.caption}>"


class ReportView:
    """A report: a notebook shows its finding, its main tables and figures, `save` and `open` give the whole page.

    Args:
        built: The report.
        home: The run folder.
    """

    def __init__(self, built: Report, home: Path) -> None:
        self._built = built
        self._home = home

    @property
    def finding(self) -> str:
        """What the results come to: one sentence a line, the most important first."""
        return "\n".join(self._built.finding)

    @property
    def accuracy(self) -> pd.DataFrame:
        """Accuracy of every model at every hop: mean over seeds, interval, chance and ceilings (`report.csv`)."""
        return self._built.accuracy

    @property
    def reached(self) -> pd.DataFrame:
        """How many seeds of every model reach every hop (`reached.csv`)."""
        return self._built.reached

    @property
    def reach(self) -> pd.DataFrame:
        """Hop reach of every model, with its size and compute (`reach.csv`)."""
        return self._built.reach

    @property
    def comparisons(self) -> pd.DataFrame:
        """The comparisons of models by exact paired tests (`comparisons.csv`)."""
        return self._built.comparisons

    @property
    def markdown(self) -> str:
        """All tables and notes as Markdown."""
        return to_markdown(self._built, with_figures=False)

    @property
    def html(self) -> str:
        """The whole page, which needs no other file."""
        return to_html(self._built, downloads=to_csvs(self._built))

    def save(self, path: str | Path) -> Path:
        """Write it to a file that ends in .html (the page) or .md.

        Raises:
            StorageError: The file cannot be written.
            UsageError: It ends otherwise.
        """
        path = values.path("path", path)
        if path.suffix not in (".html", ".md"):
            raise UsageError(f"{path}: a report is saved as .html or .md; choose one of both")
        write_atomic(path, self.html if path.suffix == ".html" else self.markdown)
        return path

    def open(self, path: str | Path | None = None) -> Path:
        """Write the page and show it in a browser.

        Args:
            path: Where; None takes `report.html` of the run folder.

        Raises:
            StorageError: The file cannot be written.
        """
        page = self.save(self._home / "report.html" if path is None else path)
        show_page(page)
        return page

    def _repr_html_(self) -> str:
        first, *more = map(html.escape, self._built.finding)
        parts = [f"<h2>{html.escape(self._built.title)}</h2>", f"<p><b>{first}</b></p>", _as_list(more)]
        for section in self._built.sections:
            parts.append(f"<h3>{html.escape(section.title)}</h3>")
            for table in section.tables:
                if table.name in _TABLES:
                    parts += [f"<h4>{html.escape(table.title)}</h4>", _as_html(table)]
            parts.append(_as_list(map(html.escape, section.notes)))
            parts += [Figure(picture).as_image() for picture in section.pictures[:1]]
        return "\n".join(filter(None, parts))

    def __repr__(self) -> str:
        return f"<report {self._built.title}>"


class Figures:
    """The figures of a report by name.

    Args:
        pictures: The drawn figures.
    """

    def __init__(self, pictures: Iterable[Picture]) -> None:
        self._by_name = {picture.name: Figure(picture) for picture in pictures}

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in the order of the report."""
        return tuple(self._by_name)

    def get(self, name: str) -> Figure:
        """The figure of a name.

        Raises:
            UsageError: There is none; the message names those that there are.
        """
        if name not in self._by_name:
            raise UsageError(unknown_name("figure", name, self._by_name))
        return self._by_name[name]


def build(runs: Sequence[Path], out: Path | None = None, *, by: Sequence[str] = ()) -> WrittenReport:
    """The report of run folders, once their records are checked; written if there is a folder to write it to.

    Raises:
        ConfigError: A run is of an older format, or has no row of the test split.
        CorruptArtefactError: A file of a run is missing, truncated or edited.
        StorageError: A file cannot be written.
        UsageError: No cell is finished yet, the folder holds other files, or a parameter of `by` does not vary.
    """
    for run in runs:
        check_records(run)
    return report(runs, out, by=[present_name(KEY, name.strip()) for name in by])


def show_page(page: Path) -> bool:
    """Show a page in a browser; False if there is none."""
    return webbrowser.open(page.absolute().as_uri())


def figures_of(built: Report) -> Figures:
    """All figures of a report."""
    return Figures(picture for section in built.sections for picture in section.pictures)


def _as_html(table: Table) -> str:
    body = [row.cells for row in table.rows] + table.references
    filled = [[*cells, *[""] * (len(table.columns) - len(cells))] for cells in body]
    return str(pd.DataFrame(filled, columns=table.columns).to_html(index=False, border=0))


def _as_list(items: Iterable[str]) -> str:
    """A list of texts that are HTML already; nothing of none."""
    listed = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{listed}</ul>" if listed else ""
