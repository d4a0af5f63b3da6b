"""How examples become positions of a transformer.

All vocabularies of a task share one embedding table, one after the other, so a symbol has the same row in every
role. A position is one or more slots, whose embeddings are concatenated.

Axis letters: b graphs, n positions, s slots of a position, q queries of a graph.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nexus_bench.generators.base import Examples, Role, Schema
from nexus_bench.streams import Int

PAD = 0  # the row of the table for a slot that a position does not use


class Encoded(NamedTuple):
    """A batch as the model sees it.

    Attributes:
        tokens: Array (b, n, s) of rows of the embedding table.
        read_at: Array (q), the positions at which the answers are read; ascending.
        n_keys: How many leading positions may be attended to; None means all.
        causal: Whether positions attend only to themselves and earlier ones.
        n_shared: How many leading positions all queries share. Each query is a block of the positions that follow;
            blocks do not see each other, and each is placed as if it followed the shared positions directly. None
            means that all positions are one sequence.
        block: Positions per query, if queries are blocks.
    """

    tokens: Int
    read_at: Int
    n_keys: int | None
    causal: bool
    n_shared: int | None = None
    block: int = 1


def table_offsets(schema: Schema) -> dict[str, int]:
    """The first row of each vocabulary in the shared embedding table."""
    offsets, row = {}, PAD + 1
    for vocabulary, size in schema.vocabularies.items():
        offsets[vocabulary] = row
        row += size
    return offsets


def table_size(schema: Schema) -> int:
    """Rows of the shared embedding table."""
    return PAD + 1 + sum(schema.vocabularies.values())


def n_slots(schema: Schema, encoding: str) -> int:
    """Slots of a position."""
    return max(len(schema.fact), len(schema.query)) if encoding == "fact" else 1


def encode_fact(examples: Examples, schema: Schema) -> Encoded:
    """A fact is one position, its roles the slots; queries follow, and are never attended to."""
    facts, query = (_rows(array, roles, schema) for array, roles in _columns(examples, schema))
    slots = n_slots(schema, "fact")
    tokens = np.concatenate([_pad(facts, slots), _pad(query, slots)], axis=1)
    n_facts = facts.shape[1]
    return Encoded(tokens, np.arange(n_facts, tokens.shape[1], dtype=np.int32), n_facts, causal=False)


def encode_flat(examples: Examples, schema: Schema) -> Encoded:
    """Each symbol is one token of a causal sequence, facts first; an answer is read at its query's last token.

    No query sees another: each gets what a sequence of the facts and this query alone gets.
    """
    facts, query = (_rows(array, roles, schema) for array, roles in _columns(examples, schema))
    n_graphs, n_queries, n_roles = query.shape
    tokens = np.concatenate([facts.reshape(n_graphs, -1), query.reshape(n_graphs, -1)], axis=1)
    first_query = facts.shape[1] * facts.shape[2]
    read_at = first_query + n_roles * np.arange(1, n_queries + 1, dtype=np.int32) - 1
    return Encoded(tokens[:, :, None], read_at, None, causal=True, n_shared=first_query, block=n_roles)


ENCODINGS: dict[str, Callable[[Examples, Schema], Encoded]] = {"fact": encode_fact, "flat": encode_flat}


def _columns(examples: Examples, schema: Schema) -> tuple[tuple[Int, tuple[Role, ...]], ...]:
    return (examples.facts, schema.fact), (examples.query, schema.query)


def _rows(ids: Int, roles: tuple[Role, ...], schema: Schema) -> Int:
    offsets = table_offsets(schema)
    return ids + np.array([offsets[role.vocabulary] for role in roles], dtype=np.int32)


def _pad(tokens: Int, slots: int) -> Int:
    return np.pad(tokens, ((0, 0), (0, 0), (0, slots - tokens.shape[2])), constant_values=PAD)
