"""Commands that train, or say what would be trained."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from nexus_bench.cli.choices import LOGGERS, attentions, check_known, loggers, suites, tasks
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.ending import print_end
from nexus_bench.cli.options import HOW, AsJson, Device, Executor, Mode, Out, Quiet, Settings, Workers, hops_of
from nexus_bench.cli.starting import starting
from nexus_bench.cli.words import one_name, read_words, split_commas
from nexus_bench.errors import FailedCellsError, UsageError

_MOST_REASONS = 5  # of failed cells, said again at the end
WHAT, RECIPE, SHOWN = "What to train", "Recipe", "Output"

SuiteWords = Annotated[
    Optional[list[str]],
    typer.Argument(
        metavar="[SUITE] [KEY=VALUE]...",
        help="A bundled suite (default quick), a YAML file, or a task; and settings, such as d_model=128 order=2,3.",
        autocompletion=suites,
    ),
]
Suite = Annotated[
    Optional[str],
    typer.Option(
        "--suite", metavar="SUITE", help="The suite, as an option.", autocompletion=suites, rich_help_panel=WHAT
    ),
]
Tasks = Annotated[
    Optional[str],
    typer.Option(
        "--task", metavar="TASKS", help="Tasks instead of the suite's: reachable,ancestor.", autocompletion=tasks,
        rich_help_panel=WHAT,
    ),
]  # fmt: skip
Attentions = Annotated[
    Optional[str],
    typer.Option(
        "--attention", metavar="NAMES", help="Attentions instead of the suite's: nexus,tree; standard comes along.",
        autocompletion=attentions, rich_help_panel=WHAT,
    ),
]  # fmt: skip
Orders = Annotated[
    Optional[str],
    typer.Option("--order", metavar="ORDERS", help="Attention orders, and no others: 1,2,3.", rich_help_panel=WHAT),
]
Hops = Annotated[
    Optional[str],
    typer.Option("--hops", metavar="HOPS", help="Hop counts: 3, 1-5 or 1,2,4.", rich_help_panel=WHAT),
]


def _number(help: str, panel: str, least: int, most: int) -> Any:
    return typer.Option(min=least, max=most, metavar="N", help=help, rich_help_panel=panel)


def _values(*names: str, help: str) -> Any:
    return typer.Option(*names, metavar="VALUES", help=help, rich_help_panel=RECIPE)


def train(
    words: SuiteWords = None,
    suite: Suite = None,
    task: Tasks = None,
    attention: Attentions = None,
    order: Orders = None,
    hops: Hops = None,
    data: Annotated[
        Optional[Path],
        typer.Option(
            readable=False, metavar="FOLDER", help="A dataset from `gen` instead of tasks.", rich_help_panel=WHAT
        ),
    ] = None,
    seeds: Annotated[
        Optional[str],
        typer.Option(metavar="SEEDS", help="How many seeds, or which: 3 or 0,1,5.", rich_help_panel=WHAT),
    ] = None,
    steps: Annotated[Optional[str], _values(help="Optimiser steps.")] = None,
    lr: Annotated[Optional[str], _values("--lr", help="Learning rates: 1e-3 or 1e-3,3e-3.")] = None,
    batch_size: Annotated[Optional[str], _values(help="Graphs per step.")] = None,
    settings: Settings = None,
    device: Device = "auto",
    mode: Mode = "auto",
    stack: Annotated[
        Optional[int], _number("Most models in one step; fewer if memory is short.", HOW, 1, 1_000_000)
    ] = None,
    executor: Executor = "process",
    scheduler: Annotated[
        Optional[str],
        typer.Option(metavar="URL", help="With dask: tcp://host:port; default a local one.", rich_help_panel=HOW),
    ] = None,
    workers: Workers = None,
    log_every: Annotated[
        Optional[int], _number("Print evaluations every so many steps.", SHOWN, 1, 1_000_000_000)
    ] = None,
    curve_points: Annotated[int, _number("Evaluations of each cell that curve.csv keeps.", SHOWN, 2, 1_000_000)] = 20,
    logger: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help=f"Where curves go, of {', '.join(LOGGERS)}: a list.",
            autocompletion=loggers,
            rich_help_panel=SHOWN,
        ),
    ] = "csv",
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Short for --logger tensorboard.", rich_help_panel=SHOWN)
    ] = False,
    out: Out = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only list the cells and the time they will take.", rich_help_panel=SHOWN),
    ] = False,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Only print the suite as YAML, with what was set.", rich_help_panel=SHOWN),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a grid of models and report it.

    The grid of a suite, or of quick with other tasks or attentions. The same command resumes.
    """
    said = read_words(words, settings, order=order, seeds=seeds, steps=steps, lr=lr, batch_size=batch_size)
    asked = one_name(said.names, suite, what="suite", command="train")
    where = [*split_commas([logger]), *(["tensorboard"] if tensorboard else [])]
    check_known("logger", where, LOGGERS)
    named = ", ".join(name for name in (asked, task, attention, str(data) if data else None) if name) or "quick"
    with starting(f"train: {named}", quiet=quiet or print_config or (dry_run and as_json)):
        from nexus_bench.api.training import place, prepare, select
        from nexus_bench.experiment.display import print_plan, steps_to_go_on_from
        from nexus_bench.experiment.estimate import estimate
        from nexus_bench.experiment.status import read_status
        from nexus_bench.io.config import parse_settings, to_yaml, without_none
        from nexus_bench.report.ci import github_lines
        from nexus_bench.report.output import to_document
        from nexus_bench.report.terminal import print_report

        overrides = parse_settings(said.settings) | without_none(hops=hops_of(hops))
        grid = select(asked, task=task, attention=attention, data=data, settings=overrides)
        if print_config:
            if as_json:
                print_document("train --print-config", suite=grid.name, n_cells=len(grid.cells), config=grid.config)
            else:
                typer.echo(to_yaml(grid.config), nl=False)
            return
        if out is None:
            grid, out = place(grid, asked, chooses="--out", quiet=False)
        prepared = prepare(
            grid, data=data, out=out, device=device, mode=mode, executor=executor, workers=workers, stack=stack,
            scheduler=scheduler,
        )  # fmt: skip
        prepared = prepared._replace(execution=prepared.execution._replace(curve_points=curve_points))
    plan, execution = prepared.plan, prepared.execution
    if dry_run:
        titles = plan.titles
        told = estimate(plan, execution, data)
        if as_json:
            saved = steps_to_go_on_from(plan, execution, prepared.folder)
            cells = [
                {"cell_id": cell.cell_id, "title": titles[cell.cell_id], "lr": cell.train.lr, "steps": cell.train.steps}
                | {"seconds": told.cells.get(cell.cell_id), "step": saved.get(cell.cell_id)}
                for cell in plan.suite.cells
            ]
            later = {"seconds": told.seconds, "n_later": plan.suite.n_later}
            print_document("train --dry-run", suite=grid.name, n_workers=execution.n_workers, cells=cells, **later)
        else:
            print_plan(plan, told, execution, prepared.folder)
        return
    trained = prepared.train(quiet=quiet, log_every=log_every, loggers=where)
    folder = trained.folder
    if trained.report is not None and as_json:
        states, document = read_status(folder), to_document(trained.report)
        print_document("train", folder=folder.path, files=trained.files, cells=states, report=document)
    elif trained.report is not None:
        print_report(trained.report, [])
        for failure in trained.failures[:_MOST_REASONS]:
            typer.echo(f"Failed: {failure.reason}")
        print_end(folder.path, trained.files)
    if trained.failures:
        titles = trained.titles
        github_lines("error", [(titles[failure.cell_id], failure.reason) for failure in trained.failures])
        n = f"{len(trained.failures)} of {len(titles)} cells"
        raise FailedCellsError(f"{n} failed, for the reasons above; the same command tries them again")


def match(
    words: SuiteWords = None,
    suite: Suite = None,
    task: Tasks = None,
    attention: Attentions = None,
    order: Orders = None,
    hops: Hops = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show baselines of equal size or compute.

    Standard and looped models with as many parameters, or as much compute, as each model; trains nothing.
    """
    from nexus_bench.api.training import select
    from nexus_bench.cli.printing import matches_table
    from nexus_bench.cli.screen import print_table
    from nexus_bench.io.config import parse_settings, without_none
    from nexus_bench.model.matching import match as match_models

    said = read_words(words, settings, order=order)
    asked = one_name(said.names, suite, what="suite", command="match")
    overrides = parse_settings(said.settings) | without_none(
        hops=hops_of(hops), matched=False, tune=False, comparisons=False
    )
    cells = select(asked, task=task, attention=attention, data=None, settings=overrides).cells
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
