"""A section of a report."""

from typing import NamedTuple

from nexus_bench.report.charts.plotting import Picture
from nexus_bench.report.tables import Table


class Section(NamedTuple):
    """Tables, notes and figures of one setting and split, or of settings that differ in one parameter.

    Attributes:
        title: The task, its size and how models were trained.
        task: The task family.
        tables: The first of a setting is how many seeds reach each hop.
        notes: What a reader must know to read the tables.
        pictures: The figures.
        said: Of a parameter: hop reach at each of its values, in a sentence.
        timed: What training took, in seconds, which another run of the same cells does not repeat; so only the page of
            a family shows it. None where it was not measured.
    """

    title: str
    task: str
    tables: list[Table]
    notes: list[str]
    pictures: list[Picture]
    said: str = ""
    timed: Table | None = None
