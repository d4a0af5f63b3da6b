"""Every change to a file of a run folder that nexus-bench did not make is found and named, and nothing is lost."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nexus_bench import cli
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.read_results import check_run
from nexus_bench.io.seal import replace_sealed
from tests.conftest import Command, assert_fails
from tests.small import TINY

SUITE = TINY.replace("steps: 20", "steps: 4, warmup_steps: 0, lr: [1.0e-3, 1.0e+30]").replace(
    "eval_every: 10", "eval_every: 4"
)
TRAIN = "train suite.yaml --seeds 1 --executor inline --quiet --out run"
TRAINED = 7  # of the four cells two fail
REPORTS = {"report.md", "report.html", "report.csv", "reach.csv", "reached.csv", "comparisons.csv", "figures"}
OF_NO_RESULT = {
    "plan.json",  # made from spec.yaml; a damaged one is not used (`test_plan_file.py`)
    "compare.csv",
    "predictions.csv",
    ".lock",
    "progress.json",
    "checkpoints",
}  # checkpoints: their own hash
FORGOTTEN = ("result.json", "failed.json")  # without it the cell is trained again


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with finished, failed and later evaluated cells."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "suite.yaml").write_text(SUITE)
    line = TRAIN.replace("suite.yaml", str(folder / "suite.yaml")).replace("--out run", f"--out {folder / 'run'}")
    assert cli.run(line.split()) == TRAINED
    assert cli.run(["eval", str(folder / "run"), "--n-facts", "9", "--quiet"]) == 0
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path, reports_made_once: None) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def kept_files(run: Path) -> list[Path]:
    """All files but those that are made from others."""
    files = [path for path in sorted(run.rglob("*")) if path.is_file()]
    return [path for path in files if path.relative_to(run).parts[0] not in REPORTS | OF_NO_RESULT]


def users(path: Path) -> tuple[str, ...]:
    """The commands that use a file of a run."""
    if path.name == "result.json" or path.parent.name == "asked":
        return (TRAIN,)  # and others, as `test_record_seals.py` has it
    if path.name == "failed.json":
        return (TRAIN, "status run")
    if path.name == "model.safetensors":
        return ("predictions run --quiet",)
    return ("status run", "report run --format csv", TRAIN)


def content(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in kept_files(run)}


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def without_last_line(data: bytes) -> bytes:
    return data[: data.rstrip(b"\n").rfind(b"\n") + 1]


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        without_last_line,
        lambda data: data[: len(data) // 2],
        lambda data: data + data.splitlines(keepends=True)[-1],
        lambda data: data + b"\n",
        lambda data: b"",
    ],
    ids=["flipped", "last line cut", "half", "line twice", "empty line", "empty"],
)
def test_damage_to_any_file_is_named_by_the_commands_that_use_it(
    damage: Callable[[bytes], bytes], run: Path, command: Command
) -> None:
    files = kept_files(run)
    assert {"seal.json", "timing.csv", "failed.json", "eval_facts9.json"} <= {path.name for path in files}
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        before = content(run)
        for line in users(path):
            assert_fails(command(*line.split()), 4, str(path.relative_to(run.parent)))
        assert content(run) == before, "nothing is overwritten"
        path.write_bytes(whole)


def test_a_run_that_lacks_its_suite_is_no_unknown_suite(run: Path, command: Command) -> None:
    (run / "spec.yaml").unlink()
    assert_fails(command("train", run.name), 4, f"{run.name}/spec.yaml: is missing; restore it, or train into another")


def test_any_file_that_is_missing_is_named_or_made_again(run: Path, command: Command) -> None:
    before = content(run)
    for path in kept_files(run):
        whole = path.read_bytes()
        path.unlink()
        for line in users(path):
            if line == TRAIN and (path.suffix == ".csv" or path.name in FORGOTTEN):
                assert command(*line.split()).returncode == TRAINED, path
                after = content(run)
                assert all(after[name] == before[name] for name in before if name.endswith((".safetensors", "s.csv")))
                assert path.exists()
                before = after  # training takes another time
            elif path.name not in FORGOTTEN:
                assert_fails(command(*line.split()), 4, f"{path.relative_to(run.parent)}: is missing; ")
                assert not path.exists()
        if not path.exists():
            path.write_bytes(whole)
    assert command(*TRAIN.split()).returncode == TRAINED


def edit_of(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], Path]:
    def edit(run: Path) -> Path:
        path = run / name
        path.write_text("".join(change(path.read_text().splitlines(keepends=True))))
        return path

    return edit


def all_right_at_hop_2(lines: list[str]) -> list[str]:
    at = {name: i for i, name in enumerate(lines[0].rstrip().split(","))}
    rows = [line.split(",") for line in lines[1:]]
    for row in rows:
        if row[at["hop"]] == "2" and row[at["status"]] != "failed":
            row[at["n_correct"]], row[at["accuracy"]] = row[at["n_examples"]], "1.0"
    return [lines[0], *(",".join(row) for row in rows)]


def without_first_cell(lines: list[str]) -> list[str]:
    cell = lines[1].split(",")[0]
    return [line for line in lines if not line.startswith(cell)]


@pytest.mark.parametrize(
    "edit",
    [
        edit_of("results.csv", all_right_at_hop_2),
        edit_of("results.csv", without_first_cell),
        edit_of("curve.csv", without_first_cell),
        edit_of("curve.csv", lambda lines: lines[: len(lines) // 2]),
        edit_of("curve.csv", lambda lines: lines[:1]),
        edit_of("timing.csv", without_first_cell),
    ],
)
def test_a_consistent_edit_of_a_table_names_the_cell_and_deleting_the_table_mends_it(
    edit: Callable[[Path], Path], run: Path, command: Command
) -> None:
    before = content(run)
    path = edit(run)
    cells = [found.parent.name for found in run.glob("cells/*/result.json")]
    for line in ("report run", "status run", "compare run run", "eval run --n-facts 7 -q", TRAIN):
        told = command(*line.split())
        assert_fails(told, 4, f"run/{path.name}: was edited or cut: other rows of cell ")
        assert any(cell in told.stderr for cell in cells)
        assert "restore it, or delete it and give the command again that made it" in told.stderr
    path.unlink()
    assert command(*TRAIN.split()).returncode == TRAINED
    assert content(run) == before


def with_record(change: Callable[[dict[str, object]], dict[str, object]]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        return json.dumps(change(json.loads(text)), indent=2, sort_keys=True) + "\n"

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('"accuracy": 0', '"accuracy": 1'),
        with_record(lambda record: record | {"rows": []}),
        with_record(lambda record: record | {"rows": "abc"}),
        with_record(lambda record: record | {"rows": [1, 2]}),
        with_record(lambda record: record | {"curve": None}),
        with_record(lambda record: record | {"timing": None}),
        with_record(lambda record: {key: value for key, value in record.items() if key != "seal"}),
        with_record(lambda record: record | {"weights_sha256": "0" * 64}),
    ],
)
def test_an_edited_record_of_a_cell_stops_training_and_is_kept(
    edit: Callable[[str], str], run: Path, command: Command
) -> None:
    path = next(run.glob("cells/*/result.json"))
    path.write_text(edit(path.read_text()))
    before = content(run)
    where = path.relative_to(run.parent)
    told = command(*TRAIN.split())
    assert_fails(told, 4, f"{where}: was edited or cut: it does not match the hash in it; delete {where.parent} and tr")
    assert content(run) == before


def test_the_record_of_another_cell_is_not_that_of_this_one(run: Path, command: Command) -> None:
    done = sorted(path.parent for path in run.glob("cells/*/result.json"))
    failed = sorted(path.parent for path in run.glob("cells/*/failed.json"))
    for name, cells in (("result.json", done), ("asked/eval_facts9.json", done), ("failed.json", failed)):
        own = (cells[0] / name).read_bytes()
        shutil.copy(cells[1] / name, cells[0] / name)
        assert_fails(command(*TRAIN.split()), 4, str((cells[0] / name).relative_to(run.parent)))
        (cells[0] / name).write_bytes(own)


def test_weights_without_a_record_are_what_is_left_of_a_run_that_was_killed(run: Path, command: Command) -> None:
    results = (run / "results.csv").read_bytes()
    record = next(run.glob("cells/*/result.json"))
    record.unlink()
    record.with_name("model.safetensors").write_bytes(b"half")
    record.with_name(".result.json.x.begun").write_bytes(b"half")
    assert "1 done" in command("status", "run").stdout
    assert command(*TRAIN.split()).returncode == TRAINED
    assert (run / "results.csv").read_bytes() == results
    assert not list(run.rglob("*.begun"))
    assert command("predictions", "run", "--quiet").returncode == 0


def test_a_table_edited_while_training_is_told_at_the_end_and_every_cell_is_kept(
    run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cell in (run / "cells").iterdir():
        shutil.rmtree(cell)
    save = RunFolder(run).cells.save.__func__  # type: ignore[attr-defined]

    def edits(self: object, result: object) -> None:
        save(self, result)
        (run / "curve.csv").write_text("mine\n")

    monkeypatch.setattr("nexus_bench.experiment.records.CellRecords.save", edits)
    done = command(*TRAIN.split())
    assert done.returncode == 4 and "error: run/curve.csv: was edited or cut" in done.stderr
    assert len(list(run.glob("cells/*/result.json"))) == 2
    assert (run / "curve.csv").read_text() == "mine\n"


def test_results_alone_are_enough_and_without_a_seal_this_is_said(run: Path, command: Command) -> None:
    for name in ("sealed", "unsealed"):
        Path(name).mkdir()
        shutil.copy(run / "results.csv", name)
    shutil.copy(run / "seal.json", "sealed")
    note = "note: unsealed: results.csv is unsealed, so edits of it cannot be found; keep seal.json\n"
    for line in ("report unsealed --json", "report unsealed", "compare unsealed sealed --json"):
        told = command(*line.split())
        assert (told.returncode, told.stderr) == (0, note)
        assert "note: unsealed" not in told.stdout
    assert json.loads(command("compare", "sealed", "unsealed", "--json").stdout)["command"] == "compare"
    assert command("report", "sealed").stderr == ""
    edit_of("results.csv", all_right_at_hop_2)(Path("sealed"))
    for line in ("report sealed", "compare unsealed sealed", "compare sealed unsealed"):
        assert_fails(command(*line.split()), 4, "sealed/results.csv: was edited or cut: other rows of cell ")


def test_answers_of_another_model_are_sealed(run: Path, command: Command) -> None:
    assert command(*"gen --hops 1-2 --n 5 --n-test 5 --set n_val=5 --out d -q".split()).returncode == 0
    Path("mine.jsonl").write_text('{"graph": 0, "query": 0, "prediction": "node1"}\n')
    line = "score mine.jsonl --data d --out scored".split()
    for _ in range(2):
        assert command(*line).returncode == 0
        check_run(Path("scored"))
    assert command("report", "scored").stderr == ""
    table = Path("scored/results.csv")
    table.write_text(table.read_text().replace(",mine", ",ours"))
    for again in (line, ["report", "scored"]):
        assert_fails(command(*again), 4, "scored/results.csv: was edited or cut: other rows of cell ")


def test_a_run_without_a_finished_cell_says_so(run: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nexus_bench.experiment.runner._Run.tell_what_is_kept", stops)  # killed before any table
    with suppress(KeyboardInterrupt):
        command(*TRAIN.replace("--out run", "--out new").split())
    monkeypatch.setattr("nexus_bench.experiment.runner._Run.tell_what_is_kept", lambda self: None)
    replace_sealed(Path("new"), {"spec.yaml": (run / "spec.yaml").read_text()})
    assert "4 to do" in command("status", "new").stdout
    for _ in range(2):
        found = next(run for run in json.loads(command("runs", ".", "--json").stdout)["runs"] if run["path"] == "new")
        assert (found["state"], found["n_cells"], found["n_planned"], found["problem"]) == ("stopped", 0, 4, None)
        assert_fails(command("open", "new"), 2, "no cell is finished yet; `nexus-bench train new` goes on with it")
        for line in ("report new", "compare run new", "compare new run"):
            assert_fails(
                command(*line.split()), 2, "new: no cell is finished yet; `nexus-bench train new` goes on with it"
            )
        table = (run / "results.csv").read_text().splitlines(keepends=True)[0]
        replace_sealed(Path("new"), {"results.csv": table})  # stopped by Ctrl-C before the first cell was done
    assert command(*TRAIN.replace("--out run", "--out new").split()).returncode == TRAINED


def test_advice_for_a_missing_table_does_not_ask_to_delete_it(run: Path, command: Command) -> None:
    (run / "results.csv").unlink()
    told = command("report", "run")
    assert_fails(told, 4, "run/results.csv: is missing; restore it, or give the command again that made it")


def test_a_folder_or_a_link_to_itself_in_the_place_of_a_file_is_one_line_or_is_trained_again(
    run: Path, command: Command
) -> None:
    for path in kept_files(run):
        if path.name == "failed.json":
            continue  # it is tried again anyway
        whole = path.read_bytes()
        for put in (Path.mkdir, lambda path: path.symlink_to(path.name)):
            path.unlink()
            put(path)
            for line in users(path):
                told = command(*line.split())
                assert "Traceback" not in told.stderr
                if path.name == "result.json" and put is not Path.mkdir:  # as if it was deleted
                    assert told.returncode == TRAINED
                elif path.suffix == ".csv" and line == TRAIN and path.is_file():
                    assert told.returncode == TRAINED
                else:
                    assert told.returncode in (4, 5), (path, line)
                    assert_fails(told, told.returncode, str(path.relative_to(run.parent)))
            if path.is_dir():
                path.rmdir()
            if not path.is_file():
                path.unlink(missing_ok=True)
                path.write_bytes(whole)
            whole = path.read_bytes()


def test_a_folder_named_like_an_unfinished_file_is_kept(run: Path, command: Command) -> None:
    for folder in (run, next(run.glob("cells/*"))):
        (folder / ".results.csv.abc.begun").mkdir()
    (run / ".results.csv.def.begun").write_text("half")
    assert command(*TRAIN.split()).returncode == TRAINED
    assert [path.is_dir() for path in run.rglob("*.begun")] == [True, True]
