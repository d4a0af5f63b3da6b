"""The tables that commands print."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from nexus_bench.io.columns import Row

if TYPE_CHECKING:  # some would import PyTorch or SciPy
    from nexus_bench.analysis.compare_runs import Compared
    from nexus_bench.bench import training
    from nexus_bench.bench.attention import Measured
    from nexus_bench.bench.generators import Rate
    from nexus_bench.experiment.status import CellState
    from nexus_bench.hf.lm import Score
    from nexus_bench.hf.losses import Loss
    from nexus_bench.model.costs import Cost
    from nexus_bench.model.matching import Match
    from nexus_bench.shortcuts.audit import Audited

_MOST_CELLS = 1_000  # of a run, in a table


def tell_unsealed(runs: Sequence[Path]) -> None:
    """One line on stderr for each run without a seal."""
    from nexus_bench.io.packed import where_kept
    from nexus_bench.io.read_results import RESULTS, is_sealed

    for run in dict.fromkeys(runs):
        if not is_sealed(run):
            table = where_kept(run / RESULTS).name
            typer.echo(f"note: {run}: {table} is unsealed, so edits of it cannot be found; keep seal.json", err=True)


def audit_table(title: str, rows: "list[Audited]") -> Table:
    """One row per reader; one above its ceiling is marked."""
    caption = "lower bounds hold all at once in 199 audits of 200; a reader fails the family if its bound is above"
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for name in ("split", "hop", "reader", "hidden fact"):
        table.add_column(name, justify="right" if name == "hop" else "left")
    for name in ("n", "accuracy", "lower bound", "ceiling"):
        table.add_column(name, justify="right")
    for name in ("against", ""):
        table.add_column(name)
    for i, row in enumerate(rows):
        ends = i + 1 == len(rows) or (rows[i + 1].split, rows[i + 1].hop) != (row.split, row.hop)
        table.add_row(
            row.split,
            str(row.hop),
            row.reader,
            "" if row.hidden is None else f"{row.hidden} of {row.hop}",
            f"{row.n_examples:,}",
            f"{row.accuracy:.4f}",
            f"{row.bound:.4f}",
            f"{row.ceiling:.4f}",
            row.against,
            "ABOVE" if row.above else "ok",
            end_section=ends,
        )
    return table


def rate_table(rates: "list[Rate]") -> Table:
    """One row per family and hop."""
    table = Table(title="examples per second, one process on one core", title_justify="left")
    table.add_column("task")
    for name in ("hops", "facts", "1 query per graph", "queries", "with that many", "in English"):
        table.add_column(name, justify="right")
    for rate in rates:
        table.add_row(
            rate.task,
            str(rate.hop),
            str(rate.n_facts),
            f"{rate.graphs_per_second:,.0f}",
            str(rate.n_queries),
            f"{rate.examples_per_second:,.0f}",
            f"{rate.texts_per_second:,.0f}",
        )
    return table


def attention_table(rows: "list[Measured]") -> Table:
    """One row per length and mechanism."""
    table = Table(title="attention modules; ratios are relative to the first row of each length", title_justify="left")
    for name in ("n", "attention", "forward ms", "backward ms", "peak MiB", "GFLOP fwd", "GFLOP bwd", "fwd", "both"):
        table.add_column(name, justify="left" if name == "attention" else "right")
    for i, row in enumerate(rows):
        table.add_row(
            f"{row.n_positions:,}",
            row.attention,
            f"{row.forward_ms:.2f}",
            f"{row.backward_ms:.2f}",
            f"{row.peak_mib:,.0f}",
            f"{row.forward_gflop:,.1f}",
            f"{row.backward_gflop:,.1f}",
            f"{row.forward_ratio:.2f}",
            f"{row.total_ratio:.2f}",
            end_section=i + 1 == len(rows) or rows[i + 1].n_positions != row.n_positions,
        )
    return table


def matches_table(title: str, cost: "Cost", baselines: "list[Match]") -> Table:
    """One row per baseline."""
    title = f"{title}: {cost.parameters:,} parameters, {cost.counted / 1e6:.2f} MFLOP per graph"
    table = Table(title=title, title_justify="left")
    for name in ("baseline", "equal in", "model", "parameters", "", "MFLOP per graph", "", "off by"):
        table.add_column(name, justify="left" if name in ("baseline", "equal in", "model") else "right")
    for baseline in baselines:
        table.add_row(
            baseline.shape,
            baseline.by,
            baseline.model.label,
            f"{baseline.cost.parameters:,}",
            f"x {baseline.parameters_ratio:.2f}",
            f"{baseline.cost.counted / 1e6:.2f}",
            f"x {baseline.compute_ratio:.2f}",
            f"{100 * baseline.error:.1f}%",
        )
    return table


def scores_table(title: str, scores: "list[Score]") -> Table:
    """One row per task and metric."""
    table = Table("task", "metric", "value", "standard error", "n", title=title, title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    for one in scores:
        error = f"{one.stderr:.4f}" if one.stderr == one.stderr else ""
        table.add_row(one.task, one.metric, f"{one.value:.4f}", error, f"{one.n:,}" if one.n else "")
    return table


def losses_table(losses: "list[Loss]") -> Table:
    """One row per model; losses are nats per token."""
    caption = "in brackets 95% t-intervals over seeds; the difference is from the standard model, paired by seed"
    names = (
        "model",
        "seeds",
        "held-out loss",
        "difference",
        "bits per byte",
        "parameters",
        "MFLOP per token",
        "tokens",
    )
    table = Table(*names, caption=caption, caption_justify="left", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in losses:
        table.add_row(
            f"{one.arch}: {one.model}",
            str(len(one.seeds)),
            _with_interval(one.held_out_loss, one.held_out_low, one.held_out_high, ".4f"),
            _with_interval(one.difference, one.difference_low, one.difference_high, "+.4f"),
            f"{one.bits_per_byte:.4f}",
            f"{one.parameters:,}",
            f"{one.flops_per_token / 1e6:,.1f}",
            f"{one.tokens:,}",
        )
    return table


def _with_interval(mean: float | None, low: float | None, high: float | None, digits: str) -> str:
    if mean is None:
        return ""
    return f"{mean:{digits}}" + ("" if low is None else f" [{low:{digits}}, {high:{digits}}]")


def status_table(states: "list[CellState]", *, is_copy: bool) -> Table:
    """The cells of a run with their states, how many are in each, and what they were trained in if that differs.

    Of a run of more than 1,000 cells the first ones are shown, those that are running or failed before the others.

    Args:
        states: The cells.
        is_copy: Whether the run is a copy, whose recorded cells `train` restores; else it trains them again.
    """
    from nexus_bench.experiment.status import RECORDED, STATES
    from nexus_bench.io.plurals import counted

    counts = Counter(cell.state for cell in states)
    shown = [state for state in STATES if state != RECORDED or counts[state]]
    title = f"{counted(len(states), 'cell')}: " + ", ".join(f"{counts[state]:,} {state}" for state in shown)
    if counts[RECORDED]:
        again = "" if is_copy else ", and `train` trains these cells again"
        title += f"\nrecorded: the results are in the tables; the weights are not kept here{again}"
    is_mixed = len({cell.trained for cell in states if cell.trained}) > 1
    more = ["trained"] if is_mixed else []
    table = Table("cell_id", "cell", "state", "step", *more, box=None, title=title, title_justify="left")
    first = states
    if len(states) > _MOST_CELLS:
        first = sorted(states, key=lambda cell: cell.step is None and cell.reason is None)[:_MOST_CELLS]
        table.caption = f"and {len(states) - _MOST_CELLS:,} more cells; --json lists all"
        table.caption_justify = "left"
    for cell in first:
        step = f"{cell.step:,} of {cell.steps:,}" if cell.step is not None else ""
        said = f"{cell.state}: {cell.reason}" if cell.reason else cell.state
        table.add_row(cell.cell_id, cell.title, said, step, *([cell.trained or ""] if is_mixed else []))
    return table


def training_table(rates: "list[training.Rate]") -> Table:
    """Ways of training: their speed in the fastest window, relative to a plain loop, and as `train` meets it."""
    caption = "model-steps/s: fastest window of steps alone; sustained: a job with data, evaluations and checkpoints"
    names = ["order", "way", "models", "model-steps/s", "times the plain loop", "sustained", "of window", "set-up s"]
    names += ["cells/hour", "TFLOP/s", "of peak"]
    table = Table(*names, box=None, caption=caption, caption_justify="left")
    for column in (table.columns[0], *table.columns[2:]):
        column.justify = "right"
    for rate in rates:
        cells = [str(rate.order), rate.way, str(rate.n_models), f"{rate.model_steps_per_second:,.0f}"]
        cells.append(f"{rate.ratio:.2f}")
        if (kept := rate.sustained) is not None:
            share = kept.model_steps_per_second / rate.model_steps_per_second
            cells += [f"{kept.model_steps_per_second:,.0f}", f"{share:.0%}", f"{kept.setup_seconds:.1f}"]
            cells += [f"{kept.cells_per_hour:,.0f}", f"{kept.tflops:.3g}"]
            cells.append("" if kept.share_of_peak is None else f"{kept.share_of_peak:.1%}")
        table.add_row(*cells)
    return table


def walk_table(title: str, rows: "list[Row]") -> Table:
    """One row per head: the hops that the query points at and avoids most often, and how far ahead its facts point."""
    heads: dict[tuple[object, ...], dict[str, Row]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("layer", "loop", "level", "path", "head"))
        most = heads.setdefault(key, {})
        for source, share in ((row["source"], "pointed"), ("away", "avoided")):
            if row[share] is not None and (source not in most or row[share] > most[source][share]):
                most[source] = row
    names = ["layer", "loop", "level", "inner attention", "head", "points at hop", "share", "away from", "share"]
    table = Table(*names, "facts point ahead by", "share", box=None, title=title, title_justify="left")
    for column in (*table.columns[:3], *table.columns[4:]):
        column.justify = "right"
    for key, most in heads.items():
        query, away, fact = most["query"], most["away"], most["fact"]
        told = [
            str(query["step"]),
            f"{query['pointed']:.2f}",
            str(away["step"]),
            f"{away['avoided']:.2f}",
            f"{fact['step']:+d}" if fact["step"] else "itself",
            f"{fact['pointed']:.2f}",
        ]
        table.add_row(*("any" if part is None else str(part) for part in key), *told, end_section=key[-1] is None)
    return table


def compare_table(title: str, compared: "Sequence[Compared]") -> Table:
    """One row per comparison, without those that only the new run has; failing verdicts are in capitals."""
    from nexus_bench.analysis.compare_runs import FAILING, NEW_ONLY, WITHIN_NOISE
    from nexus_bench.report.comparison_text import cells, names

    table = Table(title=title, title_justify="left")
    table.add_column("cells")
    for head in ("base", "new", "difference", "interval", "seeds"):
        table.add_column(head, justify="right")
    table.add_column("verdict")
    styles = dict.fromkeys(FAILING, "bold red") | {WITHIN_NOISE: "yellow"}
    named = zip(names(compared, with_task=False), compared, strict=True)
    shown = [(name, one) for name, one in named if one.verdict != NEW_ONLY]
    for i, (name, one) in enumerate(shown):
        table.add_row(
            name,
            *cells(one).values(),
            str(one.n_seeds),
            one.verdict.upper() if one.verdict in FAILING else one.verdict,
            style=styles.get(one.verdict),
            end_section=i + 1 == len(shown) or shown[i + 1][1].cell != one.cell,
        )
    return table
