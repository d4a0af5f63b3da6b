"""Speed of generators: one process, one core, with the check against reserved worlds, without writing to disk."""

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from nexus_bench.data.splits import BLOCK_GRAPHS, Splits
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Generator
from nexus_bench.streams import stream
from nexus_bench.text.lines import text_line
from nexus_bench.text.render import TextOptions, TextRenderer

DEFAULT_HOPS = (3, 6)
_SEED = 0
_WINDOWS = 5  # the fastest counts, since other work on the machine only ever slows one down


class Rate(NamedTuple):
    """The speed of one family at one hop.

    Attributes:
        task: The family.
        hop: Hop count of every example.
        n_facts: Facts per graph.
        graphs_per_second: Graphs per second with one query per graph; these are also examples per second. Of sequences:
            sequences per second.
        n_queries: Queries per graph by default; of sequences the places.
        examples_per_second: Examples per second with that many queries per graph; of sequences the labels per second.
        texts_per_second: Lines of `--format text` per second, from drawn examples with one query per graph; 0 of
            sequences, which have none.
    """

    task: str
    hop: int
    n_facts: int
    graphs_per_second: float
    n_queries: int
    examples_per_second: float
    texts_per_second: float


def hops_to_time(tasks: tuple[str, ...], hops: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
    """The hop counts of each family: those asked that it can have, or else the largest of its defaults.

    Args:
        tasks: Names of families.
        hops: Hop counts; None for DEFAULT_HOPS.

    Raises:
        ConfigError: A name is unknown, or no family can have a hop that is asked for.
    """
    asked = hops or DEFAULT_HOPS
    refused: dict[int, list[ConfigError]] = {hop: [] for hop in asked}
    timed = {}
    for name in tasks:
        defaults = make_task({"task": name}, where="bench")
        able = []
        for hop in asked:
            try:
                entry_for_hops(name, (hop,))
                able.append(hop)
            except ConfigError as error:
                refused[hop].append(error)
        timed[name] = tuple(able) or (max(defaults.hops),)
    for errors in refused.values():
        if hops is not None and errors and len(errors) == len(tasks):
            raise errors[0]
    return timed


def bench_generators(
    timed: Mapping[str, tuple[int, ...]], *, seconds: float, on_rate: Callable[[Rate], None]
) -> list[Rate]:
    """Time every family at its hops.

    Args:
        timed: Name of a family -> hop counts, each timed by itself.
        seconds: How long to time each.
        on_rate: Called with each result.
    """
    rates: list[Rate] = []
    with _one_core():
        for name, hops in timed.items():
            for hop in hops:
                rates.append(_rate(name, hop, seconds))
                on_rate(rates[-1])
    return rates


def _rate(name: str, hop: int, seconds: float) -> Rate:
    sizes = entry_for_hops(name, (hop,))
    usual = make_task(sizes, where="bench")
    if usual.law().schema.is_sequence:
        return _rate_of_sequences(name, hop, usual, seconds)
    single, several = (make_task(sizes | extra, where="bench") for extra in ({"n_queries": 1}, {}))
    speeds = []
    for spec in (single, several):
        splits = Splits(spec.laws(), seed=_SEED, n_val=spec.n_val, n_test=spec.n_test)
        splits.train(0, BLOCK_GRAPHS)
        blocks = itertools.count(1)
        speeds.append(max(_graphs_per_second(splits, blocks, seconds / _WINDOWS) for _ in range(_WINDOWS)))
    generator = several.generator()
    texts = max(_texts_per_second(single.generator(), seconds / _WINDOWS) for _ in range(_WINDOWS))
    return Rate(name, hop, generator.n_facts, speeds[0], generator.n_queries, speeds[1] * generator.n_queries, texts)


def _rate_of_sequences(name: str, hop: int, spec: TaskSpec, seconds: float) -> Rate:
    splits = Splits(spec.laws(), seed=_SEED, n_val=spec.n_val, n_test=spec.n_test)
    first, n_places = splits.train(0, BLOCK_GRAPHS), spec.generator().n_queries
    blocks = itertools.count(1)
    speed = max(_graphs_per_second(splits, blocks, seconds / _WINDOWS) for _ in range(_WINDOWS))
    return Rate(name, hop, n_places, speed, n_places, speed * float((first.hop > 0).mean()) * n_places, 0.0)


def _texts_per_second(family: Generator[Any], seconds: float) -> float:
    renderer = TextRenderer(family, TextOptions())
    examples = family.sample(BLOCK_GRAPHS, stream("bench text"))
    n_lines, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds or not n_lines:
        n_lines += sum(1 for told in renderer.render(examples) if text_line(told))
    return n_lines / spent


def _graphs_per_second(splits: Splits, blocks: Iterator[int], seconds: float) -> float:
    n_graphs, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds or not n_graphs:
        start = next(blocks) * BLOCK_GRAPHS
        splits.train(start, start + BLOCK_GRAPHS)
        n_graphs += BLOCK_GRAPHS
    return n_graphs / spent


def entry_for_hops(name: str, hops: tuple[int, ...]) -> dict[str, object]:
    """A task entry with the defaults of the family; if these are too small for the hops, `sized_by` is three per hop.

    Raises:
        ConfigError: The family does not support the hops.
    """
    entry: dict[str, object] = {"task": name, "hops": list(hops)}
    try:
        make_task(entry, where="bench")
    except ConfigError as too_small:
        size = GENERATORS.get(name).sized_by
        if size is None:
            raise
        entry[size] = 3 * max(hops)
        try:
            make_task(entry, where="bench")
        except ConfigError:
            raise too_small from None
    return entry


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep the process on one core, if the system supports it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
