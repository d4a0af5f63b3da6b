"""group_word against permutations multiplied point by point; the groups against the axioms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator
from nexus_bench.generators.group_word import named_group
from nexus_bench.streams import integers, stream
from tests.solved import Facts, assert_hidden_facts_leave_the_ceiling, assert_right

SIZES = {"Z_2": 2, "Z_7": 7, "S_3": 6, "A_4": 12, "S_4": 24, "A_5": 60, "S_5": 120}


def task(**entry: object) -> Generator:
    return make_task({"task": "group_word", **entry}, where="test").generator()


@pytest.mark.parametrize("name", SIZES)
def test_groups_obey_the_axioms(name: str) -> None:
    group = named_group(name)
    n = SIZES[name]
    assert group.table.shape == (n, n) and len({tuple(row) for row in group.points.tolist()}) == n
    assert (group.table[0] == np.arange(n)).all() and (group.table[:, 0] == np.arange(n)).all()
    assert all(sorted(row) == list(range(n)) for row in group.table.tolist()), "every element has an inverse"
    a, b, c = integers(stream("triples"), 3, 200, high=n)
    assert (group.table[group.table[a, b], c] == group.table[a, group.table[b, c]]).all()
    assert group.is_abelian == name.startswith("Z")


def test_sums_are_marked_as_aggregation_and_products_as_depth() -> None:
    assert [task(group=name).reasoning for name in ("Z_7", "S_3", "A_5")] == ["aggregation", "depth", "depth"]


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["Z_5", "S_3", "A_4", "S_5"]),
    hops=st.sets(st.integers(1, 5), min_size=1).map(sorted),
    n_paths=st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_permutations_of_points(
    name: str, hops: list[int], n_paths: int, seed: int
) -> None:
    generator = task(group=name, hops=hops, n_paths=n_paths)
    words = [generator.symbol("element", i) for i in range(generator.schema.n_classes)]
    n = int(name[2:])

    def image(word: str, point: int) -> int:
        return (point + int(word)) % n if name.startswith("Z") else int(word[point]) - 1

    def slow(facts: Facts, query: tuple[int, ...]) -> tuple[int, list[int]]:
        ways = {src: (dst, element, row) for row, (src, dst, element) in enumerate(facts)}
        node, rows, points = query[0], [], list(range(n))
        for _ in range(query[1]):
            node, element, row = ways[node]
            points = [image(words[element], point) for point in points]
            rows.append(row)
        product = str(points[0]) if name.startswith("Z") else "".join(str(point + 1) for point in points)
        return words.index(product), rows

    assert_right(generator, generator.sample(4, stream("hypothesis", seed)), slow)


@pytest.mark.parametrize("name", ["Z_4", "S_3", "A_4"])
def test_every_product_is_as_likely_at_every_hop(name: str) -> None:
    generator = task(group=name, hops=[1, 3])
    examples = generator.sample(10_000, stream("balance"))
    for hop in (1, 3):
        counts = np.bincount(examples.answer[examples.hop == hop], minlength=SIZES.get(name, 4))
        assert counts / counts.mean() == pytest.approx(np.ones(len(counts)), abs=0.15)


def test_hiding_any_element_leaves_the_group() -> None:
    assert task(hops=[3]).partial_input(3) < 1 / 6 + 0.02
    assert_hidden_facts_leave_the_ceiling(task(hops=[3]), 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"group": "S_9"}, "group must be Z_2 to Z_100, S_3, S_4, S_5, A_4 or A_5, got 'S_9'"),
        ({"group": "Z_1"}, "group must be Z_2 to Z_100"),
        ({"n_queries": 5}, "n_queries must be at most 4, as many as a graph can have, got 5"),
        ({"hops": [51]}, r"hops must be in 1\.\.50, got 51; ask for fewer hops"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
