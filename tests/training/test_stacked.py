"""Stacked models: the same as alone, each for itself, exact after a stop, packed anew when some have ended."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._inductor.exc import InductorError

from nexus_bench.data.encodings import ENCODINGS, EncodedExamples, encode_fact
from nexus_bench.data.splits import Splits
from nexus_bench.experiment.events import Event, Failure, JobDone, Note
from nexus_bench.experiment.sources import open_source
from nexus_bench.generators.base import Examples, Schema
from nexus_bench.io.config import Config
from nexus_bench.model.transformer import Transformer
from nexus_bench.training import loop
from nexus_bench.training.engine import Single
from nexus_bench.training.feed import feed_of
from nexus_bench.training.loop import StoppedError
from nexus_bench.training.memory import shortage_of
from nexus_bench.training.pool import Pool
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.spec import CellSpec, TrainSpec
from nexus_bench.training.stacked import Stacked
from tests.jobs import run_cells, same, stops_at
from tests.small import CPU, cell

RECIPE = {"steps": 60, "batch_size": 8, "eval_every": 20, "stop_when_solved": False}


def member(seed: int, encoding: str = "fact", **recipe: object) -> CellSpec:
    return cell(train=RECIPE | recipe, encoding=encoding).model_copy(update={"seed": seed})


def mixed(encoding: str = "fact") -> list[CellSpec]:
    recipes: list[Config] = [{}, {"lr": 1e-2}, {"curriculum": "staged"}, {"curriculum": "adaptive"}]
    return [member(number % 2, encoding, **recipe) for number, recipe in enumerate(recipes)]


def end_early(monkeypatch: pytest.MonkeyPatch, ends: dict[tuple[int, float], int]) -> None:
    """Let cells end as solved at a step: given by seed and learning rate."""
    usual = loop._status_of

    def status_of(row: TrainingRow) -> str | None:
        return "solved" if row.step == ends.get((row.cell.seed, row.cell.train.lr)) else usual(row)

    monkeypatch.setattr(loop, "_status_of", status_of)


@pytest.mark.parametrize("encoding", ["fact", "flat"])
def test_a_stacked_model_is_the_model_trained_alone(encoding: str) -> None:
    """With its own data order, learning rate, clipping, curriculum; within what another order of sums rounds away."""
    cells = mixed(encoding)
    for one, together in zip(cells, run_cells(cells), strict=True):
        (alone,) = run_cells([one], mode="single")
        for name, weights in alone.weights.items():
            torch.testing.assert_close(together.weights[name], weights, rtol=0, atol=2e-4)


def queries_anywhere(examples: Examples, schema: Schema) -> EncodedExamples:
    """As the encoding `fact`, but the queries of each graph stand in an order of its own."""
    usual = encode_fact(examples, schema)
    first, n_queries = usual.read_at[0, 0], usual.read_at.shape[1]
    at = first + (np.arange(n_queries) + examples.facts[:, 0, :1]) % n_queries
    tokens = usual.tokens.copy()
    np.put_along_axis(tokens, at[:, :, None], usual.tokens[:, first:], axis=1)
    return usual._replace(tokens=tokens, read_at=at.astype(np.int32), length=usual.length.repeat(len(at)))


@pytest.mark.parametrize("mode", ["single", "deterministic"])
def test_every_graph_may_be_read_at_positions_of_its_own(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = mixed()[:1] if mode == "single" else mixed()
    usual = run_cells(cells, mode=mode)
    monkeypatch.setitem(ENCODINGS, "fact", queries_anywhere)
    for one, moved in zip(usual, run_cells(cells, mode=mode), strict=True):
        for name, weights in one.weights.items():
            torch.testing.assert_close(moved.weights[name], weights, rtol=0, atol=2e-4)


def test_models_that_do_not_stack_are_trained_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transformer, "stacks", False)
    monkeypatch.setattr(Stacked, "__init__", None)
    together = run_cells(mixed())
    alone = [run_cells([one], mode="single")[0] for one in mixed()]
    assert all(same(a.weights, b.weights) and a.weights for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("step", [0, 1, 20, 33, 59])
def test_a_stopped_stack_goes_on_to_the_same_bytes(step: int, tmp_path: Path) -> None:
    whole = run_cells(mixed())
    with pytest.raises(StoppedError, match=f"stopped at step {step}"):
        run_cells(mixed(), root=tmp_path, should_stop=stops_at(step))
    resumed = run_cells(mixed(), root=tmp_path)
    assert all(same(a.weights, b.weights) and a.curve == b.curve for a, b in zip(whole, resumed, strict=True))


def test_a_model_that_diverges_leaves_the_others_alone() -> None:
    """All of them stay packed together to the end, since no half of them ends early."""
    ending = run_cells([member(0), member(1, lr=1e30, warmup_steps=100), member(2)])
    calm = run_cells([member(0), member(1, lr=1e-3, warmup_steps=100), member(2)])
    assert [one.status for one in ending] == ["trained", "failed", "trained"]
    assert all(same(ending[i].weights, calm[i].weights) for i in (0, 2))


@pytest.mark.parametrize("stop", [21, 33, 40, 47, 59])
def test_rows_leave_the_stack_when_they_end_and_a_stop_changes_nothing(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real loop: of five, one ends first (no new pack), then two more (packed anew), two go to the end."""
    cells = [member(seed, lr=3e-3) for seed in range(5)]
    end_early(monkeypatch, {(1, 3e-3): 20, (0, 3e-3): 40, (4, 3e-3): 40})
    sizes: list[int] = []
    made = Stacked.__init__

    def count(self: Stacked, rows: list[TrainingRow], device: torch.device, mode: str, **options: Any) -> None:
        sizes.append(len(rows))
        made(self, rows, device, mode, **options)

    monkeypatch.setattr(Stacked, "__init__", count)
    whole = run_cells(cells)
    assert sizes == [5, 2]
    assert [one.status for one in whole] == ["solved", "solved", "trained", "trained", "solved"]
    with pytest.raises(StoppedError, match=f"stopped at step {stop}"):
        run_cells(cells, root=tmp_path, should_stop=stops_at(stop))
    resumed = run_cells(cells, root=tmp_path)
    for a, b in zip(whole, resumed, strict=True):
        assert same(a.weights, b.weights) and a.curve == b.curve and a.status == b.status


