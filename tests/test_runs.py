"""Runs that do not go well: killed, stopped, failing, short of space."""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from nexus_bench.executor import Failure, run_processes

from nexus_bench.cells import Job
from nexus_bench.config import parse_yaml
from nexus_bench.results import RunFolder
from nexus_bench.suite import make_suite
from tests.conftest import Command
from tests.test_cli import TINY

LONG = TINY.replace("steps: 20", "steps: 100000").replace("eval_every: 10", "eval_every: 50")
MEDIUM = TINY.replace("steps: 20", "steps: 600").replace("eval_every: 10", "eval_every: 50")


def start(folder: Path, suite: str, *arguments: str) -> "subprocess.Popen[str]":
    (folder / "suite.yaml").write_text(suite)
    line = [sys.executable, "-m", "nexus_bench", "train", "suite.yaml", "--workers", "2", *arguments]
    return subprocess.Popen(
        line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(run: "subprocess.Popen[str]") -> int:
    run.communicate(timeout=120)
    return run.returncode


def wait_for_checkpoints(folder: Path, *, n: int, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while len(list(folder.rglob("checkpoint.safetensors"))) < n:
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_ends_within_a_second_and_keeps_its_state(
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
    assert time.monotonic() - started < 1.0
    _, errors = run.communicate(timeout=20)
    assert errors == "stopped: 0 of 4 cells are done; the same command goes on\n"
    assert len(list(tmp_path.rglob("checkpoint.safetensors"))) == 2
    deadline = time.monotonic() + 5
    while is_running(run.pid):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    assert finish(start(whole, MEDIUM)) == 0
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
    assert not list(killed.rglob("checkpoint.safetensors"))


@pytest.mark.slow
def test_a_worker_that_dies_fails_its_own_cell_alone(tmp_path: Path) -> None:
    cells = make_suite(parse_yaml(LONG, where="test"), where="test").cells[:2]
    jobs = [Job(cell, "cpu", tmp_path / cell.run_id, None) for cell in cells]
    with closing(run_processes(jobs, n_workers=2)) as events:
        begun: set[str] = set()
        while len(begun) < 2:
            begun.add(next(events).run_id)
        victim = multiprocessing.active_children()[0]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        failure = next(event for event in events if isinstance(event, Failure))
        assert failure.reason.endswith("its process ended with code -9")
        others = {next(events).run_id for _ in range(3)}
    assert others == begun - {failure.run_id}, "the other cell goes on"
    assert not multiprocessing.active_children(), "and is stopped when nobody listens any more"


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
    results = RunFolder(tmp_path / "runs/tiny").read_results()
    assert results[results["lr"] > 1]["accuracy"].isna().all()
    assert results[results["lr"] < 1]["accuracy"].notna().all()
    assert "Learning rates chosen on validation: standard 0.001" in result.stdout


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: checkpoints no longer fit."""
    (tmp_path / "suite.yaml").write_text(TINY)
    line = [sys.executable, "-m", "nexus_bench", "train", "suite.yaml", "--executor", "inline"]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))

    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, preexec_fn=limit)
    assert done.returncode == 5
    assert "checkpoint.safetensors: cannot be written: File too large; free some space" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob(".checkpoint*"))
    assert subprocess.run(line, cwd=tmp_path, capture_output=True, timeout=60).returncode == 0
