"""Commands that train, and that report what was trained."""

import json
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Optional

import typer

from nexus_bench.cli.options import AsJson, Hops, Out, Quiet, Settings, given, hops_of
from nexus_bench.errors import FailedCellsError, StorageError, UsageError, unknown_name


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
    mode: Annotated[str, typer.Option(help="auto, single, deterministic, tf32 or bfloat16.")] = "auto",
    stack: Annotated[Optional[int], typer.Option(min=1, help="Models in one step, at most; by memory if less.")] = None,
    executor: Annotated[str, typer.Option(help="process, inline or dask.")] = "process",
    scheduler: Annotated[Optional[str], typer.Option(help="Of dask: tcp://host:port; default a local one.")] = None,
    workers: Annotated[Optional[int], typer.Option(min=1, help="Processes on a CPU; default one a core.")] = None,
    log_every: Annotated[Optional[int], typer.Option(min=1, help="Print evaluations, this many steps apart.")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard.")] = False,
    out: Out = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which cells, and how long they take.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train the grid of a suite, then print and write its report."""
    from nexus_bench.config import parse_settings
    from nexus_bench.display import Display, print_plan, print_report
    from nexus_bench.events import Event
    from nexus_bench.report import build_report, write_report
    from nexus_bench.results import RunFolder
    from nexus_bench.runner import choose_execution, estimate_seconds, make_plan, run_plan
    from nexus_bench.suite import make_suite, select_suite
    from nexus_bench.tensorboard import TensorBoard

    overrides = parse_settings(settings or [])
    overrides |= parse_settings([] if order is None else [f"order={order}"])
    overrides |= given(hops=hops_of(hops), seeds=seeds)
    config, where = select_suite(suite, task=task, attention=attention, data=data, settings=overrides)
    grid = make_suite(config, where=where)
    folder = RunFolder(out or Path("runs") / grid.name)
    plan = make_plan(grid, folder)
    execution = choose_execution(
        mode=mode, device=device, executor=executor, n_workers=workers, stack=stack, scheduler=scheduler
    )
    if dry_run:
        print_plan(plan, estimate_seconds(plan, device=execution.device, data=data), n_workers=execution.n_workers)
        return
    with ExitStack() as stack_of:
        board = stack_of.enter_context(TensorBoard(folder.path / "tensorboard")) if tensorboard else None
        display = stack_of.enter_context(Display(plan, quiet=quiet, log_every=log_every))

        def on_event(event: Event) -> None:
            display.on_event(event)
            if board:
                board.on_event(event)

        failures = run_plan(plan, folder, execution, data=data, on_event=on_event)
    with suppress(StorageError) if failures else nullcontext():  # what failed is told first
        report = build_report(folder.read_results())
        print_report(report, [folder.results_csv, *write_report(report, folder.path)])
    if failures:
        raise FailedCellsError(
            f"{len(failures)} of {len(grid.cells)} cells failed, as told above; the same command tries them again"
        )


def status(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    as_json: AsJson = False,
) -> None:
    """Show which cells of a run are done, running, failed or to do."""
    from nexus_bench.cli.tables import print_table, status_table
    from nexus_bench.results import RunFolder
    from nexus_bench.status import read_status

    states = read_status(RunFolder(run))
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "cells": [state._asdict() for state in states]}))
    else:
        print_table(status_table(states))


def match(
    suite: Annotated[Optional[str], typer.Argument(help="A YAML file or a bundled suite.")] = None,
    task: Annotated[Optional[str], typer.Option(help="Without a suite: the task.")] = None,
    hops: Hops = None,
    attention: Annotated[Optional[str], typer.Option(help="Without a suite: the attention.")] = None,
    order: Annotated[Optional[str], typer.Option(help="Attention orders, as 2,3.")] = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show the standard and looped models with the parameters, or the compute, of each model; nothing is trained."""
    from nexus_bench.cli.tables import matches_table, print_table
    from nexus_bench.config import parse_settings
    from nexus_bench.matching import cost_of, matched
    from nexus_bench.suite import make_suite, select_suite

    overrides = parse_settings([*([] if order is None else [f"order={order}"]), *(settings or [])])
    overrides |= given(hops=hops_of(hops), matched=False)
    config, where = select_suite(suite, task=task, attention=attention, data=None, settings=overrides)
    cells = make_suite(config, where=where).cells
    pairs = {(cell.task.model_dump_json(), cell.model.model_dump_json()): cell for cell in cells}.values()
    found = [
        (cell.task, cell.model, cost_of(cell.model, cell.task), rivals)
        for cell in pairs
        if (rivals := matched(cell.model, cell.task))
    ]
    if not found:
        raise UsageError("only standard attention is asked for, which is the rival; ask for another, such as nexus")
    if as_json:
        models = [
            {"task": task.task, "model": model.model_dump(mode="json"), **cost._asdict()}
            | {"matches": [rival._asdict() | {"model": rival.model.model_dump(mode="json")} for rival in rivals]}
            for task, model, cost, rivals in found
        ]
        typer.echo(json.dumps({"schema_version": 1, "models": models}))
        return
    for task_spec, model, cost, rivals in found:
        print_table(matches_table(f"{task_spec.task}: {model.label}", cost, rivals))


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
