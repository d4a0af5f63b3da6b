"""Stacks on a CUDA device: exact after a stop in mode deterministic, the same within rounding in the others."""

from pathlib import Path

import pytest
import torch

from nexus_bench.experiment.sources import open_source
from nexus_bench.training.loop import StoppedError
from nexus_bench.training.memory import largest_stack
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.spec import CellSpec
from tests.jobs import run_cells, same, stops_at
from tests.small import cell

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),  # the compiler's own
    pytest.mark.filterwarnings(
        "ignore:Mismatch dtype between input and weight:UserWarning"
    ),  # bfloat16, float32 weights
]

RECIPE = {"steps": 60, "batch_size": 8, "eval_every": 20, "stop_when_solved": False}
CUDA = torch.device("cuda")


def cells() -> list[CellSpec]:
    recipes: list[dict[str, object]] = [{}, {"lr": 1e-2}, {"curriculum": "staged"}, {"curriculum": "adaptive"}]
    return [cell(train=RECIPE | recipe).model_copy(update={"seed": seed}) for seed, recipe in enumerate(recipes)]


@pytest.mark.parametrize("step", [0, 20, 33])
def test_a_stopped_stack_goes_on_to_the_same_bytes(step: int, tmp_path: Path) -> None:
    whole = run_cells(cells(), device="cuda")
    with pytest.raises(StoppedError, match=f"stopped at step {step}"):
        run_cells(cells(), device="cuda", root=tmp_path, should_stop=stops_at(step))
    resumed = run_cells(cells(), device="cuda", root=tmp_path)
    assert all(same(a.weights, b.weights) for a, b in zip(whole, resumed, strict=True))


@pytest.mark.parametrize(("mode", "tolerance"), [("tf32", 2e-3), ("bfloat16", 5e-3)])
def test_faster_modes_are_the_same_within_rounding(mode: str, tolerance: float) -> None:
    exact, fast = run_cells(cells(), device="cuda"), run_cells(cells(), device="cuda", mode=mode)
    for a, b in zip(exact, fast, strict=True):
        for name, weight in a.weights.items():
            torch.testing.assert_close(b.weights[name], weight, rtol=0, atol=tolerance)


def test_the_free_memory_bounds_a_stack() -> None:
    one = cells()[0]
    assert 1 <= largest_stack(TrainingRow(one, open_source(one, None)), CUDA, "deterministic") <= 256


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_a_job_trains_on_a_device_that_is_not_the_first() -> None:
    assert all(one.status == "trained" for one in run_cells(cells(), device="cuda:1", mode="tf32"))
