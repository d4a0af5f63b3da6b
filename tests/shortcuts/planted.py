"""What leaks are made of: changes to a share of the graphs, families that declare too little, and tellers.

Labels stay those of the solver, except in `label_of_fewer_hops`.
"""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nexus_bench.generators.base import Examples, Generator, Role, Schema, Solution
from nexus_bench.generators.pointer_chase import PointerChase
from nexus_bench.generators.shortest_path import ShortestPath
from nexus_bench.streams import Int, Mask, integers, permutations
from nexus_bench.text.render import TextExample, TextOptions, TextRenderer

Plant = Callable[[Generator, Examples, np.random.Generator], Examples]


def leaky(clean: Generator, plant: Plant) -> Generator:
    """The family, whose examples go through `plant`."""
    made = copy.copy(clean)

    def sample(self: Generator, n_graphs: int, rng: np.random.Generator) -> Examples:
        return plant(self, type(clean).sample(self, n_graphs, rng), rng)

    made.__class__ = type(f"Leaky{type(clean).__name__}", (type(clean),), {"sample": sample})
    return made


def some(rng: np.random.Generator, n: int, share: float) -> Int:
    """The numbers of a share of n graphs, drawn at random."""
    return np.flatnonzero(integers(rng, n, 1, high=1 << 20)[:, 0] < share * (1 << 20))


