"""What a comparison of two runs comes to: in words, as rows, as Markdown, as test cases."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from nexus_bench.ci import Case
from nexus_bench.gate import (
    EXAMPLES_ONLY,
    FAILED,
    FAILING,
    IDENTITY,
    IMPROVEMENT,
    MISSING,
    NEW_ONLY,
    NO_INTERVAL,
    OK,
    REGRESSION,
    WITHIN_NOISE,
    Compared,
)
from nexus_bench.stats import LEVEL

_VERDICTS = (REGRESSION, FAILED, WITHIN_NOISE, OK, IMPROVEMENT, MISSING, NEW_ONLY)
_DECIMALS = {"accuracy": 3, "reach": 2}


def names(compared: Sequence[Compared], *, with_task: bool = True) -> list[str]:
    """Each in a few words, no two the same: task, model, hop, and whatever else differs in the table.

    Args:
        compared: All of a table.
        with_task: Also where the task is everywhere the same.
    """
    varied = [name for name in IDENTITY if len({one.cell[name] for one in compared}) > 1]
    others = [name for name in varied if name not in ("task", "model")]
    named = []
    for one in compared:
        parts = [one.cell["task"]] if with_task or "task" in varied else []
        parts += [one.cell["model"], *(f"{name} {one.cell[name]}" for name in others)]
        named.append(", ".join(map(str, parts + ([] if one.hop is None else [f"hop {one.hop}"]))))
    return named


def failures(compared: Sequence[Compared]) -> list[tuple[str, Compared]]:
    """What fails the gate, by name: the largest drops first, then what failed to train."""
    failing = [pair for pair in zip(names(compared), compared, strict=True) if pair[1].verdict in FAILING]
    return sorted(failing, key=lambda pair: 0.0 if pair[1].verdict == FAILED else pair[1].difference.mean)


def sentence(one: Compared) -> str:
    """What became of it, in one line."""
    figures = cells(one)
    said = f"{one.metric} {figures['base'] or 'none'} -> {figures['new'] or 'none'}"
    if one.n_seeds:
        interval = f", interval {figures['interval']}" if figures["interval"] else ""
        said += f" ({figures['difference']}{interval}, {one.n_seeds} {_plural('seed', one.n_seeds)})"
    return said + (f"; {one.note}" if one.note else "")


def cells(one: Compared) -> dict[str, str]:
    """Its figures as tables show them: base, new, difference, interval; empty where there is none."""
    n = _DECIMALS[one.metric]
    mean, low, high = one.difference
    return {
        "base": _figure(one.base, n),
        "new": _figure(one.new, n),
        "difference": _figure(mean, n, sign="+"),
        "interval": "" if math.isnan(low) else f"{low:+.{n}f} to {high:+.{n}f}",
    }


def row(one: Compared) -> dict[str, Any]:
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


def conclusion(compared: Sequence[Compared], *, max_drop: float) -> list[str]:
    """What it comes to, in a few lines: how many of each verdict, and what is noise."""
    counts = Counter(one.verdict for one in compared)
    n_tested = sum(one.n_seeds > 0 for one in compared)
    n_noise = counts[WITHIN_NOISE]
    each = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _VERDICTS if counts[verdict])
    lines = [f"{len(compared)} {_plural('comparison', len(compared))}: {each}"]
    jointly = f"at {LEVEL:.0%} over all {n_tested} {_plural('comparison', n_tested)} together"
    if n_noise == 1:
        lines.append(f"1 drop beyond {max_drop:g} is within noise: its interval reaches 0, {jointly}")
    elif n_noise:
        lines.append(f"{n_noise} drops beyond {max_drop:g} are within noise: their intervals reach 0, {jointly}")
    elif not counts[REGRESSION]:
        lines.append(f"no mean fell by more than {max_drop:g}")
    elif not all(math.isnan(one.level) for one in compared):
        lines.append(f"no drop beyond {max_drop:g} is within noise, {jointly}")
    return lines + [note for note in (EXAMPLES_ONLY, NO_INTERVAL) if any(note in one.note for one in compared)]


def complaint(compared: Sequence[Compared], *, max_drop: float) -> str:
    """Why the gate fails, in one line: how many, and the worst."""
    counts = Counter(one.verdict for one in compared)
    why = {REGRESSION: f"fell by more than {max_drop:g} and by more than noise", FAILED: "failed in the new run"}
    said = " and ".join(f"{counts[verdict]} {reason}" for verdict, reason in why.items() if counts[verdict])
    name, worst = failures(compared)[0]
    return f"of {len(compared)} {_plural('comparison', len(compared))}, {said}; worst: {name}: {sentence(worst)}"


def markdown(compared: Sequence[Compared], *, title: str, max_drop: float) -> str:
    """A summary for people: the conclusion, what fails the gate, then everything."""
    failing = failures(compared)
    verdict = "fails" if failing else "holds"
    parts = [f"### {title}: {verdict}", "\n".join(f"- {line}" for line in conclusion(compared, max_drop=max_drop))]
    if failing:
        parts.append("\n".join(f"- **{name}**: {sentence(one)}" for name, one in failing))
    head = ("", "base", "new", "difference", "interval", "seeds", "verdict", "note")
    rows = [
        (name, *cells(one).values(), str(one.n_seeds), one.verdict, one.note)
        for name, one in zip(names(compared), compared, strict=True)
        if one.verdict != NEW_ONLY  # which may be many, and neither good nor bad
    ]
    lines = [head, (":--", "--:", "--:", "--:", "--:", "--:", ":--", ":--"), *rows]
    parts.append("\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines))
    return "\n\n".join(parts) + "\n"


def cases(compared: Sequence[Compared]) -> list[Case]:
    """One test case each; what has nothing to be set beside is skipped."""
    return [
        Case(
            group=str(one.cell["task"]),
            name=name,
            failure=sentence(one) if one.verdict in FAILING else "",
            skipped=one.note if one.verdict in (MISSING, NEW_ONLY) else "",
            output=f"{one.verdict}: {sentence(one)}",
        )
        for name, one in zip(names(compared), compared, strict=True)
    ]


def _figure(value: float, decimals: int, *, sign: str = "") -> str:
    return "" if math.isnan(value) else f"{value:{sign}.{decimals}f}"


def _plural(noun: str, n: int) -> str:
    return noun if n == 1 else f"{noun}s"
