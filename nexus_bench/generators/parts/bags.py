"""How well the product of some words of a graph can be guessed from its bag of words, when no fact is followed."""

import numpy as np
from numpy.typing import NDArray

from nexus_bench.streams import Int, integers, stream

_N_BAGS = 4096  # graphs drawn to measure


def likeliest_product(table: Int, letters: Int, *, n_facts: int, hop: int) -> float:
    """How often the likeliest product is right, if each factor is a word of the graph: a mean over bags of words.

    Args:
        table: Array (elements, elements), the products of a group.
        letters: Array (words, m): the elements that a word stands for, all equally likely.
        n_facts: Words in a bag, drawn uniformly and independently.
        hop: Number of factors.

    Returns:
        A probability; factors are drawn from the bag with replacement.
    """
    bags = integers(stream("bags", len(table), n_facts), _N_BAGS, n_facts, high=len(letters))
    factor = np.zeros((_N_BAGS, len(table)))
    for column in range(letters.shape[1]):
        np.add.at(factor, (np.arange(_N_BAGS)[:, None], letters[bags, column]), 1 / (n_facts * letters.shape[1]))
    product: NDArray[np.float64] = factor
    for _ in range(hop - 1):
        longer = np.zeros_like(product)
        for element in range(len(table)):
            longer[:, table[:, element]] += product * factor[:, element : element + 1]
        product = longer
    return float(product.max(axis=1).mean())
