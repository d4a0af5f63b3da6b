"""What a user types: outputs, one-line errors, exit codes."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nexus_bench import cli
from nexus_bench.io.read_results import read_results
from nexus_bench.version import __version__
from tests.conftest import Command, assert_fails, without_start


def test_version_and_help(shell: Command) -> None:
    assert shell("--version").stdout == f"nexus-bench {__version__}\n"
    for command in ("gen", "verify", "audit", "bench", "train", "report", "list", "show"):
        assert f"nexus-bench {command}" in shell(command, "-h").stdout
    assert "gen" in shell("bench").stdout


def test_help_and_data_commands_do_not_import_torch(tmp_path: Path) -> None:
    script = (
        "import sys; from nexus_bench import cli; "
        "cli.run(['gen', '--hops', '2', '--n', '3', '--n-test', '3', '--out', 'd']); "
        "cli.run(['show', 'pointer_chase']); cli.run(['list', 'tasks']); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_help_show_and_lists_start_without_pandas(tmp_path: Path) -> None:
    script = (
        "import sys; from nexus_bench import cli; "
        "cli.run(['-h']); cli.run(['status', '-h']); cli.run(['show', 'pointer_chase']); cli.run(['list', 'tasks']); "
        "sys.exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_gen_writes_a_dataset_where_the_readme_says(command: Command) -> None:
    result = command("gen", "--hops", "3", "--n", "20", "--n-test", "10")
    assert result.returncode == 0 and result.stderr == ""
    folder = Path("runs/data/pointer_chase-hops3-seed0")
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md",
        "croissant.json",
        "manifest.json",
        "test.npz",
        "train.npz",
        "val.npz",
    ]
    assert "one example" in result.stdout and "chain   node" in result.stdout
    again = command("gen", "--hops", "3", "--n", "20", "--n-test", "10", "--json")
    manifest = json.loads(again.stdout)["manifest"]
    assert manifest == json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize("file_format", ["npz", "csv", "jsonl"])
def test_gen_formats_can_be_trained_on(file_format: str, command: Command) -> None:
    made = command(
        "gen",
        "--hops",
        "1-2",
        "--n",
        "30",
        "--n-test",
        "10",
        "--format",
        file_format,
        "--set",
        "n_nodes=6",
        "--out",
        "d",
    )
    assert made.returncode == 0
    trained = command(
        "train",
        "--data",
        "d",
        "--attention",
        "standard",
        "--set",
        "steps=3",
        "--set",
        "batch_size=8",
        "--seeds",
        "1",
        "--executor",
        "inline",
    )
    assert trained.returncode == 0, trained.stderr
    assert "pointer_chase, 6 facts, vocabulary of 18, trained on hops 1-2" in trained.stdout
    assert Path("runs/standard-d/results.csv").is_file()
    spec = "runs/standard-d/spec.yaml"
    assert_fails(command("train", spec, "--out", "e"), 3, "pointer_chase: was trained on a dataset (")
    again = command("train", spec, "--data", "d", "--executor", "inline")
    assert without_start(again.stderr) == "1 of 1 cells are already done\n"


def test_train_prints_the_staircase_and_writes_every_file(command: Command, tiny: str) -> None:
    result = command("train", tiny, "--executor", "inline")
    assert result.returncode == 0, result.stderr
    for expected in (
        "standard",
        "nexus, order 2, refine qk",
        "1 hop",
        "2 hops",
        "hop reach",
        "chance",
        "partial-input ceiling",
    ):
        assert expected in result.stdout
    files = [
        "results.csv",
        "report.csv",
        "reach.csv",
        "reached.csv",
        "comparisons.csv",
        "report.md",
        "report.html",
        "figures",
    ]
    assert result.stdout.splitlines()[-4:-1] == [
        "report  runs/tiny/report.html",
        f"files   {', '.join(file for file in files if file != 'report.html')}",
        "next    nexus-bench open runs/tiny",
    ]
    assert all(Path("runs/tiny", file).stat().st_size > 0 for file in [*files, "curve.csv", "timing.csv", "env.json"])
    drawn = {path.stem for path in Path("runs/tiny/figures").iterdir()}
    assert drawn == {
        "accuracy_by_hop",
        "order_by_hop",
        "reach_by_order",
        "reach_by_cost",
        "learning_curves",
        "seeds_by_hop",
        "task_pointer_chase",
    }
    results = read_results(Path("runs/tiny"))
    assert len(results) == 2 * 2 * 2 * 2  # models, seeds, splits, hops
    assert results["n_params"].nunique() == 1
    assert set(results["n_examples"]) == {8 * 6 // 2, 16 * 6 // 2}
    assert results["n_correct"].between(0, results["n_examples"]).all()
    begun, heading, *lines = without_start(result.stderr).splitlines()  # the first before any cell is trained
    assert begun == "tiny: 4 cells to train on cpu, 1 worker, mode single, into runs/tiny"
    assert heading == f"     {'test accuracy by hop':>33}    1    2   steps    time"
    titles = [line[:38] for line in lines]  # one line a cell
    assert titles[:2] == ["1/4  standard                   seed 0", "2/4  nexus, order 2, refine qk  seed 0"]
    assert all(re.fullmatch(r"( 0\.\d\d){2}      20 +\d+ s", line[38:]) for line in lines) and len(lines) == 4


def test_processes_and_this_process_give_the_same_bytes(command: Command, tiny: str) -> None:
    assert command("train", tiny, "--executor", "inline", "--out", "a", "--quiet").stderr == ""
    assert command("train", tiny, "--workers", "3", "--out", "b").returncode == 0
    for name in ("results.csv", "curve.csv", "spec.yaml", "report.html"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes(), name


def test_finished_cells_are_kept_and_only_new_ones_are_trained(command: Command, tiny: str) -> None:
    command("train", tiny, "--executor", "inline", "--set", "order=1")
    first = Path("runs/tiny/results.csv").read_bytes()
    weights = {p: p.stat().st_mtime_ns for p in Path("runs/tiny").rglob("model.safetensors")}
    again = command("train", tiny, "--executor", "inline", "--set", "order=1")
    assert without_start(again.stderr) == "4 of 4 cells are already done\n"
    more = command("train", tiny, "--executor", "inline", "--set", "order=1,2")
    begun = "tiny: 2 cells to train on cpu, 1 worker, mode single, into runs/tiny\n"
    told = without_start(more.stderr)
    assert told.startswith(f"4 of 6 cells are already done\n{begun}") and told.count("\n") == 5
    assert {p: p.stat().st_mtime_ns for p in weights} == weights
    assert Path("runs/tiny/results.csv").read_bytes().startswith(first)


def test_a_saved_spec_runs_again(command: Command, tiny: str) -> None:
    command("train", tiny, "--executor", "inline", "--out", "a", "--set", "lr=1e-2")
    command("train", "a/spec.yaml", "--executor", "inline", "--out", "b")
    assert Path("a/results.csv").read_bytes() == Path("b/results.csv").read_bytes()


def test_dry_run_says_the_cells_and_the_time_and_trains_nothing(command: Command, tiny: str) -> None:
    result = command("train", tiny, "--dry-run", "--workers", "2")
    assert result.returncode == 0
    assert result.stdout.count("pointer_chase hops 1-2") == 4
    assert "4 of 4 cells to train, 2 at a time: at most about" in result.stdout
    assert not Path("runs").exists()


def test_lists_name_everything(command: Command) -> None:
    listed = json.loads(command("list", "--json").stdout)
    assert {entry["name"] for entry in listed["tasks"]} >= {"pointer_chase"}
    assert {entry["name"] for entry in listed["attentions"]} >= {"standard", "nexus"}
    assert {entry["name"] for entry in listed["suites"]} >= {"quick", "staircase"}
    assert "order" in command("list", "attentions").stdout


def test_show_draws_the_chain(command: Command) -> None:
    shown = json.loads(command("show", "pointer_chase", "--hops", "3", "--json").stdout)
    assert shown["hop"] == 3 and shown["chain"].count("->") == 3 and shown["chain"].endswith(shown["answer"])
    text = command("show", "pointer_chase", "--hops", "3").stdout
    assert text.count("\n") > 5 and shown["chain"] in text and "tokens" in text


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("gen --set n_nodes=0", 3, "gen: pointer_chase: n_nodes: input should be greater than or equal to 3, got 0"),
        ("show pointer_chase --set n_nodes=100000000", 3, "n_nodes: input should be less than or equal to 10000"),
        ("gen --set n_nodes", 2, "--set must be key=value, got 'n_nodes'"),
        ("train --task ../x --attention nexus", 3, "unknown task '../x'"),
        ("train --task pointer_chase --attention standard --order 2", 3, "order is not an option of standard"),
        ("gen --hops 0", 2, "--hops: hops must be 1 or more, got 0"),
        ("gen --hops 3-1", 2, "--hops: hops '3-1' run backwards"),
        ("gen --hops=", 2, "--hops: cannot read hops ''"),
        ("gen --hops 9", 3, "hops must be in 1..5, got 9; raise n_nodes from 16 to 27"),
        ("gen --task pointer_chaze", 3, "unknown task 'pointer_chaze'; did you mean 'pointer_chase'?"),
        ("gen --task ../x", 3, "unknown task '../x'"),
        ("gen --format nzp", 2, "unknown format 'nzp'; did you mean 'npz'?"),
        ("gen --set n_nodez=3", 3, "unknown key 'n_nodez'; did you mean 'n_nodes'?"),
        ("gen --set n_nodes=3 --set vocab_size=3 --hops 1", 3, "there are 2; lower n_val and n_test"),
        ("gen --n 0", 2, "nput should be greater than or equal to 1"),
        ("gen --nope", 2, "No such option: --nope"),
        ("train quik", 3, "unknown suite 'quik'; did you mean 'quick'?"),
        ("train ../x", 3, "suite '../x' is neither a .yaml file nor a bundled name"),
        ("train nowhere.yaml", 5, "nowhere.yaml: cannot be read"),
        ("train --task pointer_chase --attention nexsu", 3, "unknown attention 'nexsu'; did you mean 'nexus'?"),
        ("train --set d_model=65", 3, "n_heads must divide d_model (65): 1, 5, 13, 65; got 2"),
        (
            "train --task pointer_chase --attention nexus --order 0",
            3,
            "order: input should be greater",
        ),
        (
            "train --task pointer_chase --attention strassen --order 2",
            3,
            "order is not an option of strassen; omit it",
        ),
        ("train --set refine=v", 3, "refine: input should be 'q', 'k', 'qk' or 'qkv', got 'v'"),
        ("train --set share=unshared --set order=13", 3, "order must be 1 to 12 with share unshared"),
        (
            "train --task pointer_chase --attention two_simplicial --set position=rope",
            3,
            "position must be none or learned",
        ),
        ("train --set matched=3", 3, "matched must be true or false, got 3"),
        ("match --task pointer_chase --attention standard", 2, "standard attention is the baseline itself"),
        ("bench attention --dtype int8", 2, "--dtype must be float32 or bfloat16, got int8"),
        (
            "bench attention --n many",
            2,
            "--n: write sequence lengths as 256 or 256,512, each 1 to 1,000,000, got many",
        ),
        ("bench train --order [1", 2, "--order: write attention orders as 2 or 1,2,3, each 1 to 1,000,000, got [1"),
        (
            "match --task pointer_chase --attention nexus --order 2 --set order=3",
            2,
            "--order 2 and --set order=3 are both given",
        ),
        ("train --set order=0", 3, "order: input should be greater than or equal to 1, got 0"),
        (
            "train --order 0",
            3,
            "order: input should be greater than or equal to 1, got 0; for standard attention write order=1",
        ),
        ("train --order=", 3, "order: input should be a valid integer, got None"),
        ("train --device tpu", 2, "unknown device 'tpu'; did you mean 'cpu'? known: auto, cpu, cuda"),
        ("train --device gpu", 2, "unknown device 'gpu'; did you mean 'cuda'?"),
        ("train --data nowhere", 5, "nowhere: is not a folder"),
        ("train --seeds 0", 3, "seeds must be a count from 1 to 100000, or a list"),
        ("report nowhere", 5, "nowhere: is not a run folder"),
        ("report a --format csv --json", 2, "give --format or --json, not both"),
        ("report a --format json", 2, "unknown format 'json'; known: csv, md"),
        ("report a b", 2, "a report of several runs needs a folder of its own; give --out"),
        ("list tusks", 2, "unknown kind 'tusks'; did you mean 'tasks'?"),
        ("show pointer_chaze", 3, "did you mean 'pointer_chase'?"),
        ("trian", 2, "No such command 'trian'"),
        ("train --d-model 65", 2, "no option --d-model; it is a setting: write d_model=65"),
        ("gen reachable --n-chains=3", 2, "no option --n-chains; it is a setting: write n_chains=3"),
        ("train --step 3", 2, "No such option: --step (Possible options: --set, --steps, --suite)"),
        ("train --step 3", 2, "as in `nexus-bench train --task pointer_chase`"),
        ("train --steps 3 steps=4", 2, "--steps is given twice; several values are written with commas: --steps 3,4"),
        ("train --task reachable,kinshipp", 3, "unknown task 'kinshipp'; did you mean 'kinship'?"),
        ("train --attention nexus,nexsu", 3, "unknown attention 'nexsu'; did you mean 'nexus'?"),
        ("train nexus", 2, "'nexus' is an attention; write `nexus-bench train --attention nexus`"),
        ("train quick deep", 2, "give one suite, got quick and deep; write `nexus-bench train quick`"),
        ("train kinship --task reachable", 2, "write `nexus-bench train --task kinship,reachable`"),
        ("train --suite quick deep", 2, "give one suite, got deep and quick"),
        ("show reachable --task kinship", 2, "give one task, got reachable and kinship"),
        (
            "gen reachable,kinship",
            2,
            "write one command for each: `nexus-bench gen reachable` and `nexus-bench gen kinship`",
        ),
        ("audit", 2, "name a task, as in `nexus-bench audit pointer_chase`"),
        ("status", 2, "Missing argument 'RUN'; as in `nexus-bench status runs/quick`"),
        ("compare a", 2, "Missing argument 'NEW'; as in `nexus-bench compare runs/example/quick runs/quick`"),
        ("eval a 7", 2, "eval: '7' is no setting; write key=value"),
        ("plot runs/quick", 2, "No such command 'plot'; write `nexus-bench report RUN`"),
        ("gate a b", 2, "No such command 'gate'; write `nexus-bench compare BASE NEW`"),
        ("list models", 2, "there is no list of models; write `nexus-bench list attentions`"),
        ("list tasks kinshipp", 2, "unknown task 'kinshipp'; did you mean 'kinship'?"),
        ("init mine", 2, "mine: a suite is a .yaml file; write `nexus-bench init mine.yaml`"),
        ("init --task kinshipp", 3, "unknown task 'kinshipp'; did you mean 'kinship'?"),
        ("open", 2, "no runs below runs; name a run folder, or make one with `nexus-bench train quick`"),
        ("open nowhere", 5, "nowhere: is not a run folder; make one with `nexus-bench train`"),
        ("runs nowhere", 2, "nowhere: is not a folder; `nexus-bench runs` looks below runs"),
    ],
)
def test_a_wrong_line_is_one_line_of_error_and_the_code_of_its_kind(
    line: str, code: int, message: str, command: Command
) -> None:
    assert_fails(command(*line.split()), code, message)
    assert not Path("runs").exists(), "and nothing is written"


def test_an_output_folder_that_holds_something_else_is_kept(command: Command, tiny: str) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("precious")
    assert_fails(command("train", tiny, "--out", "mine"), 2, "mine: holds something else, which is kept")
    assert_fails(command("gen", "--out", "mine"), 2, "mine: holds something else, which is kept")
    assert [p.name for p in Path("mine").iterdir()] == ["thesis.tex"]
    command("train", tiny, "--executor", "inline", "--set", "order=1")
    other = command("train", "quick", "--out", "runs/tiny")
    assert_fails(other, 2, "runs/tiny: holds a run of suite 'tiny', which is kept")


def test_unwritable_folders_are_named(command: Command, tiny: str) -> None:
    Path("file").write_text("")
    assert_fails(command("train", tiny, "--out", "file/run"), 5, "file/run: cannot be written")
    assert_fails(command("train", tiny, "--out", "file"), 2, "file: is a file, which is kept")
    assert_fails(command("gen", "--out", "file/data"), 5, "file/data")


@pytest.mark.parametrize("name", ["test.npz", "manifest.json"])
def test_a_damaged_dataset_is_named_before_training(name: str, command: Command) -> None:
    command("gen", "--hops", "1", "--n", "30", "--n-test", "10", "--out", "d")
    path = Path("d", name)
    path.write_bytes(path.read_bytes()[:-9])
    assert_fails(command("train", "--data", "d"), 4, f"d/{name}: is truncated or edited")
    assert not Path("runs").exists()


def test_output_can_be_cut_off_quietly(tmp_path: Path) -> None:
    line = f"{sys.executable} -m nexus_bench list | head -1"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("tasks\n", "")


def test_an_error_that_a_library_makes_of_being_stopped_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any, **more: Any) -> None:
        try:
            cli._terminate(15, None)
        except SystemExit as stop:
            raise RuntimeError("internal assert failed") from stop

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "_terminated", [])
    with pytest.raises(SystemExit) as stopped:
        cli.run(["list"])
    assert stopped.value.code == 143
