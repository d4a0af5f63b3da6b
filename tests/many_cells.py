"""Runs of very many finished cells, made without training: what bookkeeping costs is measured on them.

python -m tests.many_cells FOLDER N_CELLS       makes such a run, with its tables
"""

import os
import sys
from pathlib import Path
from unittest import mock

from nexus_bench.experiment.result_rows import failed_result
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import Suite, make_suite
from nexus_bench.io.columns import Row
from nexus_bench.io.config import parse_yaml
from nexus_bench.io.files import sha256
from nexus_bench.io.sealed_json import write_sealed
from nexus_bench.training.spec import CellSpec

N_MODELS = 4
SUITE = """
suite: many
tasks: [{task: pointer_chase, hops: 1-5, n_nodes: 16}]
models:
  - attention: standard
  - {attention: nexus, order: [2, 3, 4]}
train: {steps: 5000, eval_every: 250, lr: RATES}
seeds: SEEDS
"""
_CELL, _SEED = "f" * 16, 777_777_777  # in a template
_STEPS = range(250, 5001, 250)


def many_suite(n_cells: int) -> Suite:
    """A suite of about so many cells: four models, up to 25 learning rates, and seeds."""
    n_rates = max(1, min(25, n_cells // (10 * N_MODELS)))
    rates = [round(0.001 * (1 + rate), 6) for rate in range(n_rates)]
    text = SUITE.replace("SEEDS", str(max(1, n_cells // (N_MODELS * n_rates)))).replace("RATES", str(rates))
    return make_suite(parse_yaml(text, where="test"), where="test")


def record_of(cell: CellSpec, reach: int) -> Row:
    """What a finished cell stores, its figures made up: all right up to a hop, and half of it beyond."""
    scored = {"n_examples": 1024, "loss": 1.234567890123, "chance": 0.0625}
    scored |= {"shortcut": 0.125, "n_params": 54321, "flops_per_step": 7654321, "status": "trained"}
    names = {"cell_id": cell.cell_id, "model": cell.label, "seed": cell.seed}
    curve = [
        names | {"step": step, "hop": hop, "accuracy": 0.123456789, "loss": 1.23456789}
        for step in _STEPS
        for hop in cell.task.hops
    ]
    timing = names | {"device": "cpu", "train_seconds": 1.5, "steps_per_second": 3333.3, "mode": "single"}
    rows = [
        row | scored | {"n_correct": right, "accuracy": right / 1024}
        for row in failed_result(cell, "single").rows
        for right in [1024 if row["hop"] <= reach else 512]
    ]
    return {"rows": rows, "curve": curve, "timing": timing | {"environment": 1}, "weights_sha256": sha256(b"")}


def make_records(folder: RunFolder, suite: Suite) -> None:
    """Write the record of every cell as `CellRecords.save` does, from templates."""
    templates: dict[tuple[str, float, int], bytes] = {}
    for cell in suite.cells:
        path = folder.cells.weights(cell.cell_id).with_name("result.json")
        path.parent.mkdir(parents=True)
        kind = (cell.label, cell.train.lr, int(cell.cell_id, 16) % 5)
        if kind not in templates:
            named = cell.model_copy(update={"seed": _SEED})
            named.__dict__["cell_id"] = _CELL
            write_sealed(path, record_of(named, kind[2]))
            data = path.read_bytes()
            start = data.index(b'\n  "seal": "') + len(b'\n  "seal": "')
            templates[kind] = data[:start] + b"0" * 64 + data[start + 64 :]
        own = templates[kind].replace(_CELL.encode(), cell.cell_id.encode())
        blank = own.replace(str(_SEED).encode(), str(cell.seed).encode())
        path.write_bytes(blank.replace(b'"seal": "' + b"0" * 64, b'"seal": "' + sha256(blank).encode(), 1))


def make_run(path: Path, n_cells: int, *, tables: bool = True) -> Suite:
    """A run folder in which every cell is finished; without weights, which bookkeeping does not read."""
    suite, folder = many_suite(n_cells), RunFolder(path)
    path.mkdir(parents=True)
    with mock.patch.object(os, "fsync"):
        folder.write_spec(suite.config)
        folder.add_environment({"mode": "single", "device": "cpu", "torch": "2"}, "2026-01-31")
        make_records(folder, suite)
        if tables:
            folder.write_tables(suite.name, suite.purposes)
    return suite


if __name__ == "__main__":
    make_run(Path(sys.argv[1]), int(sys.argv[2]))
