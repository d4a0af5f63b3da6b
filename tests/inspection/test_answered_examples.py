"""Examples to browse: the same for all models of a task, with the answers that `predictions` gives."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.experiment.run_folder import open
from nexus_bench.experiment.trained_cells import trained_cells
from nexus_bench.inspection.answered_examples import answered_examples
from nexus_bench.inspection.predictions import predictions
from tests.conftest import Command
from tests.paths import EXAMPLES
from tests.small import TINY


@pytest.fixture
def trained(command: Command) -> Path:
    Path("tiny.yaml").write_text(TINY)
    assert command("train", "tiny.yaml", "--executor", "inline", "--quiet").returncode == 0
    return Path("runs/tiny")


def test_every_model_is_asked_the_same_examples_and_answers_as_in_predictions(trained: Path) -> None:
    drawn = answered_examples({"tiny": trained}, 5)  # of more than one graph
    assert [example["hop"] for example in drawn.examples] == [1] * 5 + [2] * 5 and drawn.notes == []
    folder = open(trained)
    file = predictions(folder, trained_cells(folder, "seed 0"), out=trained.parent / "out").file
    told = pd.read_csv(file)
    for hop in (1, 2):
        expected = told[told["hop"] == hop].groupby("model", sort=False).head(5)
        found = [
            (answer["model"], example["answer"], answer["prediction"], answer["rank"], answer["probability"])
            for example in drawn.examples
            if example["hop"] == hop
            for answer in example["answers"]
        ]
        columns = ["model", "answer", "prediction", "rank", "probability"]
        rows = expected.assign(probability=expected["probability"].round(3))[columns]
        assert sorted(found) == sorted(rows.itertuples(index=False, name=None)) and len(found) == 10
    for example in drawn.examples:
        assert example["chain"].split(" -> ")[-1] == example["answer"]
        assert example["chain"].count(" -> ") == example["hop"] and len(example["facts"]) == 6


def test_runs_without_weights_are_told_and_none_are_asked_for_none(trained: Path) -> None:
    shutil.copytree(trained, "bare", ignore=shutil.ignore_patterns("cells"))
    runs = {"tiny": trained, "bare": Path("bare"), "kinship": EXAMPLES / "retrofit/kinship"}
    drawn = answered_examples(runs, 1)
    assert drawn.notes == ["No answers of bare, kinship: they keep no weights"]
    assert {answer["run"] for example in drawn.examples for answer in example["answers"]} == {"tiny"}
    assert answered_examples(runs, 0) == ([], [])


def test_hops_beyond_training_are_asked_too_and_a_run_with_one_cell_answers() -> None:
    drawn = answered_examples({"quick": EXAMPLES / "quick"}, 1)
    assert [example["hop"] for example in drawn.examples] == [1, 2, 3, 4]
    assert [len(example["answers"]) for example in drawn.examples] == [1, 1, 1, 1]
    assert [example["answers"][0]["rank"] for example in drawn.examples[:3]] == [1, 1, 1], "it reaches three hops"


def test_runs_on_the_same_task_and_seed_share_their_examples(trained: Path) -> None:
    shutil.copytree(trained, "again")
    drawn = answered_examples({"a": trained, "b": Path("again")}, 1)
    assert [[answer["run"] for answer in example["answers"]] for example in drawn.examples] == [
        ["a", "a", "b", "b"]
    ] * 2


def test_labels_of_sequences_are_shown_with_their_own_derivations(command: Command) -> None:
    suite = TINY.replace("pointer_chase", "mqar").replace("hops: 1-2", "hops: 1").replace("    n_nodes: 6\n", "")
    Path("tiny.yaml").write_text(suite)
    assert command("train", "tiny.yaml", "--executor", "inline", "--quiet").returncode == 0
    drawn = answered_examples({"tiny": Path("runs/tiny")}, 5)
    assert len(drawn.examples) == 5 and " tokens, " in drawn.examples[0]["task"]
    assert len({example["query"] for example in drawn.examples}) > 1
    for example in drawn.examples:
        place, read = (int(example[name].split()[1]) for name in ("query", "chain"))
        assert read < place and example["facts"][read - 1] == example["answer"]