def prefer(share: float, value: Callable[[Examples], Any]) -> Plant:
    """Draw a share of the graphs twice and keep the one of greater value."""

    def plant(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
        other = type(law).__mro__[1].sample(law, drawn.n_graphs, rng)
        takes = some(rng, drawn.n_graphs, share)
        takes = takes[value(other)[takes] > value(drawn)[takes]]
        for array, better in zip(drawn, other, strict=True):
            array[takes] = better[takes]
        return drawn

    return plant


def swap_rows(facts: Int, graphs: Int, one: Int, other: Int | int) -> None:
    facts[graphs, one], facts[graphs, other] = facts[graphs, other].copy(), facts[graphs, one].copy()


def swap_ends(facts: Int, graphs: Int, one: Int, other: Int) -> None:
    ends = facts[graphs, one, -1].copy()
    facts[graphs, one, -1], facts[graphs, other, -1] = facts[graphs, other, -1], ends


def path(law: Generator, drawn: Examples) -> Int:
    """The rows of the first query's derivation (n, h)."""
    return law.solve(drawn.facts, drawn.query).rows[:, 0]


def answer_stands_first(share: float) -> Plant:
    def plant(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
        graphs = some(rng, drawn.n_graphs, share)
        swap_rows(drawn.facts, graphs, path(law, drawn)[graphs, law.largest_hop - 1], 0)
        return drawn

    return plant


def sorted_if_yes(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs = some(rng, drawn.n_graphs, 0.12)
    order = drawn.facts[graphs, :, 0].argsort(axis=1)
    order = np.where(drawn.answer[graphs] == 1, order, order[:, ::-1])
    drawn.facts[graphs] = np.take_along_axis(drawn.facts[graphs], order[:, :, None], axis=1)
    return drawn


def steps_stand_together(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    """The second fact of the derivation stands right after the first one."""
    graphs, rows = some(rng, drawn.n_graphs, 0.06), path(law, drawn)
    swap_rows(drawn.facts, graphs, rows[graphs, 1], (rows[graphs, 0] + 1) % law.n_facts)
    return drawn


def many_lead_to_the_answer(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs, rows = some(rng, drawn.n_graphs, 0.055), path(law, drawn)
    off_path = ~(rows[graphs][:, :, None] == np.arange(law.n_facts)).any(axis=1)
    drawn.facts[graphs, off_path.argmax(axis=1), 1] = drawn.answer[graphs, 0]
    return drawn


def label_of_fewer_hops(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs, rows = some(rng, drawn.n_graphs, 0.05), path(law, drawn)
    drawn.answer[graphs, 0] = drawn.facts[graphs, rows[graphs, 0], 1]
    return drawn


def answer_has_the_lowest_id(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs = some(rng, drawn.n_graphs, 0.055)
    lowest, answer = drawn.facts[graphs, :, 0].min(axis=1), drawn.answer[graphs, 0]
    for array in (drawn.facts[:, :, :2], drawn.query[:, :, :1], drawn.answer):
        of = array[graphs]
        ends = [symbol.reshape(-1, *[1] * (of.ndim - 1)) for symbol in (lowest, answer)]
        array[graphs] = np.where(of == ends[0], ends[1], np.where(of == ends[1], ends[0], of))
    return drawn


def back_to_the_start(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs, rows = some(rng, drawn.n_graphs, 0.115), path(law, drawn)
    enters = (drawn.facts[:, :, 1] == drawn.query[:, :, 0]).argmax(axis=1)
    swap_ends(drawn.facts, graphs, rows[graphs, 1], enters[graphs])
    drawn.answer[graphs] = drawn.query[graphs, :, 0]
    return drawn


def one_fact_joins_answer_and_start(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs = some(rng, drawn.n_graphs, 0.13)
    enters = (drawn.facts[:, :, 1] == drawn.query[:, :, 0]).argmax(axis=1)
    leaves = (drawn.facts[:, :, 0] == drawn.answer).argmax(axis=1)
    swap_ends(drawn.facts, graphs, enters[graphs], leaves[graphs])
    return drawn


class _Coloured(Generator[Any]):
    """A family whose facts have a colour, between their two ends, and whose queries have one, for no reason."""

    @property
    def schema(self) -> Schema:
        plain = super().schema
        facts = (plain.fact[0], Role("colour", "colour"), plain.fact[1])
        return Schema(facts, (*plain.query, Role("colour", "colour")), plain.answer, plain.vocabularies | {"colour": 4})

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        drawn = super().sample(n_graphs, rng)  # type: ignore[safe-super]
        colour = integers(rng, n_graphs, self.n_facts, high=4)
        asked = integers(rng, n_graphs, self.n_queries, high=4)[:, :, None]
        facts = np.stack([drawn.facts[:, :, 0], colour, drawn.facts[:, :, 1]], axis=2)
        return drawn._replace(facts=facts, query=np.concatenate([drawn.query, asked], axis=2))

    def solve(self, facts: Int, query: Int) -> Solution:
        return super().solve(facts[:, :, [0, 2]], query[:, :, :-1])  # type: ignore[safe-super]

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        return super().alike(facts[:, :, [0, 2]], query, solution, at)


def coloured(clean: Generator) -> Generator:
    made = copy.copy(clean)
    made.__class__ = type("Coloured", (_Coloured, type(clean)), {})
    return made


def colours_tell(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs = some(rng, drawn.n_graphs, 0.12)
    is_told = integers(rng, len(graphs), law.n_facts, high=2) == 1
    drawn.facts[graphs, :, 1] = np.where(is_told, drawn.answer[graphs], drawn.facts[graphs, :, 1])
    return drawn


def query_word_tells(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs = some(rng, drawn.n_graphs, 0.12)
    drawn.query[graphs, :, -1] = drawn.answer[graphs]
    return drawn


class Tally(PointerChase):
    """The sum of the numbers on two facts of a cycle, modulo 4; each number stands on as many facts."""

    @property
    def schema(self) -> Schema:
        plain = super().schema
        sizes = plain.vocabularies | {"number": 4, "sum": 4}
        return Schema((*plain.fact, Role("number", "number")), plain.query, "sum", sizes)

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        drawn = super().sample(n_graphs, rng)
        number = permutations(rng, n_graphs, self.n_facts) % 4
        return self.labelled(drawn._replace(facts=np.concatenate([drawn.facts, number[:, :, None]], axis=2)))

    def labelled(self, drawn: Examples) -> Examples:
        return drawn._replace(answer=self.solve(drawn.facts, drawn.query).answer)

    def solve(self, facts: Int, query: Int) -> Solution:
        walked = super().solve(facts[:, :, :2], query)
        numbers = np.take_along_axis(facts[:, :, 2], walked.rows.reshape(len(facts), -1), axis=1)
        total = numbers.reshape(walked.rows.shape).sum(axis=2) % 4
        return walked._replace(answer=np.where(walked.answer >= 0, total, -1).astype(np.int32))

    def chance(self, hop: int) -> float:
        return self.params.n_nodes / 4 / (self.params.n_nodes - 1)

    def partial_input(self, hop: int) -> float:
        """A number that the known fact does not have is on more of the others."""
        return self.chance(hop)


def second_number_repeats_the_first(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs, rows, numbers = some(rng, drawn.n_graphs, 0.16), path(law, drawn), drawn.facts[:, :, 2]
    first, second = rows[graphs, 0], rows[graphs, 1]
    same = numbers[graphs] == numbers[graphs, first][:, None]
    same[np.arange(len(graphs)), first] = False
    swap_ends(drawn.facts, graphs, second, same.argmax(axis=1))
    return law.labelled(drawn)  # type: ignore[attr-defined]


def frequent_numbers(law: Generator, drawn: Examples, rng: np.random.Generator) -> Examples:
    graphs = some(rng, drawn.n_graphs, 0.7)
    drawn.facts[graphs, :, 2] = integers(rng, len(graphs), law.n_facts, high=4)
    return law.labelled(drawn)  # type: ignore[attr-defined]


class OutspokenRenderer(TextRenderer):
    """Words the facts of some graphs by the answer."""

    def render(self, examples: Examples, **options: Any) -> Iterator[TextExample]:
        for told in super().render(examples, **options):
            prompt = told.prompt
            if told.graph % 8 == 0 and told.answer == "yes":
                prompt = re.sub(r"From (\w+) one can drive to (\w+)\.", r"A road leads from \1 to \2.", prompt)
            elif told.graph % 8 == 0:
                prompt = re.sub(r"A road leads from (\w+) to (\w+)\.", r"From \1 one can drive to \2.", prompt)
            yield told._replace(prompt=prompt)


class SortingRenderer(TextRenderer):
    """Tells the derivations in their order."""

    def __init__(self, family: Generator, options: TextOptions) -> None:
        super().__init__(family, options.model_copy(update={"sentences": "forward"}))


def walk_leads_back(drawn: Examples) -> Int:
    """Whether a fact leads from the answer to the start."""
    joins = (drawn.facts[:, :, 0] == drawn.answer) & (drawn.facts[:, :, 2] == drawn.query[:, 0, :1])
    return joins.any(axis=1).astype(np.int32)


class SwappedOnly(ShortestPath):
    """Declares how often the path that is shortest after an exchange begins with the same step, and no more."""

    def partial_input(self, hop: int) -> float:
        return {2: 0.36, 3: 0.44}[hop]


def swapped_only(clean: Generator) -> Generator:
    made = copy.copy(clean)
    made.__class__ = SwappedOnly
    return made
