"""mano: values and needed operations against recursion, and the law of values against all expressions."""

import itertools
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.mano import Mano
from nexus_bench.generators.parts.expression_law import law_of_values
from nexus_bench.generators.parts.hidden_tokens import guess_of_one
from nexus_bench.generators.sequences import NOTHING
from nexus_bench.streams import stream

SETTINGS: list[dict[str, Any]] = [
    {"task": "mano"},
    {"task": "mano", "hops": "2,5,7", "modulus": 3, "n_test": 99},
    {"task": "mano", "hops": "1-12", "modulus": 5, "operations": "ms", "n_val": 9, "n_test": 9},
    {"task": "mano", "hops": "4", "operations": "sa"},
]
Tree = tuple[Any, ...]


def family(entry: dict[str, Any]) -> Mano:
    made = make_task(entry, where="test").generator()
    assert isinstance(made, Mano)
    return made


def evaluated(task: Mano, words: list[int], at: int = 0) -> tuple[int, set[int], int]:
    """Value, the places of the operations that must be carried out, and where the next part begins: by recursion."""
    p = task.params.modulus
    if words[at] < p:
        return words[at], set(), at + 1
    operation = task.params.operations[words[at] - p]
    x, of_x, second = evaluated(task, words, at + 1)
    y, of_y, end = evaluated(task, words, second)
    needed = of_x | of_y
    if operation == "m" and x * y == 0:
        needed = min((of for value, of in ((x, of_x), (y, of_y)) if value == 0), key=len)
    value = {"a": x + y, "s": x - y, "m": x * y}[operation] % p
    return value, {at, *needed}, end


def by_hand(task: Mano, tokens: list[int]) -> tuple[list[int], list[int], set[int]]:
    value, needed, end = evaluated(task, tokens[2:-1])
    n = tokens[1] - task.params.modulus - len(task.params.operations) + 1
    assert end == len(tokens) - 3 == 2 * n + 1 and n in task.hops and tokens[0] == task.n_words - 2
    asked = len(needed) in task.hops
    labels = [NOTHING] * (len(tokens) - 1) + [value if asked else NOTHING]
    return labels, [0] * (len(tokens) - 1) + [len(needed) if asked else 0], {at + 2 for at in needed}


@pytest.mark.parametrize("entry", SETTINGS)
def test_labels_hops_and_places_are_those_of_a_slow_solver(entry: dict[str, Any]) -> None:
    task = family(entry)
    examples = task.sample(300, stream("slow"))
    solution = task.solve(examples.facts, examples.query)
    for facts, answer, hop, rows in zip(
        examples.facts[:, :, 0], examples.answer, examples.hop, solution.rows, strict=True
    ):
        n = int((facts >= 0).sum())
        labels, hops, places = by_hand(task, facts[:n].tolist())
        assert (answer[:n].tolist(), hop[:n].tolist()) == (labels, hops)
        assert (answer[n:] == NOTHING).all() and not hop[n:].any()
        read = [int(row) for row in rows[n - 1] if row >= 0]
        assert set(read) == (places if hops[-1] else set()) and read == sorted(read, reverse=True)
    assert np.array_equal(solution.answer, examples.answer) and np.array_equal(solution.hop, examples.hop)
    assert (examples.hop.max(axis=1) < (examples.facts[:, :, 0] >= 0).sum(axis=1) // 2 - 2).any() or "m" not in (
        task.params.operations
    )


def test_sizes_of_operands_numbers_and_operations_are_uniform() -> None:
    task = family({"task": "mano", "hops": "4"})
    tokens = task.draw(8_000, stream("law")).tokens[:, 2:-1]
    first = Counter((evaluated(task, row, 1)[2] - 2) // 2 for row in tokens.tolist())
    assert [first[size] / 8_000 for size in range(4)] == pytest.approx([1 / 4] * 4, abs=0.02)
    counts = np.bincount(tokens.ravel(), minlength=26)
    assert counts[:23] / counts[:23].sum() == pytest.approx([1 / 23] * 23, abs=0.004)
    assert counts[23:26] / 32_000 == pytest.approx([1 / 3] * 3, abs=0.012)


def trees(n: int) -> list[tuple[Fraction, Tree]]:
    """All shapes with operations of asm and how likely each is; numbers are left open."""
    if not n:
        return [(Fraction(1), ())]
    return [
        (a * b / (3 * n), (operation, one, two))
        for operation in "asm"
        for first in range(n)
        for a, one in trees(first)
        for b, two in trees(n - 1 - first)
    ]


def needs(tree: Tree, numbers: list[int]) -> tuple[int, int]:
    if not tree:
        return numbers.pop(), 0
    x, a = needs(tree[1], numbers)
    y, b = needs(tree[2], numbers)
    cost = a + b
    if tree[0] == "m" and x * y == 0:
        cost = min([a] * (x == 0) + [b] * (y == 0))
    return {"a": x + y, "s": x - y, "m": x * y}[tree[0]] % 3, cost + 1


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_law_of_values_is_that_of_all_expressions(n: int) -> None:
    exact: Counter[tuple[int, int]] = Counter()
    for share, tree in trees(n):
        for numbers in itertools.product(range(3), repeat=n + 1):
            exact[needs(tree, list(numbers))] += float(share) / 3 ** (n + 1)  # type: ignore[assignment]
    zero, other = law_of_values(3, "asm", n)
    assert zero == pytest.approx([exact[0, hop] for hop in range(n + 1)])
    assert [exact[1, hop] for hop in range(n + 1)] == pytest.approx([exact[2, hop] for hop in range(n + 1)])
    assert other == pytest.approx([exact[1, hop] + exact[2, hop] for hop in range(n + 1)])


def test_chance_is_reached_by_who_knows_the_number_of_operations_and_the_outermost() -> None:
    task = family({"task": "mano", "hops": "1-3", "modulus": 5, "n_test": 99, "n_val": 99})
    examples = task.sample(40_000, stream("chance"))
    tokens, hop, answer = examples.facts[:, :, 0], examples.hop.max(axis=1), examples.answer.max(axis=1)
    for count in task.hops:
        seen = tokens[hop == count, 1] * 100 + tokens[hop == count, 2]
        table = np.zeros((int(seen.max()) + 1, 5))
        np.add.at(table, (seen, answer[hop == count]), 1)
        reached = table.max(axis=1).sum() / table.sum()
        assert 0.2 < reached < task.chance(count) + 0.015 and reached > task.chance(count) - 0.03


def test_a_hidden_operation_leaves_what_is_declared() -> None:
    task = family({"task": "mano", "hops": "1-3"})
    for step in range(3):
        assert 1 / 3 < guess_of_one(task, 3, step, 300, stream("hide", step)).mean() < task.partial_input(3) < 0.5


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"modulus": 21}, "modulus must be a prime, as 23, got 21"),
        ({"operations": "ama"}, "operations must be different letters, and not a or m alone, as asm, got ama"),
        ({"operations": "m"}, "operations must be different letters, and not a or m alone, as asm, got m"),
        ({"operations": "div"}, "operations"),
        ({"hops": "1-65"}, r"mano: hops must be in 1\.\.64, got 65; ask for fewer hops"),
        ({"hops": "1-2", "hop_ood": "3"}, "mano: a token says the hop count, and one that was never"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_line(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task({"task": "mano"} | entry, where="test")
