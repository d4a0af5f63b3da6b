"""What the order of sentences gives away: a reader of the names in the first or last sentence."""

from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples, Generator
from nexus_bench.streams import Int


def end_sentences(family: Generator[Any], examples: Examples, order: str) -> dict[int, float]:
    """By hop, how often a name in the first or last sentence of the facts is the answer: the best of these guesses.

    Args:
        family: The task.
        examples: As the family draws them.
        order: `forward` or `backward`, as in `nexus_bench.text.render.TextOptions`.

    Returns:
        Hop -> accuracy; empty if facts have no symbols that can be answers.
    """
    schema = family.schema
    rows = family.solve(examples.facts, examples.query).rows
    graph = np.arange(examples.n_graphs)[:, None]
    first, last = _ends(rows, n_facts=examples.facts.shape[1], is_forward=order == "forward")
    columns = [a for a, role in enumerate(schema.fact) if role.vocabulary == schema.answer]
    guesses = [examples.facts[graph, row, a] == examples.answer for row in (first, last) for a in columns]
    hops = np.unique(examples.hop).tolist() if columns else []
    return {int(hop): max(float(right[examples.hop == hop].mean()) for right in guesses) for hop in hops}


def _ends(rows: Int, *, n_facts: int, is_forward: bool) -> tuple[Int, Int]:
    """The facts told first and last: arrays (g, q). Facts of the derivation are sorted among their own places."""
    is_there = rows >= 0
    width = rows.shape[2]
    head = np.take_along_axis(rows, is_there.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    tail = np.take_along_axis(rows, width - 1 - is_there[:, :, ::-1].argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    if not is_forward:
        head, tail = tail, head
    first = np.where((rows == 0).any(axis=2), head, 0)
    last = np.where((rows == n_facts - 1).any(axis=2), tail, n_facts - 1)
    return first, last