def test_a_row_that_left_the_stack_is_the_model_trained_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [member(seed, lr=3e-3) for seed in range(4)]
    end_early(monkeypatch, {(1, 3e-3): 20, (3, 3e-3): 20, (0, 3e-3): 40})
    for one, together in zip(cells, run_cells(cells), strict=True):
        (alone,) = run_cells([one], mode="single")
        assert together.status == alone.status
        for name, weights in alone.weights.items():
            torch.testing.assert_close(together.weights[name], weights, rtol=0, atol=2e-4)


def test_what_ended_before_a_kill_is_told_again_from_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner may have been killed before it stored a result that a worker had told."""
    cells = [member(0), member(1), member(2)]
    end_early(monkeypatch, {(0, 3e-3): 20})
    whole = run_cells(cells)
    with pytest.raises(StoppedError):
        run_cells(cells, root=tmp_path, should_stop=stops_at(50))
    monkeypatch.undo()  # from now on it would not end at step 20 again
    resumed = run_cells(cells, root=tmp_path)
    assert [one.status for one in resumed] == ["solved", "trained", "trained"]
    assert all(same(a.weights, b.weights) for a, b in zip(whole, resumed, strict=True))


@pytest.mark.parametrize("cut", [[slice(0, 2), slice(2, 4)], [slice(0, 1), slice(1, 4)]])
def test_a_begun_stack_goes_on_however_it_is_cut_then(cut: list[slice], tmp_path: Path) -> None:
    """As with another number of devices, or less memory: no step is made twice, and no row begins again."""
    cells = mixed()
    whole = run_cells(cells)
    with pytest.raises(StoppedError):
        run_cells(cells, root=tmp_path, should_stop=stops_at(33))
    steps: list[int] = []
    for part in cut:
        events: list[Event] = []
        resumed = run_cells(cells[part], root=tmp_path, mode="deterministic", on_event=events.append)
        steps += [point.step for one in resumed for point in one.points]
        for a, b in zip(whole[part], resumed, strict=True):
            for name, weights in a.weights.items():
                torch.testing.assert_close(b.weights[name], weights, rtol=0, atol=2e-4)
    assert sorted(steps) == [20] * 4 + [40] * 4 + [60] * 4


def test_a_stack_that_was_packed_anew_and_stopped_twice_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older checkpoints of its rows lie in another folder by then."""
    cells = [member(seed) for seed in range(4)]
    end_early(monkeypatch, {(0, 3e-3): 20, (3, 3e-3): 20})
    whole = run_cells(cells)
    for step in (27, 20):  # before step 27, and 20 steps later
        with pytest.raises(StoppedError):
            run_cells(cells, root=tmp_path, should_stop=stops_at(step))
    events: list[Event] = []
    resumed = run_cells(cells, root=tmp_path, on_event=events.append)
    assert [one.status for one in resumed] == ["solved", "trained", "trained", "solved"]
    assert all(same(a.weights, b.weights) and a.curve == b.curve for a, b in zip(whole, resumed, strict=True))
    assert [[point.step for point in one.points] for one in resumed] == [[20], [20, 40, 60], [20, 40, 60], [20]]


