"""What a user types to make, check and measure data."""

import json
from pathlib import Path

import pytest

from nexus_bench.io.read_results import read_results
from tests.conftest import Command, assert_fails


def test_bench_times_a_family_at_every_hop(command: Command) -> None:
    result = command("bench", "gen", "reachable", "pointer_chase", "--hops", "2,6", "--seconds", "0.01", "--json")
    rates = json.loads(result.stdout)["rates"]
    assert [(rate["task"], rate["hop"]) for rate in rates] == [
        ("reachable", 2),
        ("reachable", 6),
        ("pointer_chase", 2),
        ("pointer_chase", 6),
    ]
    assert all(rate["graphs_per_second"] > 0 and rate["examples_per_second"] > 0 for rate in rates)
    assert "pointer_chase" in command("bench", "gen", "pointer_chase", "--hops", "1", "--seconds", "0.01").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gen", "--format", "parqet"], 2, "unknown format 'parqet'; did you mean 'parquet'?"),
        (["gen", "--hop-ood", "x"], 2, "--hop-ood: cannot read hops 'x'"),
        (["gen", "--hops", "1-3", "--hop-ood", "3-4"], 3, "hop_ood must hold hops that are not trained, got 3"),
        (["gen", "--hops", "1", "--hop-ood", "2", "--set", "hop_query=number"], 3, "hop_ood needs `hop_query: unary`"),
        (
            ["gen", "--task", "reachable", "--set", "vocab_size=99", "--set", "size_ood={length: 9}"],
            3,
            "size_ood must keep the queries of a graph; fix n_queries for both",
        ),
        (["gen", "--set", "size_ood={n_node: 24}"], 3, "size_ood: unknown key 'n_node'; did you mean 'n_nodes'?"),
        (
            ["gen", "--set", "size_ood={vocab_size: 90}"],
            3,
            "size_ood must keep the 48 symbols of vocabulary 'node', got 90",
        ),
        (
            ["gen", "--set", "size_ood={vocab_size: 48}"],
            3,
            "size_ood must have more than the 16 facts of training, got 16",
        ),
        (["verify", "nowhere"], 5, "nowhere: is not a folder"),
        (["audit", "reachabel"], 3, "unknown task 'reachabel'; did you mean 'reachable'?"),
        (["bench", "gen", "reachable", "--hops", "99"], 3, "hops must be in 1..50, got 99"),
    ],
)
def test_bad_input_to_the_data_commands_is_one_line(
    arguments: list[str], code: int, message: str, command: Command
) -> None:
    assert_fails(command(*arguments), code, message)
    assert list(Path.cwd().iterdir()) == []


def test_splits_beyond_training_are_scored_in_rows_of_their_own(command: Command) -> None:
    spec = ["--set", "hop_ood=3-4", "--set", "size_ood={n_nodes: 24}", "--set", "n_nodes=12", "--set", "n_queries=12"]
    line = ["train", "--task", "pointer_chase", "--hops", "1-2", "--attention", "standard", "--seeds", "1", *spec]
    result = command(*line, "--set", "steps=2", "--executor", "inline", "--out", "r")
    assert result.returncode == 0, result.stderr
    flat = command(*line, "--set", "steps=2", "--set", "encoding=flat", "--executor", "inline", "--out", "flat")
    assert flat.returncode == 0, flat.stderr
    rows = read_results(Path("r"))
    assert list(zip(rows["split"], rows["hop"], strict=True)) == [
        *(("val", 1), ("val", 2), ("test", 1), ("test", 2)),
        *(("hop_ood", 3), ("hop_ood", 4), ("size_ood", 1), ("size_ood", 2)),
    ]
    by_split = rows.groupby("split")
    assert by_split["n_facts"].first().to_dict() == {"val": 12, "test": 12, "hop_ood": 12, "size_ood": 24}
    assert by_split["chance"].first().to_dict() == pytest.approx(
        {"val": 1 / 11, "test": 1 / 11, "hop_ood": 1 / 11, "size_ood": 1 / 23}, abs=1e-5
    )
    made = command("gen", "--hops", "1-2", *spec, "--n", "40", "--n-test", "9", "--out", "d")
    assert made.returncode == 0, made.stderr
    trained = command(
        "train", "--data", "d", "--attention", "standard", "--seeds", "1", "--set", "steps=2", "--executor", "inline"
    )
    assert trained.returncode == 0, trained.stderr
    rows = read_results(Path("runs/standard-d"))
    assert set(rows["split"]) == {"val", "test", "hop_ood", "size_ood"}
