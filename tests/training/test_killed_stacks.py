"""A run in mode deterministic whose processes are killed at once goes on to the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.small import TINY

STEPS = {"cpu": 400, "cuda": 20_000}  # some seconds, so that a kill falls into the middle
DEVICES = [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu)]


def start(folder: Path, device: str) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    steps = STEPS[device]
    recipe = f"steps: {steps}, batch_size: 4, eval_every: {steps // 20}, stop_when_solved: false"
    (folder / "suite.yaml").write_text(TINY.replace("steps: 20, batch_size: 4, eval_every: 10", recipe))
    line = [sys.executable, "-m", "nexus_bench", "train", "suite.yaml", "--device", device]
    options = ["--mode", "deterministic", "--executor", "inline"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*line, *options], cwd=folder, text=True, start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]


def finish(run: "subprocess.Popen[str]") -> str:
    _, errors = run.communicate(timeout=400)
    assert run.returncode == 0, errors
    return errors


def kill_at_a_checkpoint(folder: Path, device: str) -> None:
    """Kill a run once it has written two checkpoints of a stack."""
    run = start(folder, device)
    deadline = time.monotonic() + 200
    while not list(folder.rglob("previous")):
        assert run.poll() is None, run.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate(timeout=20)
    assert run.returncode == -signal.SIGKILL


@pytest.mark.parametrize("device", DEVICES)
def test_a_killed_stack_goes_on_to_the_same_bytes(device: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(whole, device))
    kill_at_a_checkpoint(killed, device)
    assert list(killed.rglob("previous")), "killed in the middle of a stack"
    assert "anew" not in finish(start(killed, device))
    for name in ("results.csv", "curve.csv"):
        assert (killed / "runs/tiny" / name).read_bytes() == (whole / "runs/tiny" / name).read_bytes(), name
    weights = list(whole.rglob("model.safetensors"))
    assert len(weights) == 4
    for path in weights:
        assert (killed / path.relative_to(whole)).read_bytes() == path.read_bytes()
    assert not (killed / "runs/tiny/checkpoints").exists()
