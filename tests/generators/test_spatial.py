"""spatial against objects placed one after another, and networkx distances."""

import itertools
from collections import Counter

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator
from nexus_bench.shortcuts.promises import needs_each_fact
from nexus_bench.streams import permutations, stream
from tests.solved import Facts, assert_right, shares_with

EAST = {"west": -1, "east": 1}
NORTH = {"south": -1, "north": 1}


def task(**entry: object) -> Generator:
    return make_task({"task": "spatial", **entry}, where="test").generator()


@settings(max_examples=40, deadline=None)
@given(
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    side=st.integers(3, 7),
    n_sets=st.integers(2, 3),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_placed_objects(hops: list[int], side: int, n_sets: int, seed: int) -> None:
    generator = task(hops=hops, side=side, n_sets=n_sets)

    def moved(unit: int) -> tuple[int, int]:
        word = generator.symbol("unit", unit)
        return sum(v for k, v in EAST.items() if k in word), sum(v for k, v in NORTH.items() if k in word)

    def slow(facts: Facts, query: tuple[int, ...]) -> tuple[int, list[int]]:
        graph = nx.Graph()
        for row, (a, b, _) in enumerate(facts):
            graph.add_edge(a, b, row=row)
        places = {facts[0][0]: (0, 0)}
        while len(places) < len(graph):
            for a, b, unit in facts:
                east, north = moved(unit)
                if a in places and b not in places:
                    places[b] = (places[a][0] + east, places[a][1] + north)
                elif b in places and a not in places:
                    places[a] = (places[b][0] - east, places[b][1] - north)
        start, goal = (places[node] for node in query)
        path = nx.shortest_path(graph, *query)
        rows = [graph.edges[edge]["row"] for edge in nx.utils.pairwise(path)]
        east, north = (goal[0] - start[0]) % side, (goal[1] - start[1]) % side
        words = [generator.symbol("displacement", i) for i in range(side * side)]
        return words.index(f"{east} east {north} north"), rows

    examples = generator.sample(2, stream("hypothesis", seed))
    assert_right(generator, examples, slow)
    assert all(len({tuple(query) for query in queries.tolist()}) == generator.n_queries for queries in examples.query)


def test_answers_are_uniform_on_a_torus_of_three() -> None:
    examples = task(hops=[1, 2, 3]).sample(8000, stream("balance"))
    for hop in (1, 2, 3):
        counts = np.bincount(examples.answer[examples.hop == hop], minlength=9)
        assert counts / counts.mean() == pytest.approx(np.ones(9), abs=0.12)


def test_facts_are_told_from_either_side() -> None:
    units = task(hops=[2], n_queries=1).sample(3000, stream("units")).facts[:, :, 2]
    assert np.bincount(units.ravel()) / units.size == pytest.approx(np.full(9, 1 / 9), abs=0.01)


def test_hiding_any_unit_leaves_one_in_nine() -> None:
    generator = task(hops=[4])
    assert generator.partial_input(4) == 1 / 9
    needs_each_fact(generator, 4)


@pytest.mark.parametrize("side", [3, 4, 5, 8])
def test_chance_is_the_likeliest_of_all_sums_of_units(side: int) -> None:
    units = list(itertools.product((-1, 0, 1), repeat=2))
    for hop in (1, 2, 3):
        words = itertools.product(units, repeat=hop)
        sums = Counter(tuple(sum(axis) % side for axis in zip(*word, strict=True)) for word in words)
        assert task(hops=[hop], side=side).chance(hop) == max(sums.values()) / 9**hop


def along_the_path(facts: Facts) -> tuple[list[int], list[int]]:
    """The objects from one end to the other, and the unit of each step, read in that direction."""
    beside: dict[int, list[tuple[int, int]]] = {}
    for a, b, unit in facts:
        beside.setdefault(a, []).append((b, unit))
        beside.setdefault(b, []).append((a, 8 - unit))
    at = next(thing for thing, ways in beside.items() if len(ways) == 1)
    objects, units = [at], list[int]()
    while len(objects) < len(beside):
        at, unit = next(way for way in beside[at] if way[0] not in objects[-2:])
        objects.append(at)
        units.append(unit)
    return objects, units


@pytest.fixture(scope="module")
def paths() -> tuple[np.ndarray, np.ndarray]:
    """Units along the paths of many graphs of stretches of two (g, f), and where the query begins (g)."""
    examples = task(hops=[2], n_queries=1).sample(4000, stream("paths"))
    units, begins = [], []
    for facts, (query,) in zip(examples.facts.tolist(), examples.query.tolist(), strict=True):
        objects, along = along_the_path(facts)
        units.append(along)
        begins.append(min(objects.index(thing) for thing in query))
    return np.array(units), np.array(begins)


def test_every_unit_is_told_equally_often_on_the_stretches_of_every_graph() -> None:
    generator = task(hops=[1, 3], n_sets=3)
    told = generator.sample(400, stream("bag")).facts[:, :, 2]
    counts = (told[:, :, None] == np.arange(9)).sum(axis=1)
    assert told.shape[1] == 9 * 9 + 6 and (counts >= 9).all(), "the six spare facts have any unit"


def test_counts_of_the_other_facts_say_nothing_of_a_hidden_unit() -> None:
    """A reader that knows k - 1 facts of the path guesses the commonest unit of all others, each read both ways."""
    generator = task(hops=[2], n_queries=1)
    examples = generator.sample(20_000, stream("counts"))
    told = examples.facts[:, :, 2]
    rows = generator.solve(examples.facts, examples.query).rows[:, 0]
    hidden, known = np.take_along_axis(told, rows, axis=1).T
    counts = (told[:, :, None] == np.arange(9)).sum(axis=1) - (known[:, None] == np.arange(9))
    counts += counts[:, ::-1]
    guess = (counts * 9 + permutations(stream("ties"), len(counts), 9)).argmax(axis=1)
    assert (guess == hidden).mean() < 1 / 9 + 4 * np.sqrt(8 / 81 / len(counts))


def test_facts_within_reach_of_a_path_say_nothing_of_its_units(paths: tuple[np.ndarray, np.ndarray]) -> None:
    units, begins = paths
    for place in (0, 1):
        for other in (-2, -1, 2, 3):
            assert shares_with(units, begins + place, begins + other) == pytest.approx(1 / 9, abs=0.02)


def test_facts_near_an_end_of_the_path_say_nothing_of_any_other(paths: tuple[np.ndarray, np.ndarray]) -> None:
    units, _ = paths
    n_facts = units.shape[1]
    for end in (0, 1, n_facts - 2, n_facts - 1):
        for other in set(range(n_facts)) - {end}:
            assert shares_with(units, np.full(len(units), end), np.full(len(units), other)) > 0.085


def test_queries_have_stretches_of_their_own_and_lie_anywhere_on_them_in_any_order() -> None:
    examples = task(hops=[1, 2], side=5).sample(300, stream("where"))
    are_alike, are_neighbours = [], []
    for facts, queries, hops in zip(examples.facts.tolist(), examples.query.tolist(), examples.hop, strict=True):
        objects, _ = along_the_path(facts)
        begins = np.array([min(objects.index(thing) for thing in query) for query in queries])
        assert sorted(begins // 2) == list(range(1, 19))
        offsets = begins[hops == 1] % 2
        are_alike += (offsets[1:] == offsets[:-1]).tolist()
        are_neighbours += (np.abs(np.diff(begins // 2)) == 1).tolist()
    assert np.mean(are_alike) == pytest.approx(0.5, abs=0.05)
    assert np.mean(are_neighbours) == pytest.approx(1 / 9, abs=0.03)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"n_sets": 1}, "n_sets: input should be greater than or equal to 2, got 1"),
        ({"hops": [51]}, r"hops must be in 1\.\.50, got 51; ask for fewer hops"),
        ({"n_sets": 100, "hops": [12]}, r"hops must be in 1\.\.11, got 12; ask for fewer hops"),
        ({"side": 2}, "side: input should be greater than or equal to 3, got 2"),
        ({"n_queries": 19}, "n_queries must be at most 18, as many as a graph can have, got 19"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
