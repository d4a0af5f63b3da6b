"""Where the attention of a trained cell points: along the true path, hop by hop, or elsewhere.

Axis letters: b graphs, h heads, n positions, k keys, f facts, s selected examples, p facts of a path.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from nexus_bench.config import format_hops
from nexus_bench.data.splits import TEST, HeldOut
from nexus_bench.errors import ConfigError
from nexus_bench.evaluate import to_batch
from nexus_bench.generators.base import Examples, Generator, Schema
from nexus_bench.inspection.recording import Place, record
from nexus_bench.model import Transformer
from nexus_bench.results import Row
from nexus_bench.task import HOP_OOD

_GRAPHS = 32  # at a time: every map is kept
QUERY, FACT = "query", "fact"


class Example(NamedTuple):
    """One example, and what its attention does.

    Attributes:
        facts: Array (f, roles) of symbol ids.
        query: Array (roles).
        path: Rows of the facts that derive the answer, in the order of the reasoning.
        places: The passes.
        from_query: For each pass, what the query gives to each fact: (h, f).
        from_facts: For each pass, what each fact gives to each fact: (h, f, f), rows looking.
    """

    facts: np.ndarray
    query: np.ndarray
    path: list[int]
    places: list[Place]
    from_query: list[np.ndarray]
    from_facts: list[np.ndarray]


class Walk(NamedTuple):
    """Where attention points over many examples, and in one of them.

    Attributes:
        law: What the examples were drawn by.
        n_examples: How many there were.
        rows: Of WALK_COLUMNS.
        example: One of them.
    """

    law: Generator[Any]
    n_examples: int
    rows: list[Row]
    example: Example


class _Tally:
    """Of one pass: how often, and with how much weight, heads point at hops, and path facts at other path facts."""

    def __init__(self, n_heads: int, hop: int) -> None:
        self.n_query = 0
        self.query = np.zeros((2, n_heads, hop))  # share and mass, by hop
        self.n_fact = np.zeros(2 * hop - 1, dtype=int)
        self.fact = np.zeros((2, n_heads, 2 * hop - 1))  # by step, from hop - 1 backwards to hop - 1 forwards

    def add(self, from_query: Float[np.ndarray, "s h f"], from_facts: Float[np.ndarray, "s h f f"], path: Any) -> None:
        """Count some examples.

        Args:
            from_query: What each query gives to each fact.
            from_facts: What each fact of its graph gives to each.
            path: Array (s, p) of the facts of each path.
        """
        hop = path.shape[1]
        self.n_query += len(path)
        strongest = from_query.argmax(axis=2)  # s h
        self.query[0] += (strongest[:, :, None] == path[:, None]).sum(axis=0)
        self.query[1] += np.take_along_axis(from_query, path[:, None], axis=2).sum(axis=0)
        looking = np.take_along_axis(from_facts, path[:, None, :, None], axis=2)  # s h p f
        strongest = looking.argmax(axis=3)  # s h p
        mass = np.take_along_axis(looking, path[:, None, None], axis=3)  # s h p p
        for step in range(1 - hop, hop):
            at = slice(max(-step, 0), hop - max(step, 0))  # path facts that have one so far along
            there = slice(at.start + step, at.stop + step)
            self.n_fact[step + hop - 1] += len(path) * (hop - abs(step))
            self.fact[0, :, step + hop - 1] += (strongest[:, :, at] == path[:, None, there]).sum(axis=(0, 2))
            self.fact[1, :, step + hop - 1] += mass.diagonal(step, 2, 3).sum(axis=(0, 2))

    def rows(self, place: Place, n_facts: int) -> list[Row]:
        """As rows of WALK_COLUMNS."""
        n_heads, hop = self.query.shape[1:]
        steps = np.arange(1 - hop, hop)
        found = []
        for head in range(n_heads):
            common = {**place._asdict(), "head": head + 1, "chance": 1 / n_facts}
            for source, names, counts, n in (
                (QUERY, np.arange(1, hop + 1), self.query, np.full(hop, self.n_query)),
                (FACT, steps, self.fact, self.n_fact),
            ):
                found += [
                    common
                    | {"source": source, "step": int(step), "n": int(n[i])}
                    | {"pointed": float(counts[0, head, i] / n[i]), "mass": float(counts[1, head, i] / n[i])}
                    for i, step in enumerate(names)
                ]
        return found


def split_with(held_out: dict[str, HeldOut], hop: int) -> HeldOut:
    """The split to look at: the test split, or the one of further hops.

    Raises:
        ConfigError: Neither has such a hop.
    """
    splits = [held_out[name] for name in (TEST, HOP_OOD) if name in held_out]
    for held in splits:
        if hop in held.generator.hops:
            return held
    known = format_hops(tuple(sorted({hop for held in splits for hop in held.generator.hops})))
    raise ConfigError(f"{splits[0].generator.name}: the cell was tested at hops {known}, got {hop}")


def walk(
    model: Transformer, held: HeldOut, schema: Schema, *, encoding: str, hop: int, n_examples: int, example: int
) -> Walk:
    """Watch a model on examples of one hop count.

    Args:
        model: In evaluation mode, on the CPU.
        held: The examples to choose from.
        schema: Of training, which the weights know.
        encoding: `fact` or `flat`.
        hop: Hop count of the examples.
        n_examples: How many, at most; the first ones of the split.
        example: Which of them to keep whole, from 0.

    Raises:
        ConfigError: There are fewer examples than `example`.
        UsageError: The attention has no maps.
    """
    chosen = np.argwhere(held.examples.hop == hop)[:n_examples]  # s (graph, query)
    if example >= len(chosen):
        raise ConfigError(f"there are {len(chosen)} examples of {hop} hops, numbered from 0; got {example}")
    tallies: list[_Tally] = []
    places: list[Place] = []
    kept: Example | None = None
    seen = 0
    for start in range(0, held.examples.n_graphs, _GRAPHS):
        here = chosen[(chosen[:, 0] >= start) & (chosen[:, 0] < start + _GRAPHS)] - [start, 0]
        if not len(here):
            continue
        part = held.examples.take(slice(start, start + _GRAPHS))
        path = held.generator.solve(part.facts, part.query).rows[here[:, 0], here[:, 1], :hop]
        batch = to_batch(part, schema, encoding, torch.device("cpu"))
        passes = record(model, batch)
        if not tallies:
            places = [one.place for one in passes]
            tallies = [_Tally(one.weights.shape[1], hop) for one in passes]
        maps = [_by_fact(one.weights.numpy(), part, encoding, batch.read_at.numpy()) for one in passes]
        for tally, (from_query, from_facts) in zip(tallies, maps, strict=True):
            tally.add(from_query[here[:, 0], :, here[:, 1]], from_facts[here[:, 0]], path)
        if seen <= example < seen + len(here):
            graph, query = here[example - seen]
            kept = Example(
                facts=part.facts[graph],
                query=part.query[graph, query],
                path=path[example - seen].tolist(),
                places=places,
                from_query=[from_query[graph, :, query] for from_query, _ in maps],
                from_facts=[from_facts[graph] for _, from_facts in maps],
            )
        seen += len(here)
    assert kept is not None
    n_facts = held.generator.n_facts
    rows = [row for tally, place in zip(tallies, places, strict=True) for row in tally.rows(place, n_facts)]
    return Walk(held.generator, seen, rows, kept)


def attention_rows(law: Generator[Any], example: Example) -> list[Row]:
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
    weights: Float[np.ndarray, "b h n k"], examples: Examples, encoding: str, read_at: Int[np.ndarray, " q"]
) -> tuple[np.ndarray, np.ndarray]:
    """What queries and facts give to facts: (b, h, q, f) and (b, h, f, f).

    Where a fact is several tokens, what they get is summed, and its last token, which has seen the others, is the one
    that looks.
    """
    n_facts, arity = examples.facts.shape[1:]
    width = arity if encoding == "flat" else 1
    to_facts = weights[..., : n_facts * width].reshape(*weights.shape[:3], n_facts, width).sum(axis=-1)
    last = width * np.arange(1, n_facts + 1) - 1
    return to_facts[:, :, read_at], to_facts[:, :, last]
