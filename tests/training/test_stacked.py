"""Stacked models: the same as alone, each for itself, exact after a stop."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nexus_bench.data.encodings import ENCODINGS
from nexus_bench.data.splits import Splits
from nexus_bench.experiment.events import Event, Failure, JobDone, Note
from nexus_bench.experiment.jobs import Job, run_job
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.sources import open_source
from nexus_bench.io.config import Config
from nexus_bench.training.checkpoint import Checkpoint
from nexus_bench.training.engine import Engine, Single
from nexus_bench.training.feed import feed_of
from nexus_bench.training.loop import Ending, Listener, StoppedError, _Training, train
from nexus_bench.training.pool import Pool
from nexus_bench.training.spec import CellSpec, TrainSpec
from nexus_bench.training.stacked import Stacked
from tests.small import CPU, cell

RECIPE = {"steps": 60, "batch_size": 8, "eval_every": 20, "stop_when_solved": False}


def member(seed: int, encoding: str = "fact", **recipe: object) -> CellSpec:
    return cell(train=RECIPE | recipe, encoding=encoding).model_copy(update={"seed": seed})


def mixed(encoding: str = "fact") -> list[CellSpec]:
    recipes: list[Config] = [{}, {"lr": 1e-2}, {"curriculum": "staged"}, {"curriculum": "adaptive"}]
    return [member(number % 2, encoding, **recipe) for number, recipe in enumerate(recipes)]


def stacked(cells: list[CellSpec]) -> Stacked:
    sources = {one.seed: open_source(one, None) for one in cells}
    return Stacked(cells, [sources[one.seed] for one in cells], CPU, "deterministic")


def run(
    engine: Engine, checkpoint: Checkpoint | None = None, should_stop: Callable[[], bool] = lambda: False
) -> dict[int, tuple[str, dict[str, torch.Tensor]]]:
    endings: dict[int, tuple[str, dict[str, torch.Tensor]]] = {}

    def end(index: int, ending: Ending) -> None:
        endings[index] = ending.status, {name: w.clone() for name, w in ending.model.state_dict().items()}

    listener = Listener(on_end=end, should_stop=should_stop)
    torch.set_num_threads(1)
    train(engine, mode="deterministic", checkpoint=checkpoint, listener=listener)
    return endings


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_stacked_model_is_the_model_trained_alone(encoding: str) -> None:
    """With its own data order, learning rate, clipping, curriculum; within what another order of sums rounds away."""
    cells = mixed(encoding)
    together = run(stacked(cells))
    for index, one in enumerate(cells):
        (alone,) = run(Single(one, open_source(one, None), CPU)).values()
        for name, weights in alone[1].items():
            torch.testing.assert_close(together[index][1][name], weights, rtol=0, atol=2e-4)


def test_a_stopped_stack_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = run(stacked(mixed()))
    asked = iter(range(1000))
    kept = Checkpoint(tmp_path / "kept", root=tmp_path)
    with pytest.raises(StoppedError, match="stopped at step 33"):
        run(stacked(mixed()), kept, lambda: next(asked) == 33)
    resumed = run(stacked(mixed()), kept)
    assert all(torch.equal(resumed[i][1][name], w) for i in range(4) for name, w in whole[i][1].items())


def test_a_model_that_diverges_leaves_the_others_alone() -> None:
    ending = run(stacked([member(0), member(1, lr=1e30, warmup_steps=100), member(2)]))
    calm = run(stacked([member(0), member(1, lr=1e-3, warmup_steps=100), member(2)]))
    assert [ending[i][0] for i in range(3)] == ["trained", "diverged", "trained"]
    assert all(torch.equal(ending[i][1][name], w) for i in (0, 2) for name, w in calm[i][1].items())


def test_a_model_keeps_the_weights_of_the_step_it_ended_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the real loop: one model ends early, the other goes on, and a kill comes before the next evaluation."""
    usual = _Training.status_of
    monkeypatch.setattr(
        _Training, "status_of", lambda self, i, at: "solved" if (i, at.step) == (0, 20) else usual(self, i, at)
    )
    cells = [member(0), member(1)]
    whole = run(stacked(cells))
    kept = Checkpoint(tmp_path / "kept", root=tmp_path)
    asked = iter(range(1000))
    with pytest.raises(StoppedError, match="stopped at step 33"):
        run(stacked(cells), kept, lambda: next(asked) == 33)
    resumed = run(stacked(cells), kept)
    assert [ending[0] for ending in whole.values()] == ["solved", "trained"]
    assert all(torch.equal(resumed[i][1][name], w) for i in (0, 1) for name, w in whole[i][1].items())


