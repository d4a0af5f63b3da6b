"""Runs that do not go well: killed, stopped, failing, short of space."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.experiment import runner
from nexus_bench.experiment.events import Event, Failure, JobDone, Note, Progress
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.executors.process import run_processes
from nexus_bench.experiment.jobs import Job
from nexus_bench.experiment.plan import make_plan
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.runner import run_plan
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.config import parse_yaml
from nexus_bench.io.read_results import read_curves, read_results
from tests.conftest import Command
from tests.small import TINY

LONG = TINY.replace("steps: 20", "steps: 100000").replace("eval_every: 10", "eval_every: 50")
MEDIUM = TINY.replace("steps: 20", "steps: 600").replace("eval_every: 10", "eval_every: 50")


def heed() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder: Path, suite: str, *arguments: str) -> "subprocess.Popen[str]":
    (folder / "suite.yaml").write_text(suite)
    line = [sys.executable, "-m", "nexus_bench", "train", "suite.yaml", "--workers", "2", *arguments]
    return subprocess.Popen(
        line,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed,
    )


def finish(run: "subprocess.Popen[str]") -> int:
    run.communicate(timeout=120)
    return run.returncode


def wait_for_checkpoints(folder: Path, *, n: int, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while len(list(folder.rglob("newest"))) < n:
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.exhaustive
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_ends_within_two_seconds_and_keeps_its_state(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    run = start(tmp_path, LONG)
    wait_for_checkpoints(tmp_path, n=2)
    started = time.monotonic()
    if number is signal.SIGINT:
        os.killpg(run.pid, number)  # a terminal sends Ctrl-C to every process of the run
    else:
        run.send_signal(number)
    assert run.wait(timeout=20) == code
    assert time.monotonic() - started < 2.0
    _, errors = run.communicate(timeout=20)
    assert errors.splitlines() == [
        "train: suite.yaml; starting PyTorch",
        "tiny: 4 cells to train on cpu, 2 workers, mode single, into runs/tiny",
        "stopped: 0 of 4 cells are done; the same command continues",
    ]
    assert len(list(tmp_path.rglob("newest"))) == 2
    deadline = time.monotonic() + 5
    while is_running(run.pid):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And to those of one process that is never killed."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    (whole / "suite.yaml").write_text(MEDIUM)
    monkeypatch.chdir(whole)
    assert command("train", "suite.yaml", "--executor", "inline").returncode == 0
    for n in (1, 2, 3):
        run = start(killed, MEDIUM)
        wait_for_checkpoints(killed, n=min(n, 2)) if n < 3 else time.sleep(4)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate(timeout=20)
    assert finish(start(killed, MEDIUM)) == 0
    for name in ("results.csv", "curve.csv", "report.html"):
        assert (killed / "runs/tiny" / name).read_bytes() == (whole / "runs/tiny" / name).read_bytes(), name
    for path in whole.rglob("model.safetensors"):
        assert (killed / path.relative_to(whole)).read_bytes() == path.read_bytes()
    assert not list(killed.rglob("newest"))


def test_a_run_killed_before_its_first_file_was_whole_goes_on(command: Command, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    line = ["train", "tiny.yaml", "--executor", "inline", "--quiet", "--out", "run"]
    dies = "import os; from nexus_bench import cli; os.fsync = lambda fd: os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", f"{dies}; cli.run({line})"], cwd=tmp_path, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    left = [path.name for path in Path("run").iterdir() if path.name != ".lock"]
    assert left and all(name.endswith(".begun") for name in left), left
    again = command(*line)
    assert again.returncode == 0, again.stderr
    assert not [path for path in Path("run").rglob(".*") if path.name != ".lock"]


def test_timing_tells_the_operations_a_second_of_each_cell(command: Command, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    assert command("train", "tiny.yaml", "--executor", "inline", "--quiet", "--out", "run").returncode == 0
    timing = pd.read_csv("run/timing.csv").set_index("cell_id")
    flops = read_results(tmp_path / "run").drop_duplicates("cell_id").set_index("cell_id")["flops_per_step"]
    expected = 1e-12 * flops.astype(float) * 20 / timing["train_seconds"]
    assert timing["tflops"].to_dict() == pytest.approx(expected.to_dict(), rel=1e-4)
    assert (timing["setup_seconds"] < timing["train_seconds"]).all() and timing["share_of_peak"].isna().all()


def test_curves_keep_twenty_evaluations_unless_asked_for_others(command: Command, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(
        TINY.replace("eval_every: 10", "eval_every: 1").replace("steps: 20", "steps: 40")
    )
    for options, steps in (([], range(2, 41, 2)), (["--curve-points", "4"], range(10, 41, 10))):
        done = command("train", "tiny.yaml", "--executor", "inline", "--quiet", "--out", f"run{len(options)}", *options)
        assert done.returncode == 0, done.stderr
        curves = read_curves(tmp_path / f"run{len(options)}")
        assert all(list(of["step"].unique()) == list(steps) for _, of in curves.groupby("cell_id"))
    assert command("train", "tiny.yaml", "--curve-points", "1").returncode == 2


def train_in(folder: Path, suite: str, mode: str) -> None:
    """A whole run, its only process the one that is killed."""
    plan = make_plan(make_suite(parse_yaml(suite, where="test"), where="test"), RunFolder(folder))
    run_plan(plan, RunFolder(folder), Execution(mode, executor="inline"), data=None, on_event=lambda event: None)


@pytest.mark.exhaustive
@pytest.mark.parametrize("mode", ["single", "deterministic"])
def test_a_run_killed_at_twenty_random_moments_gives_the_same_bytes(mode: str, tmp_path: Path) -> None:
    """An evaluation, and with it a checkpoint, every third step: many of the moments fall into saving."""
    suite = TINY.replace("steps: 20", "steps: 120").replace("eval_every: 10", "eval_every: 3")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([run_plan.__module__])

    def start_in(folder: Path) -> BaseProcess:
        process = context.Process(target=train_in, args=(folder, suite, mode))
        process.start()
        return process

    start_in(tmp_path / "whole").join()
    moments = random.Random(7)
    n_kills = n_runs = 0
    while n_kills < 20 or not n_runs:
        folder = tmp_path / f"killed {n_runs}"
        process = start_in(folder)
        process.join(moments.uniform(0.02, 0.6) if n_kills < 20 else None)
        if process.is_alive():
            process.kill()
            process.join()
            n_kills += 1
            continue
        assert process.exitcode == 0
        n_runs += 1
        for name in ("results.csv", "curve.csv"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
        for path in (tmp_path / "whole").rglob("model.safetensors"):
            assert (folder / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()
        assert not (folder / "checkpoints").exists()


@pytest.mark.slow
def test_a_worker_that_dies_fails_its_own_cell_alone(tmp_path: Path) -> None:
    cells = make_suite(parse_yaml(LONG, where="test"), where="test").cells[:2]
    jobs = [Job((cell,), frozenset([cell.cell_id]), "single", "cpu", tmp_path, None) for cell in cells]
    with closing(run_processes(jobs, devices=["cpu", "cpu"])) as events:
        begun = {next(e for e in events if isinstance(e, Progress)).cell_id}
        while len(begun) < 2:
            begun |= {next(e for e in events if isinstance(e, Progress)).cell_id}
        victim = multiprocessing.active_children()[0]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        failure = next(event for event in events if isinstance(event, Failure))
        assert failure.reason.endswith("its process ended with code -9")
        assert next(events) == JobDone(failure.cell_id)
        others = {next(e for e in events if isinstance(e, Progress)).cell_id for _ in range(3)}
    assert others == begun - {failure.cell_id}, "the other cell goes on"
    assert not multiprocessing.active_children(), "and is stopped when nobody listens any more"


def test_every_process_has_a_device_of_its_own(tmp_path: Path) -> None:
    """As with several GPUs: CPUs take any number."""
    cells = make_suite(parse_yaml(TINY, where="test"), where="test").cells
    jobs = [Job((cell,), frozenset([cell.cell_id]), "single", "", tmp_path, None) for cell in cells]
    results = [e for e in run_processes(jobs, devices=["cpu:0", "cpu:1"]) if isinstance(e, CellResult)]
    assert len(results) == 4
    assert {result.timing["device"] for result in results} == {"cpu:0", "cpu:1"}


def test_a_run_folder_deleted_in_mid_run_fails_what_is_lost_and_keeps_the_rest(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    suite = make_suite(parse_yaml(TINY, where="test"), where="test")
    deleted: list[str] = []

    def delete_once(event: Event) -> None:
        if isinstance(event, CellResult) and not deleted:
            deleted.append(event.cell_id)
            shutil.rmtree(folder.path)

    failures = run_plan(make_plan(suite, folder), folder, Execution(executor="inline"), data=None, on_event=delete_once)
    assert [failure.cell_id for failure in failures] == deleted
    assert failures[0].reason.endswith("its result was deleted during the run; run again")
    results = read_results(folder.path)
    assert set(results.loc[results["status"] == "failed", "cell_id"]) == set(deleted)
    assert results["cell_id"].nunique() == 4
    assert not run_plan(make_plan(suite, folder), folder, Execution(), data=None, on_event=delete_once)
    assert set(read_results(folder.path)["status"]) == {"trained"}


def test_status_tells_done_running_failed_and_to_do(command: Command, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(TINY)
    command("train", "suite.yaml", "--executor", "inline", "--set", "lr=1e-3,1e30", "--set", "warmup_steps=0")
    cells = json.loads(command("status", "runs/tiny", "--json").stdout)["cells"]
    assert [cell["state"] for cell in cells].count("done") == 4
    assert all("lower lr" in cell["reason"] for cell in cells if cell["state"] == "failed")
    assert command("status", "runs/tiny").stdout.startswith("8 cells: 4 done, 0 running, 4 failed, 0 to do")
    (tmp_path / "wider.yaml").write_text(TINY.replace("seeds: 2", "seeds: 3"))
    assert command("train", "wider.yaml", "--executor", "inline", "--set", "lr=1e-3", "--dry-run").returncode == 0
    here = "--executor inline --out runs/tiny".split()  # without --out it would go into a folder beside it
    again = command("train", "wider.yaml", *here, "--set", "lr=1e-3", "--set", "warmup_steps=0")
    assert "4 of 6 cells are already done" in again.stderr, "only what changed is run"


def test_status_of_a_run_in_progress(command: Command, tmp_path: Path) -> None:
    run = start(tmp_path, LONG)
    try:
        wait_for_checkpoints(tmp_path, n=2)
        time.sleep(1.5)
        cells = json.loads(command("status", "runs/tiny", "--json").stdout)["cells"]
        assert [cell["state"] for cell in cells] == ["running", "to do", "running", "to do"], "seed by seed"
        assert cells[0]["step"] > 0
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate(timeout=20)
    assert {c["state"] for c in json.loads(command("status", "runs/tiny", "--json").stdout)["cells"]} == {"to do"}


def test_two_runs_cannot_write_to_one_folder(tmp_path: Path, command: Command) -> None:
    run = start(tmp_path, LONG)
    try:
        wait_for_checkpoints(tmp_path, n=1)
        second = command("train", "suite.yaml")
        assert second.returncode == 2
        assert "runs/tiny: another nexus-bench is writing to it" in second.stderr
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate(timeout=20)


def test_a_diverging_cell_fails_alone_and_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(TINY)
    result = command(
        "train",
        "suite.yaml",
        "--executor",
        "inline",
        "--set",
        "lr=1e-3,1e30",
        "--set",
        "warmup_steps=0",
        "--seeds",
        "1",
    )
    assert result.returncode == 7
    assert "FAILED" in result.stderr and "the loss is not finite at step 10; lower lr" in result.stderr
    assert "2 of 4 cells failed" in result.stderr
    results = read_results(tmp_path / "runs/tiny")
    assert results[results["lr"] > 1]["accuracy"].isna().all()
    assert results[results["lr"] < 1]["accuracy"].notna().all()
    assert "Learning rates chosen on validation from 0.001, 1e+30: standard: 0.001" in result.stdout


def test_what_several_stacks_say_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(jobs: list[Job], execution: Execution) -> Generator[Event, None, None]:
        yield from (Note("slower"), Note("other"), Note("slower"))

    monkeypatch.setattr(runner, "_events", said)
    suite, folder = make_suite(parse_yaml(TINY, where="test"), where="test"), RunFolder(tmp_path)
    events: list[Event] = []
    run_plan(make_plan(suite, folder), folder, Execution(executor="inline"), data=None, on_event=events.append)
    assert [event.text for event in events if isinstance(event, Note)] == ["slower", "other"]


def test_what_killed_processes_were_writing_is_removed_wherever_it_lies(tmp_path: Path) -> None:
    suite, folder = make_suite(parse_yaml(TINY, where="test"), where="test"), RunFolder(tmp_path)
    run_plan(make_plan(suite, folder), folder, Execution(executor="inline"), data=None, on_event=lambda event: None)
    done, lost = (folder.cells.weights(cell.cell_id).parent for cell in suite.cells[:2])
    (lost / "result.json").unlink()
    begun = [
        tmp_path / ".curve.csv.x.begun",
        tmp_path / "figures" / ".reach.png.x.begun",
        tmp_path / "families" / ".kinship.md.x.begun",
        lost / ".model.safetensors.x.begun",
        folder.checkpoints("a job of an earlier suite") / "stack" / ".newest.x.begun",
    ]
    of_finished = done / ".result.json.x.begun"  # impossible: saving removes it, so finished cells are not searched
    for path in (*begun, of_finished):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    with folder.writing(suite.name, [lost.name]):
        assert not [path for path in begun if path.exists()]
        assert of_finished.exists()
