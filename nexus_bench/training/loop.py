"""The training loop around an engine: evaluate, end cells, save, stop."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from nexus_bench.errors import NexusBenchError
from nexus_bench.model.scoring import HopScore
from nexus_bench.model.transformer import Transformer
from nexus_bench.training.checkpoint import Checkpoint, Saved
from nexus_bench.training.engine import Engine
from nexus_bench.training.recipe import Point, stays_solved


class Ending(NamedTuple):
    """How the training of one cell ended.

    Attributes:
        model: The model with its final weights.
        curve: The evaluations on validation.
        status: `trained` after all steps, `solved` if stopped because validation stayed solved, `diverged` if the
            loss is not a number.
        train_seconds: Its share of the training time, over all resumptions.
    """

    model: Transformer
    curve: list[Point]
    status: str
    train_seconds: float


class StoppedError(NexusBenchError):
    """Training was told to stop; the checkpoint holds its state."""

    exit_code = 143


class Listener(NamedTuple):
    """Callbacks of training; cells are given by index.

    Attributes:
        on_point: Called with every evaluation, including those before a resumption.
        on_end: Called with every cell that ends.
        on_note: Called with messages for the user.
        should_stop: Called before every step.
    """

    on_point: Callable[[int, Point], None] = lambda index, point: None
    on_end: Callable[[int, Ending], None] = lambda index, ending: None
    on_note: Callable[[str], None] = lambda text: None
    should_stop: Callable[[], bool] = lambda: False


def train(engine: Engine, *, mode: str, checkpoint: Checkpoint | None, listener: Listener) -> None:
    """Train every cell of an engine to its end, from scratch or from a checkpoint.

    Args:
        engine: A new engine.
        mode: Mode of the engine; a checkpoint of another mode, device or version of PyTorch is not continued.
        checkpoint: Written at every evaluation and when stopped; None saves nothing.
        listener: The callbacks.

    Raises:
        StoppedError: `should_stop` returned true.
        StorageError: The checkpoint cannot be written.
    """
    _Training(engine, mode, checkpoint, listener).run()


class _Training:
    def __init__(self, engine: Engine, mode: str, checkpoint: Checkpoint | None, listener: Listener) -> None:
        self.engine = engine
        self.checkpoint = checkpoint
        self.listener = listener
        self.name = {
            "cell_ids": [cell.cell_id for cell in engine.cells],
            "mode": mode,
            "device": next(engine.model(0).parameters()).device.type,
            "torch": torch.__version__,
        }
        self.endings: dict[int, tuple[str, float]] = {}  # index -> status, seconds
        self.seconds_before = 0.0
        self.started = time.perf_counter()

    def run(self) -> None:
        engine, recipe = self.engine, self.engine.recipe
        self.resume()
        while any(engine.alive):
            if self.listener.should_stop():
                self.save()
                raise StoppedError(f"{engine.cells[0].title}: stopped at step {engine.step}")
            engine.advance()
            if engine.step % recipe.eval_every == 0 or engine.step == recipe.steps:
                ended = self.evaluate()
                self.save()
                for index in ended:
                    self.tell_end(index)

    def evaluate(self) -> list[int]:
        """Add a point to the curve of every model that is alive; returns the cells that end here."""
        engine, ended = self.engine, []
        for index, scores in enumerate(engine.scores()):
            if not engine.alive[index]:
                continue
            point = Point(engine.step, scores)
            engine.curves[index].append(point)
            status = self.status_of(index, point)
            if status != "diverged":
                self.listener.on_point(index, point)
            if status is not None:
                engine.end(index)
                self.endings[index] = (status, self.seconds())
                ended.append(index)
        return ended

    def status_of(self, index: int, point: Point) -> str | None:
        """The status with which a cell ends at this point, or None if it goes on."""
        if not point.is_finite:
            return "diverged"
        if point.step == self.engine.recipe.steps:
            return "trained"
        return "solved" if stays_solved(self.engine.curves[index], self.engine.recipe) else None

    def tell_end(self, index: int) -> None:
        status, seconds = self.endings[index]
        model, curve = self.engine.model(index), self.engine.curves[index]
        self.listener.on_end(index, Ending(model, curve, status, seconds / len(self.engine.cells)))

    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def save(self) -> None:
        if self.checkpoint is None:
            return
        curves = [[[point.step, list(point.scores.items())] for point in curve] for curve in self.engine.curves]
        progress = {"step": self.engine.step, "seconds": self.seconds(), "curves": curves}
        about = self.name | progress | {"endings": list(self.endings.items())}
        self.checkpoint.save(Saved(self.engine.tensors(), about))

    def resume(self) -> None:
        engine = self.engine
        foreign: list[str] = []  # what checkpoints were made with that cannot go on to the result of no break

        def is_ours(about: dict[str, Any]) -> bool:
            differs = [name for name, value in self.name.items() if about.get(name) != value]
            if differs:
                foreign.append(", ".join(f"{name} {about.get(name)} instead of {self.name[name]}" for name in differs))
            return not differs

        saved = self.checkpoint and self.checkpoint.load(is_ours=is_ours, on_note=self.listener.on_note)
        if not saved:
            if foreign:
                title = engine.cells[0].title
                self.listener.on_note(f"{title}: its checkpoint is of {foreign[0]}; training starts anew")
            return
        about = saved.about
        engine.restore(saved.tensors)
        engine.step = about["step"]
        self.seconds_before = about["seconds"]
        engine.curves = [
            [Point(step, {hop: HopScore(*at) for hop, at in scores}) for step, scores in curve]
            for curve in about["curves"]
        ]
        self.endings = {index: tuple(ending) for index, ending in about["endings"]}
        for index in self.endings:
            engine.end(index)
        for index, curve in enumerate(engine.curves):
            for point in curve:
                if point.is_finite:
                    self.listener.on_point(index, point)
        for index in self.endings:
            self.tell_end(index)
