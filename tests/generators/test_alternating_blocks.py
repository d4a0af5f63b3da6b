"""alternating_blocks: labels against regular expressions, cuts against all of them."""

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.alternating_blocks import AlternatingBlocks
from nexus_bench.generators.sequences import NOTHING
from nexus_bench.streams import stream

SETTINGS: list[dict[str, Any]] = [
    {},
    {"hops": "4", "n_tokens": 12, "min_tokens": 5},
    {"hops": "1,3,6", "n_tokens": 7, "min_tokens": None},
    {"hops": "2-5", "n_tokens": 20, "min_tokens": 9, "labels": "starts"},
]


def family(entry: dict[str, Any]) -> AlternatingBlocks:
    sizes = {"n_val": 1, "n_test": 1}
    made = make_task({"task": "alternating_blocks"} | sizes | entry, where="test").generator()
    assert isinstance(made, AlternatingBlocks)
    return made


def language(k: int) -> re.Pattern[str]:
    """The language of k blocks."""
    return re.compile("".join("ab"[block % 2] + "+" for block in range(k)))


@pytest.mark.parametrize("entry", SETTINGS)
def test_a_label_says_whether_what_was_read_is_in_the_language(entry: dict[str, Any]) -> None:
    task = family(entry)
    examples = task.sample(200, stream("slow"))
    solution = task.solve(examples.facts, examples.query)
    assert np.array_equal(solution.answer, examples.answer) and np.array_equal(solution.hop, examples.hop)
    lengths = set()
    for tokens, label, hop, rows in zip(
        examples.facts[:, :, 0], examples.answer, examples.hop, solution.rows, strict=True
    ):
        there = tokens[tokens != NOTHING].tolist()
        lengths.add(len(there))
        k, word = there[0] - 1, "".join("ab"[token] for token in there[1:])
        assert k in task.hops and language(k).fullmatch(word)
        starts = [match.start() + 1 for match in re.finditer("a+|b+", word)]
        labelled = starts if task.params.labels == "starts" else range(1, len(there))
        expected = [NOTHING] * len(tokens)
        for place in labelled:
            expected[place] = int(language(k).fullmatch(word[:place]) is not None)
            assert [row for row in rows[place] if row >= 0] == [start for start in starts if start <= place]
        assert label.tolist() == expected
        assert hop.tolist() == [k * (one != NOTHING) for one in expected]
    assert lengths == set(range(task.min_length, task.n_facts + 1))


def test_all_cuts_of_a_length_are_as_likely() -> None:
    task = family({"hops": "3", "n_tokens": 7, "min_tokens": None})
    drawn = task.draw(20_000, stream("law"))
    found = Counter(map(tuple, drawn.tokens.tolist()))
    assert len(found) == 10 == task.n_worlds, "two of five places where a block may begin"
    assert max(abs(n / 20_000 - 0.1) for n in found.values()) < 0.01


def test_fewer_tokens_than_blocks_are_refused_and_what_to_do_is_said() -> None:
    with pytest.raises(ConfigError, match="raise min_tokens to 9"):
        family({"hops": "8", "n_tokens": 20, "min_tokens": 5})


def test_chance_is_what_place_and_symbol_give() -> None:
    task = family({"hops": "3", "n_tokens": 6, "min_tokens": None})
    # Of the cuts of five symbols, aabba and its like: at places 3 and 4, `a` is of the first block or of the last.
    words = [tokens.tolist() for tokens in np.unique(task.draw(2_000, stream("law")).tokens, axis=0)]
    right = total = 0
    for place in range(1, 6):
        for symbol in (0, 1):
            said = Counter(language(3).fullmatch("".join("ab"[t] for t in w[1 : place + 1])) is not None
                           for w in words if w[place] == symbol)  # fmt: skip
            right, total = right + max(said.values(), default=0), total + sum(said.values())
    assert right / total <= task.chance(3) < right / total + 0.05
    assert family({"hops": "1", "n_tokens": 6, "min_tokens": None}).chance(1) == 1.0, "of one block, all that is read"
