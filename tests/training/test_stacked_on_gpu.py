"""Stacks on a CUDA device: exact after a stop in mode deterministic, the same within rounding in the others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nexus_bench.experiment.events import Event, Failure
from nexus_bench.experiment.jobs import Job, run_job
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.sources import open_source
from nexus_bench.training.checkpoint import Checkpoint
from nexus_bench.training.loop import Ending, Listener, StoppedError, train
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.stacked import Stacked, largest_stack, prepare_determinism
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
Weights = dict[int, dict[str, torch.Tensor]]


def cells() -> list[CellSpec]:
    recipes: list[dict[str, object]] = [{}, {"lr": 1e-2}, {"curriculum": "staged"}, {"curriculum": "adaptive"}]
    return [cell(train=RECIPE | recipe).model_copy(update={"seed": seed}) for seed, recipe in enumerate(recipes)]


def run(mode: str, checkpoint: Checkpoint | None = None, should_stop: Callable[[], bool] = lambda: False) -> Weights:
    endings: Weights = {}

    def end(index: int, ending: Ending) -> None:
        endings[index] = {name: weight.cpu().clone() for name, weight in ending.model.state_dict().items()}

    members = cells()
    engine = Stacked(members, [open_source(one, None) for one in members], CUDA, mode)
    try:
        train(engine, mode=mode, checkpoint=checkpoint, listener=Listener(on_end=end, should_stop=should_stop))
    finally:
        engine.close()
    return endings


def test_a_stopped_stack_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    prepare_determinism()
    whole = run("deterministic")
    asked = iter(range(1000))
    kept = Checkpoint(tmp_path / "kept", root=tmp_path)
    with pytest.raises(StoppedError, match="stopped at step 33"):
        run("deterministic", kept, lambda: next(asked) == 33)
    resumed = run("deterministic", kept)
    assert all(torch.equal(resumed[i][name], weight) for i in range(4) for name, weight in whole[i].items())


@pytest.mark.parametrize(("mode", "tolerance"), [("tf32", 2e-3), ("bfloat16", 5e-3)])
def test_faster_modes_are_the_same_within_rounding(mode: str, tolerance: float) -> None:
    exact, fast = run("deterministic"), run(mode)
    for index in exact:
        for name, weight in exact[index].items():
            torch.testing.assert_close(fast[index][name], weight, rtol=0, atol=tolerance)


def test_the_free_memory_bounds_a_stack() -> None:
    one = cells()[0]
    assert 1 <= largest_stack(one, open_source(one, None), CUDA, "deterministic") <= 256


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_a_job_trains_on_a_device_that_is_not_the_first() -> None:
    members = tuple(cells())
    events: list[Event] = []
    job = Job(members, frozenset(one.cell_id for one in members), "tf32", "cuda:1", None, None)
    run_job(job, on_event=events.append, should_stop=lambda: False)
    assert [event.reason for event in events if isinstance(event, Failure)] == []
    assert {event.cell_id for event in events if isinstance(event, CellResult)} == job.wanted
