"""Commands that ask trained cells again."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Device, Hops, Out, Quiet, Settings, TrainedOn, check_out, hops_of
from nexus_bench.errors import UsageError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from nexus_bench.experiment.folder import RunFolder

Run = Annotated[Path, typer.Argument(help="A run folder.")]
Cells = Annotated[
    Optional[str],
    typer.Option("--cell", help="A run id's beginning, or parts of a title, as 'order 3 | seed 0'; default all."),
]


def evaluate(
    run: Run,
    hops: Hops = None,
    n_facts: Annotated[Optional[int], typer.Option(min=1, help="Facts a graph.")] = None,
    n: Annotated[Optional[int], typer.Option("--n", min=1, help="Graphs; default as many as were tested.")] = None,
    cells: Cells = None,
    settings: Settings = None,
    data: TrainedOn = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Ask saved weights other hops and sizes than were trained; results.csv gets a split more."""
    from nexus_bench.cli.progress import progress
    from nexus_bench.cli.reports import make_report
    from nexus_bench.experiment.execution import choose_device
    from nexus_bench.experiment.folder import RunFolder
    from nexus_bench.experiment.trained import trained_cells
    from nexus_bench.inspection.extrapolation import ask
    from nexus_bench.inspection.question import Question
    from nexus_bench.io.config import parse_settings
    from nexus_bench.io.words import counted
    from nexus_bench.report.output import to_document
    from nexus_bench.report.terminal import print_report

    asked_hops = hops_of(hops)
    question = Question(tuple(asked_hops) if asked_hops else None, n_facts, parse_settings(settings or []), n)
    if question.split == "eval":
        raise UsageError("say what is to be asked otherwise than in training: --hops, --n-facts or --set")
    folder = RunFolder(run)
    chosen = trained_cells(folder, cells)
    with progress(question.split, len(chosen), quiet=quiet) as advance:
        n_new = ask(folder, chosen, question, data=data, device=choose_device(device), on_cell=lambda: advance(1))
    built, files = make_report([folder], folder.path)
    if as_json:
        document = to_document(built)
        rows = [row for row in document["accuracy"] if row["split"] == question.split]
        print_document("eval", split=question.split, n_new=n_new, files=[folder.results_csv, *files], accuracy=rows)
        return
    of_split = [section for section in built.sections if question.split in section.title]
    print_report(built._replace(sections=of_split), [folder.results_csv, *files])
    typer.echo(f"{question.split}: {counted(n_new, 'cell')} asked{_beside(folder, cells)}")
    if n_new < len(chosen):
        typer.echo(f"{question.split}: {len(chosen) - n_new} of {len(chosen)} asked before, which is kept")


def predictions(
    run: Run,
    cells: Cells = None,
    split: Annotated[str, typer.Option(help="Which split.")] = "test",
    file_format: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    data: TrainedOn = None,
    device: Device = "auto",
    out: Out = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write what trained cells answer: a row an example, with the rank of the right answer."""
    import torch

    from nexus_bench.cli.progress import progress
    from nexus_bench.experiment.execution import choose_device
    from nexus_bench.experiment.folder import RunFolder
    from nexus_bench.experiment.trained import load_model, trained_cells
    from nexus_bench.inspection.predictions import FORMATS, predict, write_predictions
    from nexus_bench.inspection.run_data import RunData
    from nexus_bench.io.words import counted

    if file_format not in FORMATS:
        raise UsageError(unknown_name("format", file_format, FORMATS))
    folder = RunFolder(run)
    chosen = trained_cells(folder, cells)
    on = torch.device(choose_device(device))
    parts = ["predictions", *([split] if split != "test" else []), *([_slug(cells)] if cells else [])]
    path = (out or run) / f"{'-'.join(parts)}.{file_format}"
    check_out(out, path.name, FORMATS[file_format])

    def frames() -> "Iterator[pd.DataFrame]":
        drawn = RunData(folder, data)
        for cell in chosen:
            held, model = drawn.held_out(cell, split), load_model(folder, cell).to(on)
            yield predict(cell, model, held, drawn.source(cell).generator.schema, split=split)
            advance(1)

    with progress(f"{path}", len(chosen), quiet=quiet) as advance:
        n_rows = write_predictions(path, frames(), file_format=file_format)
    if as_json:
        print_document("predictions", file=path, n_rows=n_rows, cells=[cell.run_id for cell in chosen])
    else:
        typer.echo(f"{path}: {n_rows:,} rows of {counted(len(chosen), 'cell')}{_beside(folder, cells)}")


def _slug(asked: str) -> str:
    """What was asked, in a file's name."""
    return re.sub(r"[^\w.]+", "-", asked).strip("-")


def _beside(folder: "RunFolder", asked: str | None) -> str:
    """What to say of cells that have no weights here."""
    from nexus_bench.experiment.trained import n_untrained

    n = 0 if asked else n_untrained(folder)
    return f"; weights of {n} more are not here" if n else ""
