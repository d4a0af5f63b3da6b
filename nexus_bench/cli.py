"""The command line: parse, call one function, print. What a command needs is imported when it runs."""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn, Optional

import typer

from nexus_bench import __version__
from nexus_bench.errors import ConfigError, FailedCellsError, NexusBenchError, UsageError, unknown_name

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How many reasoning hops can one attention layer make, as a function of attention order?",
)

Task = Annotated[str, typer.Option(help="Task family; see `nexus-bench list tasks`.")]
Hops = Annotated[Optional[str], typer.Option(help="Hop counts: 3, 1-5 or 1,2,4.")]
Settings = Annotated[Optional[list[str]], typer.Option("--set", help="Override a value: key=value; repeatable.")]
Out = Annotated[Optional[Path], typer.Option(help="Output folder.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def main() -> NoReturn:
    """Run the command line and exit with the code of what happened."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    os._exit(code)  # everything is written: taking PyTorch down would cost a second


def run(arguments: list[str]) -> int:
    """Run one command.

    Returns:
        The exit code; errors are told in one line on stderr.
    """
    try:
        code = app(arguments, prog_name="nexus-bench", standalone_mode=False)
    except NexusBenchError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail(f"{error.format_message().rstrip('.')}; see `nexus-bench -h`", UsageError.exit_code)
    return code if isinstance(code, int) else 0


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"nexus-bench {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def gen(
    task: Task = "pointer_chase",
    hops: Hops = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Training graphs.")] = 10_000,
    n_test: Annotated[Optional[int], typer.Option(min=1, help="Test graphs.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Names the dataset.")] = 0,
    out: Out = None,
    file_format: Annotated[str, typer.Option("--format", help="npz, csv or jsonl.")] = "npz",
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Write a dataset: train, val and test files and a manifest with their hashes."""
    from nexus_bench.config import format_hops, parse_settings
    from nexus_bench.dataset import write_dataset
    from nexus_bench.formats import FORMATS
    from nexus_bench.show import as_text, show_example
    from nexus_bench.splits import Splits
    from nexus_bench.task import make_task

    if file_format not in FORMATS:
        raise UsageError(unknown_name("format", file_format, FORMATS))
    entry = {"task": task} | parse_settings(settings or []) | _given(hops=_hops(hops), n_test=n_test)
    spec = make_task(entry, where="gen")
    folder = out or Path("runs/data") / f"{task}-hops{format_hops(spec.hops)}-seed{seed}"
    manifest = write_dataset(
        folder, spec.generator(), seed=seed, n_train=n, n_val=spec.n_val, n_test=spec.n_test, file_format=file_format
    )
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "folder": str(folder), "manifest": manifest}))
        return
    generator = spec.generator()
    typer.echo(f"{folder}: {spec.task}, hops {format_hops(spec.hops)}, {generator.n_facts} facts a graph")
    for split, about in manifest["splits"].items():
        counts = f"{manifest['n_graphs'][split]:>9,} graphs {about['n_examples']:>11,} examples"
        typer.echo(f"  {about['file']:<12}{counts} {about['n_bytes'] / 1e6:>9.1f} MB  sha256 {about['sha256'][:16]}")
    typer.echo(f"  content     sha256 {manifest['content_sha256']}\n\none example")
    test = Splits(generator, seed=seed, n_val=spec.n_val, n_test=spec.n_test).test
    typer.echo(as_text(show_example(generator, test)))


