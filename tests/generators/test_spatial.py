"""spatial against objects placed one after another, and networkx distances."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator
from nexus_bench.streams import stream
from tests.solved import Facts, assert_hidden_facts_leave_the_ceiling, assert_right

EAST = {"west": -1, "east": 1}
NORTH = {"south": -1, "north": 1}


def task(**entry: object) -> Generator:
    return make_task({"task": "spatial", **entry}, where="test").generator()


@settings(max_examples=40, deadline=None)
@given(
    hops=st.sets(st.integers(1, 6), min_size=1).map(sorted),
    side=st.integers(3, 7),
    spare=st.integers(0, 4),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_placed_objects(hops: list[int], side: int, spare: int, seed: int) -> None:
    generator = task(hops=hops, side=side, n_objects=max(hops) + 1 + spare)

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

    examples = generator.sample(4, stream("hypothesis", seed))
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
    assert generator.partial_input(4) < 1 / 9 + 0.02
    assert_hidden_facts_leave_the_ceiling(generator, 4)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"n_objects": 3, "hops": [3]}, r"hops must be in 1\.\.2, got 3; raise n_objects to 4"),
        ({"side": 2}, "side: input should be greater than or equal to 3, got 2"),
        ({"n_queries": 13}, "n_queries must be at most 12, as many as a graph can have, got 13"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
