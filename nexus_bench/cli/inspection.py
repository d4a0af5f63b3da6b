"""Commands that look into trained cells: other hops and sizes, where attention points, every single answer."""

import re
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from nexus_bench.cli.choices import one_of
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Device, Hops, Out, Quiet, Run, Settings, TrainedOn, hops_of
from nexus_bench.cli.words import Words, no_names, read_words
from nexus_bench.errors import UsageError, unknown_name
from nexus_bench.io.config import MOST_GRAPHS

if TYPE_CHECKING:
    from nexus_bench.experiment.run_folder import RunFolder
    from nexus_bench.io.columns import Row

Cells = Annotated[
    Optional[str],
    typer.Option("--cell", metavar="CELL", help="The beginning of a cell_id, or parts of a title: 'order 3 | seed 0'."),
]


def evaluate(
    run: Run,
    words: Words = None,
    hops: Hops = None,
    n_facts: Annotated[Optional[int], typer.Option(min=1, max=20_000, help="Facts per graph.")] = None,
    n: Annotated[
        Optional[int], typer.Option("--n", "-n", min=1, max=MOST_GRAPHS, help="Graphs; default as many as in test.")
    ] = None,
    loops: Annotated[
        Optional[int], typer.Option(min=1, max=10_000, help="How often looped models apply their blocks.")
    ] = None,
    trained: Annotated[bool, typer.Option("--trained", help="The graphs that they were trained on.")] = False,
    cells: Cells = None,
    settings: Settings = None,
    data: TrainedOn = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Ask trained models other hops, sizes or loops.

    Evaluates saved weights on what was not trained; results.csv gets one more split.
    """
    from nexus_bench.cli.progress import progress
    from nexus_bench.experiment.execution import choose_device
    from nexus_bench.experiment.run_folder import open
    from nexus_bench.experiment.trained_cells import trained_cells
    from nexus_bench.inspection.extrapolation import ask
    from nexus_bench.inspection.question import EvaluationRequest
    from nexus_bench.io.config import parse_settings
    from nexus_bench.io.hops import format_hops
    from nexus_bench.io.plurals import counted
    from nexus_bench.report.output import report, to_document
    from nexus_bench.report.terminal import print_report

    asked_hops = hops_of(hops)
    told = read_words(words, settings)
    if told.names and cells is not None:
        whole = " ".join([cells, *told.names])
        raise UsageError(f"eval: '{told.names[0]}' is no setting; write --cell '{whole}', or settings as key=value")
    no_names(told, command="eval")
    hops_asked = tuple(asked_hops) if asked_hops else None
    question = EvaluationRequest(hops_asked, n_facts, parse_settings(told.settings), n, loops, trained)
    if question.split == "eval":
        raise UsageError(
            "say what to evaluate on that differs from training: --hops, --n-facts, --loops or key=value, "
            f"as in `nexus-bench eval {run} --n-facts 24`; or --trained"
        )
    folder = open(run)
    chosen = trained_cells(folder, cells)
    with progress(question.split, len(chosen), quiet=quiet) as advance:
        n_new = ask(folder, chosen, question, data=data, device=choose_device(device), on_cell=lambda: advance(1))
    built, files = report([run], run)
    files = [folder.results_csv, *files]
    if as_json:
        rows = [row for row in to_document(built)["accuracy"] if row["split"] == question.split]
        print_document("eval", split=question.split, n_new=n_new, files=files, accuracy=rows)
        return
    of_split = [section for section in built.sections if question.split in section.title]
    print_report(built._replace(sections=of_split), files)
    asked = [
        (one.cell_id, question.split) for one in chosen if folder.cells.has_evaluation(one.cell_id, question.split)
    ]
    scored = {(row["cell_id"], row["hop"]) for row in folder.cells.evaluation_rows(asked)}
    wanted = {(cell.cell_id, hop) for cell in chosen for hop in question.hops or cell.task.hops}
    if wanted - scored:
        lacking = format_hops(tuple(sorted({hop for _, hop in wanted - scored})))
        said = "nothing was scored" if not wanted & scored else "not all was scored"
        typer.echo(f"{question.split}: {said}: no label has hop {lacking}; ask for more graphs by --n, or other hops")
        if not wanted & scored:
            return
    typer.echo(f"{question.split}: {counted(n_new, 'cell')} evaluated{_not_here(folder, cells)}")
    if n_new < len(chosen):
        typer.echo(f"{question.split}: {len(chosen) - n_new} of {len(chosen)} were evaluated before and are kept")


def inspect(
    run: Run,
    cell: Annotated[
        Optional[str],
        typer.Option(metavar="CELL", help="The beginning of its cell_id, or parts of its title: 'order 3 | seed 0'."),
    ] = None,
    hops: Annotated[
        Optional[int], typer.Option(min=1, max=10_000, help="Hop count; default the largest trained one.")
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, max=MOST_GRAPHS, help="Most examples to count over.")] = 1000,
    example: Annotated[int, typer.Option(min=0, max=MOST_GRAPHS, help="Number of the example to draw.")] = 0,
    data: TrainedOn = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Draw where a trained model attends.

    The attention of one example at every level, and, over many examples, where heads point along the path.
    """
    from nexus_bench.cli.printing import walk_table
    from nexus_bench.cli.screen import print_table, print_text
    from nexus_bench.inspection.inspect import inspect as look_into

    seen = look_into(
        run, cell, hops=hops, n_examples=n, example=example, data=data, out=out,
        on_note=lambda text: typer.echo(text, err=True),
    )  # fmt: skip
    walk, drawn = seen.walk, seen.walk.example
    if as_json:
        shown = {"query": seen.query, "answer": drawn.answer, "answered": drawn.answered, "path": drawn.path}
        counts = {"n_examples": walk.n_examples, "accuracy": walk.accuracy}
        print_document(
            "inspect",
            cell=seen.cell.cell_id,
            hop=seen.hop,
            **counts,
            example=shown,
            walk=walk.rows,
            files=seen.files,
        )
        return
    print_text(f"example {example}: {seen.query}: {drawn.answer}; answered {drawn.answered}", indent=2)
    print_table(walk_table(f"{seen.title}, {walk.n_examples:,} examples", walk.rows))
    for said, column in (
        (f"from the query, some head of level i points at hop i (by chance {_by_chance(walk.rows)}):", "pointed"),
        ("or away from it, giving it the smallest weight:", "avoided"),
        (
            f"answered right: {walk.accuracy:.2f}; with level i's attention to the fact of hop i mean-ablated:",
            "mean_ablated",
        ),
    ):
        print_text(f"{said} {_diagonal(walk.rows, column)}", indent=2)
    for path in seen.files:
        typer.echo(path)


def predictions(
    run: Run,
    cells: Cells = None,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="Which split.")] = "test",
    file_format: Annotated[str, one_of(("csv", "parquet"), "--format", help="Format of the file.")] = "csv",
    data: TrainedOn = None,
    device: Device = "auto",
    out: Out = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write every answer of trained cells.

    One row per example, with the rank of the right answer.
    """
    from nexus_bench.cli.progress import progress
    from nexus_bench.experiment.execution import choose_device
    from nexus_bench.experiment.run_folder import open
    from nexus_bench.experiment.trained_cells import trained_cells
    from nexus_bench.inspection.predictions import FORMATS
    from nexus_bench.inspection.predictions import predictions as write_predictions
    from nexus_bench.io.plurals import counted

    if file_format not in FORMATS:
        raise UsageError(unknown_name("format", file_format, FORMATS))
    folder = open(run)
    chosen, on = trained_cells(folder, cells), choose_device(device)
    name = "-".join(["predictions", *([split] if split != "test" else []), *([_slug(cells)] if cells else [])])
    with progress(name, len(chosen), quiet=quiet) as advance:
        written = write_predictions(
            folder, chosen, split=split, file_format=file_format, name=name, data=data, device=on, out=out,
            on_cell=lambda: advance(1),
        )  # fmt: skip
    if as_json:
        print_document("predictions", file=written.file, n_rows=written.n_rows, cells=[c.cell_id for c in chosen])
    else:
        of = f"{written.n_rows:,} rows of {counted(len(chosen), 'cell')}"
        typer.echo(f"{written.file}: {of}{_not_here(folder, cells)}")


def _slug(asked: str) -> str:
    """The hops and size in question, as part of a file name."""
    return re.sub(r"[^\w.]+", "-", asked).strip("-")


def _not_here(folder: "RunFolder", asked: str | None) -> str:
    """A remark on cells that have no weights here."""
    from nexus_bench.experiment.trained_cells import n_untrained

    n = 0 if asked else n_untrained(folder)
    return f"; weights of {n} more are not here" if n else ""


def _by_chance(rows: "list[Row]") -> str:
    """The score of heads that point at random."""
    return ", ".join(f"{chance:.2f}" for chance in dict.fromkeys(r["chance"] for r in rows if r["head"] is None))


def _diagonal(rows: "list[Row]", column: str) -> str:
    """For each level, the value of any of its heads for the fact of the same hop; one value per pass."""
    rows = [row for row in rows if row["source"] == "query" and row["head"] is None]
    levels = sorted({row["level"] for row in rows})
    found = [[f"{row[column]:.2f}" for row in rows if row["level"] == level == row["step"]] for level in levels]
    return ", ".join("/".join(shares) or "-" for shares in found)
