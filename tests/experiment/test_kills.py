"""A run that is killed at any write leaves a folder that is read without accusation and goes on to the same bytes."""

import multiprocessing
import os
from pathlib import Path

import pytest

from nexus_bench.errors import StorageError, UsageError
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.plan import make_plan
from nexus_bench.experiment.records import CellRecords
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.runner import run_plan
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io import record_seals, seal, sealed_json
from nexus_bench.io.columns import Row
from nexus_bench.io.config import parse_yaml
from nexus_bench.io.read_results import check_run, read_curves, read_results
from tests.small import TINY

SUITE = TINY.replace("steps: 20", "steps: 4").replace("eval_every: 10", "eval_every: 4").replace("seeds: 2", "seeds: 1")
NAMES = ("spec.yaml", "env.json", "results.csv", "curve.csv", "model.safetensors")
REPLACE = Path.replace


def train_in(folder: Path, dies_at: int | None = None, count: "list[int] | None" = None) -> None:
    """Train; `dies_at`: the process dies instead of giving its name to the file that is written at this place."""
    count = [0] if count is None else count

    def replace(self: Path, target: Path) -> Path:
        if count[0] == dies_at:
            os._exit(9)
        count[0] += 1
        return REPLACE(self, target)

    Path.replace = replace  # type: ignore[method-assign, assignment]
    try:
        plan = make_plan(make_suite(parse_yaml(SUITE, where="test"), where="test"), RunFolder(folder))
        run_plan(plan, RunFolder(folder), Execution(executor="inline"), data=None, on_event=lambda event: None)
    finally:
        Path.replace = REPLACE  # type: ignore[method-assign]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for name in NAMES for path in folder.rglob(name)}


@pytest.mark.slow
def test_a_run_killed_at_any_write_is_read_without_accusation_and_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([run_plan.__module__])
    count = [0]
    train_in(tmp_path / "whole", count=count)
    whole = content(tmp_path / "whole")
    assert count[0] > 15 and len(whole) == 6
    for place in range(count[0]):
        folder = tmp_path / f"killed {place}"
        process = context.Process(target=train_in, args=(folder, place))
        process.start()
        process.join(60)
        if process.exitcode != 0:  # progress and tables are written as time goes, so a run may have fewer writes
            assert process.exitcode == 9
            check_run(folder)
            try:
                read_curves(folder)
                read_results(folder)
            except StorageError as error:
                assert "is not a run folder" in str(error)
            except UsageError as error:
                assert "no cell is finished yet" in str(error)
            train_in(folder)
        check_run(folder)
        assert content(folder) == whole, place
        assert not list(folder.rglob("*.begun")), place


class ManyRecords(CellRecords):
    """Finished cells that take no room on a disk."""

    def finished(self, cell_id: str) -> bool:
        return True

    def record(self, cell_id: str) -> Row:
        row = {"cell_id": cell_id, "split": "test", "hop": 1, "n_examples": 2, "n_correct": 1, "accuracy": 0.5}
        return {"rows": [row, row | {"hop": 2}], "curve": [{"cell_id": cell_id, "step": 10, "hop": 1}], "timing": row}

    def evaluated_splits(self, cell_id: str) -> list[str]:
        return []


def test_sealing_a_cell_costs_the_same_in_a_run_of_twenty_thousand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    write, sha256 = seal.SealedFile.write, sealed_json.sha256

    def counted_sha256(data: bytes) -> str:
        hashed.append(len(data))
        return sha256(data)

    sealed_json.write_sealed(tmp_path / "result.json", {"rows": []})
    record = (tmp_path / "result.json").read_bytes()
    monkeypatch.setattr(record_seals, "read_bytes", lambda path: record)

    def counted_write(self: seal.SealedFile, text: str | bytes) -> None:
        hashed.append(len(text))
        write(self, text)

    monkeypatch.setattr(sealed_json, "sha256", counted_sha256)
    monkeypatch.setattr(seal.SealedFile, "write", counted_write)
    per_cell = {}
    for n_cells in (1_000, 20_000):
        folder = RunFolder(tmp_path / str(n_cells))
        folder.cells = ManyRecords(folder.path / "cells")
        cell_ids = [f"{i:016x}" for i in range(n_cells)]
        for _ in range(2):  # the second replaces what the first wrote
            hashed.clear()
            folder.write_tables("many", dict.fromkeys(cell_ids, "measured"))
        per_cell[n_cells] = sum(hashed) / n_cells, len(hashed) / n_cells
    assert per_cell[20_000][0] < 1.1 * per_cell[1_000][0], "bytes"
    assert per_cell[20_000][1] < 1.1 * per_cell[1_000][1], "calls"
