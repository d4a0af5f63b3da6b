"""group_word against permutations multiplied point by point; the groups against the axioms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.generators.group_word import GroupWord
from nexus_bench.generators.parts.groups import named_group
from nexus_bench.generators.parts.patterns import HELD_OUT, TRAINED, is_among
from nexus_bench.shortcuts.promises import needs_each_fact
from nexus_bench.streams import integers, permutations, stream
from tests.solved import Facts, assert_right, shares_with

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
    n_sets=st.integers(2, 3),
    seed=st.integers(0, 10_000),
)
def test_labels_hops_and_solver_agree_with_permutations_of_points(
    name: str, hops: list[int], n_sets: int, seed: int
) -> None:
    generator = task(group=name, hops=hops, n_sets=n_sets)
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

    assert_right(generator, generator.sample(2, stream("hypothesis", seed)), slow)


@pytest.mark.parametrize("name", ["Z_4", "S_3", "A_4"])
def test_every_product_is_as_likely_at_every_hop(name: str) -> None:
    generator = task(group=name, hops=[1, 3])
    examples = generator.sample(10_000, stream("balance"))
    for hop in (1, 3):
        counts = np.bincount(examples.answer[examples.hop == hop], minlength=SIZES.get(name, 4))
        assert counts / counts.mean() == pytest.approx(np.ones(len(counts)), abs=0.15)


def test_hiding_any_element_leaves_the_group() -> None:
    assert task(hops=[3]).chance(3) == task(hops=[3]).partial_input(3) == 1 / 6
    needs_each_fact(task(hops=[3]), 3)


@pytest.mark.parametrize("pattern_ood", [False, True])
def test_every_element_occurs_equally_often_in_every_graph(pattern_ood: bool) -> None:
    spec = make_task({"task": "group_word", "hops": [2, 3], "n_sets": 3, "pattern_ood": pattern_ood}, where="test")
    for law in spec.laws().values():
        elements = law.sample(300, stream("bag")).facts[:, :, 2]
        assert ((elements[:, :, None] == np.arange(6)).sum(axis=1) == 9).all()


def test_counts_of_the_other_facts_say_nothing_of_a_hidden_element() -> None:
    """A reader that knows k - 1 facts of the path guesses the commonest element of all others."""
    generator = task(hops=[3], n_queries=1)
    examples = generator.sample(20_000, stream("counts"))
    elements = examples.facts[:, :, 2]
    rows = generator.solve(examples.facts, examples.query).rows[:, 0]
    word = np.take_along_axis(elements, rows, axis=1)
    counts = (elements[:, :, None] == np.arange(6)).sum(axis=1)
    counts -= (word[:, :2, None] == np.arange(6)).sum(axis=1)
    guess = (counts * 6 + permutations(stream("ties"), len(counts), 6)).argmax(axis=1)
    assert (guess == word[:, 2]).mean() < 1 / 6 + 4 * np.sqrt(5 / 36 / len(counts))


def around_the_cycle(generator: Generator, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and elements of every graph in the order of its cycle, from the start of the first query: arrays (g, n)."""
    ways = [{src: (dst, element) for src, dst, element in facts} for facts in examples.facts.tolist()]
    at, nodes, elements = examples.query[:, 0, 0].tolist(), [], []
    for _ in range(generator.n_facts):
        nodes.append(at)
        at, element = zip(*(way[node] for way, node in zip(ways, at, strict=True)), strict=True)
        elements.append(element)
    return np.array(nodes).T, np.array(elements).T


@pytest.mark.parametrize("name", ["Z_2", "S_3"])
def test_facts_within_reach_of_a_path_say_nothing_of_its_elements(name: str) -> None:
    """Not even the fact that leads to the start: with one set it would share its place with the last of the path."""
    generator = task(group=name, hops=[2], n_queries=1)
    _, elements = around_the_cycle(generator, generator.sample(4000, stream("reach")))
    for place in (0, 1):
        for other in (-2, -1, 2, 3):
            here, there = (np.full(len(elements), at) for at in (place, other))
            assert shares_with(elements, here, there) == pytest.approx(1 / SIZES[name], abs=0.03)


