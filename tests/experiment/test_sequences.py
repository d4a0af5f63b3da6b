"""Tasks of sequences in suites: their encoding is theirs, and they stand beside tasks of graphs."""

import pandas as pd
import pytest

from nexus_bench.errors import ConfigError
from nexus_bench.experiment.suite import make_suite
from tests.conftest import Command

GRAPHS = {"task": "pointer_chase", "hops": "1", "n_nodes": 6}
SEQUENCES = {"task": "word_problem", "hops": "1-3", "n_tokens": 4, "min_tokens": 3, "group": "Z_3"}


def test_the_encoding_of_sequences_need_not_be_named() -> None:
    config = {"suite": "s", "tasks": [GRAPHS, SEQUENCES], "models": [{"attention": "standard"}], "matched": True}
    found = {(cell.task.task, cell.model.encoding) for cell in make_suite(config, where="test").cells}
    assert found == {("pointer_chase", "fact"), ("word_problem", "sequence")}


@pytest.mark.parametrize(
    ("task", "model", "message"),
    [
        (SEQUENCES, {"encoding": "fact"}, "word_problem: encoding must be sequence, got fact"),
        (GRAPHS, {"encoding": "sequence"}, "pointer_chase: encoding must be fact or flat, got sequence"),
        (GRAPHS, {"attention": "delta_net"}, "encoding must be flat or sequence for delta_net"),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused_in_a_line(
    task: dict[str, object], model: dict[str, object], message: str
) -> None:
    config = {"suite": "s", "tasks": [task], "models": [{"attention": "standard"} | model]}
    with pytest.raises(ConfigError, match=message):
        make_suite(config, where="test")


def test_they_are_trained_reported_and_asked_again(command: Command) -> None:
    tiny = "n_val=30 n_test=40 d_model=16 steps=3 n_tokens=8 min_tokens=5 --seeds 1 --executor inline --quiet".split()
    line = [
        "train",
        "--task",
        "word_problem",
        "--attention",
        "standard,delta_net",
        "--hops",
        "1-3",
        *tiny,
        "--out",
        "r",
    ]
    assert (trained := command(*line)).returncode == 0, trained.stderr
    rows = pd.read_csv("r/results.csv")
    assert set(rows["encoding"]) == {"sequence"} and set(rows["hop"]) == {1, 2, 3}
    assert set(rows[rows["split"] == "test"]["n_examples"]) == {40} and set(rows["n_queries"]) == {8}
    assert (asked := command("eval", "r", "n_tokens=6")).returncode == 0, asked.stderr
    assert command("predictions", "r").returncode == 0
    assert set(pd.read_csv("r/predictions.csv")["query"]) == {0, 1, 2}, "the places of the labels"
