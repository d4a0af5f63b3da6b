"""Training cells in tests as a worker does: one job, its checkpoints in a folder, resumed if there are some."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
from torch import Tensor

from nexus_bench.experiment.events import Event, Failure, Progress
from nexus_bench.experiment.jobs import Job, run_job
from nexus_bench.experiment.records import CellResult
from nexus_bench.io.columns import Row
from nexus_bench.training.checkpoint_heads import begun_packs
from nexus_bench.training.recipe import Point
from nexus_bench.training.spec import CellSpec


class EndedCell(NamedTuple):
    """How a cell ended: weights by name, and the points that were told."""

    status: str
    weights: dict[str, Tensor]
    curve: list[Row]
    points: list[Point]


def run_cells(
    cells: Sequence[CellSpec],
    *,
    root: Path | None = None,
    mode: str = "deterministic",
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> list[EndedCell]:
    """Train cells in one job; if `should_stop` ends it, StoppedError is raised and the checkpoints stay in `root`."""
    results: dict[str, CellResult] = {}
    failed: set[str] = set()
    points: dict[str, list[Point]] = {cell.cell_id: [] for cell in cells}

    def hear(event: Event) -> None:
        on_event(event)
        if isinstance(event, CellResult):
            weights = event.weights if isinstance(event.weights, bytes) else event.weights.read_bytes()
            results[event.cell_id] = event._replace(weights=weights)
        elif isinstance(event, Failure):
            failed.add(event.cell_id)
        elif isinstance(event, Progress):
            points[event.cell_id].append(event.point)

    begun = [] if root is None else [pack.folder for pack in begun_packs(root / "checkpoints")]
    wanted = frozenset(cell.cell_id for cell in cells)
    run_job(Job(tuple(cells), wanted, mode, device, root, None, tuple(begun)), on_event=hear, should_stop=should_stop)
    assert results.keys() | failed == wanted
    return [
        EndedCell(
            results[cell_id].rows[0]["status"] if cell_id in results else "failed",
            safetensors.torch.load(results[cell_id].weights) if cell_id in results else {},  # type: ignore[arg-type]
            results[cell_id].curve if cell_id in results else [],
            points[cell_id],
        )
        for cell_id in (cell.cell_id for cell in cells)
    ]


def stops_at(step: int) -> Callable[[], bool]:
    """Stops a job of one pack before the step after this one."""
    asked = iter(range(1_000_000))
    return lambda: next(asked) == step


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether weights are equal bit for bit."""
    return a.keys() == b.keys() and all(bool((a[name] == b[name]).all()) for name in a)
