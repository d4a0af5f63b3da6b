"""Commands that train, and that report what was trained."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Device, Hops, Out, Quiet, Settings, given, hops_of
from nexus_bench.errors import FailedCellsError, UsageError, unknown_name


def train(
    suite: Annotated[Optional[str], typer.Argument(help="A YAML file or a bundled suite; default quick.")] = None,
    task: Annotated[Optional[str], typer.Option(help="Without a suite: the task.")] = None,
    hops: Hops = None,
    attention: Annotated[Optional[str], typer.Option(help="Without a suite: the attention.")] = None,
    order: Annotated[Optional[str], typer.Option(help="Attention orders, as 1,2,3.")] = None,
    data: Annotated[
        Optional[Path], typer.Option(readable=False, help="A dataset folder from `gen`, instead of a task.")
    ] = None,
    seeds: Annotated[Optional[int], typer.Option(min=1, max=100_000, help="How many seeds.")] = None,
    settings: Settings = None,
    device: Device = "auto",
    mode: Annotated[str, typer.Option(help="auto, single, deterministic, tf32 or bfloat16.")] = "auto",
    stack: Annotated[
        Optional[int], typer.Option(min=1, max=1_000_000, help="Most models in one step; fewer if memory is short.")
    ] = None,
    executor: Annotated[str, typer.Option(help="process, inline or dask.")] = "process",
    scheduler: Annotated[Optional[str], typer.Option(help="With dask: tcp://host:port; default a local one.")] = None,
    workers: Annotated[
        Optional[int], typer.Option(min=1, max=1_000, help="Processes: one per core, or 4 on each GPU.")
    ] = None,
    log_every: Annotated[
        Optional[int], typer.Option(min=1, max=1_000_000_000, help="Print evaluations every so many steps.")
    ] = None,
    curve_points: Annotated[
        int, typer.Option(min=2, max=1_000_000, help="Evaluations of each cell that curve.csv keeps.")
    ] = 20,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard.")] = False,
    out: Out = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the cells and the time they will take.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train the grid of a suite, then print and write its report."""
    from nexus_bench.experiment.display import print_plan
    from nexus_bench.experiment.estimate import estimate
    from nexus_bench.experiment.execution import choose_execution
    from nexus_bench.experiment.plan import make_plan
    from nexus_bench.experiment.run_folder import RunFolder
    from nexus_bench.experiment.status import read_status
    from nexus_bench.experiment.suite import make_suite, select_suite
    from nexus_bench.experiment.train import train as train_plan
    from nexus_bench.io.config import parse_settings
    from nexus_bench.report.ci import github_lines
    from nexus_bench.report.output import to_document
    from nexus_bench.report.terminal import print_report

    overrides = parse_settings(settings or []) | parse_settings([] if order is None else [f"order={order}"])
    overrides |= given(hops=hops_of(hops), seeds=seeds)
    grid = make_suite(*select_suite(suite, task=task, attention=attention, data=data, settings=overrides))
    folder = RunFolder(out or Path("runs") / grid.name)
    plan = make_plan(grid, folder)
    execution = choose_execution(
        mode=mode, device=device, executor=executor, n_workers=workers, stack=stack, scheduler=scheduler
    )._replace(curve_points=curve_points)
    if dry_run:
        titles = plan.titles
        told = estimate(plan, execution, data)
        if as_json:
            cells = [
                {"cell_id": cell.cell_id, "title": titles[cell.cell_id], "lr": cell.train.lr, "steps": cell.train.steps}
                | {"seconds": told.cells.get(cell.cell_id)}
                for cell in plan.suite.cells
            ]
            later = {"seconds": told.seconds, "n_later": plan.suite.n_later}
            print_document("train --dry-run", suite=grid.name, n_workers=execution.n_workers, cells=cells, **later)
        else:
            print_plan(plan, told, execution)
        return
    trained = train_plan(plan, folder, execution, data=data, quiet=quiet, log_every=log_every, tensorboard=tensorboard)
    if trained.report is not None and as_json:
        states, document = read_status(folder), to_document(trained.report)
        print_document("train", folder=folder.path, files=trained.files, cells=states, report=document)
    elif trained.report is not None:
        print_report(trained.report, trained.files)
    if trained.failures:
        titles = trained.titles
        github_lines("error", [(titles[failure.cell_id], failure.reason) for failure in trained.failures])
        n = f"{len(trained.failures)} of {len(titles)} cells"
        raise FailedCellsError(f"{n} failed, for the reasons above; the same command tries them again")


def status(
    run: Annotated[Path, typer.Argument(readable=False, help="A run folder.")],
    as_json: AsJson = False,
) -> None:
    """Show which cells of a run are done, running, failed or still to do."""
    from nexus_bench.cli.printing import print_table, status_table
    from nexus_bench.experiment.run_folder import open
    from nexus_bench.experiment.status import read_status

    states = read_status(open(run))
    if as_json:
        print_document("status", cells=states)
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
    """Show standard and looped models with as many parameters, or as much compute, as each model; trains nothing."""
    from nexus_bench.cli.printing import matches_table, print_table
    from nexus_bench.experiment.suite import make_suite, select_suite
    from nexus_bench.io.config import parse_settings
    from nexus_bench.model.matching import match as match_models

    overrides = parse_settings([*([] if order is None else [f"order={order}"]), *(settings or [])])
    overrides |= given(hops=hops_of(hops), matched=False, tune=False, comparisons=False)
    cells = make_suite(*select_suite(suite, task=task, attention=attention, data=None, settings=overrides)).cells
    found = match_models((cell.task, cell.model) for cell in cells)
    if not found:
        raise UsageError("standard attention is the baseline itself; give another attention, such as nexus")
    if as_json:
        models = [
            {"task": one.task.task, "model": one.model, **one.cost._asdict(), "matches": one.baselines} for one in found
        ]
        print_document("match", models=models)
        return
    for one in found:
        print_table(matches_table(f"{one.task.task}: {one.model.label}", one.cost, one.baselines))


def list_(
    what: Annotated[Optional[str], typer.Argument(help="tasks, attentions or suites; default all.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what can be trained."""
    from nexus_bench.cli.catalogue import KINDS, catalogue

    if what is not None and what not in KINDS:
        raise UsageError(unknown_name("kind", what, KINDS))
    listed = {kind: catalogue(kind) for kind in ([what] if what else KINDS)}
    if as_json:
        print_document("list", **listed)
        return
    for kind, entries in listed.items():
        typer.echo(kind)
        for entry in entries:
            typer.echo(f"  {entry.name:<16} {entry.summary}")
            for option in entry.options:
                typer.echo(f"    {option}")
