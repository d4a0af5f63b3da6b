"""Encoded training graphs, drawn where they are asked for or in processes of their own.

NumPy holds Python's lock while it draws random words, so a thread that draws stops the thread that trains.

Axis letters: p graphs, n positions, s slots of a position, q queries of a graph, c p or 1: the same for all graphs.
"""

import os
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nexus_bench.data.encodings import encode_for_training, smallest_integer
from nexus_bench.data.law import Law
from nexus_bench.errors import NexusBenchError
from nexus_bench.generators.base import Examples
from nexus_bench.io.processes import fork_server, start_apart

_GRAPHS_AT_ONCE = 1024  # encoded together: small enough for a core's cache
_HAS_READV = hasattr(
    os, "readv"
)  # not on Windows; multiprocessing copies three times what it receives, Python's lock held


class GraphSource(Protocol):
    """A stream of training graphs in batches."""

    law: Law

    def batch(self, step: int, batch_size: int) -> Examples:
        """The training graphs of one step, the same at every call."""
        ...


class EncodedBatch(NamedTuple):
    """Encoded examples, in the smallest integer type that holds them.

    Attributes:
        tokens: Array (p, n, s) of rows of the embedding table.
        answer: Array (p, q) of labels; NOTHING where there is none.
        hop: Array (p, q) of hop counts; 0 where there is no label.
        read_at: Array (c, q) of the positions at which answers are read.
        length: Array (c) of the number of positions.
    """

    tokens: NDArray[Any]
    answer: NDArray[Any]
    hop: NDArray[Any]
    read_at: NDArray[Any]
    length: NDArray[Any]


class DrawRequest(NamedTuple):
    """What to draw: some batches of one source.

    Attributes:
        source: Its place in the list of sources.
        steps: The batches.
        batch_size: Graphs of a batch.
        encoding: How examples become positions.
    """

    source: int
    steps: range
    batch_size: int
    encoding: str


class DrawingError(NexusBenchError):
    """A process that draws ended, or a family failed in it."""

    exit_code = 7


def encode(examples: Examples, law: Law, encoding: str) -> EncodedBatch:
    """Examples of a law as small integers, whose types and shapes are the same for all; sequences at their labels."""
    schema = law.schema
    encoded, examples = encode_for_training(examples, law, encoding)
    return EncodedBatch(
        encoded.tokens,
        examples.answer.astype(smallest_integer(schema.n_classes, is_signed=schema.is_sequence)),
        examples.hop.astype(smallest_integer(law.family.largest_hop + 1)),
        encoded.read_at,
        encoded.length,
    )


def draw(sources: Sequence[GraphSource], request: DrawRequest, into: EncodedBatch | None = None) -> EncodedBatch:
    """Draw and encode batches, one after the other, where this is called.

    Args:
        sources: The sources.
        request: What to draw.
        into: Arrays to write it to, of its shapes and types; without them new ones are made.

    Returns:
        `into`, or the new arrays.
    """
    source = sources[request.source]
    at_once = -(-_GRAPHS_AT_ONCE // request.batch_size)
    parts = []
    for first in range(0, len(request.steps), at_once):
        batches = [source.batch(step, request.batch_size) for step in request.steps[first : first + at_once]]
        parts.append(encode(Examples.concatenate(batches), source.law, request.encoding))
    tokens, answer, hop, read_at, length = zip(*parts, strict=True)
    if not source.law.schema.is_sequence:  # the same for all graphs
        read_at, length = read_at[:1], length[:1]
    columns = (tokens, answer, hop, read_at, length)
    return EncodedBatch(*(np.concatenate(c, out=out) for c, out in zip(columns, into or [None] * 5, strict=True)))


class Drawers:
    """Processes that draw, each for some of the sources.

    Args:
        sources: The sources, which are copied to the processes.
        n: Processes at most.
    """

    def __init__(self, sources: Sequence[GraphSource], n: int) -> None:
        context = fork_server()
        self._ends: list[tuple[Connection, Lock, BaseProcess]] = []
        for _ in range(min(n, len(sources))):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, tuple(sources)), daemon=True)
            start_apart(process)
            theirs.close()
            self._ends.append((mine, Lock(), process))

    @property
    def n(self) -> int:
        """Processes, and so the calls of `draw` that go on side by side."""
        return len(self._ends)

    def draw(self, request: DrawRequest, into: EncodedBatch | None = None) -> EncodedBatch:
        """As the function `draw`, in the process of the source; to be called from several threads.

        Raises:
            DrawingError: The family failed, or the process ended.
        """
        end, lock, _ = self._ends[request.source % self.n]
        try:
            with lock:
                end.send(request)
                told = end.recv()
                if isinstance(told, str):
                    raise DrawingError(told)
                if into is not None and told != _shapes(into):
                    raise DrawingError("a family drew arrays of other shapes or types than before")
                drawn = into or EncodedBatch(*(np.empty(shape, dtype) for shape, dtype in told))
                _receive(end, drawn)
        except (EOFError, OSError) as error:
            raise DrawingError("a process that draws examples ended; run again") from error
        return drawn

    def close(self) -> None:
        """End the processes."""
        for end, _, process in self._ends:
            process.kill()
            process.join()
            end.close()


def _serve(end: Connection, sources: Sequence[GraphSource]) -> None:
    """The main function of a process that draws; it ends when nobody asks any more."""
    while True:
        try:
            request = end.recv()
            try:
                drawn = draw(sources, request)
            except Exception as error:
                is_ours = isinstance(error, NexusBenchError)
                end.send(str(error) if is_ours else f"{type(error).__name__}: {error}")
                continue
            end.send(_shapes(drawn))
            _send(end, drawn)
        except (EOFError, OSError, KeyboardInterrupt):
            return


def _shapes(drawn: EncodedBatch) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
    return [(array.shape, array.dtype) for array in drawn]


def _send(end: Connection, arrays: Iterable[NDArray[Any]]) -> None:
    """Write arrays to a connection, whose shapes the other end knows."""
    for array in arrays:
        view = array.data.cast("B")
        if not _HAS_READV:
            end.send_bytes(view)
            continue
        while view:
            view = view[os.write(end.fileno(), view) :]


def _receive(end: Connection, arrays: Iterable[NDArray[Any]]) -> None:
    """Read what `_send` wrote into arrays.

    Raises:
        EOFError: The other end is closed.
    """
    for array in arrays:
        view = array.data.cast("B")
        if not _HAS_READV:
            end.recv_bytes_into(view)
            continue
        while view:
            n_read = os.readv(end.fileno(), [view])
            if not n_read:
                raise EOFError
            view = view[n_read:]
