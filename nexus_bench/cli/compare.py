"""The command that compares a run with an accepted one, and fails if it got worse."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from nexus_bench.cli.choices import one_of, runs
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson
from nexus_bench.errors import CheckFailedError, UsageError, unknown_name


def compare(
    base: Annotated[
        Path, typer.Argument(readable=False, metavar="BASE", help="The accepted run folder.", autocompletion=runs)
    ],
    new: Annotated[
        Path, typer.Argument(readable=False, metavar="NEW", help="The run folder to check.", autocompletion=runs)
    ],
    max_drop: Annotated[float, typer.Option(help="Largest drop of a mean: in accuracy, or in hops of reach.")] = 0.02,
    metric: Annotated[str, one_of(("accuracy", "reach"), help="accuracy at every hop, or hop reach.")] = "accuracy",
    split: Annotated[str, typer.Option(metavar="SPLIT", help="Which split.")] = "test",
    confidence: Annotated[float, typer.Option(help="Confidence of each interval; use more for a large grid.")] = 0.95,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on cells and seeds that the new run lacks.")] = False,
    junit: Annotated[Optional[Path], typer.Option(readable=False, metavar="FILE", help="Also write JUnit XML.")] = None,
    out: Annotated[
        Optional[Path],
        typer.Option("--out", "-o", readable=False, metavar="FOLDER", help="Folder for compare.csv; default NEW."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a run with an accepted one.

    Cell by cell and hop by hop; exit code 6 if the new run is worse by more than noise.
    """
    from nexus_bench.analysis.compare_runs import METRICS
    from nexus_bench.cli.printing import compare_table, tell_unsealed
    from nexus_bench.cli.screen import print_table
    from nexus_bench.io.record_seals import check_records
    from nexus_bench.report.ci import github_lines
    from nexus_bench.report.compare import compare as compare_runs
    from nexus_bench.report.comparison_text import sentence

    if metric not in METRICS:
        raise UsageError(unknown_name("metric", metric, METRICS))
    if not 0 <= max_drop <= (1 if metric == "accuracy" else float("inf")):
        raise UsageError(f"--max-drop must be 0 or more, and of accuracy at most 1; got {max_drop:g}")
    if not 0.5 <= confidence < 1:
        raise UsageError(f"--confidence must be from 0.5 to below 1, got {confidence:g}")
    for run in (base, new):
        check_records(run)
    outcome = compare_runs(
        base, new, metric=metric, max_drop=max_drop, split=split, confidence=confidence, strict=strict, out=out,
        junit=junit,
    )  # fmt: skip
    tell_unsealed([base, new])
    if as_json:
        of_both = {"metric": metric, "max_drop": max_drop, "split": split}
        print_document("compare", files=outcome.files, **of_both, rows=outcome.rows, conclusion=outcome.conclusion)
    else:
        print_table(compare_table(outcome.title, outcome.compared))
        for line in [*outcome.conclusion, *map(str, outcome.files)]:
            typer.echo(line)
    github_lines("error", [(name, sentence(one)) for name, one in outcome.failing])
    github_lines("warning", [(name, f"within noise: {sentence(one)}") for name, one in outcome.noisy])
    if outcome.complaint:
        raise CheckFailedError(f"{outcome.complaint}; see {outcome.files[0]}")
