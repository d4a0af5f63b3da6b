"""Word problems of groups: the product of all elements read so far, at every place."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nexus_bench.generators.base import GENERATORS
from nexus_bench.generators.parts.groups import GroupName, PermutationGroup, named_group
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceBatch, SequenceFamily, SequenceParams
from nexus_bench.streams import Int, integers


class WordProblemParams(SequenceParams):
    """The group."""

    group: GroupName = Field(description="Z_2 to Z_100, S_3, S_4, S_5, A_4 or A_5.")


@GENERATORS.register
class WordProblem(SequenceFamily[WordProblemParams]):
    """Random elements of a group, one a token; the answer at the k-th place is the product of the first k, in order.

    The elements are uniform and independent. So if any one of the k is hidden, all products are equally likely. A hop
    is one element: at the first place the answer is the element itself. A recurrent model needs one step a token and
    the state of one element. The product of Z_n is a sum, which needs no order: aggregation rather than depth.

    Source: Merrill, Petty and Sabharwal 2024 ("The illusion of state in state-space models", arXiv 2404.08819); Siems
    et al. 2025 ("DeltaProduct", arXiv 2502.10297) for S_3, S_5 and A_5 with a label at every place. `group_word` asks
    the same of facts in any order.

    >>> from nexus_bench.streams import stream
    >>> params = WordProblemParams(n_tokens=5, min_tokens=None, group="Z_5")
    >>> drawn = WordProblem(params, hops=(1, 2, 3, 4, 5)).draw(1, stream("doctest"))
    >>> drawn.tokens[0].tolist(), drawn.label[0].tolist(), drawn.hop[0].tolist()
    ([0, 0, 3, 0, 0], [0, 0, 3, 3, 3], [1, 2, 3, 4, 5])
    """

    name = "word_problem"
    version = 1
    Params = WordProblemParams

    @property
    def max_hop(self) -> int:
        """The shortest sequence."""
        return self.min_length

    def advice_for_hop(self, hop: int) -> str:
        """Longer sequences."""
        return self.params.advice_for_length(hop)

    @property
    def reasoning(self) -> str:
        """The products of an abelian group need no order."""
        return self._group.reasoning

    @property
    def _group(self) -> PermutationGroup:
        return named_group(self.params.group)

    @property
    def n_words(self) -> int:
        """The elements."""
        return len(self._group.points)

    @property
    def n_labels(self) -> int:
        """The elements."""
        return self.n_words

    @property
    def n_worlds(self) -> int:
        """The shortest words."""
        n_worlds: int = int(self.n_words) ** self.min_length
        return n_worlds

    def symbol(self, vocabulary: str, index: int) -> str:
        """An element as its group writes it."""
        return self._group.symbol(index)

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """Look the products up in the table of the group, place by place."""
        n = np.int32(self.n_words)
        tokens = integers(rng, n_sequences, self.n_facts, high=int(n))
        table = self._group.table.ravel()
        product = np.empty((self.n_facts, n_sequences), dtype=np.int32)
        product[0] = tokens[:, 0]
        columns = np.ascontiguousarray(tokens.T)
        for place in range(1, self.n_facts):
            product[place] = table.take(product[place - 1] * n + columns[place])
        hop = np.broadcast_to(self._counted(self.n_facts), tokens.shape)
        label = np.where(hop > 0, product.T, NOTHING)
        return SequenceBatch(tokens, label, hop, self.deal_lengths(n_sequences, rng))

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Move the points of the group, element by element, and look up which element moves them so."""
        points = self._group.points.astype(np.int64)
        code = len(points[0]) ** np.arange(len(points[0]))[:2] if self.params.group.startswith("Z") else _base(points)
        known = points[:, : len(code)] @ code
        order = np.argsort(known)
        moved = np.broadcast_to(np.arange(points.shape[1]), (len(tokens), points.shape[1]))
        label = np.empty_like(tokens)
        for place in range(tokens.shape[1]):
            moved = np.take_along_axis(points[np.maximum(tokens[:, place], 0)], moved, axis=1)
            label[:, place] = order[np.searchsorted(known[order], moved[:, : len(code)] @ code)]
        hop = np.broadcast_to(self._counted(tokens.shape[1]), tokens.shape)
        return Labels(np.where(hop > 0, label, NOTHING).astype(np.int32), hop)

    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """All places up to this one."""
        before = np.arange(self.largest_hop, dtype=np.int32)
        return np.where(before <= at[:, :, None], before, -1).astype(np.int32)

    def _counted(self, n_places: int) -> Int:
        """The hop count of every place; 0 where it is not asked for."""
        count = np.arange(1, n_places + 1, dtype=np.int32)
        return np.where(np.isin(count, self.hops), count, 0).astype(np.int32)

    def chance(self, hop: int) -> float:
        """All products are equally likely."""
        return 1 / self.n_labels

    def partial_input(self, hop: int) -> float:
        """Without one of the elements all products are equally likely."""
        return 1 / self.n_labels


def _base(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weights that give every arrangement of points a number of its own."""
    n = points.shape[1]
    weights: NDArray[np.int64] = n ** np.arange(n)
    return weights
