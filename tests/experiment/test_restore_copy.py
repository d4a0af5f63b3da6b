"""A copy of a run without the records of its cells is gone on with: nothing of it is lost or trained again."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from nexus_bench import cli
from nexus_bench.experiment.records import CellRecords
from nexus_bench.io.columns import COLUMNS
from nexus_bench.io.csv_files import read_csv
from nexus_bench.io.files import locked
from nexus_bench.io.read_results import CURVES, RESULTS, TIMING, check_run
from tests.conftest import Command, assert_fails
from tests.packs import pack
from tests.small import TINY

SUITE = TINY.replace("steps: 20", "steps: 4, warmup_steps: 0").replace("eval_every: 10", "eval_every: 2")
TRAIN = "train suite.yaml --executor inline --out run --json"
TABLES = (RESULTS, CURVES, TIMING)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two seeds with a later evaluation."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "suite.yaml").write_text(SUITE)
    train = ["train", str(folder / "suite.yaml"), "--seeds", "2", "--executor", "inline", "--quiet"]
    assert cli.run([*train, "--out", str(folder / "run")]) == 0
    assert cli.run(["eval", str(folder / "run"), "--n-facts", "9", "--quiet"]) == 0
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path, reports_made_once: None) -> Path:
    """What is published of it: packed tables, without cells."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "run/cells")
    for name in (RESULTS, CURVES):
        pack(tmp_path / "run" / name)
    return tmp_path / "run"


def test_the_same_command_trains_nothing_and_gives_the_same_tables(copy: Path, made: Path, command: Command) -> None:
    done = command(*f"{TRAIN} --seeds 2".split())
    assert done.returncode == 0 and "restored 4 cells from the tables, without weights" in done.stderr
    assert [(copy / name).read_bytes() for name in TABLES] == [(made / "run" / name).read_bytes() for name in TABLES]
    assert not list(copy.glob("*.gz")) and not (copy / ".restored").exists()
    check_run(copy)
    again = command(*f"{TRAIN} --seeds 2".split())
    assert again.returncode == 0 and "restored" not in again.stderr


def test_only_what_is_new_is_trained(copy: Path, made: Path, command: Command) -> None:
    done = command(*f"{TRAIN} --seeds 3".split())
    assert done.returncode == 0
    before, after = (read_csv(run / RESULTS, COLUMNS) for run in (made / "run", copy))
    kept = after[after["cell_id"].isin(before["cell_id"])].reset_index(drop=True)
    assert kept.equals(before) and set(after["seed"]) == {0, 1, 2}
    weights = {path.parent.name for path in copy.glob("cells/*/model.safetensors")}
    assert weights == set(after["cell_id"]) - set(before["cell_id"])
    old = next(iter(before["cell_id"]))
    asked = command("eval", "run", "--n-facts", "9", "--quiet")
    assert asked.returncode == 0 and read_csv(copy / RESULTS, COLUMNS)["split"].str.startswith("eval").sum() > 0
    assert_fails(command("eval", "run", "--n-facts", "8", "--quiet"), 4, f"{old}/model.safetensors: is missing")


def test_a_dry_run_says_what_is_restored_and_changes_nothing(copy: Path, command: Command) -> None:
    def held() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    before = held()
    plain = command(*"train suite.yaml --executor inline --out run --seeds 3 --dry-run".split())
    assert plain.returncode == 0 and "2 of 6 cells to train, 1 at a time" in plain.stdout
    assert "4 cells are restored from the tables, without weights\n" in plain.stdout
    cells = json.loads(command(*f"{TRAIN} --seeds 3 --dry-run".split()).stdout)["cells"]
    assert [cell["seconds"] is None for cell in cells].count(True) == 4
    assert held() == before


def test_a_restored_evaluation_cannot_be_asked_for_answers(copy: Path, command: Command) -> None:
    assert command(*f"{TRAIN} --seeds 2".split()).returncode == 0
    split = next(copy.glob("cells/*/asked/*.json")).stem
    assert_fails(command("predictions", "run", "--split", split), 4, "model.safetensors: is missing")


def test_killed_while_it_is_restored_it_is_the_copy_still(
    copy: Path, made: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = CellRecords.save
    calls = []

    def dies(self: CellRecords, result: object) -> None:
        calls.append(result)
        if len(calls) == 3:
            raise KeyboardInterrupt
        saved(self, result)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(CellRecords, "save", dies)
        command(*f"{TRAIN} --seeds 2".split())
    assert not (copy / "cells").exists()
    check_run(copy)
    assert command(*f"{TRAIN} --seeds 2".split()).returncode == 0
    assert (copy / RESULTS).read_bytes() == (made / "run" / RESULTS).read_bytes()


def test_an_edited_table_is_not_restored(copy: Path, command: Command) -> None:
    edited = gzip.decompress((copy / f"{RESULTS}.gz").read_bytes()).replace(b",test,1,", b",test,2,", 1)
    (copy / f"{RESULTS}.gz").write_bytes(gzip.compress(edited))
    assert_fails(command(*f"{TRAIN} --seeds 2".split()), 4, "results.csv")
    assert not (copy / "cells").exists()


@pytest.mark.parametrize("table", TABLES)
def test_a_copy_that_lacks_a_table_is_not_trained_over(copy: Path, command: Command, table: str) -> None:
    for path in (copy / table, copy / f"{table}.gz"):
        path.unlink(missing_ok=True)
    kept = {path.name: path.read_bytes() for path in copy.iterdir() if path.suffix in (".gz", ".csv")}
    for line in (f"{TRAIN} --seeds 3", f"{TRAIN} --seeds 3 --dry-run"):
        assert_fails(command(*line.split()), 4, f"{table}: is missing")
    assert not (copy / "cells").exists() and all((copy / name).read_bytes() == text for name, text in kept.items())


def test_a_second_process_does_not_restore_at_the_same_time(copy: Path, command: Command) -> None:
    with locked(copy / ".lock", guards=copy, advice=""):
        assert_fails(command(*f"{TRAIN} --seeds 2".split()), 2, "another nexus-bench is writing to it")
    assert not (copy / "cells").exists()
