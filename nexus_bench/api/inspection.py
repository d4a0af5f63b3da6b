"""Where the attention of a trained model points, as a notebook shows it."""

import html
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from nexus_bench.api import values
from nexus_bench.api.shown import Figure, Figures
from nexus_bench.io.columns import ATTENTION_COLUMNS, WALK_COLUMNS
from nexus_bench.io.csv_files import read_csv

if TYPE_CHECKING:
    from nexus_bench.inspection.inspect import InspectionResult


class Inspection:
    """Where the attention of a trained model points.

    Args:
        found: What the inspection found.
    """

    def __init__(self, found: "InspectionResult") -> None:
        self._found = found
        self._figures = Figures(found.pictures)

    @property
    def title(self) -> str:
        """The model and the hop count in a few words."""
        return self._found.title

    @property
    def accuracy(self) -> float:
        """Share of the examples that the model answers right."""
        return self._found.walk.accuracy

    @property
    def example(self) -> str:
        """The drawn example: its query, its answer, and what the model answered."""
        drawn = self._found.walk.example
        return f"{self._found.query}: {drawn.answer}; answered {drawn.answered}"

    @property
    def walk(self) -> pd.DataFrame:
        """How often heads point at each hop, over all examples: the table `walk.csv`."""
        return read_csv(self._file("walk.csv"), WALK_COLUMNS)

    @property
    def attention(self) -> pd.DataFrame:
        """The attention weights of the drawn example: the table `attention.csv`."""
        return read_csv(self._file("attention.csv"), ATTENTION_COLUMNS)

    @property
    def files(self) -> tuple[Path, ...]:
        """The tables and figures that were written."""
        return tuple(self._found.files)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names that `plot` takes."""
        return self._figures.names

    def plot(self, name: str = "inspect_walk") -> Figure:
        """A figure: where heads point (`inspect_walk`), the drawn graph, or its attention maps.

        Args:
            name: One of `figures`.

        Raises:
            UsageError: There is no such figure.
        """
        return self._figures.get(values.text("name", name))

    def _repr_html_(self) -> str:
        told = f"{self.title}; accuracy {self.accuracy:.2f}. Drawn: {self.example}"
        return f"<p>{html.escape(told)}</p>\n{self.plot().as_image()}"

    def __repr__(self) -> str:
        return f"<inspection of {self.title}; {self.example}; accuracy {self.accuracy:.2f}>"

    def _file(self, name: str) -> Path:
        return next(path for path in self._found.files if path.name == name)
