"""The contract of an engine, and the engine for one model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from nexus_bench.generators.base import Examples
from nexus_bench.io.columns import VAL
from nexus_bench.model.batch import to_training_batch
from nexus_bench.model.contract import Model
from nexus_bench.model.scoring import HopScore, losses_of, score
from nexus_bench.training.feed import feed_of
from nexus_bench.training.optimizers import optimizer_of
from nexus_bench.training.recipe import hop_limit, schedule
from nexus_bench.training.row import State, TrainingRow, first_state, load_state, places_of, vector_of


class Engine(ABC):
    """Rows of equal shape, trained together for as long as they are packed so.

    The cells differ only in seed, learning rate and curriculum, and all rows have made as many steps.

    A step is a function of the state of the row, the step number and the evaluations so far. So training that is
    resumed from a checkpoint equals uninterrupted training.

    Args:
        rows: The rows; they begin or go on, as their states say.

    Attributes:
        rows: The rows. Their states are those at the start; `state` has the present ones.
        step: Optimiser steps made.
    """

    def __init__(self, rows: Sequence[TrainingRow]) -> None:
        assert len({row.step for row in rows}) == 1, "rows of one engine have made as many steps"
        self.rows = tuple(rows)
        self.recipe = rows[0].cell.train
        self.feed = feed_of(self.recipe)
        self.schema = rows[0].source.law.schema
        self.encoding = rows[0].cell.model.encoding
        self.step = rows[0].step
        self._known_limits: list[tuple[int, int]] = [(-1, 0)] * len(rows)  # evaluations so far, and the limit they give

    def end(self, index: int, status: str) -> None:
        """End the training of one row: from now on it keeps its weights."""
        self.rows[index].status = status

    @abstractmethod
    def advance(self) -> None:
        """One optimiser step of every row that is still trained."""

    @abstractmethod
    def scores(self) -> list[dict[int, HopScore]]:
        """Validation by hop, of each row."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """The present states of all rows as copies on the engine's device, stacked: each has a leading axis of rows."""

    @abstractmethod
    def model(self, index: int) -> Model:
        """The model of one row, with its present weights."""

    def close(self) -> None:  # noqa: B027 - many have nothing of the kind
        """End what the engine does in the background; it cannot be used any more."""

    def limit(self, index: int) -> int:
        """The largest hop that counts in the loss of the next step."""
        row = self.rows[index]
        if row.cell.train.curriculum == "staged":
            return hop_limit(self.step, row.curve, row.cell.train, row.cell.task.hops)
        if self._known_limits[index][0] != len(row.curve):  # the others change at evaluations alone
            found = hop_limit(self.step, row.curve, row.cell.train, row.cell.task.hops)
            self._known_limits[index] = (len(row.curve), found)
        return self._known_limits[index][1]


class Single(Engine):
    """One model, in float32, one operation after the other."""

    def __init__(self, row: TrainingRow, device: torch.device) -> None:
        super().__init__([row])
        self._device = device
        self._reused: tuple[int, Examples] | None = None  # a generation of the feed and its number
        self._model = row.build().to(device)
        self._optimizer = optimizer_of(
            self.recipe.optimizer, self._model.parameters(), lr=self.recipe.lr, decay=self.recipe.weight_decay
        )
        if row.state is not None:
            self._load(row.state)

    def loss(self) -> Tensor:
        """Mean cross-entropy over the queries of the next batch that the curriculum includes."""
        law = self.rows[0].source.law
        batch, hop = to_training_batch(self._examples(), law, self.encoding, self._device)
        counts = batch.is_labelled
        if self.recipe.curriculum != "none":
            counts &= torch.from_numpy(hop <= self.limit(0)).to(self._device)
        return (losses_of(self._model(batch), batch.answer) * counts).sum() / counts.sum().clamp(min=1)

    def _examples(self) -> Examples:
        """The training graphs of the next step."""
        source, feed = self.rows[0].source, self.feed
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
        return [score(self._model, self.rows[0].source.held_out[VAL].examples, self.schema, self.encoding)]

    def state(self) -> dict[str, Tensor]:
        """The weights, the moments and the buffers."""
        state = first_state(self._model)
        held = [self._optimizer.state[parameter] for parameter in self._model.parameters()]
        if all(held):  # none before the first step
            for name, theirs in (("moment1", "exp_avg"), ("moment2", "exp_avg_sq")):
                if theirs in held[0]:
                    state[name] = vector_of(moments[theirs] for moments in held)
        return {name: tensor.clone()[None] for name, tensor in state.items()}

    def _load(self, state: State) -> None:
        load_state(self._model, state)
        for name, place in places_of(self._model).items():
            parameter = self._model.get_parameter(name)
            moment1, moment2 = (state[n][place].to(self._device, copy=True) for n in ("moment1", "moment2"))
            self._optimizer.state[parameter] = {
                "step": torch.tensor(float(self.step), device=self._device),
                "exp_avg": moment1.view_as(parameter),
                "exp_avg_sq": moment2.view_as(parameter),
            }

    def model(self, index: int) -> Model:
        """The model."""
        return self._model
