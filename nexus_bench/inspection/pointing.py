"""Where the attention of a trained cell points: along the true path, hop by hop, or elsewhere.

Axis letters: b graphs, h heads, n positions, k keys, f facts, s selected examples, p facts of a path.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from nexus_bench.data.law import Law
from nexus_bench.data.splits import HeldOut
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Schema
from nexus_bench.inspection.ablation import answers_without
from nexus_bench.inspection.recording import Place, record
from nexus_bench.io.columns import HOP_OOD, TEST, Row
from nexus_bench.io.hops import format_hops
from nexus_bench.model.batch import to_batch
from nexus_bench.model.transformer import Transformer
from nexus_bench.streams import Mask

_GRAPHS = 32  # graphs at a time, since every map is kept
QUERY, FACT = "query", "fact"


class Example(NamedTuple):
    """One example and its attention.

    Attributes:
        facts: Array (f, roles) of symbol ids.
        query: Array (roles).
        path: Rows of the facts that derive the answer, in the order of the reasoning.
        answer: The right answer, as text.
        answered: The answer of the model, as text.
        places: The passes.
        from_query: For each pass, the attention of the query to each fact: (h, f).
        from_facts: For each pass, the attention of each fact (row) to each fact: (h, f, f).
    """

    facts: np.ndarray
    query: np.ndarray
    path: list[int]
    answer: str
    answered: str
    places: list[Place]
    from_query: list[np.ndarray]
    from_facts: list[np.ndarray]


class Walk(NamedTuple):
    """Where attention points over many examples, and in one of them.

    Attributes:
        law: What drew the examples.
        n_examples: Number of examples.
        accuracy: Share of them answered right.
        rows: Rows with WALK_COLUMNS.
        example: One of them.
    """

    law: Law
    n_examples: int
    accuracy: float
    rows: list[Row]
    example: Example


class _Tally:
    """Counts of one pass: how often, and with what weight, heads point at hops, and path facts at other path facts.

    Arrays are (heads + 1, steps): the last row counts the examples in which any of the heads did.
    """

    def __init__(self, n_heads: int, hop: int) -> None:
        self.n_heads = n_heads
        self.n = {QUERY: np.zeros(hop, dtype=int), FACT: np.zeros(2 * hop - 1, dtype=int)}
        self.pointed = {source: np.zeros((n_heads + 1, len(n))) for source, n in self.n.items()}
        self.avoided = np.zeros((n_heads + 1, hop))
        self.mass = {source: np.zeros((n_heads, len(n))) for source, n in self.n.items()}
        self.n_ablated = np.zeros(hop)  # right although attention to the fact of this hop was mean-ablated

    def add(self, from_query: Float[np.ndarray, "s h f"], from_facts: Float[np.ndarray, "s h f f"], path: Any) -> None:
        """Add some examples to the counts.

        Args:
            from_query: The attention of each query to each fact.
            from_facts: The attention of each fact of the graph to each fact.
            path: Array (s, p) of the facts of each path.
        """
        hop = path.shape[1]
        self.n[QUERY] += len(path)
        self.pointed[QUERY] += _and_any(from_query.argmax(axis=2)[:, :, None] == path[:, None]).sum(axis=0)
        self.avoided += _and_any(from_query.argmin(axis=2)[:, :, None] == path[:, None]).sum(axis=0)
        self.mass[QUERY] += np.take_along_axis(from_query, path[:, None], axis=2).sum(axis=0)
        looking = np.take_along_axis(from_facts, path[:, None, :, None], axis=2)  # s h p f
        is_strongest = _and_any(looking.argmax(axis=3)[..., None] == path[:, None, None])  # s h+1 p p
        mass = np.take_along_axis(looking, path[:, None, None], axis=3)  # s h p p
        for at, step in enumerate(range(1 - hop, hop)):
            self.n[FACT][at] += len(path) * (hop - abs(step))
            self.pointed[FACT][:, at] += is_strongest.diagonal(step, 2, 3).sum(axis=(0, 2))
            self.mass[FACT][:, at] += mass.diagonal(step, 2, 3).sum(axis=(0, 2))

    def rows(self, place: Place, n_facts: int) -> list[Row]:
        """The counts as rows with WALK_COLUMNS."""
        found = []
        for head in range(self.n_heads + 1):
            is_any = head == self.n_heads
            chance = 1 - (1 - 1 / n_facts) ** self.n_heads if is_any else 1 / n_facts
            for source, n in self.n.items():
                first = 1 if source == QUERY else (1 - len(n)) // 2
                found += [
                    place._asdict()
                    | {"head": None if is_any else head + 1, "source": source, "step": first + at, "n": int(n[at])}
                    | {"pointed": float(self.pointed[source][head, at] / n[at])}
                    | {"mass": None if is_any else float(self.mass[source][head, at] / n[at]), "chance": chance}
                    | {"avoided": float(self.avoided[head, at] / n[at]) if source == QUERY else None}
                    | {"mean_ablated": float(self.n_ablated[at] / n[at]) if is_any and source == QUERY else None}
                    for at in range(len(n))
                ]
        return found


def _and_any(hits: Mask) -> Mask:
    """Hits of each head, followed by hits of any head: (s, h, ...) to (s, h + 1, ...)."""
    both: Mask = np.concatenate([hits, hits.any(axis=1, keepdims=True)], axis=1)
    return both


def split_with(held_out: dict[str, HeldOut], hop: int) -> HeldOut:
    """The split to inspect: the test split, or the one with further hops.

    Raises:
        ConfigError: Neither has such a hop.
    """
    splits = [held_out[name] for name in (TEST, HOP_OOD) if name in held_out]
    for held in splits:
        if hop in held.law.family.hops:
            return held
    known = format_hops(tuple(sorted({hop for held in splits for hop in held.law.family.hops})))
    raise ConfigError(f"{splits[0].law.family.name}: the cell was tested at hops {known}, got {hop}")


def walk(
    model: Transformer, held: HeldOut, schema: Schema, *, encoding: str, hop: int, n_examples: int, example: int
) -> Walk:
    """Record a model on examples of one hop count in which every hop has a fact.

    Args:
        model: The model, in evaluation mode, on the CPU.
        held: The examples to choose from.
        schema: The schema of training.
        encoding: `fact` or `flat`.
        hop: Hop count of the examples.
        n_examples: Largest number of examples; the first ones of the split are taken.
        example: Number of the example to keep whole, from 0.

    Raises:
        ConfigError: There are fewer examples than `example`.
        UsageError: The attention has no maps.
    """
    tallies: list[_Tally] = []
    places: list[Place] = []
    kept: Example | None = None
    seen = n_right = 0

    def word(answer: Any) -> str:
        return held.law.symbol(schema.answer, int(answer))

    width = len(schema.fact) if encoding == "flat" else 1  # positions per fact
    for start in range(0, held.examples.n_graphs, _GRAPHS):
        part = held.examples.take(slice(start, start + _GRAPHS))
        rows = held.law.solve(part.facts, part.query).rows[..., :hop]
        asked = np.argwhere((part.hop == hop) & ((rows >= 0).sum(axis=2) == hop))[: n_examples - seen]
        if not len(asked):
            continue
        graph, query = asked.T  # s
        path = rows[graph, query]
        batch = to_batch(part, schema, encoding, torch.device("cpu"))
        passes = record(model, batch)
        with torch.no_grad():
            answer = model(batch).argmax(dim=-1)
        n_right += int((answer == batch.answer)[graph, query].sum())
        if not tallies:
            places = [one.place for one in passes]
            tallies = [_Tally(one.weights.shape[1], hop) for one in passes]
        maps = [_by_fact(one.weights.numpy(), part.facts.shape[1], width, batch.read_at[0].numpy()) for one in passes]
        for number, (tally, (from_query, from_facts)) in enumerate(zip(tallies, maps, strict=True)):
            tally.add(from_query[graph, :, query], from_facts[graph], path)
            for at in range(hop):
                fact = torch.full_like(batch.answer, -1)
                fact[graph, query] = torch.from_numpy(path[:, at]).to(fact.dtype)
                without = answers_without(model, batch, number=number, fact=fact, width=width)
                tally.n_ablated[at] += int((without == batch.answer)[graph, query].sum())
        if seen <= example < seen + len(asked):
            g, q = asked[example - seen]
            kept = Example(
                facts=part.facts[g],
                query=part.query[g, q],
                path=path[example - seen].tolist(),
                answer=word(part.answer[g, q]),
                answered=word(answer[g, q]),
                places=places,
                from_query=[from_query[g, :, q] for from_query, _ in maps],
                from_facts=[from_facts[g] for _, from_facts in maps],
            )
        seen += len(asked)
    if kept is None:
        raise ConfigError(f"there are {seen} examples of {hop} hops, numbered from 0; got {example}")
    n_facts = held.law.family.n_facts
    told = [row for tally, place in zip(tallies, places, strict=True) for row in tally.rows(place, n_facts)]
    return Walk(held.law, seen, n_right / seen, told, kept)


def attention_rows(law: Law, example: Example) -> list[Row]:
    """Every weight of one example, as rows of ATTENTION_COLUMNS."""
    hop_of = {fact: hop for hop, fact in enumerate(example.path, start=1)}
    words = [
        " ".join(law.symbol(role.vocabulary, int(s)) for role, s in zip(law.schema.fact, fact, strict=True))
        for fact in example.facts
    ]
    rows = []
    for place, from_query, from_facts in zip(example.places, example.from_query, example.from_facts, strict=True):
        for head in range(len(from_query)):
            lookers = [(QUERY, from_query[head]), *((str(i), from_facts[head, i]) for i in range(len(words)))]
            rows += [
                {**place._asdict(), "head": head + 1, "source": source, "fact": fact, "fact_name": words[fact]}
                | {"hop_of_fact": hop_of.get(fact), "weight": float(weights[fact])}
                for source, weights in lookers
                for fact in range(len(words))
            ]
    return rows


def _by_fact(
    weights: Float[np.ndarray, "b h n k"], n_facts: int, width: int, read_at: Int[np.ndarray, " q"]
) -> tuple[np.ndarray, np.ndarray]:
    """The attention of queries and facts to facts: (b, h, q, f) and (b, h, f, f).

    If a fact has several positions, the weights on them are summed, and the attention of the fact is that of its last
    position, which has seen the others.
    """
    to_facts = weights[..., : n_facts * width].reshape(*weights.shape[:3], n_facts, width).sum(axis=-1)
    last = width * np.arange(1, n_facts + 1) - 1
    return to_facts[:, :, read_at], to_facts[:, :, last]
