"""Tasks of sequences in suites: their encoding is theirs, and they stand beside tasks of graphs."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

import nexus_bench
from nexus_bench.cli.schemas import read_schema
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.plan import make_plan
from nexus_bench.experiment.records import CellRecords, CellResult
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.runner import run_plan
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.columns import VAL
from nexus_bench.io.config import parse_yaml
from nexus_bench.io.csv_files import rows_of
from nexus_bench.io.read_results import PLACES
from nexus_bench.training.engine import Single
from nexus_bench.training.stacked import Stacked
from tests.conftest import Command
from tests.small import TINY
from tests.templates import installed

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
    assert all(Path("r/figures", f"accuracy_by_{by}.svg").is_file() for by in ("place", "length"))
    jsonschema.validate(rows_of(nexus_bench.open("r").places), json.loads(read_schema("places.csv")))
    assert (asked := command("eval", "r", "n_tokens=6")).returncode == 0, asked.stderr
    assert command("predictions", "r").returncode == 0
    assert set(pd.read_csv("r/predictions.csv")["query"]) == {0, 1, 2}, "the places of the labels"


SUITE = """
suite: words
tasks:
  - {task: word_problem, hops: 1-3, n_tokens: 7, min_tokens: 4, group: Z_5, n_val: 20, n_test: 30}
  - {task: hop_k, hops: 1-2, n_tokens: 20, n_symbols: 4, n_val: 20, n_test: 30}
  - {task: pointer_chase, hops: 1-2, n_nodes: 6, n_val: 8, n_test: 16}
model: {d_model: 16, position: none}
models: [{attention: standard}]
train: {steps: 6, batch_size: 4, eval_every: 3}
seeds: 2
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def counts(frame: pd.DataFrame) -> pd.DataFrame:
    by_hop = frame.groupby(["cell_id", "split", "hop"])[["n_examples", "n_correct"]].sum()
    return by_hop.sort_index().astype("int64")


def trained(folder: str, mode: str, suite: str = SUITE) -> nexus_bench.Run:
    """A suite as `train` runs it, without its report."""
    run = RunFolder(Path(folder))
    plan = make_plan(make_suite(parse_yaml(suite, where="test"), where="test"), run)
    assert not run_plan(plan, run, Execution(mode, executor="inline"), data=None, on_event=lambda event: None)
    return nexus_bench.open(folder)


def told(run: nexus_bench.Run, by: str) -> pd.DataFrame:
    return counts(run.places[run.places["by"] == by])


@pytest.mark.parametrize("mode", ["single", "deterministic"])
def test_places_sum_to_what_is_scored_by_hop_also_when_asked_again(mode: str, here: Path) -> None:
    run = trained("r", mode)
    asked = run.evaluate("word_problem", n_facts=11, hops="1-9")
    rows = run.results[(run.results["split"] != VAL) & (run.results["encoding"] == "sequence")]
    pd.testing.assert_frame_equal(told(run, "place"), counts(rows))
    of_lengths = told(run, "length")
    pd.testing.assert_frame_equal(of_lengths, counts(rows).loc[of_lengths.index])
    lengths = run.places[run.places["by"] == "length"]
    assert set(lengths["first"]) == {4, 5, 6, 7}, "of the only sequences whose lengths differ"
    later = run.places[run.places["split"].str.startswith("eval")]
    assert set(later["first"]) == set(range(1, 10)) and set(later["split"]) == set(asked["split"])
    before = (run.path / PLACES).read_bytes()
    (run.path / PLACES).unlink()
    assert (trained("r", mode).path / PLACES).read_bytes() == before, "made again from the records"
    (run.path / PLACES).write_bytes(before.replace(b",place,", b",length,", 1))
    with pytest.raises(nexus_bench.NexusBenchError, match=r"places\.csv: was edited or cut"):
        _ = run.places


def test_a_run_that_was_killed_goes_on_to_the_same_places(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained("whole", "deterministic")
    save, saved = CellRecords.save, []

    def dies(self: CellRecords, result: CellResult) -> None:
        if len(saved) == 3:
            raise KeyboardInterrupt
        saved.append(result.cell_id)
        save(self, result)

    with monkeypatch.context() as patched:
        patched.setattr(CellRecords, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            trained("killed", "deterministic")
    killed = trained("killed", "deterministic")
    assert (killed.path / PLACES).read_bytes() == (whole.path / PLACES).read_bytes()
    assert whole.places["cell_id"].nunique() == 4


_RARE = (  # of 24 tokens from the last digit on: 22 labels in one of two thousand sequences
    "train --task letters --attention standard --hops 3 n_tokens=24 min_tokens=24 n_val=8 n_test=8 d_model=8 steps=100 "
    "batch_size=16 eval_every=10 stop_when_solved=false --seeds 4 --executor inline --quiet --out r"
)
_MOST = "    def most_labels(self):\n        return {}\n\n    @property\n    def n_labels(self)"


def kept_cells() -> set[tuple[str, bytes]]:
    return {(str(path), path.read_bytes()) for path in Path("r").glob("cells/*/result.json")}


@pytest.mark.parametrize("mode", ["single", "deterministic"])
def test_a_sequence_with_too_many_labels_stops_its_cell_alone_which_goes_on_once_that_is_mended(
    mode: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = [*_RARE.split(), "--mode", mode]
    refusal = (
        "letters: `draw` gave a sequence 22 labels, and `most_labels` is 21; raise `most_labels` to the most that "
        "`draw` can give, then the same command goes on"
    )
    kept: list[set[tuple[str, bytes]]] = []
    with installed(tmp_path / "wrong", ("    def n_labels(self)", _MOST.format(21)), options=("--sequence",)):
        for _ in range(2):
            done = command(*line)
            kept.append(kept_cells())
            n_failed = 4 - len(kept[-1])
            assert (done.returncode, done.stderr.count(refusal)) == (7, n_failed)
    assert kept[0] == kept[1] and (kept[0] or mode != "single")
    steps: list[int] = []
    for kind in (Single, Stacked):

        def advance(self: Any, of_kind: Any = kind.advance) -> None:
            steps.append(self.step)
            of_kind(self)

        monkeypatch.setattr(kind, "advance", advance)
    with installed(tmp_path / "right", ("    def n_labels(self)", _MOST.format(22)), options=("--sequence",)):
        done = command(*line)
    assert done.returncode == 0, done.stderr
    assert 0 < len(steps) < 100 * n_failed, "from where they stopped"
    assert kept[0] < kept_cells() and len(kept_cells()) == 4


def test_runs_without_sequences_have_no_such_table(here: Path) -> None:
    run = trained("r", "single", TINY)
    assert not (run.path / PLACES).exists() and run.places.empty
    assert not any("places" in path.read_text() for path in Path("r").glob("cells/*/result.json"))


def test_places_of_models_that_were_trained_on_a_dataset(command: Command) -> None:
    words = "word_problem -n 60 --hops 1-3 n_tokens=6 --out data".split()
    assert (made := command("gen", *words)).returncode == 0, made.stderr
    line = (
        "train --attention standard d_model=16 steps=3 --seeds 1 --executor inline --quiet --data data --out r".split()
    )
    assert (done := command(*line)).returncode == 0, done.stderr
    run = nexus_bench.open("r")
    rows = run.results[run.results["split"] != VAL]
    pd.testing.assert_frame_equal(told(run, "place"), counts(rows))
