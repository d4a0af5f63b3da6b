"""A record of a cell that is copied from another run is found, and nothing is made from it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_bench import cli
from nexus_bench.errors import CorruptArtefactError
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.plan import make_plan
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.runner import run_plan
from nexus_bench.experiment.suite import apply_settings, make_suite
from nexus_bench.io.columns import Row
from nexus_bench.io.config import read_config
from nexus_bench.io.record_seals import check_records, forget_records, seal_records
from nexus_bench.io.seal import read_seal, replace_sealed
from nexus_bench.io.sealed_json import write_sealed
from tests.conftest import Command, assert_fails
from tests.small import TINY

SUITE = TINY.replace("steps: 20", "steps: 4, warmup_steps: 0").replace("eval_every: 10", "eval_every: 4")
TRAIN = "train suite.yaml --seeds 1 --executor inline --quiet --out run"
EVERY_COMMAND = (
    "status run",
    "report run",
    "compare run run",
    "predictions run -q",
    "eval run --n-facts 9 -q",
    "eval run --n-facts 7 -q",
    TRAIN,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same suite and the same evaluation, trained in two modes: cells have the same ids and other figures."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "suite.yaml").write_text(SUITE)
    for name, mode in (("run", "single"), ("other", "deterministic")):
        line = TRAIN.replace("suite.yaml", str(folder / "suite.yaml")).replace("--out run", f"--mode {mode}")
        assert cli.run([*line.split(), "--out", str(folder / name)]) == 0
        assert cli.run(["eval", str(folder / name), "--n-facts", "9", "--quiet"]) == 0
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def content(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and (path.parts[-2] != "figures" and not path.name.startswith((".lock", "report")))
    }


@pytest.mark.parametrize("tables_are", ["there", "deleted"])
@pytest.mark.parametrize("name", ["result.json", "asked/eval_facts9.json"])
def test_a_record_of_another_run_of_the_suite_is_named_by_every_command(
    name: str, tables_are: str, run: Path, command: Command
) -> None:
    path = sorted(run.glob(f"cells/*/{name}"))[0]
    other = Path("other") / path.relative_to(run)
    assert other.read_bytes() != path.read_bytes()
    shutil.copy(other, path)
    shutil.copy(other.parents[name.count("/")] / "model.safetensors", path.parents[name.count("/")])
    if tables_are == "deleted":
        for table in run.glob("*.csv"):
            table.unlink()
    before = content(run)
    for line in (TRAIN,) if tables_are == "deleted" else EVERY_COMMAND:
        told = command(*line.split())
        where = path.relative_to(run.parent)
        assert_fails(told, 4, f"{where}: is not the record that the tables of this run were made from; restore it, or ")
        assert content(run) == before, line


def test_a_record_that_no_table_of_this_suite_shows_is_still_known(run: Path, command: Command) -> None:
    cell = sorted(run.glob("cells/*"))[0]
    narrow = TRAIN.replace("--seeds 1", "--seeds 1 --set lr=0.5")
    assert command(*narrow.split()).returncode == 0
    shutil.copy(Path("other/cells") / cell.name / "result.json", cell)
    for line in (narrow, TRAIN):
        assert_fails(command(*line.split()), 4, "result.json: is not the record that the tables of this run")


def test_a_deleted_cell_is_trained_again_and_this_is_said(run: Path, command: Command) -> None:
    for path in run.glob("cells/*/asked"):
        shutil.rmtree(path)
    cells = sorted(run.glob("cells/*"))
    shutil.rmtree(cells[0])
    assert "1 done" in command("status", "run").stdout
    other = TRAIN.replace("--quiet", "--mode deterministic")
    evaluate = "eval run --n-facts 9 -q".split()
    # the evaluation of the cell that is left is missing, which is named first
    assert_fails(command(*other.split()), 4, "asked/eval_facts9.json: is missing; run `nexus-bench eval` again")
    assert command(*evaluate).returncode == 0
    told = command(*other.split())
    assert told.returncode == 0 and "training 1 cell that was done and then deleted again" in told.stderr
    assert "deleted" not in command(*other.split()).stderr
    for line in ("status run", "report run"):
        assert command(*line.split()).returncode == 0


class KilledError(BaseException):
    pass


def killed(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch, n_written: int) -> bool:
    """Whether a process is dead that dies when it has given so many files their names, of figures the first alone."""
    left, figures, replace = [n_written], list[Path](), Path.replace

    def dies(self: Path, target: Path) -> Path:
        if not left[0]:
            raise KilledError  # also while it ends
        left[0] -= target.parent.name != "figures" or not figures
        figures.extend([target] if target.parent.name == "figures" else [])
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dies)
        try:
            act()
        except KilledError:
            return True
    return False


def test_a_cell_that_is_trained_again_is_not_accused_wherever_the_process_is_killed(
    run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = sorted(run.glob("cells/*"))[0].name
    grid = make_suite(apply_settings(read_config(Path("suite.yaml")), {"seeds": 1}), where="test")

    def train_again() -> None:
        plan, execution = make_plan(grid, RunFolder(Path("copy"))), Execution(mode="deterministic", executor="inline")
        run_plan(plan, RunFolder(Path("copy")), execution, data=None, on_event=lambda event: None)

    for n_written in range(100):
        shutil.rmtree("copy", ignore_errors=True)
        shutil.copytree(run, "copy")
        shutil.rmtree(Path("copy/cells") / cell)
        is_dead = killed(train_again, monkeypatch, n_written)
        train_again()
        check_records(Path("copy"))
        if not is_dead:
            break
    assert n_written > 10
    kept = json.loads((Path("copy/cells") / cell / "result.json").read_text())
    assert kept["rows"][0]["mode"] == "deterministic"


def test_an_evaluation_that_is_made_again_is_not_accused_wherever_the_process_is_killed(
    run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sorted(run.glob("cells/*/asked/*.json"))[0]
    told = json.loads(path.read_text())
    rows: list[Row] = [row | {"loss": 1.25} for row in told["rows"]]  # as on another machine
    purposes = {cell.name: "measured" for cell in run.glob("cells/*")}

    def evaluate() -> None:
        RunFolder(Path("copy")).add_evaluations("tiny", purposes, rows, about={"question": told["question"]})

    for n_written in range(100):
        shutil.rmtree("copy", ignore_errors=True)
        shutil.copytree(run, "copy")
        (Path("copy") / path.relative_to(run)).unlink()
        is_dead = killed(evaluate, monkeypatch, n_written)
        check_records(Path("copy"))
        if not is_dead:
            break
    assert 3 < n_written < 99
    assert read_seal(Path("copy")).records[str(path.relative_to(run))]  # type: ignore[union-attr]
    shutil.copy(path, Path("copy") / path.relative_to(run))
    with pytest.raises(CorruptArtefactError, match="is not the record that the tables"):
        check_records(Path("copy"))


@pytest.mark.usefixtures("reports_made_once")
def test_an_evaluation_that_is_killed_anywhere_is_whole_and_sealed_after_the_next(
    run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "eval copy --n-facts 7 -q".split()
    shutil.copytree(run, "copy")
    assert command(*line).returncode == 0
    whole = content(Path("copy"))
    for n_written in range(100):
        shutil.rmtree("copy")
        shutil.copytree(run, "copy")
        is_dead = killed(lambda: command(*line), monkeypatch, n_written)
        assert command("status", "copy").returncode == 0
        assert command(*line).returncode == 0
        assert content(Path("copy")) == whole, n_written
        if not is_dead:
            break
    assert 3 < n_written < 99


def test_a_run_of_an_older_version_is_read_and_its_records_are_sealed_by_the_next_command(
    run: Path, command: Command
) -> None:
    seal = json.loads((run / "seal.json").read_text())
    names = set(seal["records"])
    assert names == {str(path.relative_to(run)) for path in run.glob("cells/**/*.json")}
    write_sealed(run / "seal.json", {key: value for key, value in seal.items() if key not in ("seal", "records")})
    for line in EVERY_COMMAND:
        assert command(*line.split()).returncode == 0
    assert names < set(read_seal(run).records)  # type: ignore[union-attr]


def test_a_damaged_record_is_named_though_there_is_nothing_to_evaluate(run: Path, command: Command) -> None:
    path = sorted(run.glob("cells/*/result.json"))[0]
    path.write_text(path.read_text().replace('"accuracy": 0', '"accuracy": 1'))
    told = command(*"eval run --n-facts 9 -q".split())
    assert_fails(
        told, 4, f"{path.relative_to(run.parent)}: was edited or cut: it does not match the hash in it; delete"
    )


def test_eval_writes_nothing_before_it_has_read_what_is_there(run: Path, command: Command) -> None:
    seal = json.loads((run / "seal.json").read_text())
    write_sealed(run / "seal.json", {key: value for key, value in seal.items() if key not in ("seal", "records")})
    path = sorted(run.glob("cells/*/asked/*.json"))[0]
    path.write_text(path.read_text() + " ")
    before = content(run)
    assert_fails(command(*"eval run --n-facts 7 -q".split()), 4, str(path.relative_to(run.parent)))
    assert content(run) == before


def test_a_reader_whose_seal_is_older_than_a_record_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nexus_bench.io import record_seals

    replace_sealed(tmp_path, {"results.csv": "cell_id\n"})
    name = "cells/a/result.json"
    seals = []
    for text in ("old", "new"):
        forget_records(tmp_path, lambda name: True)
        write_sealed(tmp_path / name, {"text": text})
        seal_records(tmp_path, [name])
        seals.append(read_seal(tmp_path))
    monkeypatch.setattr(record_seals, "read_seal", lambda run: seals.pop(0))
    check_records(tmp_path)
    assert not seals
