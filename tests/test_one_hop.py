"""A family of another package that has one hop alone is legal everywhere."""

import json

import pandas as pd
import pytest

from nexus_bench.generators.base import GENERATORS
from tests.conftest import Command
from tests.families import up_to_hops
from tests.recall import Recall

TINY = "--set n_val=20 --set n_test=40 --set d_model=16 --set steps=3 --seeds 1 --executor inline --quiet".split()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    GENERATORS.names()
    monkeypatch.setitem(GENERATORS._entries, "recall", Recall)


def test_every_command_takes_it(command: Command) -> None:
    for line in (
        "check recall",
        "show recall",
        "gen --task recall --n 50 --n-test 40 --out d --format text --quiet",
        "verify d",
        "export --data d --out e",
        "audit recall --n 1000",
        "list tasks",
    ):
        done = command(*line.split())
        assert done.returncode == 0 and not done.stderr, (line, done.stderr)
    trained = command("train", "--task", "recall", "--attention", "nexus", "--order", "1,2", *TINY, "--out", "r")
    assert trained.returncode == 0, trained.stderr
    for line in ("report r", "eval r --n-facts 8", "predictions r", "inspect r --cell order.1 --hops 1"):
        done = command(*(word.replace("order.1", "order 1") for word in line.split()), "--json")
        assert done.returncode == 0, (line, done.stderr)
    assert set(pd.read_csv("r/results.csv")["hop"]) == {1}


def test_speed_is_measured_at_the_hops_that_a_family_can_have(command: Command) -> None:
    done = command("bench", "gen", "ancestor", "recall", "--hops", "1,3", "--seconds", "0.01", "--quiet", "--json")
    assert done.returncode == 0, done.stderr
    assert [(rate["task"], rate["hop"]) for rate in json.loads(done.stdout)["rates"]] == [
        ("ancestor", 1),
        ("ancestor", 3),
        ("recall", 1),
    ]
    done = command("bench", "gen", "recall", "--hops", "3,6", "--seconds", "0.01", "--quiet")
    assert done.returncode == 0 and done.stderr == "recall: cannot have 3,6 hops; timed at 1\n"


def test_entries_go_as_far_as_the_family() -> None:
    assert up_to_hops("recall", 6)["hops"] == [1] and up_to_hops("ancestor", 3)["hops"] == [1, 2, 3]
