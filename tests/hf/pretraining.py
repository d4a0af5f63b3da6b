"""Text and settings for pretraining runs that take a second."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd

from nexus_bench.hf.pretrain_spec import PretrainSpec, make_request
from tests.paths import ROOT

SHAPE = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2}
SIZES = {**SHAPE, "seq_len": 16, "batch_size": 4, "vocab_size": 300}
TOY = [word for key, value in SIZES.items() for word in ("--set", f"{key}={value}")]
TOY += ["--set", "documents=line", "--set", "evaluations=2", "--set", "samples=1", "--device", "cpu"]
LINE = ["pretrain", *TOY, "--text", "t.txt"]
LONG = [*LINE, "--tokens", "6400", "--set", "save_every=1"]  # 100 steps
LOSSES = ["step", "tokens", "loss", "held_out_loss", "bits_per_byte"]
PLACES = ("river", "hill", "market", "harbour", "garden", "tower", "mill")
PEOPLE = ("Ada", "Ben", "Cleo", "Dan", "Eve")


def write_text(path: Path, n: int = 60, first: int = 0) -> Path:
    """One document a line, no two alike."""
    lines = [
        f"{PEOPLE[i % 5]} walked {i} miles from the {PLACES[i % 7]} to the {PLACES[i * 3 % 7]}, "
        f"and {PEOPLE[i * 2 % 5]} waited {i % 13} days.\n"
        for i in range(first, first + n)
    ]
    path.write_text("".join(lines))
    return path


def spec_of(arch: str = "pythia-14m", **values: object) -> PretrainSpec:
    return make_request({"arch": arch, **values}, lr_of_arch=1e-3).spec


def log_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "log.csv")[LOSSES]


def start(folder: Path, *more: str, out: str = "r") -> subprocess.Popen[str]:
    """A run of 100 steps in a process of its own."""
    return _start(folder, [*LONG, *more, "--out", out])


def start_two(folder: Path, *more: str, out: str) -> subprocess.Popen[str]:
    """The same in two processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    run = ["torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port", port]
    return _start(folder, [*LONG, *more, "--out", out], *run, "-m", GLOO_SOCKET_IFNAME="lo")


def finish(process: subprocess.Popen[str]) -> str:
    """What it told."""
    told, _ = process.communicate(timeout=200)
    assert process.returncode == 0, told
    return told


def _start(folder: Path, words: list[str], *through: str, **more: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}
    line = [sys.executable, "-m", *through, "nexus_bench", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(line, cwd=folder, env=environment, text=True, **pipes)  # type: ignore[call-overload, no-any-return]
