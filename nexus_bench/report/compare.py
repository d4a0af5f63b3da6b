"""A run compared with an accepted one: what fails, and the files that say so."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nexus_bench.analysis.compare_runs import (
    FAILING,
    MISSING,
    REGRESSION,
    WITHIN_NOISE,
    Compared,
    compare_results,
)
from nexus_bench.analysis.intervals import LEVEL
from nexus_bench.analysis.select_recipes import is_tuning
from nexus_bench.errors import UsageError
from nexus_bench.io.columns import COMPARE_COLUMNS, TEST, Row
from nexus_bench.io.csv_files import beginning, to_csv
from nexus_bench.io.files import keep_others, write_atomic
from nexus_bench.io.read_results import read_results
from nexus_bench.report.ci import JUNIT_BEGINNING, github_summary, junit_xml
from nexus_bench.report.comparison_text import cases, complaint, conclusion, markdown, names

COMPARE = "compare.csv"


class RunComparison(NamedTuple):
    """A new run compared with an accepted one.

    Attributes:
        title: What was compared.
        compared: Every comparison, from `analysis.compare_runs`.
        rows: The same as rows of compare.csv.
        conclusion: The outcome in a few lines.
        failing: What makes the comparison fail, by name, the largest drops first.
        noisy: Drops that are larger than allowed but within noise, by name.
        complaint: Why the comparison fails, in one line; empty if it passes.
        files: What was written.
    """

    title: str
    compared: list[Compared]
    rows: list[Row]
    conclusion: list[str]
    failing: list[tuple[str, Compared]]
    noisy: list[tuple[str, Compared]]
    complaint: str
    files: list[Path]


def compare(
    base: Path,
    new: Path,
    *,
    metric: str = "accuracy",
    max_drop: float = 0.02,
    split: str = TEST,
    confidence: float = LEVEL,
    strict: bool = False,
    out: Path | None = None,
    junit: Path | None = None,
) -> RunComparison:
    """Compare a run with an accepted one, write compare.csv, and append to the GitHub summary inside GitHub Actions.

    Args:
        base: The accepted run folder; its results.csv is enough.
        new: The run folder to check.
        metric: `accuracy`, hop by hop, or `reach`.
        max_drop: How far a mean may fall, in accuracy or in hops.
        split: The split to compare.
        confidence: Confidence of each interval.
        strict: Whether cells and seeds that the new run lacks fail the comparison.
        out: Folder of compare.csv; None takes `new`.
        junit: Also write JUnit XML here.

    Raises:
        ConfigError: The runs share no cells, or one holds several that its columns do not tell apart.
        CorruptArtefactError: A results.csv is missing, truncated or edited.
        StorageError: A folder is not a run folder, or a file cannot be written.
        UsageError: `out` holds a dataset, or one of the files is there and not from nexus-bench.
    """
    keep_others(out, {COMPARE: beginning(COMPARE_COLUMNS)})
    if junit:
        if junit.is_dir():
            raise UsageError(f"{junit}: is a folder; --junit names a file, such as {junit / 'junit.xml'}")
        keep_others(junit.parent, {junit.name: JUNIT_BEGINNING})
    frames = [found[~is_tuning(found)] for found in (read_results(run) for run in (base, new))]
    compared = compare_results(
        *frames, metric=metric, max_drop=max_drop, split=split, confidence=confidence, strict=strict
    )
    title = f"{metric} on {split}, {new} compared with {base}"
    told = conclusion(compared, max_drop=max_drop, confidence=confidence)
    if base.resolve() == new.resolve():
        told.append("both are the same folder, so nothing can differ")
    failing = failures(compared, strict=strict)
    why = complaint(compared, failing, max_drop=max_drop, strict=strict) if failing else ""
    rows = [row(one) for one in compared]
    files = [(out or new) / COMPARE, *([junit] if junit else [])]
    write_atomic(files[0], to_csv(rows, COMPARE_COLUMNS))
    if junit:
        write_atomic(junit, junit_xml(f"nexus-bench compare: {title}", cases(compared, failing)))
    github_summary(markdown(compared, told, failing, title))
    return RunComparison(title, compared, rows, told, failing, noisy(compared), why, files)


def failures(compared: Sequence[Compared], *, strict: bool = False) -> list[tuple[str, Compared]]:
    """What makes the comparison fail, by name: the largest drops, then failed cells and, if `strict`, missing ones."""
    verdicts = (*FAILING, MISSING) if strict else FAILING
    failing = [pair for pair in zip(names(compared), compared, strict=True) if pair[1].verdict in verdicts]
    return sorted(failing, key=lambda pair: pair[1].difference.mean if pair[1].verdict == REGRESSION else 0.0)


def noisy(compared: Sequence[Compared]) -> list[tuple[str, Compared]]:
    """Drops that are larger than allowed but within noise, by name."""
    return [pair for pair in zip(names(compared), compared, strict=True) if pair[1].verdict == WITHIN_NOISE]


def row(one: Compared) -> Row:
    """The row of compare.csv."""
    mean, low, high = one.difference
    return one.cell | {
        "split": one.split,
        "hop": one.hop,
        "metric": one.metric,
        "n_seeds": one.n_seeds,
        "base": one.base,
        "new": one.new,
        "difference": mean,
        "low": low,
        "high": high,
        "confidence": one.level,
        "verdict": one.verdict,
        "base_seeds": one.base_seeds,
        "new_seeds": one.new_seeds,
        "note": one.note or None,
    }
