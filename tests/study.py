"""A made-up run of the reference study, written as training writes one: results for tests of what is said of them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.result_rows import describe, failed_result
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import Suite
from nexus_bench.io.columns import MEASURED, VAL, Row
from nexus_bench.training.spec import CellSpec
from tests.suites import select

Reaches = Mapping[str, Mapping[str, Sequence[int]]]  # task -> beginning of a label -> hop reach of each seed
LAYERS_1, LAYERS_2, LAYERS_3 = "standard, d_model", "standard, n_layers 2", "standard, n_layers 3"
LOOPS_2, LOOPS_3 = "standard, n_loops 2", "standard, n_loops 3"
ORDER_2, ORDER_3 = "nexus, order 2, refine", "nexus, order 3, refine"
MIRRORED_2, MIRRORED_3 = "nexus, order 2, compare mirrored", "nexus, order 3, compare mirrored"
USUAL: Mapping[str, Sequence[int]] = {
    LAYERS_1: [1],
    LAYERS_2: [2],
    LAYERS_3: [3],
    LOOPS_2: [2],
    LOOPS_3: [3],
    ORDER_2: [2],
    ORDER_3: [3],
    MIRRORED_2: [2],
    MIRRORED_3: [3],
}
PLANTED: Reaches = {
    # order 2 is ahead of two loops on 11 of 12 seeds, and order 3 of three loops on all
    "kinship": {ORDER_2: [3] * 11 + [2], ORDER_3: [4], LOOPS_3: [3]},
    # behind on all
    "ancestor": {ORDER_2: [1], LOOPS_2: [2]},
    # ahead on 4 of 12, which shows nothing; orders reach 2^m - 1, as far as was asked
    "pointer_chase": {ORDER_2: [3] * 12, LOOPS_2: [3] * 8 + [2] * 4, ORDER_3: [5], MIRRORED_2: [3], MIRRORED_3: [5]},
    "ordering": {},
}
RATE = 1e-3  # the one that is chosen, in all families
_RIGHT, _WRONG, _N = 1000, 100, 1024


def study_run(folder: Path, reaches: Reaches, *, name: str = "reference", n_seeds: int = 12) -> Path:
    """A run of a suite on some of its tasks, in which every model has the given reach on each seed.

    A layer has 200,000 parameters and takes 1 GFLOP, each further order half a one.

    Args:
        folder: Of the run.
        reaches: A list of fewer reaches than seeds is repeated; what is not named is as in `USUAL`.
        name: The suite.
        n_seeds: How many seeds are measured.
    """
    suite = select(name, task=",".join(reaches))
    cells = _measured(suite, range(n_seeds))
    run = RunFolder(folder)
    folder.mkdir(parents=True)
    with mock.patch.object(os, "fsync"):
        run.write_spec(suite.config)
        run.add_environment({"mode": "tf32", "device": "a GPU", "torch": "2"}, "2026-01-31")
        for cell in cells:
            run.cells.save(_result(cell, _reach(reaches[cell.task.task], cell)))
        run.write_tables(suite.name, {cell.cell_id: MEASURED for cell in cells})
    return folder


def _measured(suite: Suite, seeds: Sequence[int]) -> list[CellSpec]:
    firsts = {(cell.task.task, cell.label): cell for cell in suite.cells if cell.train.lr == RATE}
    return [cell.model_copy(update={"seed": seed}) for cell in firsts.values() for seed in seeds]


def _reach(of_task: Mapping[str, Sequence[int]], cell: CellSpec) -> int:
    told = {**USUAL, **of_task}
    reaches = next((told[start] for start in told if cell.label.startswith(start)), [0])
    return reaches[cell.seed % len(reaches)]


_TEMPLATES: dict[tuple[str, str], list[Row]] = {}  # of a task and a model


def _template(cell: CellSpec) -> list[Row]:
    if (known := _TEMPLATES.get((cell.task.model_dump_json(), cell.label))) is not None:
        return known
    shape, nest = cell.model, 0.5 * (cell.model.options.get("order", 1) - 1)
    sizes = {"n_params": 200_000 * shape.n_layers}
    sizes["flops_per_step"] = int(1e9 * shape.n_layers * shape.n_loops * (1 + nest))
    scored = {"n_examples": _N, "loss": 0.5, "chance": 0.1, "shortcut": 0.15, "shortcut_name": "nearest"}
    scored |= sizes
    ceilings = {hop: cell.task.law().family.partial_input(hop) for hop in cell.task.hops}
    rows = [row | scored | {"partial_input": ceilings[row["hop"]]} for row in failed_result(cell, "tf32").rows]
    return _TEMPLATES.setdefault((cell.task.model_dump_json(), cell.label), rows)


def _result(cell: CellSpec, reach: int) -> CellResult:
    own = describe(cell, "tf32")
    is_solved = reach >= max(cell.task.hops)
    ended = {"status": "solved", "steps_done": 2500} if is_solved else {"status": "trained", "steps_done": 6000}
    rows = []
    for row in _template(cell):
        right = _RIGHT if row["hop"] <= reach else _WRONG
        steps = 500 * row["hop"] if row["hop"] <= reach and row["split"] == VAL else None
        rows.append(row | own | ended | {"n_correct": right, "accuracy": right / _N, "steps_to_95": steps})
    names = {"cell_id": cell.cell_id, "model": cell.label, "seed": cell.seed}
    curve = [
        names | {"step": step, "hop": hop, "accuracy": 0.9, "loss": 0.5}
        for step in (500, 1000)
        for hop in cell.task.hops
    ]
    seconds = ended["steps_done"] / 500
    timing = names | {"device": "cuda:0", "train_seconds": seconds, "steps_per_second": 500.0, "mode": "tf32"}
    return CellResult(cell.cell_id, rows, curve, timing | {"environment": 1}, None)
