"""From a model and examples to accuracy and loss by hop.

Axis letters: b graphs, n positions, s slots, q queries of a graph, c classes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.layout import Layout
from nexus_bench.data.encodings import ENCODINGS
from nexus_bench.generators.base import Examples, Schema
from nexus_bench.model.transformer import Transformer
from nexus_bench.streams import Int as Int32
from nexus_bench.streams import Mask

EVALUATION_GRAPHS = 256  # graphs at a time: bounds the memory of an evaluation


class Batch(NamedTuple):
    """Encoded examples on a device.

    Attributes:
        tokens: Rows of the embedding table.
        read_at: Positions of the queries.
        layout: Which positions may be attended to.
        answer: The labels.
    """

    tokens: Int[Tensor, "b n s"]
    read_at: Int[Tensor, " q"]
    layout: Layout
    answer: Int[Tensor, "b q"]

    @property
    def seq_len(self) -> int:
        """Length of the sequence of one query; several that share their facts are one longer row of tokens."""
        return self.layout.n_places(self.tokens.shape[1])


class HopScore(NamedTuple):
    """The score of a model at one hop; loss is the mean cross-entropy in nats."""

    n_examples: int
    n_correct: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of the examples answered right."""
        return self.n_correct / self.n_examples


def to_batch(examples: Examples, schema: Schema, encoding: str, device: torch.device) -> Batch:
    """Encode examples and move them to a device."""
    encoded = ENCODINGS[encoding](examples, schema)
    return Batch(
        tokens=torch.from_numpy(encoded.tokens).to(device),
        read_at=torch.from_numpy(encoded.read_at).to(device),
        layout=Layout(encoded.causal, encoded.n_keys, n_shared=encoded.n_shared, block=encoded.block),
        answer=torch.from_numpy(examples.answer).to(device, torch.int64),
    )


@torch.no_grad()
def logits_of(
    model: Transformer, examples: Examples, schema: Schema, encoding: str
) -> Iterator[tuple[Batch, Float[Tensor, "b q c"]]]:
    """Class scores of examples, batch by batch, in evaluation mode; the model's mode is restored."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    for start in range(0, examples.n_graphs, EVALUATION_GRAPHS):
        batch = to_batch(examples.take(slice(start, start + EVALUATION_GRAPHS)), schema, encoding, device)
        yield batch, model(batch.tokens, batch.read_at, batch.layout)
    model.train(was_training)


def score(model: Transformer, examples: Examples, schema: Schema, encoding: str) -> dict[int, HopScore]:
    """Score a model on examples, by hop.

    Returns:
        Hop -> score, hops ascending.
    """
    losses, hits = [], []
    for batch, logits in logits_of(model, examples, schema, encoding):
        losses.append(F.cross_entropy(logits.flatten(0, 1), batch.answer.flatten(), reduction="none").cpu().numpy())
        hits.append((logits.argmax(dim=-1) == batch.answer).flatten().cpu().numpy())
    return by_hop(np.concatenate(losses), np.concatenate(hits), examples.hop.ravel())


def by_hop(loss: NDArray[np.float32], hit: Mask, hop: Int32) -> dict[int, HopScore]:
    """Group the results of single examples by hop.

    Args:
        loss: Cross-entropy of each example.
        hit: Whether it was answered right.
        hop: Its hop count.

    Returns:
        Hop -> score, hops ascending.
    """
    loss = loss.astype(np.float64)
    return {
        int(k): HopScore(int((hop == k).sum()), int(hit[hop == k].sum()), float(loss[hop == k].mean()))
        for k in np.unique(hop)
    }
