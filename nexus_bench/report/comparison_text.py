"""Two compared runs for people: sentences, a table in Markdown, test cases."""

import math
from collections import Counter
from collections.abc import Sequence

from nexus_bench.analysis.compare_runs import (
    EXAMPLES_ONLY,
    FAILED_BEFORE,
    IDENTITY,
    IMPROVEMENT,
    LACKS,
    MISSING,
    NEW_ONLY,
    NO_INTERVAL,
    OK,
    REGRESSION,
    WITHIN_NOISE,
    Compared,
)
from nexus_bench.analysis.summary import MODEL
from nexus_bench.io.columns import FAILED
from nexus_bench.io.escapes import markdown as escaped
from nexus_bench.io.escapes import markdown_cell
from nexus_bench.io.options import only, varying
from nexus_bench.io.plurals import counted
from nexus_bench.report.ci import Case

_TESTED = (REGRESSION, FAILED, WITHIN_NOISE, OK, IMPROVEMENT)
_DECIMALS = {"accuracy": 3, "reach": 2}


def names(compared: Sequence[Compared], *, with_task: bool = True) -> list[str]:
    """A short unique name per comparison: task, model, hop, and any other column that differs within the table.

    Args:
        compared: All comparisons of a table.
        with_task: Name the task even if it is the same everywhere.
    """
    varied = [name for name in IDENTITY if len({one.cell[name] for one in compared}) > 1]
    labels = {one.cell["model"] for one in compared}
    told_by_label = [n for n in MODEL if len({(one.cell["model"], one.cell[n]) for one in compared}) == len(labels)]
    others = [name for name in varied if name not in ("task", *told_by_label)]
    keys = {name: varying(one.cell[name] for one in compared) for name in others if name.endswith("_options")}
    named = []
    for one in compared:
        parts = [one.cell["task"]] if with_task or "task" in varied else []
        parts += [one.cell["model"], *(_part(name, one.cell[name], keys.get(name)) for name in others)]
        named.append(", ".join(map(str, parts + ([] if one.hop is None else [f"hop {one.hop}"]))))
    return named


def _part(column: str, value: object, keys: list[str] | None) -> str:
    """A column of a name; of options, those that vary."""
    return f"{column} {value}" if keys is None else only(value, keys)


def sentence(one: Compared) -> str:
    """One comparison in one line."""
    figures = cells(one)
    said = f"{one.metric} {figures['base'] or 'none'} -> {figures['new'] or 'none'}"
    if one.n_seeds:
        interval = f", interval {figures['interval']}" if figures["interval"] else ""
        said += f" ({figures['difference']}{interval}, {counted(one.n_seeds, 'seed')})"
    return said + (f"; {one.note}" if one.note else "")


def cells(one: Compared) -> dict[str, str]:
    """The numbers as tables show them: base, new, difference, interval; empty where there is none."""
    n = _DECIMALS[one.metric]
    mean, low, high = one.difference
    return {
        "base": _figure(one.base, n),
        "new": _figure(one.new, n),
        "difference": _figure(mean, n, sign="+"),
        "interval": "" if math.isnan(low) else f"{low:+.{n}f} to {high:+.{n}f}",
    }


