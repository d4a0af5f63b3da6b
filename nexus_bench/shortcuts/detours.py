"""A reader of graphs in which a hidden fact was exchanged: by which neighbour of the start do walks reach the goal?

For families whose first fact holds the answer, such as shortest_path, where following the derivation up to the hidden
fact would give it away. The reader sees all facts after the exchange, not which two were exchanged.
Axis letters: n examples, f facts, m names of a graph, l lengths of walks.
"""

import numpy as np

from nexus_bench.generators.base import Schema
from nexus_bench.shortcuts.candidates import Candidates, distinct_symbols
from nexus_bench.shortcuts.features import asked_names, in_chunks, name_vocabularies
from nexus_bench.shortcuts.fits import boosting, rank
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.shortcuts.hidden import HiddenStep, swapped
from nexus_bench.streams import Int, pick, stream

_LENGTHS = 6  # of the walks that are counted
_MOST_WALKS = 50  # a larger count is cut


def has_two_ends(schema: Schema) -> bool:
    """Whether facts join two names of one kind, and queries name a start and a goal of this kind."""
    ends = [role.vocabulary for role in schema.fact if role.vocabulary in name_vocabularies(schema)]
    asked = [schema.query[r].vocabulary for r in asked_names(schema)]
    return len(ends) == 2 and len(asked) == 2 and len({*ends, *asked}) == 1


def by_detours(schema: Schema, fit: HiddenStep, score: HiddenStep, rounds: int) -> Int:
    """The likeliest neighbour of the start, by how many walks lead on from each to the goal: array (n)."""
    to_fit, to_score = (_neighbours(schema, step, use) for step, use in ((fit, "fit"), (score, "score")))
    return rank(to_fit, fit.one.answer[:, 0], to_score, boosting, rounds)


def _neighbours(schema: Schema, step: HiddenStep, use: str) -> Candidates:
    other = pick(stream("audit", "detours", use), step.alike)
    facts = swapped(step.one.facts, step.at, np.where(other >= 0, other, step.at))
    columns = [a for a, role in enumerate(schema.fact) if role.vocabulary in name_vocabularies(schema)]
    ends, (start, goal) = facts[:, :, columns], asked_names(schema)
    symbols = distinct_symbols(ends.reshape(len(ends), -1))
    query = step.one.query[:, 0]

    def seen(part: slice) -> Float:
        return _walks(ends[part], symbols[part], query[part, start], query[part, goal])

    features = in_chunks(seen, len(symbols))
    is_beside = features[:, :, 0] > 0
    return Candidates(np.where(is_beside, symbols, -1), features)


def _walks(ends: Int, symbols: Int, start: Int, goal: Int) -> Float:
    """Facts shared with the start and with the goal; walks to the goal that avoid the start, also against the others'.

    Returns:
        Array (n, m, 2 + 3 l).
    """
    n, size = np.arange(len(ends)), symbols.shape[1]
    place = [(symbols[:, None, :] == ends[:, :, side, None]).argmax(axis=2) for side in (0, 1)]
    joined = np.zeros((len(ends), size, size), dtype=np.float32)
    for one, two in (place, place[::-1]):
        np.add.at(joined, (n[:, None], one, two), 1)
    first, last = ((symbols == asked[:, None]).argmax(axis=1) for asked in (start, goal))
    beside_start, beside_goal = joined[n, first], joined[n, last]
    joined[n, first] = joined[n, :, first] = 0
    reached = np.zeros((len(ends), size), dtype=np.float32)
    reached[n, last] = 1
    parts = [beside_start, beside_goal]
    among = beside_start > 0
    for _ in range(_LENGTHS):
        reached = np.minimum((joined @ reached[:, :, None])[:, :, 0], _MOST_WALKS)
        most = np.where(among, reached, -1).max(axis=1, keepdims=True)
        least = np.where(among, reached, _MOST_WALKS + 1).min(axis=1, keepdims=True)
        parts += [reached, reached - most, reached - least]
    return np.stack(parts, axis=2).astype(np.float64)
