"""kinship, and its composition table, against family trees built and named another way."""

import itertools
from collections import defaultdict

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator
from nexus_bench.generators.parts.family_trees import RELATIONS, composition_table
from nexus_bench.streams import stream
from tests.solved import Facts, assert_hidden_facts_leave_the_ceiling, assert_right

SEXED = {"parent": ("father", "mother"), "child": ("son", "daughter"), "sibling": ("brother", "sister")}
SEXED |= {"spouse": ("husband", "wife"), "uncle": ("uncle", "aunt"), "nephew": ("nephew", "niece")}


def task(**entry: object) -> Generator:
    return make_task({"task": "kinship", **entry}, where="test").generator()


class Tree:
    """Everyone is born to a couple and marries a founder, whose own parents are a couple without other children."""

    def __init__(self, *, n_generations: int, n_children: int) -> None:
        self.male: list[bool] = []
        self.parents: dict[int, tuple[int, int]] = {}
        self.spouse: dict[int, int] = {}
        self.children: dict[int, list[int]] = defaultdict(list)
        newest = [self._couple()]
        for generation in range(n_generations):
            born = [self._born(couple, i % 2 == 0) for couple in newest for i in range(n_children)]
            newest = [self._marry(child) for child in born[: 2 * n_children]]
            if generation == n_generations // 2:
                self.middle = newest[0]
        self.ties = nx.DiGraph()
        for child, couple in self.parents.items():
            for parent in couple:
                self.ties.add_edge(child, parent, step="u")
                self.ties.add_edge(parent, child, step="d")
        self.ties.add_edges_from(self.spouse.items(), step="m")

    def _person(self, is_male: bool) -> int:
        self.male.append(is_male)
        return len(self.male) - 1

    def _couple(self) -> tuple[int, int]:
        couple = self._person(True), self._person(False)
        self.spouse |= {couple[0]: couple[1], couple[1]: couple[0]}
        return couple

    def _born(self, couple: tuple[int, int], is_male: bool) -> int:
        child = self._person(is_male)
        self.parents[child] = couple
        for parent in couple:
            self.children[parent].append(child)
        return child

    def _marry(self, child: int) -> tuple[int, int]:
        founders = self._couple()
        other = next(self._born(founders, is_male) for is_male in (not self.male[child], True, False))
        self.spouse |= {child: other, other: child}
        return (child, other) if self.male[child] else (other, child)

    def steps(self, person: int) -> list[tuple[str, int]]:
        near = [("parent", p) for p in self.parents.get(person, ())]
        near += [("child", c) for c in self.children[person]]
        near += [("sibling", s) for p in self.parents.get(person, ())[:1] for s in self.children[p] if s != person]
        near += [("spouse", self.spouse[person])] if person in self.spouse else []
        return [(SEXED[kind][0 if self.male[other] else 1], other) for kind, other in near]

    def term(self, person: int, other: int) -> str | None:
        """By the shortest way of parent, child and spouse steps."""
        ways = {
            "".join(self.ties.edges[edge]["step"] for edge in itertools.pairwise(path))
            for path in nx.all_shortest_paths(self.ties, person, other)
        }
        (way,) = {way for way in ways if "m" not in way} or ways
        sex = 0 if self.male[other] else 1
        names = {
            "u": SEXED["parent"][sex],
            "d": SEXED["child"][sex],
            "ud": SEXED["sibling"][sex],
            "m": SEXED["spouse"][sex],
            "uu": "grand" + SEXED["parent"][sex],
            "dd": "grand" + SEXED["child"][sex],
            "uuu": "great-grand" + SEXED["parent"][sex],
            "ddd": "great-grand" + SEXED["child"][sex],
            "uud": SEXED["uncle"][sex],
            "udd": SEXED["nephew"][sex],
            "uuud": "great-" + SEXED["uncle"][sex],
            "uddd": "great-" + SEXED["nephew"][sex],
            "uudd": "first cousin",
            "uuudd": "first cousin once removed",
            "uuddd": "first cousin once removed",
            "mu": SEXED["parent"][sex] + "-in-law",
            "dm": SEXED["child"][sex] + "-in-law",
            "mud": SEXED["sibling"][sex] + "-in-law",
            "udm": SEXED["sibling"][sex] + "-in-law",
        }
        return names.get(way)

    def words(self, n_steps: int) -> dict[tuple[int, ...], set[str | None]]:
        found: dict[tuple[int, ...], set[str | None]] = defaultdict(set)
        paths = [((), (person,)) for person in self.middle]
        for _ in range(n_steps):
            paths = [
                ((*word, RELATIONS.index(name)), (*path, other))
                for word, path in paths
                for name, other in self.steps(path[-1])
                if other not in path
            ]
        for word, path in paths:
            found[word].add(self.term(path[0], path[-1]))
        return found