def test_out_of_memory_halves_the_stack_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    advance = Stacked.advance

    def short_of_memory(self: Stacked) -> None:
        if len(self.cells) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        advance(self)

    monkeypatch.setattr(Stacked, "advance", short_of_memory)
    cells = tuple(member(seed) for seed in range(5))
    events: list[Event] = []
    job = Job(cells, frozenset(one.cell_id for one in cells), "deterministic", "cpu", None, None)
    run_job(job, on_event=events.append, should_stop=lambda: False)
    assert {event.cell_id for event in events if isinstance(event, CellResult)} == job.wanted
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == [f"out of memory with {n} models in a stack; continuing with {m}" for n, m in ((5, 3), (3, 2))]


def test_a_bug_in_a_plugin_is_one_line_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Splits, step: int, batch_size: int) -> None:
        raise KeyError("spoon")

    monkeypatch.setattr(Splits, "batch", broken)
    one = member(0)
    events: list[Event] = []
    run_job(
        Job((one,), frozenset([one.cell_id]), "single", "cpu", None, None), on_event=events.append, should_stop=bool
    )
    (failure,) = (event for event in events if isinstance(event, Failure))
    assert failure.reason.startswith("KeyError: 'spoon' (test_stacked.py:")
    assert failure.exit_code == 7
    assert isinstance(events[-1], JobDone)


@pytest.mark.parametrize(("batch_size", "reuse"), [(8, 1), (256, 1), (16_384, 1), (8, 3), (24, 2)])
def test_a_step_uses_the_same_graphs_in_every_mode(batch_size: int, reuse: int) -> None:
    one = member(0, batch_size=batch_size, reuse=reuse)
    source, alone = open_source(one, None), Single(one, open_source(one, None), CPU)
    pool = Pool([source], alone.feed, "fact", CPU)
    for step in (0, 1, alone.feed.n_steps - 1, alone.feed.n_steps, 2 * alone.feed.n_steps + 3):
        pool.seek(step)
        alone.step = step
        used = pool.arrays.answer[0, pool.order[step % alone.feed.n_steps]].numpy()
        assert (used == alone._examples().answer).all()
        if reuse == 1:
            assert (used == source.batch(step, batch_size).answer).all()
    pool.close()
    assert pool.arrays.tokens.dtype == torch.uint8


@pytest.mark.parametrize("reuse", [1, 2, 5])
def test_every_graph_is_used_as_often_as_the_recipe_says(reuse: int) -> None:
    feed = feed_of(TrainSpec(batch_size=24, reuse=reuse))
    for generation in (0, 1):
        times = np.bincount(feed.order(generation).ravel())
        assert set(times) == {reuse} and len(times) == 24 * len(feed.batches(generation))
    firsts = [feed.batches(generation)[0] for generation in (0, 1, 2)]
    assert firsts == [0, feed.n_batches, 2 * feed.n_batches]


def test_the_order_of_reused_graphs_is_that_of_the_committed_staircase() -> None:
    feed = feed_of(TrainSpec(batch_size=256, reuse=8))
    hashes = [hashlib.sha256(feed.order(generation).astype("<i8").tobytes()).hexdigest() for generation in (0, 1)]
    assert hashes == [
        "59ebee70503b5ab18e180fe097f4819977eb2d57dd9db3a9568262df0c844901",
        "5fed5c8a6e58352044ae7e7f299652b98113812375ef37ed9fc07e9df1135909",
    ]


def test_reuse_is_part_of_the_name_of_a_cell() -> None:
    assert member(0).cell_id == member(0, reuse=1).cell_id != member(0, reuse=2).cell_id
