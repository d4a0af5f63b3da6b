"""The lines that `nexus-bench runs` prints."""

from datetime import datetime

from nexus_bench.experiment.found_runs import FAILED_CELLS, FoundRun

_UNITS = ("B", "kB", "MB", "GB")


def runs_as_text(found: list[FoundRun]) -> str:
    """One aligned line for each run, and its finding below it."""
    rows = [["run", "state", "cells", "size", "changed"]]
    for run in found:
        state = f"{run.n_failed} failed" if run.state == FAILED_CELLS else run.state
        changed = datetime.fromtimestamp(run.changed).strftime("%Y-%m-%d %H:%M") if run.changed else "unknown"
        cells = f"{run.n_cells:,}" if run.n_planned is None else f"{run.n_cells:,} of {run.n_planned:,}"
        rows.append([run.path, state, cells, _size(run.n_bytes), changed])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row, told in zip(rows, [(), *((run.finding, run.problem) for run in found)], strict=True):
        path, state, cells, size, changed = (
            text.rjust(width) if at in (2, 3) else text.ljust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append(f"{path}  {state}  {cells}  {size}  {changed}".rstrip())
        lines += [f"  {line}" for line in told if line]
    return "\n".join(lines)


def _size(n_bytes: int) -> str:
    """Bytes in three digits, such as 1.2 MB."""
    power = min(3, (len(str(n_bytes)) - 1) // 3)
    value = n_bytes / 1000**power
    return f"{value:.0f} {_UNITS[power]}" if power == 0 or value >= 10 else f"{value:.1f} {_UNITS[power]}"