def conclusion(compared: Sequence[Compared], *, max_drop: float, confidence: float) -> list[str]:
    """The outcome in a few lines: how many of each verdict, what is noise, what is missing."""
    counts = Counter(one.verdict for one in compared)
    tested = _tested(compared)
    n_noise = counts[WITHIN_NOISE]
    said = [", ".join(f"{counts[v]} {v}" for v in kinds if counts[v]) for kinds in (_TESTED, (MISSING, NEW_ONLY))]
    lines = [f"{counted(len(tested), 'comparison')}: {said[0] or 'none'}"]
    if said[1]:
        lines[0] += f"; not compared: {said[1]}"
    if n_noise == 1:
        lines.append(f"1 drop beyond {max_drop:g} is within noise: its interval reaches 0 at {confidence:.3g}")
    elif n_noise:
        lines.append(
            f"{n_noise} drops beyond {max_drop:g} are within noise: their intervals reach 0 at {confidence:.3g}"
        )
    elif not counts[REGRESSION]:
        lines.append(f"no mean fell by more than {max_drop:g}")
    if n_noise:
        lines[-1] += "; more seeds would tell"
    if counts[REGRESSION] and any(one.n_seeds > 1 for one in tested):
        expected = len(tested) * (1 - confidence) / 2
        lines.append(f"of {len(tested)} intervals, noise alone would put about {expected:.2g} below 0")
    if counts[MISSING]:
        lines.append(
            f"{counts[MISSING]} that the base has {_lacks(counts[MISSING])} in the new run; --strict fails on that"
        )
    if n := sum(LACKS in one.note and one.verdict != MISSING for one in compared):
        lines.append(f"{counted(n, 'comparison')} without seeds that the base has; --strict fails on that")
    if n := sum(any(said in one.note for said in FAILED_BEFORE) for one in compared):
        lines.append(f"{counted(n, 'comparison')} without seeds that failed in the base")
    return lines + [note for note in (EXAMPLES_ONLY, NO_INTERVAL) if any(note in one.note for one in compared)]


def complaint(
    compared: Sequence[Compared], failing: Sequence[tuple[str, Compared]], *, max_drop: float, strict: bool = False
) -> str:
    """Why the comparison fails, in one line: how many, and the worst, which is the first of `failures`."""
    counts = Counter(one.verdict for one in compared)
    why = {REGRESSION: f"fell by more than {max_drop:g} and by more than noise", FAILED: "failed in the new run"}
    why |= {MISSING: "not in the new run"} if strict else {}
    said = " and ".join(f"{counts[verdict]} {reason}" for verdict, reason in why.items() if counts[verdict])
    name, worst = failing[0]
    return f"of {counted(len(_tested(compared)), 'comparison')}, {said}; worst: {name}: {sentence(worst)}"


def markdown(
    compared: Sequence[Compared], told: Sequence[str], failing: Sequence[tuple[str, Compared]], title: str
) -> str:
    """A summary for people: the conclusion, what makes the comparison fail, then everything.

    Args:
        compared: All comparisons of the table.
        told: The lines from `conclusion`.
        failing: The result of `failures`.
        title: What was compared.
    """
    parts = [
        f"## {escaped(title)}: {'fails' if failing else 'holds'}",
        "\n".join(f"- {escaped(line)}" for line in told),
    ]
    if failing:
        parts.append("\n".join(f"- **{escaped(name)}**: {escaped(sentence(one))}" for name, one in failing))
    head = ("", "base", "new", "difference", "interval", "seeds", "verdict", "note")
    rows = [
        (name, *cells(one).values(), str(one.n_seeds), one.verdict, one.note)
        for name, one in zip(names(compared), compared, strict=True)
        if one.verdict != NEW_ONLY  # there may be many of these, and they are neither good nor bad
    ]
    lines = [head, (":--", "--:", "--:", "--:", "--:", "--:", ":--", ":--"), *rows]
    parts.append("\n".join("| " + " | ".join(map(markdown_cell, line)) + " |" for line in lines))
    return "\n\n".join(parts) + "\n"


def cases(compared: Sequence[Compared], failing: Sequence[tuple[str, Compared]]) -> list[Case]:
    """One test case per comparison; one without a counterpart is skipped, unless that makes the comparison fail."""
    failed = dict(failing)
    return [
        Case(
            group=str(one.cell["task"]),
            name=name,
            failure=sentence(one) if name in failed else "",
            skipped=one.note if one.verdict in (MISSING, NEW_ONLY) and name not in failed else "",
            output="" if name in failed else f"{one.verdict}: {sentence(one)}",
        )
        for name, one in zip(names(compared), compared, strict=True)
    ]


def _tested(compared: Sequence[Compared]) -> list[Compared]:
    return [one for one in compared if one.verdict in _TESTED]


def _lacks(n: int) -> str:
    return "is not" if n == 1 else "are not"


def _figure(value: float, decimals: int, *, sign: str = "") -> str:
    return "" if math.isnan(value) else f"{value:{sign}.{decimals}f}"
