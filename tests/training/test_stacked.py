"""Stacked models: the same as alone, each for itself, exact after a stop."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nexus_bench.data.splits import Splits
from nexus_bench.experiment.events import Event, Failure, JobDone, Note
from nexus_bench.experiment.jobs import Job, make_jobs, run_job
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.sources import open_source
from nexus_bench.training.checkpoint import Checkpoint
from nexus_bench.training.engine import Engine, Single
from nexus_bench.training.loop import Ending, Listener, StoppedError, train
from nexus_bench.training.pool import POOL_GRAPHS, POOL_STEPS, Pool
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.stacked import Stacked
from tests.small import CPU, cell

RECIPE = {"steps": 60, "batch_size": 8, "eval_every": 20, "stop_when_solved": False}


def member(seed: int, **recipe: object) -> CellSpec:
    return cell(train=RECIPE | recipe).model_copy(update={"seed": seed})


def mixed() -> list[CellSpec]:
    return [member(0), member(1, lr=1e-2), member(0, curriculum="staged"), member(1, curriculum="adaptive")]


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


def test_a_stacked_model_is_the_model_trained_alone() -> None:
    """With its own data order, learning rate, clipping, curriculum; within what another order of sums rounds away."""
    cells = mixed()
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


def test_a_model_that_has_ended_learns_no_more() -> None:
    engine = stacked([member(0), member(1)])
    engine.advance()
    engine.alive[0] = False
    engine.scores()
    before = engine.tensors()["weights"]
    engine.advance()
    after = engine.tensors()["weights"]
    engine.close()
    assert torch.equal(before[0], after[0]) and not torch.equal(before[1], after[1])


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


@pytest.mark.parametrize("batch_size", [8, 24, 256])
def test_the_pool_holds_the_stream_and_uses_every_graph_alike(batch_size: int) -> None:
    one = member(0, batch_size=batch_size)
    source = open_source(one, None)
    pool = Pool([source], batch_size, "fact", CPU)
    for generation in (0, 1):
        pool.seek(generation * POOL_STEPS + 3)
        drawn = [source.batch(generation * pool.n_batches + i, batch_size).answer for i in range(3)]
        for step, answer in enumerate(drawn):
            assert (pool.arrays.answer[0, pool.order[step]].numpy() == answer).all()
        times = np.bincount(pool.order.numpy().ravel(), minlength=pool.n_batches * batch_size)
        assert times.max() - times.min() <= 1
        assert len(times) == min(POOL_STEPS * batch_size, POOL_GRAPHS // batch_size * batch_size)
    pool.close()
    assert pool.arrays.tokens.dtype == torch.uint8


def test_stacks_are_cut_by_shape_and_do_not_depend_on_what_is_done() -> None:
    cells = [member(seed, lr=lr, steps=steps) for steps in (60, 80) for lr in (1e-3, 1e-2) for seed in range(3)]

    def jobs(done: list[str]) -> list[Job]:
        return make_jobs(cells, done, mode="tf32", stack=4, device="cuda", root=None, data=None)

    assert [len(job.cells) for job in jobs([])] == [4, 2, 4, 2]
    assert all(len({one.train.steps for one in job.cells}) == 1 for job in jobs([]))
    rest = jobs([cells[0].cell_id, *(one.cell_id for one in cells[4:6])])
    assert [one.cell_id for one in rest[0].cells] == [one.cell_id for one in cells[1:4]]
    assert [job.job_id for job in rest[1:]] == [job.job_id for job in jobs([])[2:]]