def test_a_row_that_ended_stays_ended_though_an_older_checkpoint_has_it_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [member(seed) for seed in range(4)]
    end_early(monkeypatch, {(1, 3e-3): 40})
    whole = run_cells(cells)
    with pytest.raises(StoppedError):
        run_cells(cells, root=tmp_path, should_stop=stops_at(33))
    with pytest.raises(StoppedError):
        run_cells(cells[:2], root=tmp_path, should_stop=stops_at(12))  # at step 45
    monkeypatch.undo()
    resumed = run_cells(cells, root=tmp_path)
    assert [one.status for one in resumed] == ["trained", "solved", "trained", "trained"]
    for a, b in zip(whole, resumed, strict=True):
        assert [row["step"] for row in a.curve] == [row["step"] for row in b.curve]
        for name, weights in a.weights.items():
            torch.testing.assert_close(b.weights[name], weights, rtol=0, atol=2e-4)


def test_a_row_that_diverged_is_told_again(tmp_path: Path) -> None:
    cells = [member(0), member(1, lr=1e30, warmup_steps=100), member(2)]
    with pytest.raises(StoppedError):
        run_cells(cells, root=tmp_path, should_stop=stops_at(33))
    assert [one.status for one in run_cells(cells, root=tmp_path)] == ["trained", "failed", "trained"]


def test_rows_of_several_stacks_go_on_as_one_job(tmp_path: Path) -> None:
    cells = mixed()
    whole = run_cells(cells)
    for part, step in ((slice(0, 2), 33), (slice(2, 4), 45)):
        with pytest.raises(StoppedError):
            run_cells(cells[part], root=tmp_path, should_stop=stops_at(step))
    resumed = run_cells(cells, root=tmp_path)
    for a, b in zip(whole, resumed, strict=True):
        for name, weights in a.weights.items():
            torch.testing.assert_close(b.weights[name], weights, rtol=0, atol=2e-4)


def test_a_hopeless_cell_is_given_up_by_the_rule_of_its_recipe_and_says_so() -> None:
    rule = {"step": 30, "accuracy": 1.0}
    given_up, kept = run_cells([member(0, give_up=rule), member(1, give_up=rule | {"accuracy": 1e-9})])
    assert (given_up.status, kept.status) == ("given_up", "trained")
    assert {row["step"] for row in given_up.curve} == {20, 40}
    (alone,) = run_cells([member(0, give_up=rule)], mode="single")
    assert alone.status == "given_up"


def test_a_rule_to_give_up_is_part_of_the_name_of_a_cell_and_its_absence_is_not() -> None:
    assert (
        member(0).cell_id == member(0, give_up=None).cell_id != member(0, give_up={"step": 9, "accuracy": 0.5}).cell_id
    )


