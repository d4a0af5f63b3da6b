"""Commands that report results; PyTorch is needed only to ask models examples, and to check submissions."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from nexus_bench.cli.choices import one_of
from nexus_bench.cli.choices import runs as run_folders
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Out
from nexus_bench.errors import CheckFailedError, NexusBenchError, UsageError, unknown_name
from nexus_bench.io.plurals import counted

_FORMATS = ("csv", "md")


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(readable=False, metavar="RUN...", help="Run folders.", autocompletion=run_folders),
    ],
    out: Out = None,
    by: Annotated[
        Optional[str],
        typer.Option("--by", metavar="NAMES", help="Show accuracy against these parameters, as n_nodes,degree."),
    ] = None,
    file_format: Annotated[Optional[str], one_of(_FORMATS, "--format", help="Print it; write no files.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild the report of one or several runs.

    Tables, figures and a page, from results.csv and curve.csv alone.
    """
    from nexus_bench.api.shown import build
    from nexus_bench.cli.printing import tell_unsealed
    from nexus_bench.report.output import report_folder, to_csvs, to_document, to_markdown
    from nexus_bench.report.terminal import print_report

    if file_format is not None and file_format not in _FORMATS:
        raise UsageError(unknown_name("format", file_format, _FORMATS))
    if file_format is not None and as_json:
        raise UsageError("give --format or --json, not both")
    if file_format is not None and out is not None:
        raise UsageError("--format prints and writes no files; omit --out")
    folder = report_folder(runs, out)
    if folder is None and file_format is None and not as_json:
        raise UsageError("a report of several runs needs a folder of its own; give --out")
    built, files = build(runs, folder if file_format is None else None, by=by.split(",") if by else ())
    tell_unsealed(runs)
    if as_json:
        print_document("report", files=files, report=to_document(built))
    elif file_format == "csv":
        typer.echo(to_csvs(built)["report.csv"], nl=False)
    elif file_format == "md":
        typer.echo(to_markdown(built), nl=False)
    else:
        print_report(built, files)


def leaderboard(
    runs: Annotated[
        list[Path],
        typer.Argument(readable=False, metavar="RUN...", help="Run folders.", autocompletion=run_folders),
    ],
    out: Annotated[
        Optional[Path],
        typer.Option("--out", "-o", readable=False, metavar="FOLDER", help="Of the page; default runs/leaderboard."),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, max=100, help="Examples of each hop that models are asked.")] = 3,
    check: Annotated[bool, typer.Option("--check", help="Check submissions; write no page.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put many runs on one page, mechanisms by families.

    Reach with its seeds and intervals, reach per parameter and per operation, and what models answered. With --check:
    refuse runs that are edited, lack cells, or name what is not known.
    """
    if check:
        if out is not None:
            raise UsageError("--check writes no page; omit --out")
        _check_submissions(runs, as_json=as_json)
        return
    from nexus_bench.cli.printing import tell_unsealed
    from nexus_bench.inspection.answered_examples import answered_examples
    from nexus_bench.io.packed import is_there
    from nexus_bench.io.read_results import RESULTS
    from nexus_bench.io.record_seals import check_records
    from nexus_bench.report.leaderboard.build import leaderboard as make_leaderboard
    from nexus_bench.report.leaderboard.standings import run_names

    named = dict(zip(run_names(runs), runs, strict=True))
    for run in runs:
        check_records(run)
    drawn = answered_examples(named, examples)
    folder = out or (None if as_json else Path("runs/leaderboard"))
    made = make_leaderboard(runs, folder, examples=drawn.examples, notes=drawn.notes)
    tell_unsealed([run for run in runs if is_there(run / RESULTS)])
    if as_json:
        content = {"settings": made.settings, "standings": made.standings}
        print_document("leaderboard", files=made.files, finding=made.finding, **content, accepted=[])
        return
    for line in [*made.finding, *map(str, made.files), f"{made.n_bytes / 1e6:.1f} MB"]:
        typer.echo(line)


def _check_submissions(runs: list[Path], *, as_json: bool) -> None:
    """Check all of them, say which are accepted, and fail with the first fault."""
    from nexus_bench.experiment.submissions import Submission, check_submission
    from nexus_bench.io.escapes import visible
    from nexus_bench.report.ci import github_lines

    accepted: list[Submission] = []
    refused: list[tuple[str, NexusBenchError]] = []
    for run in runs:
        try:
            accepted.append(check_submission(run))
        except NexusBenchError as error:
            refused.append((str(run), error))
    if as_json and (not refused or isinstance(refused[0][1], CheckFailedError)):
        print_document("leaderboard", files=[], finding=[], settings=[], standings=[], accepted=accepted)
    for one in accepted if not as_json else ():
        failed = f", {one.n_failed} failed" if one.n_failed else ""
        told = f"{counted(one.n_models, 'model')} on {', '.join(one.tasks)}"
        typer.echo(f"{one.run}: accepted: {counted(one.n_cells, 'cell')}{failed}, {told}")
    github_lines("error", [(run, str(fault)) for run, fault in refused])
    for _, fault in refused[1:]:
        typer.echo(f"error: {visible(str(fault))}", err=True)
    if refused:
        first = refused[0][1]
        first.is_told = True
        raise first


def schema(
    name: Annotated[
        Optional[str], typer.Argument(metavar="[NAME]", help="A command, as bench-gen, or a file, as results.csv.")
    ] = None,
    out: Annotated[
        Optional[Path],
        typer.Option("--out", "-o", readable=False, metavar="FOLDER", help="Write all, derived from the code."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of all columns of all tables.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of a document or table.

    Of a `--json` document or of a CSV file; without a name, list what there is.
    """
    from nexus_bench.cli.schemas import read_schema, schema_names

    if markdown:
        from nexus_bench.cli.schemas.markdown import columns_page

        if name is not None or out is not None or as_json:
            raise UsageError("--markdown prints one page of all tables; omit everything else")
        typer.echo(columns_page(), nl=False)
        return
    files = []
    if out is not None:
        from nexus_bench.cli.schemas.derive import write_schemas

        files = write_schemas(out)
    if as_json:
        found = json.loads(read_schema(name)) if name is not None else None
        print_document("schema", names=schema_names(), json_schema=found, files=files)
    elif name is not None:
        typer.echo(read_schema(name), nl=False)
    else:
        typer.echo("\n".join(str(file) for file in files) if out else "\n".join(schema_names()))
