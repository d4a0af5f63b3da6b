"""The command that looks at what trained attention points at."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Out, TrainedOn, check_out

if TYPE_CHECKING:
    from nexus_bench.io.columns import Row


def inspect(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    cell: Annotated[
        Optional[str], typer.Option(help="A run id's beginning, or parts of a title, as 'order 3 | seed 0'; one cell.")
    ] = None,
    hops: Annotated[Optional[int], typer.Option(min=1, help="Hop count; default the largest trained.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Examples to count over, at most.")] = 1000,
    example: Annotated[int, typer.Option(min=0, help="Which of them to draw.")] = 0,
    data: TrainedOn = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Draw the attention of one example at every level, and count where heads point along the path over many."""
    from nexus_bench.cli.printing import print_table, walk_table
    from nexus_bench.data.show import query_as_text
    from nexus_bench.experiment.folder import RunFolder
    from nexus_bench.experiment.sources import open_source
    from nexus_bench.experiment.trained import load_model, trained_cell
    from nexus_bench.inspection.pictures import graph_picture, maps_picture, walk_picture
    from nexus_bench.inspection.pointing import attention_rows, split_with, walk
    from nexus_bench.io.columns import ATTENTION_COLUMNS, WALK_COLUMNS
    from nexus_bench.io.csv_files import beginning, to_csv
    from nexus_bench.io.files import write_atomic
    from nexus_bench.io.words import counted

    check_out(out, "walk.csv", beginning(WALK_COLUMNS))
    folder = RunFolder(run)
    chosen = trained_cell(folder, cell)
    hop = hops or max(chosen.task.hops)
    source = open_source(chosen, data)
    held, model = split_with(source.held_out, hop), load_model(folder, chosen)
    encoding, schema = chosen.model.encoding, source.generator.schema
    walked = walk(model, held, schema, encoding=encoding, hop=hop, n_examples=n, example=example)
    title = f"{chosen.title} | {counted(hop, 'hop')}"
    drawn = walked.example
    told = f"{query_as_text(walked.law, drawn.query)}: {drawn.answer}; answered {drawn.answered}"
    pictures = [
        graph_picture(walked.law, drawn, title=f"{title} | {told}"),
        maps_picture(drawn, title=f"{title} | {told}"),
        walk_picture(walked, title=title),
    ]
    files: dict[str, bytes | str] = {
        "walk.csv": to_csv(walked.rows, WALK_COLUMNS),
        "attention.csv": to_csv(attention_rows(walked.law, drawn), ATTENTION_COLUMNS),
    }
    for picture in pictures:
        files |= {f"{picture.name}.png": picture.png, f"{picture.name}.svg": picture.svg}
    target = out or run / "inspect" / f"{chosen.run_id}-hops{hop}"
    for name, content in files.items():
        write_atomic(target / name, content)
    paths = [target / name for name in files]
    if as_json:
        print_document(
            "inspect",
            cell=chosen.run_id,
            hop=hop,
            n_examples=walked.n_examples,
            accuracy=walked.accuracy,
            example={
                "query": query_as_text(walked.law, drawn.query),
                "answer": drawn.answer,
                "answered": drawn.answered,
                "path": drawn.path,
            },
            walk=walked.rows,
            files=paths,
        )
        return
    typer.echo(f"example {example}: {told}")
    print_table(walk_table(f"{title}, {walked.n_examples:,} examples", walked.rows))
    for said, column in (
        (f"from the query, some head of level i points at hop i (by chance {_by_chance(walked.rows)}):", "pointed"),
        ("or away from it, with the least of its attention there:", "avoided"),
        (f"answered right: {walked.accuracy:.2f}; with level i's attention to the fact of hop i levelled:", "levelled"),
    ):
        typer.echo(f"{said} {_diagonal(walked.rows, column)}")
    for path in paths:
        typer.echo(path)


def _by_chance(rows: "list[Row]") -> str:
    """What heads that point anywhere would score."""
    return ", ".join(f"{chance:.2f}" for chance in dict.fromkeys(r["chance"] for r in rows if r["head"] is None))


def _diagonal(rows: "list[Row]", column: str) -> str:
    """Level by level, what is counted of any head of it and the fact of that hop; of several such passes, each."""
    rows = [row for row in rows if row["source"] == "query" and row["head"] is None]
    levels = sorted({row["level"] for row in rows})
    found = [[f"{row[column]:.2f}" for row in rows if row["level"] == level == row["step"]] for level in levels]
    return ", ".join("/".join(shares) or "-" for shares in found)
