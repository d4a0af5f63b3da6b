"""Training, validation and test graphs that never overlap.

A world is the set of facts of a graph: their order and the queries do not matter. Of a sequence the order is the data,
so a world is the sequence. The test worlds are drawn first, then the validation worlds, which avoid them, then those of
other laws, and the training worlds avoid all.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nexus_bench.data.law import Law
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples
from nexus_bench.io.columns import IID, TEST, TRAIN, VAL
from nexus_bench.streams import GOLDEN_RATIO, Int, Mask, Words, mix, stream

BLOCK_GRAPHS = 1024  # graphs per random stream; part of the data format, never tuned
_MOST_ROUNDS = 2_000  # in a row that free no graph of a block; while half of all worlds are free, one in two frees it

WorldIds = Words


class HeldOut(NamedTuple):
    """A split that is never trained on, and the law that drew it."""

    law: Law
    examples: Examples


class Splits:
    """The graphs of one task at one seed.

    Args:
        laws: `iid`, the law of training, validation and test, and others, each a test split of its own name.
        seed: Names the dataset; two seeds share no stream.
        n_val: Validation graphs.
        n_test: Graphs of every test split.

    Raises:
        ConfigError: There are too few distinct worlds to keep the splits apart.
    """

    def __init__(self, laws: dict[str, Law], *, seed: int, n_val: int, n_test: int) -> None:
        iid, others = laws[IID], {name: law for name, law in laws.items() if name != IID}
        check_worlds(laws, n_val=n_val, n_test=n_test)
        self.law = iid
        self._seed = seed
        self._reserved: WorldIds = np.empty(0, dtype=np.uint64)
        self._newest: tuple[int, Examples] | None = None
        self.held_out = {TEST: self._reserve(iid, TEST, n_test), VAL: self._reserve(iid, VAL, n_val)}
        self.held_out |= {name: self._reserve(law, name, n_test) for name, law in others.items()}

    def train(self, start: int, stop: int) -> Examples:
        """Training graphs start..stop-1 of an endless list, which is always the same."""
        blocks = range(start // BLOCK_GRAPHS, (stop - 1) // BLOCK_GRAPHS + 1)
        parts = [
            self._train_block(b).take(slice(max(start - b * BLOCK_GRAPHS, 0), stop - b * BLOCK_GRAPHS)) for b in blocks
        ]
        return parts[0] if len(parts) == 1 else Examples.concatenate(parts)

    def batch(self, step: int, batch_size: int) -> Examples:
        """The training graphs of one step: a stream without deliberate repetition of graphs."""
        return self.train(step * batch_size, (step + 1) * batch_size)

    def _reserve(self, law: Law, split: str, n_graphs: int) -> HeldOut:
        examples = draw_graphs(law, n_graphs, seed=self._seed, split=split, avoiding=self._reserved)
        self._reserved = np.union1d(self._reserved, worlds_of(law, examples))
        return HeldOut(law, examples)

    def _train_block(self, block: int) -> Examples:
        newest = self._newest
        if newest is None or newest[0] != block:
            drawn = draw_block(self.law, seed=self._seed, split=TRAIN, block=block, avoiding=self._reserved)
            newest = self._newest = (block, drawn)
        return newest[1]


def check_worlds(laws: Mapping[str, Law], *, n_val: int, n_test: int) -> None:
    """Refuse a task with too few distinct worlds for its splits; nothing is drawn.

    Args:
        laws: As of `Splits`.
        n_val: Validation graphs.
        n_test: Graphs of every test split.

    Raises:
        ConfigError: Validation and test would take more than half of the worlds of a law.
    """
    n_reserved = n_val + n_test * len(laws)
    for family in (law.family for law in laws.values()):
        if 2 * n_reserved > family.n_worlds:
            larger = f", or try a larger {family.sized_by}" if family.sized_by else ""
            raise ConfigError(
                f"{family.name}: too few distinct graphs: {n_reserved:,} of validation and test need "
                f"{2 * n_reserved:,}, there are {family.n_worlds:,}; lower n_val and n_test{larger}"
            )


def draw_block(law: Law, *, seed: int, split: str, block: int, avoiding: WorldIds) -> Examples:
    """One block of the graphs of a split, none of them in a world to be avoided.

    Args:
        law: What draws them.
        seed: Seed of the dataset.
        split: Name of the split, part of the key of the random stream.
        block: Number of the block in the split.
        avoiding: Worlds to avoid, sorted.

    Raises:
        ConfigError: The family hardly ever draws another world, so it has fewer than its `n_worlds` says.
    """
    rng = stream(law.family.name, law.family.version, seed, split, block)
    examples = law.sample(BLOCK_GRAPHS, rng)
    n_taken, n_rounds = BLOCK_GRAPHS, 0
    while n_rounds < _MOST_ROUNDS:
        taken = among(worlds_of(law, examples), avoiding)
        if not taken.any():
            return examples
        n_rounds = n_rounds + 1 if int(taken.sum()) == n_taken else 0
        n_taken = int(taken.sum())
        fresh = law.sample(n_taken, rng)
        for array, replacement in zip(examples, fresh, strict=True):
            array[taken] = replacement
    raise ConfigError(
        f"{law.family.name}: {n_taken:,} graphs of {split} repeat reserved ones however often they are drawn; "
        f"it has fewer worlds than its n_worlds says ({law.family.n_worlds:,}), or hardly draws most of them"
    )


def draw_graphs(law: Law, n_graphs: int, *, seed: int, split: str, avoiding: WorldIds) -> Examples:
    """The first graphs of a split, block by block."""
    blocks = range(-(-n_graphs // BLOCK_GRAPHS))
    drawn = [draw_block(law, seed=seed, split=split, block=b, avoiding=avoiding) for b in blocks]
    return Examples.concatenate(drawn).take(slice(n_graphs))


def worlds_of(law: Law, examples: Examples) -> WorldIds:
    """The worlds of examples: array (g)."""
    facts = examples.facts
    if law.schema.is_sequence:
        place = np.broadcast_to(np.arange(facts.shape[1], dtype=np.int32)[:, None], facts.shape)
        facts = np.concatenate([facts, place], axis=2)
    return world_ids(facts)


def world_ids(facts: Int) -> WorldIds:
    """A 64-bit hash of the set of facts of each graph, independent of their order.

    Args:
        facts: Array (g, f, a) of symbol ids.

    Returns:
        Array (g).
    """
    fact = facts[:, :, 0].astype(np.uint64)
    for role in range(1, facts.shape[2]):
        fact *= GOLDEN_RATIO
        fact += facts[:, :, role].astype(np.uint64)
    ids: WorldIds = mix(mix(fact).sum(axis=1, dtype=np.uint64))
    return ids


def among(ids: WorldIds, known: WorldIds) -> Mask:
    """Which ids are among the known ones, which must be sorted."""
    if not len(known):
        return np.zeros(len(ids), dtype=np.bool_)
    found: Mask = known[np.minimum(np.searchsorted(known, ids), len(known) - 1)] == ids
    return found
