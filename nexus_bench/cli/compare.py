"""The command that sets a run beside the one before it, and fails when it got worse."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, check_out
from nexus_bench.errors import GateError, UsageError, unknown_name
from nexus_bench.io.results import read_results

if TYPE_CHECKING:
    from rich.table import Table

    from nexus_bench.analysis.compare_runs import Compared


def compare(
    base: Annotated[Path, typer.Argument(help="The run folder that was accepted.")],
    new: Annotated[Path, typer.Argument(help="The run folder in question.")],
    max_drop: Annotated[float, typer.Option(help="How far a mean may fall: in accuracy, or in hops of reach.")] = 0.02,
    metric: Annotated[str, typer.Option(help="accuracy, at every hop, or reach.")] = "accuracy",
    split: Annotated[str, typer.Option(help="Which split.")] = "test",
    confidence: Annotated[float, typer.Option(help="Of each interval; more for a large grid.")] = 0.95,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on cells and seeds that the new run lacks.")] = False,
    junit: Annotated[Optional[Path], typer.Option(help="Also write JUnit XML here.")] = None,
    out: Annotated[Optional[Path], typer.Option(help="Folder for compare.csv; default NEW.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set a run beside an accepted one, cell by cell, and exit 6 if it is worse by more than noise."""
    from nexus_bench.analysis.compare_runs import METRICS
    from nexus_bench.analysis.compare_runs import compare as compare_results
    from nexus_bench.cli.printing import print_table
    from nexus_bench.io.columns import COMPARE_COLUMNS
    from nexus_bench.io.csv_files import beginning, to_csv
    from nexus_bench.io.files import write_atomic
    from nexus_bench.report import compared_runs as verdicts
    from nexus_bench.report.ci import github_lines, github_summary, junit_xml

    if metric not in METRICS:
        raise UsageError(unknown_name("metric", metric, METRICS))
    if not 0 <= max_drop <= (1 if metric == "accuracy" else float("inf")):
        raise UsageError(f"--max-drop must be 0 or more, and of accuracy at most 1; got {max_drop:g}")
    if not 0.5 <= confidence < 1:
        raise UsageError(f"--confidence must be from 0.5 to below 1, got {confidence:g}")
    check_out(out, "compare.csv", beginning(COMPARE_COLUMNS))
    frames = [read_results(run) for run in (base, new)]
    compared = compare_results(
        *frames, metric=metric, max_drop=max_drop, split=split, confidence=confidence, strict=strict
    )
    title = f"{metric} on {split}, {new} beside {base}"
    conclusion = verdicts.conclusion(compared, max_drop=max_drop, confidence=confidence)
    failing, noisy = verdicts.failures(compared, strict=strict), verdicts.noisy(compared)
    rows = [verdicts.row(one) for one in compared]
    files = [(out or new) / "compare.csv", *([junit] if junit else [])]
    if not as_json:
        print_table(compare_table(title, compared))
    write_atomic(files[0], to_csv(rows, COMPARE_COLUMNS))
    if junit:
        write_atomic(junit, junit_xml(f"nexus-bench compare: {title}", verdicts.cases(compared, failing)))
    github_summary(verdicts.markdown(compared, conclusion, failing, title))
    if as_json:
        print_document(
            "compare", files=files, metric=metric, max_drop=max_drop, split=split, rows=rows, conclusion=conclusion
        )
    else:
        for line in [*conclusion, *map(str, files)]:
            typer.echo(line)
    github_lines("error", [(name, verdicts.sentence(one)) for name, one in failing])
    github_lines("warning", [(name, f"within noise: {verdicts.sentence(one)}") for name, one in noisy])
    if failing:
        raise GateError(f"{verdicts.complaint(compared, max_drop=max_drop, strict=strict)}; see {files[0]}")


def compare_table(title: str, compared: "Sequence[Compared]") -> "Table":
    """A row a comparison, but those of the new run alone; what fails the gate is in capitals."""
    from rich.markup import escape
    from rich.table import Table

    from nexus_bench.analysis.compare_runs import FAILING, NEW_ONLY, WITHIN_NOISE
    from nexus_bench.report.compared_runs import cells, names

    table = Table(title=escape(title), title_justify="left")
    table.add_column("cells")
    for head in ("base", "new", "difference", "interval", "seeds"):
        table.add_column(head, justify="right")
    table.add_column("verdict")
    styles = dict.fromkeys(FAILING, "bold red") | {WITHIN_NOISE: "yellow"}
    named = zip(names(compared, with_task=False), compared, strict=True)
    shown = [(name, one) for name, one in named if one.verdict != NEW_ONLY]
    for i, (name, one) in enumerate(shown):
        table.add_row(
            escape(name),
            *cells(one).values(),
            str(one.n_seeds),
            one.verdict.upper() if one.verdict in FAILING else one.verdict,
            style=styles.get(one.verdict),
            end_section=i + 1 == len(shown) or shown[i + 1][1].cell != one.cell,
        )
    return table
