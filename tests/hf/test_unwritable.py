"""A disk without room for what the libraries write: one line, nothing lost, and the same command goes on."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Command, assert_fails
from tests.hf.pretraining import LINE, log_of, write_text
from tests.hf.retrofitting import line, write_place

ROOM = 60_000  # bytes of a file: for everything but weights and what an optimiser keeps


@contextmanager
def little_room() -> Iterator[None]:
    """No file can grow beyond `ROOM`, whoever writes it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize(("save_every", "lacking"), [(1, "r/checkpoint.pt"), (99, "r")])
def test_pretrain_tells_a_full_disk_and_goes_on(save_every: int, lacking: str, command: Command) -> None:
    write_text(Path("t.txt"))
    words = [*LINE, "--tokens", "384", "--set", f"save_every={save_every}", "--set", "log_every=1", "--quiet"]
    with little_room():
        assert_fails(command(*words, "--out", "r"), 5, f"{lacking}: cannot be written: ")
    assert not list(Path("r").glob(".*.begun")) and not Path("r/summary.json").exists()
    assert command(*words, "--out", "r").returncode == command(*words, "--out", "whole").returncode == 0
    assert log_of(Path("r")).equals(log_of(Path("whole")))


def test_a_checkpoint_that_pytorch_cannot_write_whole_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 447232 vs 447120\nframes")

    write_text(Path("t.txt"))
    monkeypatch.setattr(torch, "save", fail)
    done = command(*LINE, "--tokens", "384", "--set", "save_every=1", "--set", "log_every=1", "--quiet", "--out", "r")
    assert_fails(
        done, 5, "r/checkpoint.pt: cannot be written: [enforce fail at inline_container.cc:672] . unexpected pos"
    )


@pytest.mark.parametrize("option", ["--save-every 0", "--keep-models"])
def test_retrofit_tells_a_full_disk_and_goes_on(option: str, command: Command) -> None:
    write_place(Path())
    options, methods = f"--steps 2 --seeds 1 --set lr=1e-3 --quiet {option}", ("untouched", "standard")
    words = line(Path(), options, methods)
    with little_room():
        done = command(*words)
    assert done.returncode == 5 and "cannot be written: " in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert command(*words).returncode == command(*line(Path(), options, methods, out="w")).returncode == 0
    assert Path("r/results.csv").read_bytes() == Path("w/results.csv").read_bytes()


def test_models_that_were_not_kept_are_told(command: Command) -> None:
    write_place(Path())
    words = line(Path(), "--steps 1 --seeds 1 --set lr=1e-3", ("untouched",))
    assert command(*words).returncode == 0
    said = "--keep-models: 1 cells were done before without it; choose another --out to keep them"
    done = command(*words, "--keep-models")
    assert done.returncode == 0 and said in done.stderr and not Path("r/models").exists()
    for _ in range(2):
        kept = command(*line(Path(), "--steps 1 --seeds 1 --set lr=1e-3 --keep-models", ("untouched",), out="k"))
        assert "without it" not in kept.stderr and len(list(Path("k/models").iterdir())) == 1
