"""Training examples on the device: one generation at a time, the next one prepared in the background.

Axis letters: u distinct sources, p graphs of the pool, b graphs of a batch, n positions, s slots, q queries.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from nexus_bench.data.encodings import table_size
from nexus_bench.generators.base import Examples, Schema
from nexus_bench.model.scoring import to_batch
from nexus_bench.training.feed import Feed
from nexus_bench.training.row import Source

_N_THREADS = 8


class Arrays(NamedTuple):
    """Encoded examples, in the smallest integer type that holds them."""

    tokens: Int[Tensor, "u p n s"]
    answer: Int[Tensor, "u p q"]
    hop: Int[Tensor, "u p q"]


class Pool:
    """The examples of one generation of a feed, the same bytes on every device.

    Args:
        sources: Distinct sources.
        feed: Which of their graphs each step uses.
        encoding: How examples become positions.
        device: Where the pool is held.

    Attributes:
        arrays: Buffers that a refresh overwrites in place.
        order: Array (n_steps of the feed, b): the graphs of each step, the same places for every source.
    """

    def __init__(self, sources: Sequence[Source], feed: Feed, encoding: str, device: torch.device) -> None:
        self._sources = tuple(sources)
        self._feed = feed
        self._encoding = encoding
        self._schema = sources[0].law.schema
        self._threads = ThreadPoolExecutor(max_workers=min(_N_THREADS, len(self._sources)))
        self._ahead: tuple[int, list[Future[Arrays]]] | None = None
        self._generation = 0
        self.arrays = Arrays(*(part.to(device) for part in stacked(self._made(0))))
        self.order = torch.from_numpy(feed.order(0)).to(device)
        self._make_ahead(1)

    def seek(self, step: int) -> None:
        """Load the generation of a step."""
        generation = self._feed.generation(step)
        if generation == self._generation:
            return
        for buffer, part in zip(self.arrays, stacked(self._made(generation)), strict=True):
            buffer.copy_(part, non_blocking=True)
        if self._feed.reuse > 1:
            self.order.copy_(torch.from_numpy(self._feed.order(generation)), non_blocking=True)
        self._generation = generation
        self._make_ahead(generation + 1)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _make_ahead(self, generation: int) -> None:
        self._ahead = (generation, [self._threads.submit(self._draw, source, generation) for source in self._sources])

    def _made(self, generation: int) -> list[Arrays]:
        if self._ahead is None or self._ahead[0] != generation:
            self._make_ahead(generation)
        assert self._ahead is not None
        return [future.result() for future in self._ahead[1]]

    def _draw(self, source: Source, generation: int) -> Arrays:
        batches = [source.batch(step, self._feed.batch_size) for step in self._feed.batches(generation)]
        return encode(Examples.concatenate(batches), self._schema, self._encoding)


def encode(examples: Examples, schema: Schema, encoding: str) -> Arrays:
    """Examples of one source as small integers, without the axis u."""
    batch = to_batch(examples, schema, encoding, torch.device("cpu"))
    hop = torch.from_numpy(np.ascontiguousarray(examples.hop))
    return Arrays(
        _smallest(batch.tokens, table_size(schema)),
        _smallest(batch.answer, schema.n_classes),
        _smallest(hop, int(hop.max()) + 1),
    )


def stacked(parts: list[Arrays]) -> Arrays:
    """The examples of several sources, with the axis u."""
    return Arrays(*(torch.stack(column) for column in zip(*parts, strict=True)))


def _smallest(values: Tensor, high: int) -> Tensor:
    dtype = torch.uint8 if high <= 1 << 8 else torch.int16 if high <= 1 << 15 else torch.int32
    return values.to(dtype)
