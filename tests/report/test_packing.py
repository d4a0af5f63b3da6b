"""What a page holds of rows and tables: few bytes, from which every value comes back."""

import itertools
import json
import random

import pytest

from nexus_bench.report.page.packing import folded, packed_csv
from tests.report.unpacking import unfolded

COLUMNS = {
    "nothing": [],
    "one": [0.5],
    "runs": [3] * 40 + [1] * 30,
    "every": list(itertools.islice(itertools.cycle([1, 2, 30, 2]), 50)),
    "every, in runs": [hop for hop in range(100, 130) for _ in range(9)] * 4,
    "thousandths": [round(i * 0.003, 3) for i in range(60)],
    "more digits": [0.12345, 1234.5] * 7 + [0.1],
    "digits": [0, 4094, 63, 64, None, 998, 777, 4000] * 3 + [1234, 2345, 3456],
    "too large for digits": [4095, 4094, 1234, 2345, 3456, 4095],
    "missing": [None, 0.5, 0.998, None] * 20,
    "words": ["a", None, "b"] * 8,
    "truths": [True, False, True],
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS.keys())
def test_a_column_comes_back_and_is_no_longer_than_it_was(column: list[object]) -> None:
    packed = folded(column)
    assert unfolded(json.loads(json.dumps(packed))) == column
    assert len(json.dumps(packed)) <= len(json.dumps(column))


@pytest.mark.parametrize("name", ["runs", "every", "every, in runs", "thousandths", "digits"])
def test_what_repeats_is_written_once(name: str) -> None:
    assert len(json.dumps(folded(COLUMNS[name]))) < 0.8 * len(json.dumps(COLUMNS[name]))


def test_columns_at_random_come_back() -> None:
    rng = random.Random(0)
    for _ in range(300):
        values = rng.choices([0, 1, 2, 0.5, 0.25, None, 0.1234], k=rng.randrange(30)) * rng.randrange(4)
        assert unfolded(folded(values)) == values


TABLES = {
    "simple": "model,hop\nstandard,1\nstandard,2\n",
    "quoted": 'model,hop,note\n"nexus, order 2",1,"a ""b"", c"\n"nexus, order 2",2,\n',
    "a line in a field": 'model,hop\n"a\nb",1\n',
    "ragged": "a,b\n1\n",
    "without an end": "a,b\n1,2",
    "empty": "",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES.keys())
def test_a_table_comes_back_as_it_was_written(text: str) -> None:
    packed = packed_csv(text)
    if isinstance(packed, str):
        assert packed == text
        return
    columns = [
        column.split("\n") if isinstance(column, str)
        else [column["words"].split("\n")[number] for number in unfolded(column["at"])]  # type: ignore
        for column in packed
    ]  # fmt: skip
    assert "\n".join(map(",".join, zip(*columns, strict=True))) + "\n" == text


def test_columns_of_a_table_are_found_also_between_quotation_marks() -> None:
    packed = packed_csv(TABLES["quoted"] * 1)
    assert [column if isinstance(column, str) else column["words"] for column in packed][1] == "hop\n1\n2"