@app.command()
def train(
    suite: Annotated[Optional[str], typer.Argument(help="A YAML file or a bundled suite; default quick.")] = None,
    task: Annotated[Optional[str], typer.Option(help="Without a suite: the task.")] = None,
    hops: Hops = None,
    attention: Annotated[Optional[str], typer.Option(help="Without a suite: the attention.")] = None,
    order: Annotated[Optional[str], typer.Option(help="Attention orders, as 1,2,3.")] = None,
    data: Annotated[Optional[Path], typer.Option(help="A dataset folder from `gen`, instead of a task.")] = None,
    seeds: Annotated[Optional[int], typer.Option(min=1, help="How many seeds.")] = None,
    settings: Settings = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[Optional[int], typer.Option(min=0, help="Processes; default one a core, 0 none.")] = None,
    out: Out = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which cells, and how long they take.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train the grid of a suite, then print and write its report."""
    from nexus_bench.config import parse_settings
    from nexus_bench.display import Display, print_plan, print_report
    from nexus_bench.report import build_report, write_report
    from nexus_bench.results import RunFolder
    from nexus_bench.runner import available_cores, choose_device, estimate_seconds, make_plan, run_plan
    from nexus_bench.suite import make_suite, select_suite

    overrides = parse_settings(settings or [])
    overrides |= parse_settings([] if order is None else [f"order={order}"])
    overrides |= _given(hops=_hops(hops), seeds=seeds)
    config, where = select_suite(suite, task=task, attention=attention, data=data, settings=overrides)
    grid = make_suite(config, where=where)
    folder = RunFolder(out or Path("runs") / grid.name)
    plan = make_plan(grid, folder)
    n_workers = available_cores() if workers is None else workers
    chosen = choose_device(device)
    if dry_run:
        print_plan(plan, estimate_seconds(plan, device=chosen, data=data), n_workers=n_workers)
        return
    with Display(plan, quiet=quiet) as display:
        failures = run_plan(plan, folder, device=chosen, n_workers=n_workers, data=data, on_event=display.on_event)
    report = build_report(folder.read_results())
    paths = [folder.results_csv, *write_report(report, folder.path)]
    print_report(report, paths)
    if failures:
        raise FailedCellsError(
            f"{len(failures)} of {len(grid.cells)} cells failed, as told above; the same command tries them again"
        )


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Out = None,
    file_format: Annotated[
        Optional[str], typer.Option("--format", help="csv, md or json: to stdout, no files.")
    ] = None,
) -> None:
    """Rebuild the report of one or several runs from their results.csv alone."""
    import pandas as pd

    from nexus_bench.display import print_report
    from nexus_bench.report import build_report, to_csv, to_json, to_markdown, write_report
    from nexus_bench.results import RunFolder

    writers = {"csv": to_csv, "json": to_json, "md": to_markdown}
    if file_format is not None and file_format not in writers:
        raise UsageError(unknown_name("format", file_format, writers))
    if len(runs) > 1 and out is None and file_format is None:
        raise UsageError("a report of several runs needs a folder of its own; give --out")
    built = build_report(pd.concat([RunFolder(run).read_results() for run in runs], ignore_index=True))
    if file_format is not None:
        typer.echo(writers[file_format](built), nl=False)
        return
    print_report(built, write_report(built, out or runs[0]))


@app.command(name="list")
def list_(
    what: Annotated[Optional[str], typer.Argument(help="tasks, attentions or suites; default all.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what can be trained."""
    from nexus_bench.catalogue import KINDS, catalogue

    if what is not None and what not in KINDS:
        raise UsageError(unknown_name("kind", what, KINDS))
    listed = {kind: catalogue(kind) for kind in ([what] if what else KINDS)}
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, **{k: [e._asdict() for e in v] for k, v in listed.items()}}))
        return
    for kind, entries in listed.items():
        typer.echo(kind)
        for entry in entries:
            typer.echo(f"  {entry.name:<16} {entry.summary}")
            for option in entry.options:
                typer.echo(f"    {option}")


@app.command()
def show(
    task: Annotated[str, typer.Argument(help="Task family.")],
    hops: Hops = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed shows another example.")] = 0,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show one example: its facts, the chain that derives the answer, its flat tokens."""
    from nexus_bench.config import parse_settings
    from nexus_bench.show import as_text, show_example
    from nexus_bench.streams import stream
    from nexus_bench.task import make_task

    entry = {"task": task} | parse_settings(settings or []) | _given(hops=_hops(hops))
    generator = make_task(entry, where="show").generator()
    shown = show_example(generator, generator.sample(1, stream("show", task, seed)))
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "task": task, **shown._asdict()}))
        return
    typer.echo(as_text(shown))
    typer.echo(f"flat    {shown.flat}\ntokens  {' '.join(str(token) for token in shown.tokens)}")


def _hops(text: str | None) -> list[int] | None:
    from nexus_bench.config import parse_hops

    try:
        return None if text is None else list(parse_hops(text))
    except ConfigError as error:
        raise UsageError(f"--hops: {error}") from error


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _fail(message: str, code: int) -> int:
    typer.echo(f"error: {message}", err=True)
    return code
