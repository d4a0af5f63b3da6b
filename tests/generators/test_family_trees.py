"""Family trees: the composition table against trees built and named another way, and words that look alike."""

import itertools
from collections import defaultdict

import networkx as nx
import numpy as np
import pytest

from nexus_bench.generators.parts.family_trees import RELATIONS, composition_table
from nexus_bench.generators.parts.family_words import look_alikes
from nexus_bench.streams import stream

SEXED = {"parent": ("father", "mother"), "child": ("son", "daughter"), "sibling": ("brother", "sister")}
SEXED |= {"spouse": ("husband", "wife"), "uncle": ("uncle", "aunt"), "nephew": ("nephew", "niece")}


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


@pytest.mark.parametrize("hop", [1, 2, 3, 4, 5, pytest.param(6, marks=pytest.mark.slow)])
def test_every_path_has_look_alikes_that_hold_each_relation_once_at_every_place(hop: int) -> None:
    table = composition_table(hop)
    words = np.array([word for word, term in table.items() if term], dtype=np.int32)
    rows = look_alikes(words, np.full(len(words), hop, dtype=np.int32), stream("complete"))
    assert (np.sort(rows, axis=1) == np.arange(8)[:, None]).all()
    assert (rows[np.arange(len(words)), words[:, 0]] == words).all()
    walkable = {sum(relation * 8**place for place, relation in enumerate(word)) for word in table}
    assert set((rows @ 8 ** np.arange(hop)).ravel().tolist()) <= walkable


def test_two_words_in_a_row_have_look_alikes_of_the_same_lengths() -> None:
    pairs = [(*word, *beside) for word in composition_table(2) for beside in composition_table(1)]
    words, hop = np.array(pairs, dtype=np.int32), np.full(len(pairs), 2, dtype=np.int32)
    for rows in look_alikes(words, hop, stream("beside")).tolist():
        assert {tuple(row[:2]) for row in rows} <= set(composition_table(2))
        assert [row[0] for row in rows] == [row[2] for row in rows] == list(range(8))
