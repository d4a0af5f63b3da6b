"""The training engine: one cell, one model, one device.

A step is a pure function of the weights, the optimiser's state and the step number: batches and the learning
rate are looked up by step. So a run resumed from a checkpoint equals an uninterrupted one, bit for bit.
"""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.costs import count_flops
from nexus_bench.data.splits import VAL, HeldOut
from nexus_bench.errors import NexusBenchError
from nexus_bench.evaluate import HopScore, score, to_batch
from nexus_bench.files import write_atomic
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.model import Transformer, build_model
from nexus_bench.spec import CellSpec, TrainSpec

SOLVED_ACCURACY = 0.995  # on validation, at every hop
SOLVED_EVALUATIONS = 3  # in a row: learning comes in sudden stairs, and can fall back


class Source(Protocol):
    """Where the examples of a cell come from."""

    generator: Generator[Any]
    held_out: dict[str, HeldOut]

    def batch(self, step: int, batch_size: int) -> Examples:
        """The training graphs of one step, the same whenever it is asked for."""
        ...


class Point(NamedTuple):
    """One evaluation on validation, after `step` steps."""

    step: int
    scores: dict[int, HopScore]

    @property
    def is_solved(self) -> bool:
        """Whether every hop is answered."""
        return min(hop.accuracy for hop in self.scores.values()) >= SOLVED_ACCURACY


class Trained(NamedTuple):
    """A finished cell.

    Attributes:
        model: With its final weights.
        curve: The evaluations on validation.
        status: `trained` after all steps, `solved` if stopped because validation stayed solved.
        flops_per_step: Of one forward and backward pass, matrix products alone.
        train_seconds: Spent in training and its evaluations, over all resumptions.
    """

    model: Transformer
    curve: list[Point]
    status: str
    flops_per_step: int
    train_seconds: float


class DivergedError(NexusBenchError):
    """The loss is no longer a number."""

    exit_code = 7


class StoppedError(NexusBenchError):
    """Training was asked to stop; the checkpoint holds its state."""

    exit_code = 143


def train(
    cell: CellSpec,
    source: Source,
    *,
    device: torch.device,
    checkpoint: Path,
    on_point: Callable[[Point], None] = lambda point: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train one cell from scratch, or from its checkpoint if there is one.

    Args:
        cell: What to train.
        source: The examples.
        device: Where to train.
        checkpoint: File to keep the state in, written at every evaluation and when stopped.
        on_point: Told of every evaluation, those of a resumed run included.
        should_stop: Asked before every step.

    Raises:
        DivergedError: The loss is not finite.
        StoppedError: `should_stop` said so.
        StorageError: The checkpoint cannot be written.
    """
    state = State(cell, source, device)
    flops = _flops_per_step(state)
    state.load(checkpoint)
    for point in state.curve:
        on_point(point)
    started = time.perf_counter() - state.seconds
    while state.step < cell.train.steps and not _stays_solved(state.curve, cell.train):
        if should_stop():
            state.save(checkpoint, seconds=time.perf_counter() - started)
            raise StoppedError(f"{cell.title}: stopped at step {state.step}")
        state.advance()
        if state.step % cell.train.eval_every == 0 or state.step == cell.train.steps:
            on_point(state.evaluate())
            state.save(checkpoint, seconds=time.perf_counter() - started)
    status = "solved" if state.step < cell.train.steps else "trained"
    return Trained(state.model, state.curve, status, flops, time.perf_counter() - started)


def learning_rate(step: int, recipe: TrainSpec) -> float:
    """Linear warm-up to the peak, times a cosine from one to zero over all steps; `step` counts from 0."""
    warmup = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    return recipe.lr * warmup * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


class State:
    """The model, the optimiser, and how far they are."""

    def __init__(self, cell: CellSpec, source: Source, device: torch.device) -> None:
        self.cell = cell
        self.source = source
        self.schema = source.generator.schema
        self.device = device
        first = to_batch(source.batch(0, 1), self.schema, cell.model.encoding, torch.device("cpu"))
        one_of_each = [held.examples.take(slice(1)) for held in source.held_out.values()]
        lengths = [
            to_batch(one, self.schema, cell.model.encoding, torch.device("cpu")).tokens.shape[1] for one in one_of_each
        ]
        seq_len = max(first.tokens.shape[1], *lengths)  # a held-out graph may be larger than those trained on
        model = build_model(cell.model, self.schema, seq_len=seq_len, seed=cell.seed)
        self.model = model.to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=cell.train.lr, weight_decay=cell.train.weight_decay, fused=True
        )
        self.step = 0
        self.curve: list[Point] = []
        self.seconds = 0.0

    def loss(self) -> Tensor:
        """Mean cross-entropy over the queries of the next step's batch."""
        examples = self.source.batch(self.step, self.cell.train.batch_size)
        batch = to_batch(examples, self.schema, self.cell.model.encoding, self.device)
        logits = self.model(batch.tokens, batch.read_at, batch.layout)
        return F.cross_entropy(logits.flatten(0, 1), batch.answer.flatten())

    def advance(self) -> None:
        """One optimiser step."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.cell.train)
        self.optimizer.zero_grad()
        self.loss().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.cell.train.clip_norm)
        self.optimizer.step()
        self.step += 1

    def evaluate(self) -> Point:
        """Score on validation and add the point to the curve."""
        point = Point(
            self.step, score(self.model, self.source.held_out[VAL].examples, self.schema, self.cell.model.encoding)
        )
        if not all(math.isfinite(hop.loss) for hop in point.scores.values()):
            raise DivergedError(f"{self.cell.title}: the loss is not finite at step {self.step}; lower lr")
        self.curve.append(point)
        return point

    def save(self, path: Path, *, seconds: float) -> None:
        """Write the state, whole or not at all."""
        tensors = {f"model.{name}": value.clone() for name, value in self.model.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        about = {
            "run_id": self.cell.run_id,
            "step": self.step,
            "seconds": seconds,
            "curve": [[point.step, list(point.scores.items())] for point in self.curve],
        }
        write_atomic(path, safetensors.torch.save(tensors, metadata={"nexus_bench": json.dumps(about)}))

    def load(self, path: Path) -> None:
        """Take up a saved state; without a readable one of this cell, stay at step 0."""
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                about = json.loads(file.metadata()["nexus_bench"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, FileNotFoundError):
            return
        if about["run_id"] != self.cell.run_id:
            return
        prefix = "model."
        self.model.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if not key.startswith(prefix):
                _, index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
        self.step = about["step"]
        self.seconds = about["seconds"]
        self.curve = [Point(step, {hop: HopScore(*s) for hop, s in scores}) for step, scores in about["curve"]]


def _stays_solved(curve: list[Point], recipe: TrainSpec) -> bool:
    newest = curve[-SOLVED_EVALUATIONS:]
    return recipe.stop_when_solved and len(newest) == SOLVED_EVALUATIONS and all(point.is_solved for point in newest)


def _flops_per_step(state: State) -> int:
    return count_flops(lambda: state.loss().backward())[0]  # type: ignore[no-untyped-call]
