"""How examples become positions of a model.

All vocabularies of a task share one embedding table, one after the other, so a symbol has the same row in every
role. A position is one or more slots, whose embeddings are concatenated.

Axis letters: b graphs, n positions, s slots of a position, q queries of a graph, c b or 1: the same for all graphs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.data.law import Law
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Role, Schema
from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.streams import Int

PAD = 0  # the row of the table for a slot that a position does not use


class EncodedExamples(NamedTuple):
    """A batch as the model sees it.

    Attributes:
        tokens: Array (b, n, s) of rows of the embedding table, in the smallest integer type that holds them.
        read_at: Array (c, q), the positions at which the answers are read.
        length: Array (c), positions of a graph; the positions that follow are padding.
        n_keys: How many leading positions may be attended to; None means all.
        causal: Whether positions attend only to themselves and earlier ones.
        n_shared: How many leading positions all queries share. Each query is a block of the positions that follow;
            blocks do not see each other, and each is placed as if it followed the shared positions directly. None
            means that all positions are one sequence.
        block: Positions per query, if queries are blocks.
    """

    tokens: NDArray[Any]
    read_at: Int
    length: Int
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


def encode_fact(examples: Examples, schema: Schema) -> EncodedExamples:
    """A fact is one position, its roles the slots; queries follow, and are never attended to."""
    n_graphs, n_facts = examples.facts.shape[:2]
    n = n_facts + examples.query.shape[1]
    tokens = np.full((n_graphs, n, n_slots(schema, "fact")), PAD, dtype=_smallest(schema))
    _put(examples.facts, schema.fact, schema, out=tokens[:, :n_facts])
    _put(examples.query, schema.query, schema, out=tokens[:, n_facts:])
    return EncodedExamples(tokens, np.arange(n_facts, n, dtype=np.int32)[None], _all_of(n), n_facts, causal=False)


def encode_flat(examples: Examples, schema: Schema) -> EncodedExamples:
    """Each symbol is one token of a causal sequence, facts first; an answer is read at its query's last token.

    No query sees another: each gets what a sequence of the facts and this query alone gets.
    """
    facts, query = _rows(examples.facts, schema.fact, schema), _rows(examples.query, schema.query, schema)
    n_graphs, n_queries, n_roles = query.shape
    tokens = np.concatenate([facts.reshape(n_graphs, -1), query.reshape(n_graphs, -1)], axis=1)
    first_query = facts.shape[1] * facts.shape[2]
    read_at = first_query + n_roles * np.arange(1, n_queries + 1, dtype=np.int32) - 1
    length = _all_of(tokens.shape[1])
    return EncodedExamples(
        tokens[:, :, None], read_at[None], length, None, causal=True, n_shared=first_query, block=n_roles
    )


def encode_sequence(examples: Examples, schema: Schema) -> EncodedExamples:
    """The facts in their order are the tokens of a causal sequence, one each; an answer is read at every token.

    Padding comes last, so that no position which is read attends to it.
    """
    ids = examples.facts[:, :, 0]
    is_there = ids != NOTHING
    tokens = np.where(is_there[:, :, None], _rows(examples.facts, schema.fact, schema), PAD)
    length = is_there.sum(axis=1, dtype=np.int32)
    read_at = np.tile(np.arange(ids.shape[1], dtype=np.int32), (len(ids), 1))
    return EncodedExamples(tokens, read_at, length, None, causal=True)


def at_labels(
    encoded: EncodedExamples, examples: Examples, most: int | None, *, family: str
) -> tuple[EncodedExamples, Examples]:
    """Encoded sequences that are read at their labels alone, as training does, and the examples with these answers.

    Args:
        encoded: What encode_sequence made of the examples.
        examples: The examples; their answers are NOTHING where there is no label.
        most: Labels of a sequence, at most: so many places are read. Those of a sequence with fewer are filled up with
            its first place, without a label. None changes nothing.
        family: The name of the family that says so.

    Raises:
        ConfigError: A sequence has more labels.
    """
    if most is None or most == examples.answer.shape[1]:
        return encoded, examples
    row, place = np.nonzero(examples.answer != NOTHING)
    count = np.bincount(row, minlength=examples.n_graphs)
    if count.max(initial=0) > most:
        raise ConfigError(
            f"{family}: `draw` gave a sequence {count.max()} labels, and `most_labels` is {most}; raise `most_labels` "
            "to the most that `draw` can give, then the same command goes on"
        )
    number = np.arange(len(row)) - (np.cumsum(count) - count)[row]  # of each label in its sequence
    read_at, answer, hop = (np.full((examples.n_graphs, most), fill, dtype=np.int32) for fill in (0, NOTHING, 0))
    read_at[row, number] = place
    answer[row, number], hop[row, number] = examples.answer[row, place], examples.hop[row, place]
    return encoded._replace(read_at=read_at), examples._replace(answer=answer, hop=hop)


ENCODINGS: dict[str, Callable[[Examples, Schema], EncodedExamples]] = {
    "fact": encode_fact,
    "flat": encode_flat,
    "sequence": encode_sequence,
}


def encode_for_training(examples: Examples, law: Law, encoding: str) -> tuple[EncodedExamples, Examples]:
    """Encode examples as they are trained: sequences at their labels alone.

    Returns:
        What models see, and the examples with the answers that are read.

    Raises:
        ConfigError: A sequence has more labels than its family says.
    """
    return at_labels(ENCODINGS[encoding](examples, law.schema), examples, law.most_labels, family=law.family.name)


def encodings_of(schema: Schema) -> tuple[str, ...]:
    """The encodings that a task can have: a sequence has one of its own."""
    return ("sequence",) if schema.is_sequence else ("fact", "flat")


def _all_of(n: int) -> Int:
    return np.array([n], dtype=np.int32)


def _rows(ids: Int, roles: tuple[Role, ...], schema: Schema) -> NDArray[Any]:
    rows = np.empty(ids.shape, dtype=_smallest(schema))
    _put(ids, roles, schema, out=rows)
    return rows


def _put(ids: Int, roles: tuple[Role, ...], schema: Schema, *, out: NDArray[Any]) -> None:
    """Write the rows of the table of each symbol into the first slots; role by role, which is three times as fast."""
    offsets = table_offsets(schema)
    for slot, role in enumerate(roles):
        out[:, :, slot] = ids[:, :, slot]
        out[:, :, slot] += offsets[role.vocabulary]


def _smallest(schema: Schema) -> type[np.integer[Any]]:
    return smallest_integer(table_size(schema))


def smallest_integer(high: int, *, is_signed: bool = False) -> type[np.integer[Any]]:
    """The smallest type of integer that holds 0 to high - 1, and -1 if `is_signed`."""
    return np.uint8 if high <= 1 << 8 and not is_signed else np.int16 if high <= 1 << 15 else np.int32
