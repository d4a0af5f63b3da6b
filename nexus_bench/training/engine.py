"""The contract of an engine, and the engine for one model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.data.law import Law
from nexus_bench.data.splits import HeldOut
from nexus_bench.generators.base import Examples
from nexus_bench.io.columns import VAL
from nexus_bench.model.scoring import HopScore, score, to_batch
from nexus_bench.model.transformer import Transformer, build_model
from nexus_bench.training.feed import feed_of
from nexus_bench.training.recipe import Point, hop_limit, schedule
from nexus_bench.training.spec import CellSpec


class Source(Protocol):
    """The source of the examples of a cell."""

    law: Law
    held_out: dict[str, HeldOut]

    def batch(self, step: int, batch_size: int) -> Examples:
        """The training graphs of one step, the same at every call."""
        ...


class Engine(ABC):
    """Models of equal shape, one per cell, trained together.

    The cells differ only in seed, learning rate and curriculum.

    A step is a function of the weights, the optimiser's state, the step number and the evaluations so far. So training
    that is resumed from a checkpoint equals uninterrupted training.

    Args:
        cells: The cells to train.
        sources: The examples of each cell.

    Attributes:
        step: Optimiser steps made.
        curves: The evaluations of each cell.
        alive: Which models are still trained; see `end`.
    """

    def __init__(self, cells: Sequence[CellSpec], sources: Sequence[Source]) -> None:
        self.cells = tuple(cells)
        self.sources = tuple(sources)
        self.recipe = cells[0].train
        self.feed = feed_of(self.recipe)
        self.schema = sources[0].law.schema
        self.encoding = cells[0].model.encoding
        self.step = 0
        self.curves: list[list[Point]] = [[] for _ in cells]
        self.alive = [True for _ in cells]

    def end(self, index: int) -> None:
        """End the training of one model: from now on it keeps its weights."""
        self.alive[index] = False

    @abstractmethod
    def advance(self) -> None:
        """One optimiser step of every model that is alive."""

    @abstractmethod
    def scores(self) -> list[dict[int, HopScore]]:
        """Validation by hop, of each model."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """The weights and the optimiser's state, on the CPU."""

    @abstractmethod
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Load what `tensors` returned."""

    @abstractmethod
    def model(self, index: int) -> Transformer:
        """One of the models, with its present weights."""

    def build(self, index: int) -> Transformer:
        """One of the models before its first step, on the CPU."""
        source = self.sources[index]
        some = [source.batch(0, 1), *(held.examples.take(slice(1)) for held in source.held_out.values())]
        cpu = torch.device("cpu")
        seq_len = max(to_batch(one, self.schema, self.encoding, cpu).seq_len for one in some)
        cell = self.cells[index]
        return build_model(cell.model, self.schema, seq_len=seq_len, seed=cell.seed)

    def limit(self, index: int) -> int:
        """The largest hop that counts in the loss of the next step."""
        cell = self.cells[index]
        return hop_limit(self.step, self.curves[index], cell.train, cell.task.hops)


class Single(Engine):
    """One model, in float32, one operation after the other."""

    def __init__(self, cell: CellSpec, source: Source, device: torch.device) -> None:
        super().__init__([cell], [source])
        self._device = device
        self._reused: tuple[int, Examples] | None = None  # a generation of the feed and its number
        self._model = self.build(0).to(device)
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=self.recipe.lr, weight_decay=self.recipe.weight_decay, fused=True
        )

    def loss(self) -> Tensor:
        """Mean cross-entropy over the queries of the next batch that the curriculum includes."""
        examples = self._examples()
        batch = to_batch(examples, self.schema, self.encoding, self._device)
        logits = self._model(batch.tokens, batch.read_at, batch.layout).flatten(0, 1)
        answer = batch.answer.flatten()
        if self.recipe.curriculum == "none":
            return F.cross_entropy(logits, answer)
        counts = torch.from_numpy(examples.hop.ravel() <= self.limit(0)).to(self._device, torch.float32)
        return (F.cross_entropy(logits, answer, reduction="none") * counts).sum() / counts.sum().clamp(min=1)

    def _examples(self) -> Examples:
        """The training graphs of the next step."""
        source, feed = self.sources[0], self.feed
        if feed.reuse == 1:
            return source.batch(self.step, feed.batch_size)
        number = feed.generation(self.step)
        if self._reused is None or self._reused[0] != number:
            drawn = [source.batch(i, feed.batch_size) for i in feed.batches(number)]
            self._reused = (number, Examples.concatenate(drawn))
        return self._reused[1].take(feed.order(number)[self.step % feed.n_steps])

    def advance(self) -> None:
        """One optimiser step."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.lr * schedule(self.step, self.recipe)
        self._optimizer.zero_grad()
        self.loss().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self.recipe.clip_norm)
        self._optimizer.step()
        self.step += 1

    def scores(self) -> list[dict[int, HopScore]]:
        """Validation by hop."""
        return [score(self._model, self.sources[0].held_out[VAL].examples, self.schema, self.encoding)]

    def tensors(self) -> dict[str, Tensor]:
        """The weights and the moments."""
        tensors = {f"model.{name}": value.cpu().clone() for name, value in self._model.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value.cpu() for name, value in moments.items()}
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Load the weights and the moments."""
        prefix = "model."
        self._model.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if not key.startswith(prefix):
                _, index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
        self._optimizer.load_state_dict(self._optimizer.state_dict() | {"state": moments})

    def model(self, index: int) -> Transformer:
        """The model."""
        return self._model
