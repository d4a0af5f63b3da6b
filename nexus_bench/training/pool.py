"""Training examples on the device: one generation at a time, the next one prepared in the background.

Axis letters: u distinct sources, p graphs of the pool, c p or 1: the same for all graphs, b graphs of a batch,
n positions, s slots, q queries.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from nexus_bench.data.drawers import Drawers, DrawRequest, EncodedBatch, GraphSource, draw
from nexus_bench.training.feed import Feed


class StackedExamples(NamedTuple):
    """Encoded examples of several sources, as `nexus_bench.data.drawers.EncodedBatch`."""

    tokens: Int[Tensor, "u p n s"]
    answer: Int[Tensor, "u p q"]
    hop: Int[Tensor, "u p q"]
    read_at: Int[Tensor, "u c q"]
    length: Int[Tensor, "u c"]


class Pool:
    """The examples of one generation of a feed, the same bytes on every device.

    Args:
        sources: Distinct sources.
        feed: Which of their graphs each step uses.
        encoding: How examples become positions.
        device: Where the pool is held.
        n_drawers: Processes that draw the next generation; with 0 a thread does.

    Attributes:
        arrays: Buffers that a refresh overwrites in place.
        order: Array (n_steps of the feed, b): the graphs of each step, the same places for every source.
    """

    def __init__(
        self, sources: Sequence[GraphSource], feed: Feed, encoding: str, device: torch.device, *, n_drawers: int = 0
    ) -> None:
        self._n_sources = len(sources)
        self._feed = feed
        self._encoding = encoding
        self._drawers = Drawers(sources, n_drawers) if n_drawers else None
        self._draw = self._drawers.draw if self._drawers else partial(draw, sources)
        self._threads = ThreadPoolExecutor(max_workers=self._drawers.n if self._drawers else 1)
        first = stacked(list(self._threads.map(self._draw, self._requests(0))))
        self._is_on_gpu = device.type == "cuda"
        self._next = StackedExamples(*(torch.empty_like(part, pin_memory=self._is_on_gpu) for part in first))
        self._ahead: tuple[int, list[Future[None]]] = (0, [])
        self._generation = 0
        self.arrays = StackedExamples(*(part.to(device, copy=True) for part in first))
        self.order = torch.from_numpy(feed.order(0)).to(device)
        self._make_ahead(1)

    def seek(self, step: int) -> None:
        """Load the generation of a step."""
        generation = self._feed.generation(step)
        if generation == self._generation:
            return
        if self._ahead[0] != generation:
            self._make_ahead(generation)
        for future in self._ahead[1]:
            future.result()
        for buffer, part in zip(self.arrays, self._next, strict=True):
            buffer.copy_(part, non_blocking=True)
        if self._feed.reuse > 1:
            self.order.copy_(torch.from_numpy(self._feed.order(generation)), non_blocking=True)
        if self._is_on_gpu:  # here and in no thread: a thread must not wait for a device that captures a graph
            torch.cuda.current_stream().synchronize()
        self._generation = generation
        self._make_ahead(generation + 1)

    def close(self) -> None:
        """End the threads and the processes."""
        if self._drawers:
            self._drawers.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _make_ahead(self, generation: int) -> None:
        """Begin to draw a generation into `_next`, once nothing else is written there or read from there."""
        for future in self._ahead[1]:
            if not future.cancel():
                future.result()
        requests = self._requests(generation)
        self._ahead = (generation, [self._threads.submit(self._fill, request) for request in requests])

    def _fill(self, request: DrawRequest) -> None:
        self._draw(request, EncodedBatch(*(part[request.source].numpy() for part in self._next)))

    def _requests(self, generation: int) -> list[DrawRequest]:
        steps, size = self._feed.batches(generation), self._feed.batch_size
        return [DrawRequest(source, steps, size, self._encoding) for source in range(self._n_sources)]


def stacked(parts: list[EncodedBatch]) -> StackedExamples:
    """The examples of several sources, with the axis u."""
    return StackedExamples(
        *(torch.stack([torch.from_numpy(part) for part in column]) for column in zip(*parts, strict=True))
    )
