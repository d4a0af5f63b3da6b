"""`retrofit` and `pretrain` on a CUDA device: their precision, kills, compilation, two devices."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from nexus_bench.hf import describe, retrofit_cells
from nexus_bench.hf.loop import InTraining
from nexus_bench.hf.training import Pace, train_in_order
from nexus_bench.training.peaks import peak_here
from tests.conftest import Command
from tests.hf.pretraining import LINE, LONG, finish, log_of, start, start_two, write_text
from tests.hf.retrofitting import line, results, start_retrofit

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("default"),  # compilers and libraries have warnings of their own there
]

DEVICE = "cuda"
MODE = "bfloat16"
THERE = ("--device", DEVICE)
NEST = ("--attention", "nexus", "--order", "3", "--set", "compare=mirrored")
METHODS, STEPS = ("standard", "order=2 gate=true"), 60  # of a retrofit that is killed


def kill(process: subprocess.Popen[str], when: Callable[[], bool]) -> None:
    until = time.monotonic() + 150
    while not when():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until, "nothing was saved"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def saved_step(run: Path) -> int:
    """The last saved step of the cell in training, if another one is finished; else 0."""
    try:
        ended = {path.parent.name for path in run.glob("cells/*/result.json")}
        whole = [path.parent for path in run.glob("checkpoints/*/checkpoint-*/whole") if path.parts[-3] not in ended]
    except FileNotFoundError:  # a folder went while it was read
        return 0
    return max((int(path.name.rpartition("-")[2]) for path in whole), default=0) if ended else 0


def test_a_retrofit_runs_and_its_rows_say_in_which_precision(command: Command, place: Path) -> None:
    methods = ("untouched", "standard", "order=2 gate=true", "order=3 compare=mirrored")
    words = line(place, "--steps 40 --seeds 1 --set lr=3e-3 --keep-models --quiet", methods)
    done = command(*words, *THERE)
    assert done.returncode == 0, done.stderr
    rows = results("r")
    assert set(rows["mode"]) == {MODE} and rows["loss"].notna().all()
    assert set(pd.read_csv("r/timing.csv")["device"]) == {DEVICE}
    losses = rows[rows["split"] == "test"].groupby("model")["loss"].mean()
    assert len(losses) == 4 and (losses.drop("untouched") < losses["untouched"] - 0.3).all(), losses
    kept = [AutoModelForCausalLM.from_pretrained(path) for path in Path("r/models").iterdir()]
    assert len(kept) == 4 and {p.dtype for model in kept for p in model.parameters()} == {torch.float32}


def test_a_killed_retrofit_goes_on_from_its_saved_step(
    command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = f"--steps {STEPS} --seeds 1 --set lr=1e-3 --set n_val=9 --save-every 0 --quiet"
    words = [[*line(place, options, METHODS, out=out), *THERE] for out in ("whole", "killed")]
    assert command(*words[0]).returncode == 0
    kill(start_retrofit(words[1]), lambda: saved_step(Path("killed")) >= 5)
    saved, made = saved_step(Path("killed")), []
    assert 5 <= saved < STEPS and not Path("killed/results.csv").exists()

    def noted(*given: Any, **more: Any) -> Pace:
        pace = train_in_order(*given, **more)
        made.append(pace.steps)
        return pace

    monkeypatch.setattr(retrofit_cells, "train_in_order", noted)
    assert command(*words[1]).returncode == 0
    assert made == [STEPS - saved]
    assert not Path("killed/checkpoints").exists()
    # Bytes are promised on a CPU alone: some kernels of a GPU add in the order in which threads come
    told = ["cell_id", "model", "seed", "split", "hop", "mode", "steps_done", "n_examples", "loss"]
    pd.testing.assert_frame_equal(results("killed")[told], results("whole")[told], rtol=0, atol=0.05)


@pytest.mark.parametrize("attend", ["sequence", "document"])
def test_pretraining_is_the_same_within_rounding_compiled_or_not(attend: str, command: Command) -> None:
    write_text(Path("t.txt"))
    for out, how in (("plain", "no"), ("compiled", "yes")):
        words = [*LINE, *NEST, f"attend={attend}", "log_every=1", f"compile={how}", "--tokens", "1600", *THERE]
        done = command(*words, "--quiet", "--out", out)
        assert done.returncode == 0, done.stderr
    plain, compiled = log_of(Path("plain")), log_of(Path("compiled"))
    pd.testing.assert_frame_equal(plain, compiled, rtol=0, atol=1e-2)
    assert compiled["loss"].iloc[-1] < compiled["loss"].iloc[0] - 0.1
    model = AutoModelForCausalLM.from_pretrained("compiled").to(DEVICE)
    told = json.loads(Path("compiled/summary.json").read_text())
    assert told["model"] == describe(model) == "nexus (order 3, compare mirrored, refine qk)"
    assert model(torch.arange(16, device=DEVICE)[None]).logits.isfinite().all()
    speeds = pd.read_csv("compiled/log.csv")
    assert speeds["tokens_per_second"].iloc[1:].gt(0).all()
    if peak_here(DEVICE, "bfloat16") is None:
        assert speeds["mfu"].isna().all()
    else:
        assert speeds["mfu"].iloc[1:].between(0, 1, inclusive="neither").all() and 0 < told["mfu"] < 1


def test_killed_pretraining_goes_on_from_its_checkpoint(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(Path("t.txt"))
    more = ("--set", "log_every=1", "--set", "compile=no", "--attention", "nexus", *THERE)
    assert command(*LONG, *more, "--out", "whole").returncode == 0
    log, checkpoint = Path("r/log.csv"), Path("r/checkpoint.pt")
    kill(
        start(Path.cwd(), *more),
        lambda: checkpoint.is_file() and log.is_file() and log.read_text().count("\n") > 5,
    )
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["step"]
    assert 1 <= saved < 100
    made: list[int] = []
    one_step = InTraining.one_step

    def noted(self: InTraining, passes: Any) -> Any:
        made.append(self.step)
        return one_step(self, passes)

    monkeypatch.setattr(InTraining, "one_step", noted)
    assert command(*LONG, *more, "--out", "r").returncode == 0
    assert made == list(range(saved, 100))
    pd.testing.assert_frame_equal(log_of(Path("r")), log_of(Path("whole")), rtol=0, atol=1e-2)
    assert not checkpoint.exists()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
@pytest.mark.parametrize("how", ["no", "yes"])
def test_two_devices_train_as_one(how: str, tmp_path: Path) -> None:
    write_text(tmp_path / "t.txt")
    finish(start(tmp_path, *NEST, "--set", "compile=no", *THERE, out="one"))
    finish(start_two(tmp_path, *NEST, "--set", f"compile={how}", *THERE, out="two"))
    pd.testing.assert_frame_equal(log_of(tmp_path / "one"), log_of(tmp_path / "two"), rtol=0, atol=1e-2)
    assert json.loads((tmp_path / "two/summary.json").read_text())["device"].startswith("2 x ")
