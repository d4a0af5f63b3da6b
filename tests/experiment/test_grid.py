"""The size of a grid: bounds of its cells, its seeds and its recipes, told before it is spanned."""

import json
from pathlib import Path

import pytest

from nexus_bench.errors import ConfigError
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.config import Config, parse_yaml
from tests.conftest import Command
from tests.small import TINY

MANY = list(range(1, 2000))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 10**11}, r"x: seeds must be a count from 1 to 100000, or a list of integers from 0 to 2\*\*63 - 1"),
        ({"seeds": [0, 2**63]}, r"x: seeds must be a count from 1 to 100000"),
        ({"seeds": 60_000}, "x: a suite has at most 100,000 cells, got 120,000; divide it"),
        (
            {"train": {"steps": MANY, "batch_size": MANY}},
            "x: a suite has at most 100,000 cells, got 15,984,004; divide it",
        ),
        ({"tune": {"lr": [1e-3, 1e-2], "seeds": 10**11}}, "x: tune: seeds must be a count from 1 to 10000"),
        ({"tune": {"lr": [1e-3, 1e-3]}}, "x: tune: lr holds 0.001 twice; remove one"),
        ({"tune": {"lr": MANY, "clip_norm": MANY}}, "x: tune: at most 10,000 recipes can be tried, got 3,996,001"),
        ({"tune": {"lr": [1, 2]}, "seeds": [2**63 - 1]}, "x: tune: its seeds follow the largest of the suite"),
        ({"summary": []}, r"x: summary must be one line of text, got \[\]"),
        ({"model": []}, r"x: model must hold `key: value` lines, got \[\]"),
    ],
)
def test_a_grid_beyond_bounds_is_refused_before_it_is_spanned(change: Config, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_suite(parse_yaml(TINY, where="tiny") | {"seeds": 2} | change, where="x")


def test_the_largest_seed_can_be_given() -> None:
    suite = make_suite(parse_yaml(TINY, where="tiny") | {"seeds": [2**63 - 1]}, where="x")
    assert {cell.seed for cell in suite.cells} == {2**63 - 1}


def test_the_file_is_named_also_with_settings(command: Command) -> None:
    Path("s.yaml").write_text(TINY.replace("models:", "modelz:"))
    done = command("train", "s.yaml", "--set", "steps=3", "--dry-run")
    assert done.returncode == 3 and "\nerror: s.yaml: models must be a list of entries" in done.stderr


def test_lines_of_predictions_end_at_line_feeds_alone(command: Command) -> None:
    assert command("gen", "--hops", "1", "--n", "9", "--n-test", "9", "--out", "d").returncode == 0
    one = {"graph": 0, "query": 0, "prediction": "a\u2028b\x85c"}
    Path("p.jsonl").write_text(json.dumps(one, ensure_ascii=False) + "\n")
    assert command("score", "p.jsonl", "--data", "d").returncode == 0