@pytest.mark.parametrize("at_step", [0, 27])
def test_out_of_memory_halves_the_stack_and_goes_on(
    at_step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first step, or beside checkpoints: then no step before the newest one is made again."""
    advance = Stacked.advance
    made: list[tuple[int, int]] = []

    def short_of_memory(self: Stacked) -> None:
        if len(self.rows) > 2 and self.step >= at_step:
            raise torch.OutOfMemoryError("CUDA out of memory")
        made.append((len(self.rows), self.step))
        advance(self)

    whole = run_cells([member(seed) for seed in range(5)])
    monkeypatch.setattr(Stacked, "advance", short_of_memory)
    events: list[Event] = []
    halved = run_cells([member(seed) for seed in range(5)], root=tmp_path, on_event=events.append)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == [f"out of memory with {n} models in a stack; continuing with {m}" for n, m in ((5, 3), (3, 2))]
    if at_step:
        assert min(step for n, step in made if n <= 2) == 20
    for a, b in zip(whole, halved, strict=True):
        for name, weights in a.weights.items():
            torch.testing.assert_close(b.weights[name], weights, rtol=0, atol=2e-4)


def refuse_to_compile(monkeypatch: pytest.MonkeyPatch, cause: Exception) -> list[object]:
    """A compiler that fails at its first call, as PyTorch's does; what it was asked to compile is in the list."""
    asked: list[object] = []

    def compile_(function: object, **options: object) -> object:
        def fail(*inputs: object) -> None:
            raise InductorError(cause, None)

        asked.append(function)
        return fail

    monkeypatch.setattr(torch, "compile", compile_)
    return asked


def test_a_stack_that_cannot_be_compiled_is_trained_without_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_cells(mixed())
    cause = TypeError("list indices must be integers or slices, not NoneType\nand more")
    asked = refuse_to_compile(monkeypatch, cause)
    events: list[Event] = []
    plain = run_cells(mixed(), root=tmp_path, mode="tf32", on_event=events.append)
    said = "PyTorch's compiler failed (TypeError: list indices must be integers or slices, not NoneType)"
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == [f"{mixed()[0].label}: {said}; trained without it, which is slower"]
    assert len(asked) == 2, "it is asked once for the step of the models and once for AdamW"
    for a, b in zip(whole, plain, strict=True):
        for name, weights in a.weights.items():
            torch.testing.assert_close(b.weights[name], weights, rtol=0, atol=2e-4)


def test_mode_deterministic_never_asks_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a compiler that fails, here or in one process alone, cannot change its bytes."""
    asked = refuse_to_compile(monkeypatch, TypeError("no"))
    assert all(one.status == "trained" for one in run_cells(mixed()))
    assert not asked


def test_a_model_that_fails_is_not_trained_again_without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Stacked, weights: object) -> None:
        raise ValueError("of the model")

    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    monkeypatch.setattr(Stacked, "_losses_of_next", fail)
    events: list[Event] = []
    run_cells(mixed(), mode="tf32", on_event=events.append)
    assert not [event for event in events if isinstance(event, Note)]
    assert {event.reason[:24] for event in events if isinstance(event, Failure)} == {"ValueError: of the model"}


def test_memory_that_runs_out_in_the_compiler_halves_the_stack_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to one model; then the reason is one plain line."""
    refuse_to_compile(monkeypatch, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has"))
    events: list[Event] = []
    run_cells(mixed(), mode="tf32", on_event=events.append)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == [f"out of memory with {n} models in a stack; continuing with {m}" for n, m in ((4, 2), (2, 1))]
    reasons = {(event.reason, event.traceback) for event in events if isinstance(event, Failure)}
    assert reasons == {("out of memory with one model; lower batch_size, or use a machine with more", None)}


def test_a_full_gpu_is_told_in_one_line_with_what_to_do() -> None:
    gib, mib = 2**30, 2**20
    others = shortage_of(free=9 * mib, total=24 * gib, own=gib)
    assert others == (
        "out of GPU memory: 23.0 GiB of 24.0 GiB are held by other programs and 9 MiB are free; "
        "train again with fewer --workers, or when they are done"
    )
    alone = shortage_of(free=gib, total=24 * gib, own=22 * gib)
    assert alone == (
        "out of GPU memory: one model needs more than its 24.0 GiB; lower batch_size, or use a GPU with more"
    )


def test_each_model_of_a_stack_has_its_own_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As mechanisms with random features have; trained and saved as alone."""
    cells = [member(0), member(1)]
    build = TrainingRow.build

    def with_buffer(self: TrainingRow) -> torch.nn.Module:
        model = build(self)
        attention = model.attentions[0]
        attention.register_buffer("feature", torch.full((), float(self.cell.seed + 1)))
        return model

    forward = type(build(TrainingRow(cells[0], open_source(cells[0], None))).attentions[0]).forward
    monkeypatch.setattr(TrainingRow, "build", with_buffer)
    kind = type(with_buffer(TrainingRow(cells[0], open_source(cells[0], None))).attentions[0])  # type: ignore[attr-defined]
    monkeypatch.setattr(
        kind, "forward", lambda self, x, layout: getattr(self, "feature", 1.0) * forward(self, x, layout)
    )
    for one, together in zip(cells, run_cells(cells), strict=True):
        (alone,) = run_cells([one], mode="single")
        assert float(together.weights["blocks.0.attention.feature"]) == one.seed + 1
        for name, weights in alone.weights.items():
            torch.testing.assert_close(together.weights[name], weights, rtol=0, atol=2e-4)


def test_a_bug_in_a_plugin_is_one_line_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Splits, step: int, batch_size: int) -> None:
        raise KeyError("spoon")

    monkeypatch.setattr(Splits, "batch", broken)
    one = member(0)
    events: list[Event] = []
    run_cells([one], mode="single", on_event=events.append)
    (failure,) = (event for event in events if isinstance(event, Failure))
    assert failure.reason.startswith("KeyError: 'spoon' (test_stacked.py:")
    assert failure.exit_code == 7
    assert isinstance(events[-1], JobDone)


@pytest.mark.parametrize(("batch_size", "reuse"), [(8, 1), (256, 1), (16_384, 1), (8, 3), (24, 2)])
def test_a_step_uses_the_same_graphs_in_every_mode(batch_size: int, reuse: int) -> None:
    one = member(0, batch_size=batch_size, reuse=reuse)
    source, alone = open_source(one, None), Single(TrainingRow(one, open_source(one, None)), CPU)
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
