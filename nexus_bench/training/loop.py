"""The training loop around an engine: evaluate, end rows, save, pack again, stop."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from nexus_bench.errors import NexusBenchError, StorageError
from nexus_bench.model.build import weights_of
from nexus_bench.model.contract import Model
from nexus_bench.training.checkpoint import Checkpoint, SavedState
from nexus_bench.training.engine import Engine
from nexus_bench.training.modes import DETERMINISTIC
from nexus_bench.training.recipe import DIVERGED, Point, is_hopeless, stays_solved
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.saved_rows import described


class TrainingOutcome(NamedTuple):
    """How the training of one cell ended.

    Attributes:
        model: The model with its final weights.
        curve: The evaluations on validation.
        status: `trained` after all steps, `solved` if stopped because validation stayed solved, `given_up` by a rule of
            the recipe, `diverged` if the loss is not a number.
        train_seconds: Its share of the training time, over all resumptions, with data, evaluations and checkpoints.
        setup_seconds: Its share of what of it passed before the second step of an engine.
        weights: The file with its final weights; None if no state is kept.
    """

    model: Model
    curve: list[Point]
    status: str
    train_seconds: float
    setup_seconds: float
    weights: Path | None


class StoppedError(NexusBenchError):
    """Training was told to stop; the checkpoint holds its state."""

    exit_code = 143


class Listener(NamedTuple):
    """Callbacks of training.

    Attributes:
        on_point: Called with every evaluation.
        on_end: Called with every row that ends.
        on_note: Called with messages for the user.
        should_stop: Called before every step.
    """

    on_point: Callable[[TrainingRow, Point], None] = lambda row, point: None
    on_end: Callable[[TrainingRow, TrainingOutcome], None] = lambda row, ending: None
    on_note: Callable[[str], None] = lambda text: None
    should_stop: Callable[[], bool] = lambda: False


def train(
    rows: Sequence[TrainingRow],
    make_engine: Callable[[Sequence[TrainingRow]], Engine],
    *,
    made_with: dict[str, str],
    checkpoint: Checkpoint | None,
    listener: Listener,
) -> None:
    """Train rows to their ends.

    Once half of the rows that are packed together have ended, the others are packed anew, without them.

    Args:
        rows: Rows of equal shape and step.
        make_engine: An engine for some of the rows.
        made_with: What results may depend on, from `saved_rows.made_with`; only such checkpoints are continued.
        checkpoint: Offered a state at every evaluation, written when stopped; None saves nothing.
        listener: The callbacks.

    Raises:
        StoppedError: `should_stop` returned true.
        StorageError: The run folder is gone.
    """
    training = _Training(rows, make_engine, made_with, checkpoint, listener)
    try:
        training.run()
    finally:
        training.engine.close()
        if checkpoint is not None:
            checkpoint.close()


class _Training:
    def __init__(
        self,
        rows: Sequence[TrainingRow],
        make_engine: Callable[[Sequence[TrainingRow]], Engine],
        made_with: dict[str, str],
        checkpoint: Checkpoint | None,
        listener: Listener,
    ) -> None:
        self.make_engine, self.made_with, self.checkpoint, self.listener = make_engine, made_with, checkpoint, listener
        self.ended: dict[str, dict[str, Any]] = {}  # by cell_id
        self.is_short_of_space = False
        self.set_up(rows)

    def set_up(self, rows: Sequence[TrainingRow]) -> None:
        self.began = self.counted = time.perf_counter()
        self.engine = self.make_engine(rows)
        for row in rows:
            row.state = None  # the engine has it now
        self.first_step = self.engine.step
        self.steady_since: float | None = None  # set after the first step, which compiles

    @property
    def live(self) -> list[int]:
        return [index for index, row in enumerate(self.engine.rows) if row.status is None]

    def run(self) -> None:
        while self.live:
            if self.listener.should_stop():
                self.save()
                raise StoppedError(f"{self.engine.rows[0].cell.title}: stopped at step {self.engine.step}")
            self.engine.advance()
            if self.steady_since is None:
                self.steady_since = time.perf_counter()
                for index in self.live:
                    self.engine.rows[index].setup += (self.steady_since - self.began) / len(self.live)
            engine, recipe = self.engine, self.engine.recipe
            if engine.step % recipe.eval_every == 0 or engine.step == recipe.steps:
                self.evaluate()
                if self.live and self.should_pack():
                    self.pack()

    def evaluate(self) -> None:
        """Add a point to the curve of every row that is trained, and end some of them."""
        engine, kept = self.engine, dict[int, Path | None]()
        scores = engine.scores()
        self.count_seconds()
        for index in self.live:
            row, point = engine.rows[index], Point(engine.step, scores[index])
            row.step = engine.step
            row.curve.append(point)
            status = _status_of(row)
            if status != DIVERGED:
                self.listener.on_point(row, point)
            if status is not None:
                engine.end(index, status)
                kept[index] = self.keep(index)
        if self.live:
            self.offer()
        elif self.checkpoint is not None:
            self.store(lambda kept: kept.save(self.about({})))  # the endings alone
        for index, path in kept.items():
            row = engine.rows[index]
            assert row.status is not None
            self.listener.on_end(
                row, TrainingOutcome(engine.model(index), row.curve, row.status, row.seconds, row.setup, path)
            )

    def keep(self, index: int) -> Path | None:
        """Keep the final weights of a row, before any checkpoint says that it ended."""
        row, path, sha256 = self.engine.rows[index], None, None
        if self.checkpoint is not None and row.status != DIVERGED:
            try:
                path, sha256 = self.checkpoint.keep(row.cell.cell_id, weights_of(self.engine.model(index)))
            except StorageError as error:
                self.go_on_without(error)
        self.ended[row.cell.cell_id] = described(row) | {"sha256": sha256}
        return path

    def count_seconds(self) -> None:
        """Share the time since the last count among the rows that were trained in it."""
        now, live = time.perf_counter(), self.live
        for index in live:
            self.engine.rows[index].seconds += (now - self.counted) / len(live)
        self.counted = now

    def should_pack(self) -> bool:
        """Whether so many rows have ended that the others are better off in a smaller pack.

        What other modes compute depends on the pack only within rounding, so there it is done where it saves time; in
        mode deterministic it depends on nothing but the evaluations.
        """
        share = len(self.live) / len(self.engine.rows)
        if share > 0.5:
            return False
        if self.made_with["mode"] == DETERMINISTIC:
            return True
        assert self.steady_since is not None
        per_step = (time.perf_counter() - self.steady_since) / max(1, self.engine.step - self.first_step - 1)
        saved = per_step * (self.engine.recipe.steps - self.engine.step) * (1 - share)
        return saved > self.steady_since - self.began

    def pack(self) -> None:
        """Go on with the rows that are still trained in an engine of their own."""
        state, kept = self.engine.state(), self.live
        for index in kept:
            self.engine.rows[index].state = {name: tensor[index].clone() for name, tensor in state.items()}
        rows = [self.engine.rows[index] for index in kept]
        self.engine.close()
        del state
        self.set_up(rows)

    def offer(self) -> None:
        if self.checkpoint is not None:
            self.store(lambda kept: kept.offer(lambda: self.about(self.engine.state())))

    def save(self) -> None:
        """Save at once."""
        self.count_seconds()
        if self.checkpoint is not None:
            self.store(lambda kept: kept.save(self.about(self.engine.state())))

    def store(self, call: Callable[[Checkpoint], None]) -> None:
        """Write a checkpoint; a full disk does not end training, which can do without."""
        assert self.checkpoint is not None
        try:
            call(self.checkpoint)
        except StorageError as error:
            self.go_on_without(error)

    def go_on_without(self, error: StorageError) -> None:
        assert self.checkpoint is not None
        if not self.checkpoint.has_root:
            raise error
        if not self.is_short_of_space:
            self.listener.on_note(f"{error}; training goes on, and cannot be resumed from here")
        self.is_short_of_space = True

    def about(self, state: dict[str, Tensor]) -> SavedState:
        """What a checkpoint holds."""
        rows = self.engine.rows if state else ()
        told: dict[str, Any] = {
            "made_with": self.made_with,
            "step": self.engine.step,
            "rows": [described(row) for row in rows],
            "ended": self.ended,
        }
        return SavedState({name: tensor.to("cpu").contiguous() for name, tensor in state.items()}, told)


def _status_of(row: TrainingRow) -> str | None:
    """The status with which a row ends at its newest point, or None if it goes on."""
    point, recipe = row.curve[-1], row.cell.train
    if not point.is_finite:
        return DIVERGED
    if point.step == recipe.steps:
        return "trained"
    if stays_solved(row.curve, recipe):
        return "solved"
    return "given_up" if is_hopeless(row.curve, recipe) else None
