"""The command that trains published results again, and says whether they hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from nexus_bench.cli.choices import one_of, reproductions
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Device, Executor, Mode, Out, Quiet, Workers
from nexus_bench.cli.starting import starting
from nexus_bench.errors import FailedCellsError, UsageError, unknown_name

if TYPE_CHECKING:
    from nexus_bench.experiment.run_folder import RunFolder
    from nexus_bench.reproductions.judge import JudgedClaim
    from nexus_bench.reproductions.spec import Reproduction

SCALES = ("small", "published")


def reproduce(
    name: Annotated[
        Optional[str],
        typer.Argument(
            metavar="[NAME]",
            help="A reproduction, or a YAML file of one; without it, list all.",
            autocompletion=reproductions,
        ),
    ] = None,
    scale: Annotated[str, one_of(SCALES, help="small: minutes on a laptop; published: a GPU.")] = "small",
    check: Annotated[
        Optional[Path],
        typer.Option(readable=False, metavar="FOLDER", help="Judge this finished run of it; train nothing."),
    ] = None,
    out: Out = None,
    device: Device = "auto",
    mode: Mode = "auto",
    executor: Executor = "process",
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a published result again and judge it.

    Trains what is missing, and prints claimed against measured with a verdict. Without a name: what there is, its cost,
    and its state here.
    """
    if scale not in SCALES:
        raise UsageError(unknown_name("scale", scale, SCALES))
    if name is None:
        if check is not None or out is not None:
            raise UsageError("name the reproduction too: `nexus-bench reproduce NAME`; without a name all are listed")
        _list(as_json=as_json, quiet=quiet)
        return
    if check is not None and out is not None:
        raise UsageError("--check judges a run where it is; omit --out")
    with starting(f"reproduce: {name} {scale}", quiet=quiet):
        from nexus_bench.experiment.run_folder import RunFolder
        from nexus_bench.reproductions import run
        from nexus_bench.reproductions.judge import check_figures
        from nexus_bench.reproductions.listed import listed
        from nexus_bench.reproductions.spec import read_reproduction

        reproduction = read_reproduction(name)
        if scale not in reproduction.scales:
            raise UsageError(f"{name}: has no scale {scale}, only {', '.join(reproduction.scales)}")
        check_figures(reproduction, scale)
    failed = None
    path = check or out or reproduction.folder(scale)
    if check is None and run.is_kept(reproduction, scale, path):
        typer.echo(
            f"{path}: is kept without its cells, and is judged; to train it again, choose another --out", err=True
        )
    elif check is None:
        failed = _train(reproduction, scale, RunFolder(path), device, mode, executor, workers, quiet)
    outcome = run.judge_folder(reproduction, scale, path)
    files = run.write(reproduction, scale, outcome, path)
    if as_json:
        rows = [one.row for one in outcome.figures]
        one = [listed(reproduction, {scale: path})]
        print_document("reproduce", reproductions=one, verdict=outcome.verdict, figures=rows, files=files)
    else:
        _print(reproduction, outcome)
        typer.echo("\n".join(map(str, files)))
    if failed:
        raise FailedCellsError(f"{failed} failed; `nexus-bench status {path}` says why, the same command tries again")


def _train(
    reproduction: "Reproduction",
    scale: str,
    folder: "RunFolder",
    device: str,
    mode: str,
    executor: str,
    workers: int | None,
    quiet: bool,
) -> str | None:
    """Train and ask what a run lacks, and report it; how many cells failed, in words."""
    from nexus_bench.api.training import prepare
    from nexus_bench.experiment.execution import choose_device
    from nexus_bench.report.output import report
    from nexus_bench.reproductions.run import ask_all

    prepared = prepare(
        reproduction.suite(scale), data=None, out=folder.path, device=device, mode=mode, executor=executor,
        workers=workers,
    )  # fmt: skip
    trained = prepared.train(quiet=quiet)

    def say(split: str) -> None:
        if not quiet:
            typer.echo(f"asking {split}", err=True)

    if ask_all(reproduction, scale, folder, device=choose_device(device), on_split=say):
        report([folder.path], folder.path)
    n = len(trained.failures)
    return f"{n} of {len(trained.titles)} cells" if n else None


def _list(*, as_json: bool, quiet: bool) -> None:
    """Every bundled reproduction: claim, source, cost, state."""
    with starting("reproduce", quiet=quiet or as_json):
        from nexus_bench.reproductions.listed import listed
        from nexus_bench.reproductions.spec import bundled_reproductions, read_reproduction

        found = [listed(read_reproduction(name)) for name in bundled_reproductions()]
    if as_json:
        print_document("reproduce", reproductions=found, verdict=None, figures=[], files=[])
        return
    for one in found:
        typer.echo(f"{one.name} (arXiv {one.arxiv})")
        typer.echo(f"  {one.claim}")
        for at in one.scales:
            cost = "not counted" if at.flops is None else f"{at.flops:.1e} FLOPs"
            typer.echo(f"  {at.scale:<10} {cost:<14} {at.n_cells:>4} cells  {at.state}")


def _print(reproduction: "Reproduction", outcome: "JudgedClaim") -> None:
    """The figures by check, claimed against measured, and the verdict."""
    from rich.table import Table

    from nexus_bench.cli.screen import print_table
    from nexus_bench.reproductions.claim_page import HEADS, cells

    for number, verdict in enumerate(outcome.checks, 1):
        of_check = [one for one in outcome.figures if one.row["check"] == number]
        shown = Table(*HEADS, title=f"{number}. {of_check[0].row['claim']}: {verdict}", title_justify="left")
        for one in of_check:
            shown.add_row(*cells(one))
        print_table(shown)
    typer.echo(f"{reproduction.reproduction}: {outcome.verdict}")
