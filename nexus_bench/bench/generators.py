"""Speed of generators: one process, one core, with the check against reserved worlds, without writing to disk."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from nexus_bench.data.splits import BLOCK_GRAPHS, Splits
from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Generator
from nexus_bench.generators.parts.sequences import refuse_sequences
from nexus_bench.streams import stream
from nexus_bench.text.lines import told_as_text
from nexus_bench.text.render import Teller, TextOptions

_SEED = 0
_WINDOWS = 5  # the fastest counts, since other work on the machine only ever slows one down


class Rate(NamedTuple):
    """The speed of one family at one hop.

    Attributes:
        task: The family.
        hop: Hop count of every example.
        n_facts: Facts per graph.
        graphs_per_second: Graphs per second with one query per graph; these are also examples per second.
        n_queries: Queries per graph by default.
        examples_per_second: Examples per second with that many queries per graph.
        texts_per_second: Lines of `--format text` per second, from drawn examples with one query per graph.
    """

    task: str
    hop: int
    n_facts: int
    graphs_per_second: float
    n_queries: int
    examples_per_second: float
    texts_per_second: float


def bench_generators(
    tasks: tuple[str, ...], hops: tuple[int, ...], *, seconds: float, on_rate: Callable[[Rate], None]
) -> list[Rate]:
    """Time every family at every hop; one that can have none of them, at the largest of its defaults.

    Args:
        tasks: Names of families.
        hops: Hop counts, each timed by itself.
        seconds: How long to time each.
        on_rate: Called with each result.

    Raises:
        ConfigError: A name is unknown, or it is a task of sequences.
    """
    rates: list[Rate] = []
    timed = {name: _hops_of(name, hops) for name in tasks}
    with _one_core():
        for name in tasks:
            for hop in timed[name]:
                rates.append(_rate(name, hop, seconds))
                on_rate(rates[-1])
    return rates


def _hops_of(name: str, hops: tuple[int, ...]) -> tuple[int, ...]:
    """Those that the family can have, or else the largest of its defaults."""
    refuse_sequences(make_task({"task": name}, where="bench").generator(), "timings")
    able = []
    for hop in hops:
        with suppress(ConfigError):
            entry_for_hops(name, (hop,))
            able.append(hop)
    return tuple(able) or (max(make_task({"task": name}, where="bench").hops),)


def _rate(name: str, hop: int, seconds: float) -> Rate:
    sizes = entry_for_hops(name, (hop,))
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


def _texts_per_second(law: Generator[Any], seconds: float) -> float:
    teller = Teller(law, TextOptions())
    examples = law.sample(BLOCK_GRAPHS, stream("bench text"))
    n_lines, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds or not n_lines:
        n_lines += sum(1 for told in teller.tell(examples) if told_as_text(told))
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