def test_queries_have_stretches_of_their_own_in_any_order() -> None:
    generator = task(hops=[2])
    examples = generator.sample(1000, stream("where"))
    nodes, _ = around_the_cycle(generator, examples)
    at = (nodes[:, None, :] == examples.query[:, :, :1]).argmax(axis=2)  # g q
    assert (np.sort(at, axis=1) == 2 * np.arange(12)).all()
    ahead = np.bincount((np.diff(at, axis=1) % 24).ravel() // 2, minlength=12)[1:]
    assert ahead / ahead.sum() == pytest.approx(np.full(11, 1 / 11), abs=0.015)


@pytest.mark.parametrize("split", ["iid", "pattern_ood"])
def test_with_held_out_patterns_any_stretch_of_a_set_is_asked_about_and_the_law_of_its_word_is_the_ceiling(
    split: str,
) -> None:
    spec = make_task({"task": "group_word", "hops": [2], "n_sets": 2, "pattern_ood": True}, where="test")
    generator = spec.laws()[split].family
    assert generator.n_queries == generator.most_queries == 2
    examples = generator.sample(20_000, stream("patterns"))
    rows = generator.solve(examples.facts, examples.query).rows[:, 0]
    word = np.take_along_axis(examples.facts[:, :, 2], rows, axis=1)
    seen = np.zeros((6, 6))
    np.add.at(seen, tuple(word.T), 1 / len(word))
    assert seen[seen > 0] == pytest.approx(np.full((seen > 0).sum(), 1 / (seen > 0).sum()), abs=0.01)
    best = max(seen.max(axis=0).sum(), seen.max(axis=1).sum())
    assert best == pytest.approx(generator.partial_input(2), abs=0.02)
    nodes, _ = around_the_cycle(generator, examples.take(slice(2000)))
    second = (nodes == examples.query[:2000, 1, :1]).argmax(axis=1)
    ahead = np.bincount(second // 2, minlength=12)
    assert not ahead[::2].any(), "the other set"
    assert ahead[1::2] / 2000 == pytest.approx(np.full(6, 1 / 6), abs=0.04)


@pytest.mark.parametrize(("group", "hop"), [("S_5", 3), ("S_3", 8)])
@pytest.mark.parametrize("kind", [TRAINED, HELD_OUT])
def test_ceilings_hold_where_there_are_too_many_words_to_declare_their_exact_shares(
    group: str, hop: int, kind: str
) -> None:
    """Against all words, one by one; some product always has more of the words in use than the average."""
    generator = GroupWord(task(group=group, hops=[hop]).params, (hop,), patterns=kind)
    table, n = named_group(group).table, SIZES[group]
    words = np.stack(np.unravel_index(np.arange(n**hop), (n,) * hop), axis=1).astype(np.int32)
    words = words[is_among(kind, words, np.full(len(words), hop))]
    product = words[:, 0]
    for place in range(1, hop):
        product = table[product, words[:, place]]
    blind = np.bincount(product).max() / len(words)
    assert 1 / n < blind < generator.chance(hop) < 1.1 * blind
    hidden = max(len(np.unique(np.delete(words, at, axis=1) @ n ** np.arange(hop - 1))) for at in range(hop))
    assert hidden / len(words) < generator.partial_input(hop) < 1.1 * hidden / len(words)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"group": "S_9"}, "group must be Z_2 to Z_100, S_3, S_4, S_5, A_4 or A_5, got 'S_9'"),
        ({"group": "Z_1"}, "group must be Z_2 to Z_100"),
        ({"n_queries": 13}, "n_queries must be at most 12, as many as a graph can have, got 13"),
        ({"n_sets": 1}, "n_sets: input should be greater than or equal to 2, got 1"),
        ({"n_queries": 3, "hops": [2], "pattern_ood": True}, "n_queries must be at most 2, as many"),
        ({"group": "S_5", "hops": [42]}, r"hops must be in 1\.\.41, got 42; ask for fewer hops"),
        ({"hops": [51]}, r"hops must be in 1\.\.50, got 51; ask for fewer hops"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
