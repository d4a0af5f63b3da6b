"""Training examples on the device: a pool that is prepared in the background and refreshed at fixed steps.

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
from nexus_bench.streams import permutations, stream
from nexus_bench.training.engine import Source

POOL_STEPS = 512  # steps between refreshes; with POOL_GRAPHS it determines which examples a step gets
POOL_GRAPHS = 16_384  # at most; graphs are reused if POOL_STEPS batches need more
_N_THREADS = 8


class Arrays(NamedTuple):
    """Encoded examples, in the smallest integer type that holds them."""

    tokens: Int[Tensor, "u p n s"]
    answer: Int[Tensor, "u p q"]
    hop: Int[Tensor, "u p q"]


class Pool:
    """The examples of POOL_STEPS steps, the same bytes on every device.

    Step s uses generation s // POOL_STEPS, which holds the next batches of the stream of each source. If POOL_GRAPHS
    suffice, these are all batches that its steps need, in order. Otherwise every graph is used once, then all again in
    another order, and so on.

    Args:
        sources: Distinct sources.
        batch_size: Graphs per step.
        encoding: How examples become positions.
        device: Where the pool is held.

    Attributes:
        arrays: Buffers that a refresh overwrites in place.
        order: Array (POOL_STEPS, b): the graphs of each step, the same places for every source.
    """

    def __init__(self, sources: Sequence[Source], batch_size: int, encoding: str, device: torch.device) -> None:
        self._sources = tuple(sources)
        self._batch_size = batch_size
        self._encoding = encoding
        self._schema = sources[0].law.schema
        self.n_batches = max(1, min(POOL_STEPS, POOL_GRAPHS // batch_size))
        self._threads = ThreadPoolExecutor(max_workers=min(_N_THREADS, len(self._sources)))
        self._ahead: tuple[int, list[Future[Arrays]]] | None = None
        self._generation = 0
        self.arrays = Arrays(*(part.to(device) for part in stacked(self._made(0))))
        self.order = torch.from_numpy(self._order(0)).to(device)
        self._make_ahead(1)

    def seek(self, step: int) -> None:
        """Load the generation of a step."""
        generation = step // POOL_STEPS
        if generation == self._generation:
            return
        for buffer, part in zip(self.arrays, stacked(self._made(generation)), strict=True):
            buffer.copy_(part, non_blocking=True)
        self.order.copy_(torch.from_numpy(self._order(generation)), non_blocking=True)
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
        first = generation * self.n_batches
        batches = [source.batch(first + i, self._batch_size) for i in range(self.n_batches)]
        return encode(Examples.concatenate(batches), self._schema, self._encoding)

    def _order(self, generation: int) -> np.ndarray:
        n_graphs = self.n_batches * self._batch_size
        n_again = -(-POOL_STEPS // self.n_batches) - 1
        places = np.arange(n_graphs, dtype=np.int32)[None]
        if n_again:
            again = permutations(stream("pool order", n_graphs, generation), n_again, n_graphs)
            places = np.concatenate([places, again])
        return places.reshape(-1, self._batch_size)[:POOL_STEPS].astype(np.int64)


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
