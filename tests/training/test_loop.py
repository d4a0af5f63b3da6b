"""The engine: exact resumption, learning, stopping."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nexus_bench.experiment.events import Event, Failure, Note, Progress
from nexus_bench.experiment.sources import open_source
from nexus_bench.model.batch import to_batch
from nexus_bench.model.costs import cost_of
from nexus_bench.model.scoring import HopScore
from nexus_bench.training import loop
from nexus_bench.training.checkpoint import Checkpoint
from nexus_bench.training.engine import Single
from nexus_bench.training.loop import StoppedError
from nexus_bench.training.recipe import Point, hop_limit, schedule, stays_solved, thinned
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.spec import CellSpec, TrainSpec
from tests.jobs import EndedCell, run_cells
from tests.small import CPU, cell


def run(
    spec: CellSpec,
    folder: Path,
    *,
    on_point: Callable[[Point], None] = lambda point: None,
    on_note: Callable[[str], None] = lambda text: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> EndedCell:
    """Train one cell alone, its checkpoints in a folder."""

    def hear(event: Event) -> None:
        if isinstance(event, Progress):
            on_point(event.point)
        elif isinstance(event, Note):
            on_note(event.text)

    folder.mkdir(exist_ok=True, parents=True)
    (outcome,) = run_cells([spec], root=folder, mode="single", should_stop=should_stop, on_event=hear)
    return outcome


def weights(trained: EndedCell) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in trained.weights.items()}


def newest_in(folder: Path) -> Path:
    (found,) = folder.rglob("newest")
    return found


@pytest.mark.parametrize("encoding", ["fact", "flat"])
def test_the_same_cell_gives_the_same_weights(encoding: str, tmp_path: Path) -> None:
    first, second = (run(cell(encoding=encoding), tmp_path / name) for name in ("a", "b"))
    assert weights(first) == weights(second)
    assert first.curve == second.curve


@pytest.mark.parametrize("stop_at", [1, 9, 10, 11, 29])
def test_a_stopped_cell_goes_on_to_the_same_bytes(stop_at: int, tmp_path: Path) -> None:
    whole = run(cell(), tmp_path / "whole")
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > stop_at

    with pytest.raises(StoppedError, match=f"stopped at step {stop_at}"):
        run(cell(), tmp_path / "stopped", should_stop=should_stop)
    points: list[Point] = []
    resumed = run(cell(), tmp_path / "stopped", on_point=points.append)
    assert weights(resumed) == weights(whole)
    assert resumed.curve == whole.curve
    assert points == whole.points


def test_a_checkpoint_of_another_cell_is_not_used(tmp_path: Path) -> None:
    whole = run(cell(), tmp_path / "whole")
    run(cell(order=3), tmp_path / "other")
    assert weights(run(cell(), tmp_path / "other")) == weights(whole)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_a_bad_checkpoint_falls_back_to_the_one_before_and_says_so(damage: str, tmp_path: Path) -> None:
    whole = run(cell(), tmp_path / "whole")
    asked = iter(range(1000))
    with pytest.raises(StoppedError):
        run(cell(), tmp_path / "bad", should_stop=lambda: next(asked) > 24)
    newest = newest_in(tmp_path / "bad")
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes({"flipped": bytes(data), "truncated": bytes(data[:-40]), "empty": b""}[damage])
    notes: list[str] = []
    points: list[Point] = []
    resumed = run(cell(), tmp_path / "bad", on_note=notes.append, on_point=points.append)
    assert notes == [f"{newest}: is damaged; continuing from the checkpoint before it"]
    assert weights(resumed) == weights(whole)
    assert resumed.curve == whole.curve
    assert points == whole.points


def test_checkpoints_do_not_bring_a_deleted_run_folder_back(tmp_path: Path) -> None:
    root = tmp_path / "run"
    reasons: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Progress):
            shutil.rmtree(root, ignore_errors=True)
        elif isinstance(event, Failure):
            reasons.append(event.reason)

    root.mkdir()
    run_cells([cell()], root=root, mode="single", on_event=hear)
    assert reasons == [f"{root}: was deleted while it was written to; run the command again"]
    assert not root.exists()


def test_a_model_learns_one_hop(tmp_path: Path) -> None:
    recipe = {"steps": 400, "batch_size": 32, "eval_every": 100, "lr": 1e-2}
    trained = run(cell(attention="standard", train=recipe, d_model=32), tmp_path / "learns")
    first, *_, last = trained.points
    assert last.scores[1].accuracy >= 0.95
    assert last.scores[2].accuracy < 0.6, "two hops are out of the reach of one standard layer"
    assert first.scores[1].loss > last.scores[1].loss


def test_a_diverged_loss_ends_the_cell(tmp_path: Path) -> None:
    points: list[Point] = []
    recipe = {"lr": 1e30, "warmup_steps": 0}
    trained = run(cell(combine="none", train=recipe), tmp_path / "diverges", on_point=points.append)
    assert trained.status == "failed"
    assert not points, "what is not a number is not shown"


def test_training_examples_do_not_depend_on_the_model(tmp_path: Path) -> None:
    specs = [cell(), cell(attention="standard", d_model=32), cell(encoding="flat", n_layers=2, train={"steps": 50})]
    batches = [open_source(spec, None).batch(17, 8) for spec in specs]
    for other in batches[1:]:
        assert all((a == b).all() for a, b in zip(batches[0], other, strict=True))


def test_learning_rate_warms_up_then_falls_to_zero() -> None:
    recipe = TrainSpec(steps=100, lr=2.0, warmup_steps=4)
    rates = [recipe.lr * schedule(step, recipe) for step in (0, 1, 3, 50, 100)]
    cosine = [1.0, 0.5 * (1 + math.cos(math.pi / 100)), 0.5 * (1 + math.cos(math.pi * 3 / 100)), 0.5, 0.0]
    assert rates == pytest.approx([2 * c * w for c, w in zip(cosine, (0.25, 0.5, 1, 1, 1), strict=True)])
    assert schedule(0, TrainSpec(lr=2.0, warmup_steps=0)) == 1.0


def test_training_stops_early_only_while_validationstays_solved() -> None:
    def points(*accuracies: float) -> list[Point]:
        always = HopScore(1000, 1000, 0.0)
        return [Point(i, {1: always, 2: HopScore(1000, round(1000 * a), 0.0)}) for i, a in enumerate(accuracies)]

    recipe = TrainSpec()
    assert not stays_solved(points(1.0, 1.0), recipe)
    assert stays_solved(points(0.2, 0.995, 1.0, 1.0), recipe)
    assert not stays_solved(points(1.0, 1.0, 0.99, 1.0, 1.0), recipe)
    assert not stays_solved(points(1.0, 1.0, 1.0), TrainSpec(stop_when_solved=False))


def test_a_step_is_an_adamw_step_of_the_stated_recipe() -> None:
    """Against a loop written out by hand, over three steps."""
    spec = cell(train={"warmup_steps": 2, "clip_norm": 0.1})
    state, by_hand = (Single(TrainingRow(spec, open_source(spec, None)), CPU) for _ in range(2))
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in by_hand.model(0).parameters()]
    for step in range(3):
        state.advance()
        by_hand.step = step
        grads = torch.autograd.grad(by_hand.loss(), list(by_hand.model(0).parameters()))
        norm = torch.sqrt(sum((g.square().sum() for g in grads), torch.tensor(0.0)))
        scale, lr = min(1.0, 0.1 / (float(norm) + 1e-6)), spec.train.lr * schedule(step, spec.train)
        with torch.no_grad():
            for p, g, (m, v) in zip(by_hand.model(0).parameters(), grads, moments, strict=True):
                m.mul_(0.9).add_(0.1 * scale * g)
                v.mul_(0.999).add_(0.001 * (scale * g).square())
                p.mul_(1 - lr * 0.01)
                p.sub_(lr * (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8))
    for p, q in zip(state.model(0).parameters(), by_hand.model(0).parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("curriculum", "limits"), [("none", [3, 3, 3, 3, 3]), ("staged", [1, 1, 2, 3, 3]), ("adaptive", [1, 1, 1, 2, 2])]
)
def test_a_curriculum_lets_hops_in_one_after_the_other(curriculum: str, limits: list[int]) -> None:
    """The steps asked about: first, second, a third and two thirds of the first half, last; one evaluation each."""
    recipe = TrainSpec.model_validate({"steps": 60, "curriculum": curriculum})

    def point(step: int, *right: int) -> Point:
        return Point(step, {hop: HopScore(100, n, 0.0) for hop, n in enumerate(right, start=1)})

    curve = [point(1, 94, 99, 99), point(5, 90, 10, 10), point(15, 95, 20, 10), point(30, 99, 94, 99)]
    found = [hop_limit(step, curve[:i], recipe, (1, 2, 3)) for i, step in enumerate((0, 9, 10, 20, 59))]
    assert found == limits


def test_a_curve_keeps_at_most_so_many_points_evenly_spaced_and_the_last() -> None:
    curve = [Point(step, {1: HopScore(1, 1, 0.0)}) for step in range(1, 101)]
    assert thinned(curve[:20], 20) == curve[:20]
    assert [point.step for point in thinned(curve, 20)] == list(range(5, 101, 5))
    assert [point.step for point in thinned(curve[:21], 20)] == [*range(2, 21), 21]


def test_what_a_curriculum_leaves_out_does_not_count() -> None:
    spec = cell(train={"curriculum": "staged"})
    engine = Single(TrainingRow(spec, open_source(spec, None)), CPU)
    examples = engine.rows[0].source.batch(0, 8)
    batch = to_batch(examples, engine.schema, "fact", CPU)
    logits = engine.model(0)(batch)
    asked = torch.from_numpy(examples.hop == 1)
    assert 0 < asked.sum() < asked.numel()
    torch.testing.assert_close(engine.loss(), torch.nn.functional.cross_entropy(logits[asked], batch.answer[asked]))


def test_flops_of_a_step_grow_with_order_by_what_a_pass_costs() -> None:
    flops = [8 * (cost_of(cell(order=order).model, cell().task).compute or 0) for order in (1, 2, 3)]
    n_facts, n_positions, d, graphs = 6, 12, 16, 8
    projections = 2 * graphs * n_positions * d * 2 * d  # queries and keys again
    attention = 2 * 2 * graphs * n_positions * n_facts * d  # scores and mixing
    assert flops[1] - flops[0] == flops[2] - flops[1] == 3 * (projections + attention)  # backward is twice forward


@pytest.mark.parametrize(("key", "value"), [("torch", "1.0.0"), ("device", "cuda"), ("mode", "tf32")])
def test_a_checkpoint_made_with_something_else_is_not_continued_and_it_is_said(
    key: str, value: str, tmp_path: Path
) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 15

    folder = tmp_path / "stopped"
    with pytest.raises(StoppedError):
        run(cell(), folder, should_stop=stop)
    checkpoint = Checkpoint(newest_in(folder).parent, root=tmp_path)
    for _ in (checkpoint.previous, checkpoint.newest):
        saved = checkpoint.load(is_ours=lambda about: True, on_note=print)
        assert saved is not None
        checkpoint.save(saved._replace(about=saved.about | {"made_with": saved.about["made_with"] | {key: value}}))
    steps: list[int] = []
    notes: list[str] = []
    again = run(cell(), folder, on_point=lambda point: steps.append(point.step), on_note=notes.append)
    assert steps == [10, 20, 30] and weights(again) == weights(run(cell(), tmp_path / "whole"))
    (note,) = notes
    assert f"its checkpoint is of {key} {value} instead of" in note and note.endswith("; training starts anew")


def test_the_time_before_the_second_step_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seconds for the set-up of an engine, one for each step, two for each evaluation."""
    now = [0.0]
    monkeypatch.setattr(loop.time, "perf_counter", lambda: now[0])
    advance, scores, init = Single.advance, Single.scores, Single.__init__

    def slow(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        def called(*given: Any) -> Any:
            now[0] += seconds
            return function(*given)

        return called

    for name, function, seconds in (("__init__", init, 3.0), ("advance", advance, 1.0), ("scores", scores, 2.0)):
        monkeypatch.setattr(Single, name, slow(function, seconds))
    ended: list[loop.TrainingOutcome] = []
    spec = cell(train={"stop_when_solved": False})
    listener = loop.Listener(on_end=lambda row, ending: ended.append(ending))
    rows = [TrainingRow(spec, open_source(spec, None))]
    loop.train(
        rows, lambda rows: Single(rows[0], CPU), made_with={"mode": "single"}, checkpoint=None, listener=listener
    )
    assert (ended[0].setup_seconds, ended[0].train_seconds) == (4.0, 3 + 30 * 1 + 3 * 2)
