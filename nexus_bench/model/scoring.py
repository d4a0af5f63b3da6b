"""From a model and examples to accuracy and loss by hop.

Axis letters: b graphs, q queries of a graph, c classes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.generators.base import Examples, Schema
from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.model.batch import Batch, to_batch
from nexus_bench.model.contract import Model
from nexus_bench.streams import Int as Int32
from nexus_bench.streams import Mask

EVALUATION_GRAPHS = 256  # graphs at a time: bounds the memory of an evaluation


class HopScore(NamedTuple):
    """The score of a model at one hop; loss is the mean cross-entropy in nats."""

    n_examples: int
    n_correct: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of the examples answered right."""
        return self.n_correct / self.n_examples


class AnswerScores(NamedTuple):
    """How a model answers examples.

    Attributes:
        loss: Array (b, q), the cross-entropy of each answer in nats; 0 where there is no label.
        hit: Array (b, q), whether the answer is right.
    """

    loss: NDArray[np.float32]
    hit: Mask


@torch.no_grad()
def logits_of(
    model: Model, examples: Examples, schema: Schema, encoding: str
) -> Iterator[tuple[Batch, Float[Tensor, "b q c"]]]:
    """Class scores of examples, batch by batch, in evaluation mode; the model's mode is restored."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    for start in range(0, examples.n_graphs, EVALUATION_GRAPHS):
        batch = to_batch(examples.take(slice(start, start + EVALUATION_GRAPHS)), schema, encoding, device)
        yield batch, model(batch)
    model.train(was_training)


def score(model: Model, examples: Examples, schema: Schema, encoding: str) -> dict[int, HopScore]:
    """Score a model on examples, by hop; a token without a label counts nowhere.

    Returns:
        Hop -> score, hops ascending.
    """
    return by_hop(*answer(model, examples, schema, encoding), examples.hop)


def answer(model: Model, examples: Examples, schema: Schema, encoding: str) -> AnswerScores:
    """Answer every example."""
    losses, hits = [], []
    for batch, logits in logits_of(model, examples, schema, encoding):
        losses.append(losses_of(logits, batch.answer).cpu().numpy())
        hits.append((logits.argmax(dim=-1) == batch.answer).cpu().numpy())
    return AnswerScores(np.concatenate(losses), np.concatenate(hits))


def losses_of(logits: Float[Tensor, "*b c"], answer: Int[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """The cross-entropy of each answer in nats; 0 where there is no label."""
    each = F.cross_entropy(logits.flatten(0, -2), answer.flatten(), reduction="none", ignore_index=NOTHING)
    return each.view(answer.shape)


def by_hop(loss: NDArray[np.float32], hit: Mask, hop: Int32) -> dict[int, HopScore]:
    """Group the results of single examples by hop.

    Args:
        loss: Cross-entropy of each example.
        hit: Whether it was answered right.
        hop: Its hop count; 0 if it has no label.

    Returns:
        Hop -> score, hops ascending.
    """
    loss = loss.astype(np.float64)
    return {
        int(k): HopScore(int((hop == k).sum()), int(hit[hop == k].sum()), float(loss[hop == k].mean()))
        for k in np.unique(hop[hop > 0])
    }
