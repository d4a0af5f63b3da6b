"""What a user types to have training done elsewhere, otherwise, or shown otherwise."""

from pathlib import Path

import pytest

from nexus_bench.io.read_results import read_results
from tests.conftest import Command, assert_fails


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--executor", "proces"],
            2,
            "unknown executor 'proces'; did you mean 'process'? known: dask, inline, process",
        ),
        (["--mode", "fp8"], 2, "unknown mode 'fp8'; known: auto, bfloat16, deterministic, single, tf32"),
        (["--mode", "tf32"], 2, "mode tf32 is for a GPU; on a CPU use single or deterministic"),
        (
            ["--stack", "4"],
            2,
            "--stack is for stacked modes; add --mode deterministic, tf32 or bfloat16, or omit it",
        ),
        (["--scheduler", "tcp://127.0.0.1:9"], 2, "--scheduler is for --executor dask; give both, or neither"),
        (["--set", "curriculum=stage"], 3, "curriculum: input should be 'none', 'staged' or 'adaptive', got 'stage'"),
    ],
)
def test_bad_options_are_one_line(arguments: list[str], code: int, message: str, tiny: str, command: Command) -> None:
    assert_fails(command("train", tiny, "--device", "cpu", *arguments), code, message)


def test_status_of_no_run_folder(command: Command, tmp_path: Path) -> None:
    assert_fails(command("status", "."), 5, ".: is not a run folder, it has no spec.yaml; give one that train wrote")


def test_modes_and_curricula_are_columns_and_names(tiny: str, command: Command, tmp_path: Path) -> None:
    line = ["train", tiny, "--executor", "inline", "--mode", "deterministic", "--set", "curriculum=none,adaptive"]
    assert command(*line).returncode == 0
    results = read_results(tmp_path / "runs/tiny")
    assert set(results["mode"]) == {"deterministic"}
    assert set(results["curriculum"]) == {"none", "adaptive"}
    assert results["model"].nunique() == 4, "a curriculum is not a seed"


def test_log_every_prints_evaluations(tiny: str, command: Command) -> None:
    lines = command("train", tiny, "--executor", "inline", "--log-every", "20", "--seeds", "1").stderr.splitlines()
    assert len([line for line in lines if "| step 20 | validation accuracy (loss) by hop  1: " in line]) == 2
    assert not [line for line in lines if "| step 10 |" in line]


def test_tensorboard_curves(tiny: str, command: Command, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert command("train", tiny, "--executor", "inline", "--tensorboard", "--seeds", "1").returncode == 0
    (first, _) = sorted((tmp_path / "runs/tiny/tensorboard").iterdir())
    events = EventAccumulator(str(first)).Reload()
    kinds = ("accuracy", "loss", "test accuracy")
    assert set(events.Tags()["scalars"]) == {f"{kind}/{hop} hops" for kind in kinds for hop in (1, 2)}
    assert [event.step for event in events.Scalars("accuracy/2 hops")] == [10, 20]
