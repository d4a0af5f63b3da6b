"""Commands that report results; none of them needs PyTorch."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from nexus_bench.cli.choices import one_of
from nexus_bench.cli.choices import runs as run_folders
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Out
from nexus_bench.errors import UsageError, unknown_name

_FORMATS = ("csv", "md")


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(readable=False, metavar="RUN...", help="Run folders.", autocompletion=run_folders),
    ],
    out: Out = None,
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
    built, files = build(runs, folder if file_format is None else None)
    tell_unsealed(runs)
    if as_json:
        print_document("report", files=files, report=to_document(built))
    elif file_format == "csv":
        typer.echo(to_csvs(built)["report.csv"], nl=False)
    elif file_format == "md":
        typer.echo(to_markdown(built), nl=False)
    else:
        print_report(built, files)


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
