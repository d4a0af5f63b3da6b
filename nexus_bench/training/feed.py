"""Which training graphs each step uses: the same in every mode.

A source is an endless stream of batches. It is used generation by generation: so many of its batches serve `reuse`
times as many steps. With `reuse: 1` step s uses batch s, whatever the size of a generation. Otherwise the graphs of a
generation are used once in the order of the stream, and then all again in another order, `reuse` times altogether.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.streams import permutations, stream
from nexus_bench.training.spec import TrainSpec

REUSED_BATCHES = 64  # of a generation whose graphs are reused; fixes which graphs a step gets
_MOST_GRAPHS = 32_768  # of a generation whose graphs are used once; bounds memory, and changes no step
_MOST_BATCHES = 512


class Feed(NamedTuple):
    """How a stream of batches is cut into generations.

    Attributes:
        batch_size: Graphs per step.
        n_batches: Batches of the stream in a generation.
        reuse: Steps that use each graph.
    """

    batch_size: int
    n_batches: int
    reuse: int

    @property
    def n_steps(self) -> int:
        """Steps that a generation serves."""
        return self.n_batches * self.reuse

    def generation(self, step: int) -> int:
        """The generation that a step uses."""
        return step // self.n_steps

    def batches(self, generation: int) -> range:
        """Its batches in the stream."""
        return range(generation * self.n_batches, (generation + 1) * self.n_batches)

    def order(self, generation: int) -> NDArray[np.int64]:
        """The graphs of the generation that each of its steps uses: array (n_steps, batch_size)."""
        n_graphs = self.n_batches * self.batch_size
        places = np.arange(n_graphs, dtype=np.int32)[None]
        if self.reuse > 1:
            again = permutations(stream("pool order", n_graphs, generation), self.reuse - 1, n_graphs)
            places = np.concatenate([places, again])
        return places.reshape(self.n_steps, self.batch_size).astype(np.int64)


def feed_of(recipe: TrainSpec) -> Feed:
    """The feed of a recipe."""
    size = recipe.batch_size
    once = max(1, min(_MOST_BATCHES, _MOST_GRAPHS // size))
    return Feed(size, once if recipe.reuse == 1 else REUSED_BATCHES, recipe.reuse)
