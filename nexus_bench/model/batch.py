"""A batch as models see it, on a device.

Axis letters: b graphs, n positions, s slots, q queries of a graph, c b or 1: the same for all graphs, d width.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.data.encodings import ENCODINGS, EncodedExamples, encode_for_training
from nexus_bench.data.law import Law
from nexus_bench.generators.base import Examples, Schema
from nexus_bench.generators.parts.sequences import NOTHING


class Batch(NamedTuple):
    """Encoded examples.

    Attributes:
        tokens: Rows of the embedding table.
        read_at: Positions at which answers are read.
        length: Positions of each graph; those that follow are padding, which no earlier position attends to.
        answer: The labels; NOTHING where there is none.
        layout: Which positions may be attended to.
    """

    tokens: Int[Tensor, "b n s"]
    read_at: Int[Tensor, "c q"]
    length: Int[Tensor, " c"]
    answer: Int[Tensor, "b q"]
    layout: Layout

    @property
    def seq_len(self) -> int:
        """Length of the sequence of one query; several that share their facts are one longer row of tokens."""
        return self.layout.n_places(self.tokens.shape[1])

    @property
    def is_labelled(self) -> Bool[Tensor, "b q"]:
        """Which answers count in a loss."""
        return self.answer != NOTHING

    def read(self, x: Shaped[Tensor, "b n d"]) -> Shaped[Tensor, "b q d"]:
        """The positions of x at which answers are read."""
        if len(self.read_at) == 1:
            return x[:, self.read_at[0]]
        return x.gather(1, self.read_at.long()[:, :, None].expand(-1, -1, x.shape[2]))

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        tokens, read_at, length, answer = (tensor.to(device) for tensor in self[:4])
        return Batch(tokens, read_at, length, answer, self.layout)


def to_batch(examples: Examples, schema: Schema, encoding: str, device: torch.device) -> Batch:
    """Encode examples and move them to a device."""
    return _batch(ENCODINGS[encoding](examples, schema), examples.answer, device)


def to_training_batch(
    examples: Examples, law: Law, encoding: str, device: torch.device
) -> tuple[Batch, Int[np.ndarray, "b q"]]:
    """Encode examples as they are trained, sequences at their labels alone, and move them to a device.

    Returns:
        The batch, and the hop count of each of its answers.

    Raises:
        ConfigError: A sequence has more labels than its family says.
    """
    encoded, examples = encode_for_training(examples, law, encoding)
    return _batch(encoded, examples.answer, device), examples.hop


def _batch(encoded: EncodedExamples, answer: Int[np.ndarray, "b q"], device: torch.device) -> Batch:
    tokens, read_at, length, labels = map(torch.from_numpy, (encoded.tokens, encoded.read_at, encoded.length, answer))
    layout = Layout(encoded.causal, encoded.n_keys, n_shared=encoded.n_shared, block=encoded.block)
    return Batch(tokens.int(), read_at, length, labels.to(torch.int64), layout).to(device)
