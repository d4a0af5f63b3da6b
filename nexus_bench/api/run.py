"""A run folder in Python: its results as frames, its figures, its trained models."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nexus_bench.api import values
from nexus_bench.api.inspection import Inspection
from nexus_bench.api.shown import Figure, ReportView, WholeTexts, build, figures_of
from nexus_bench.api.values import Hops, in_python, plain
from nexus_bench.errors import NexusBenchError, UsageError
from nexus_bench.experiment import run_folder
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.columns import DTYPES as DTYPES
from nexus_bench.io.config import LARGEST
from nexus_bench.io.hops import parse_hops
from nexus_bench.io.packed import is_there, packed
from nexus_bench.io.read_results import CURVES, PLACES, RESULTS, SPEC, read_curves, read_places, read_results

if TYPE_CHECKING:
    from torch import nn

    from nexus_bench.report.build import Report


class Run:
    """A run folder, as `train` returns it and `open` finds it.

    Args:
        path: The folder.

    Raises:
        ConfigError: It is of an older format.
        CorruptArtefactError: A file of it is damaged.
        StorageError: It is not a run folder.
    """

    @in_python()
    def __init__(self, path: str | Path) -> None:
        self._given = values.path("path", path)
        self._home = self._given.absolute()  # the working directory may change
        self._built: tuple[Any, Report] | None = None  # what the report was made from, and the report
        if (self.path / SPEC).exists() or not is_there(self.path / RESULTS):
            run_folder.open(self.path)
        else:
            read_results(self.path)  # answers of another model, or a copy of the results alone

    @property
    def path(self) -> Path:
        """The folder, as it was given while that leads there, else from the root."""
        return self._given if self._given.absolute() == self._home else self._home

    @property
    def _folder(self) -> RunFolder:
        return RunFolder(self.path)

    @property
    @in_python()
    def results(self) -> pd.DataFrame:
        """`results.csv`: one row per cell, split and hop; the columns are those of `docs/columns.md`.

        Raises:
            UsageError: No cell is finished yet.
        """
        return read_results(self.path)

    @property
    @in_python()
    def curves(self) -> pd.DataFrame:
        """`curve.csv`: validation accuracy and loss by hop while training, one row per cell, step and hop.

        Raises:
            UsageError: No cell is finished yet.
        """
        curves = read_curves(self.path, whole=True)
        if curves.empty:  # as those of answers of another model
            read_results(self.path)
        return curves

    @property
    @in_python()
    def places(self) -> pd.DataFrame:
        """`places.csv`: of sequences, accuracy by place of the label and by length; without rows for other tasks."""
        return read_places(self.path)

    @property
    @in_python()
    def cells(self) -> pd.DataFrame:
        """One row per cell: cell_id, title, steps, and state: `done`, `recorded`, `running`, `failed` or `to do`.

        A cell is recorded if its results are here, without its weights.
        """
        from nexus_bench.experiment.status import read_status

        texts = dict.fromkeys(("cell_id", "title", "state", "reason", "trained"), "string")
        return WholeTexts(read_status(self._folder)).astype(texts | {"step": "Int64", "steps": "Int64"})

    @property
    def finding(self) -> str:
        """What the run found: one sentence a line, the most important first.

        Raises:
            UsageError: No cell is finished yet.
        """
        return self.report().finding

    @property
    def figures(self) -> tuple[str, ...]:
        """The names that `plot` takes."""
        return figures_of(self._report()).names

    def plot(self, name: str = "accuracy_by_hop") -> Figure:
        """A figure of the report: a notebook shows it, `save` writes it.

        Args:
            name: One of `figures`.

        Raises:
            UsageError: There is no such figure.
        """
        return figures_of(self._report()).get(values.text("name", name))

    @in_python()
    def report(self, *, by: str | Sequence[str] | None = None) -> ReportView:
        """The report: a notebook shows its finding and main tables, `open` and `save` give the whole page.

        Args:
            by: Parameters to show accuracy against, as `"n_nodes"`; None takes every parameter of a task that varies.

        Raises:
            UsageError: No cell is finished yet, or a parameter does not vary in this run.
        """
        names = values.names("by", by)
        return ReportView(build([self.path], by=names.split(",")).report if names else self._report(), self._home)

    @in_python()
    def model(self, cell: str | None = None, *, seed: int | None = None) -> "nn.Module":
        """A trained model, a PyTorch module with its weights, on the CPU, in evaluation mode.

        Args:
            cell: Parts of its title, as `"order 3"` or `"nexus | order 3"`, or the beginning of its cell_id; None takes
                the only one. `cells` lists the titles.
            seed: Its seed.

        Raises:
            CorruptArtefactError: The weights are missing, truncated or edited.
            UsageError: Not exactly one trained cell is meant; the message names those that there are.
        """
        from nexus_bench.experiment.trained_cells import load_model, trained_cell

        return load_model(self._folder, trained_cell(self._folder, _asked(cell, seed)))

    @in_python()
    def inspect(
        self,
        cell: str | None = None,
        *,
        seed: int | None = None,
        hops: int | None = None,
        n: int = 1000,
        example: int = 0,
        data: str | Path | None = None,
        out: str | Path | None = None,
    ) -> Inspection:
        """Where the attention of a trained model points: drawn for one example, and counted over many.

        Args:
            cell: As for `model`.
            seed: Its seed.
            hops: The hop count of the examples; None takes the largest trained one.
            n: Largest number of examples to count over.
            example: Number of the example to draw.
            data: The dataset folder that the run was trained on, if any.
            out: Folder of the tables and figures; None takes one inside the run folder.

        Raises:
            ConfigError: No split has such examples.
            UsageError: Not exactly one trained cell is meant, or the mechanism has no attention map.
        """
        from nexus_bench.inspection.inspect import inspect

        return Inspection(
            inspect(
                self.path,
                _asked(cell, seed),
                hops=values.whole_or_none("hops", hops, least=1),
                n_examples=values.whole("n", n, least=1),
                example=values.whole("example", example, least=0),
                data=values.path_or_none("data", data),
                out=values.path_or_none("out", out),
            )
        )

    @in_python()
    def evaluate(
        self,
        cell: str | None = None,
        *,
        seed: int | None = None,
        hops: Hops | None = None,
        n_facts: int | None = None,
        n: int | None = None,
        loops: int | None = None,
        trained: bool = False,
        data: str | Path | None = None,
        device: str = "auto",
        **settings: Any,
    ) -> pd.DataFrame:
        """Evaluate trained models on other hops, sizes or loops than those of training, or on what they trained on.

        Args:
            cell: As for `model`, but any number of them; None takes all.
            seed: Their seed.
            hops: Hop counts.
            n_facts: Facts per graph.
            n: Graphs; None takes as many as in the test split.
            loops: How often looped models apply their blocks.
            trained: Whether on the first graphs of their training.
            data: The dataset folder that the run was trained on, if any.
            device: `auto`, `cpu` or `cuda`.
            settings: Any parameter of the task by name.

        Returns:
            Its rows of `results`, which has them as a further split from now on.

        Raises:
            ConfigError: The task does not allow this, or the weights never learned a symbol that it needs.
            UsageError: Nothing differs from training, or no trained cell is meant.
        """
        from nexus_bench.experiment.execution import choose_device
        from nexus_bench.experiment.trained_cells import trained_cells
        from nexus_bench.inspection.extrapolation import ask
        from nexus_bench.inspection.question import PREFIX, EvaluationRequest

        wanted = None if hops is None else parse_hops(plain(hops))
        numbers = {"n_facts": n_facts, "n": n, "loops": loops}
        n_facts, n, loops = (values.whole_or_none(name, number, least=1) for name, number in numbers.items())
        question = EvaluationRequest(wanted, n_facts, plain(settings), n, loops, trained)
        if question.split == PREFIX:
            raise UsageError(
                "say what to evaluate on that differs from training: hops, n_facts, loops or a setting; or trained=True"
            )
        chosen = trained_cells(self._folder, _asked(cell, seed))
        ask(
            self._folder,
            chosen,
            question,
            data=values.path_or_none("data", data),
            device=choose_device(values.text("device", device)),
            on_cell=lambda: None,
        )
        rows, ids = self.results, [cell.cell_id for cell in chosen]
        return rows[(rows["split"] == question.split) & rows["cell_id"].isin(ids)].reset_index(drop=True)

    def __repr__(self) -> str:
        return f"<nexus-bench run {self.path}>"

    def _repr_html_(self) -> str:
        """The finding, where there is one: in a notebook the run is often the last line of a cell."""
        try:
            told = list(map(html.escape, self.finding.splitlines()))
        except NexusBenchError as error:
            told = [html.escape(str(error))]
        rest = "".join(f"<li>{line}</li>" for line in told[1:])
        return f"<p>{html.escape(repr(self))}</p><p><b>{told[0]}</b></p>" + (f"<ul>{rest}</ul>" if rest else "")

    @in_python()
    def _report(self) -> "Report":
        """The report, built again when a table has changed."""
        tables = (path for name in (RESULTS, CURVES, PLACES) for path in (self.path / name, packed(self.path / name)))
        made_from = [path.stat().st_mtime_ns for path in tables if path.exists()]
        if self._built is None or self._built[0] != made_from:
            self._built = made_from, build([self.path]).report
        return self._built[1]


def open(path: str | Path) -> Run:
    """The run in a folder, finished or not.

    Args:
        path: A folder that `train`, `nexus-bench train` or `nexus-bench score` wrote.

    Raises:
        ConfigError: It is of an older format.
        CorruptArtefactError: A file of it is damaged.
        StorageError: It is not a run folder.
    """
    return Run(path)


def _asked(cell: str | None, seed: int | None) -> str | None:
    named = None if cell is None else values.text("cell", cell)
    of_seed = None if seed is None else f"seed {values.whole('seed', seed, least=0, most=LARGEST)}"
    parts = [part for part in (named, of_seed) if part is not None]
    return " | ".join(parts) if parts else None
