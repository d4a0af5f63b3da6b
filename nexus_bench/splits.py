"""Train, validation and test graphs that never meet.

A world is the set of facts of a graph: their order and the queries do not matter. The test worlds are drawn
first, then the validation worlds, which avoid them, then the training worlds, which avoid both.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.streams import Int, stream

BLOCK_GRAPHS = 1024  # graphs a random stream; part of the data format, never tuned
SPLITS = ("train", "val", "test")


class Splits:
    """The graphs of one task at one seed.

    Args:
        generator: The task.
        seed: Names the dataset; two seeds share no stream.
        n_val: Validation graphs.
        n_test: Test graphs.

    Raises:
        ConfigError: There are too few distinct worlds to keep the splits apart.
    """

    def __init__(self, generator: Generator[Any], *, seed: int, n_val: int, n_test: int) -> None:
        n_reserved = n_val + n_test
        if 2 * n_reserved > generator.n_worlds:
            raise ConfigError(
                f"{generator.name}: {n_reserved:,} validation and test graphs need {2 * n_reserved:,} distinct worlds, "
                f"there are {generator.n_worlds:,}; ask for fewer graphs or raise the graph's size"
            )
        self.generator = generator
        self._seed = seed
        self._reserved: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._newest: tuple[int, Examples] | None = None
        self.test = self._reserve("test", n_test)
        self.val = self._reserve("val", n_val)

    def train(self, start: int, stop: int) -> Examples:
        """Training graphs start..stop-1 of an endless list; the same graphs however they are asked for."""
        blocks = range(start // BLOCK_GRAPHS, (stop - 1) // BLOCK_GRAPHS + 1)
        parts = [
            self._train_block(b).take(slice(max(start - b * BLOCK_GRAPHS, 0), stop - b * BLOCK_GRAPHS)) for b in blocks
        ]
        return parts[0] if len(parts) == 1 else Examples.concatenate(parts)

    def batch(self, step: int, batch_size: int) -> Examples:
        """The training graphs of one step: a stream that never repeats a graph on purpose."""
        return self.train(step * batch_size, (step + 1) * batch_size)

    def _reserve(self, split: str, n_graphs: int) -> Examples:
        n_blocks = -(-n_graphs // BLOCK_GRAPHS)
        examples = Examples.concatenate([self._block(split, b) for b in range(n_blocks)]).take(slice(n_graphs))
        self._reserved = np.union1d(self._reserved, world_ids(examples.facts))
        return examples

    def _train_block(self, block: int) -> Examples:
        if self._newest is None or self._newest[0] != block:
            self._newest = (block, self._block("train", block))
        return self._newest[1]

    def _block(self, split: str, block: int) -> Examples:
        rng = stream(self.generator.name, self.generator.version, self._seed, split, block)
        examples = self.generator.sample(BLOCK_GRAPHS, rng)
        while (taken := np.isin(world_ids(examples.facts), self._reserved)).any():
            fresh = self.generator.sample(int(taken.sum()), rng)
            for array, replacement in zip(examples, fresh, strict=True):
                array[taken] = replacement
        return examples


def world_ids(facts: Int) -> NDArray[np.uint64]:
    """A 64-bit name for each graph's set of facts, whatever their order.

    Args:
        facts: Array (g, f, a) of symbol ids.

    Returns:
        Array (g).
    """
    fact = np.zeros(facts.shape[:2], dtype=np.uint64)
    for role in range(facts.shape[2]):
        fact = _mix(fact + facts[:, :, role].astype(np.uint64))
    return _mix(fact.sum(axis=1, dtype=np.uint64))


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The SplitMix64 step (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