@pytest.mark.parametrize("n_steps", [1, 2])
def test_the_table_is_that_of_trees_and_of_trees_twice_their_size(n_steps: int) -> None:
    small = Tree(n_generations=5, n_children=6).words(n_steps)
    large = Tree(n_generations=10, n_children=12).words(n_steps)
    table = composition_table(n_steps)
    assert small == {word: large[word] for word in small}
    for word, terms in large.items():
        assert {table[word]} == terms, [RELATIONS[i] for i in word]
    assert len(small) > 0.6 * len(table)


@pytest.mark.slow
def test_the_table_of_three_relations_is_that_of_trees() -> None:
    table = composition_table(3)
    words = Tree(n_generations=7, n_children=6).words(3)
    assert len(words) > 0.5 * len(table)
    for word, terms in words.items():
        assert {table[word]} == terms, [RELATIONS[i] for i in word]


@pytest.mark.parametrize(
    ("word", "term"),
    [
        ("mother brother", "uncle"),
        ("father wife", "mother"),
        ("wife sister", "sister-in-law"),
        ("father brother son", "first cousin"),
        ("mother mother mother", "great-grandmother"),
        ("son wife", "daughter-in-law"),
        ("sister husband", "brother-in-law"),
        ("son father", "husband"),
        ("wife brother wife", None),
        ("son wife father", None),
    ],
)
def test_relations_in_a_row_have_the_term_that_people_use(word: str, term: str | None) -> None:
    code = tuple(RELATIONS.index(name) for name in word.split())
    assert composition_table(len(code))[code] == term


@settings(max_examples=30, deadline=None)
@given(hops=st.sets(st.integers(1, 4), min_size=1).map(sorted), n_paths=st.integers(1, 4), seed=st.integers(0, 10_000))
def test_labels_hops_and_solver_agree_with_a_walk_and_the_table(hops: list[int], n_paths: int, seed: int) -> None:
    generator = task(hops=hops, n_paths=n_paths)
    terms = [generator.symbol("term", i) for i in range(generator.schema.n_classes)]

    def slow(facts: Facts, query: tuple[int, ...]) -> tuple[int, list[int]]:
        graph = nx.Graph()
        for row, (person, relative, _) in enumerate(facts):
            graph.add_edge(person, relative, row=row)
        assert nx.is_forest(graph), "one way at most between two people"
        path = nx.shortest_path(graph, *query)
        rows = [graph.edges[edge]["row"] for edge in itertools.pairwise(path)]
        assert [facts[row][0] for row in rows] == path[:-1]
        term = composition_table(len(rows))[tuple(facts[row][2] for row in rows)]
        assert term is not None
        return terms.index(term), rows

    assert_right(generator, generator.sample(4, stream("hypothesis", seed)), slow)


def test_every_term_of_a_hop_is_as_likely() -> None:
    generator = task(hops=[1, 2])
    examples = generator.sample(8000, stream("balance"))
    for hop, n_terms in ((1, 8), (2, 22)):
        counts = np.bincount(examples.answer[examples.hop == hop])
        counts = counts[counts > 0]
        assert len(counts) == n_terms and counts / counts.mean() == pytest.approx(np.ones(n_terms), abs=0.15)


def test_hiding_a_relation_leaves_no_more_than_is_declared() -> None:
    generator = task(hops=[3])
    assert 0.3 < generator.partial_input(3) < 0.7
    assert_hidden_facts_leave_the_ceiling(generator, 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"hops": [7]}, r"hops must be in 1\.\.6, got 7; ask for fewer hops"),
        ({"n_queries": 5}, "n_queries must be at most 4, as many as a graph can have, got 5"),
        ({"vocab_size": 19}, "vocab_size must be at least the 20 nodes of a graph, got 19"),
    ],
)
def test_impossible_sizes_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**entry)
