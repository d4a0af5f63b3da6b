"""Trained cells asked again: other hops and sizes, and what they answer example by example."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nexus_bench.data.splits import world_ids
from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError, CorruptArtefactError, UsageError
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.sources import open_source
from nexus_bench.experiment.trained_cells import load_model, trained_cell, trained_cells
from nexus_bench.generators.base import GENERATORS, Examples
from nexus_bench.inspection.question import EvaluationRequest, further_law
from nexus_bench.inspection.run_data import draw
from nexus_bench.io.config import Config
from nexus_bench.io.read_results import read_results
from nexus_bench.model.scoring import score
from tests.conftest import Command, assert_fails
from tests.small import TINY

SUITE = """
suite: asked
tasks:
  - {task: pointer_chase, hops: 1-2, hop_ood: 3-4, n_nodes: 13, vocab_size: 53, n_queries: 5, n_val: 11, n_test: 17}
models:
  - {attention: standard, d_model: 12}
  - {attention: nexus, order: [2], d_model: 12}
train: {steps: 7, batch_size: 3, eval_every: 7}
seeds: 2
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nexus_bench import cli

    folder = tmp_path_factory.mktemp("trained")
    (folder / "asked.yaml").write_text(SUITE)
    line = ["train", str(folder / "asked.yaml"), "--executor", "inline", "--quiet", "--out", str(folder / "run")]
    assert cli.run(line) == 0
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


OURS = GENERATORS.own_names()


def asked(**what: object) -> EvaluationRequest:
    return EvaluationRequest(**({"hops": None, "n_facts": None, "settings": {}, "n_graphs": None} | what))  # type: ignore[arg-type]


def test_cells_are_named_by_the_beginning_of_their_id_or_parts_of_their_title(run: Path) -> None:
    folder = RunFolder(run)
    every = trained_cells(folder, None)
    assert len(every) == 4
    assert trained_cells(folder, every[2].cell_id[:9]) == [every[2]]
    assert trained_cells(folder, "order 2") == every[2:]
    assert trained_cells(folder, "curriculum none | order 2") == every[2:], "values that titles leave out"
    assert trained_cell(folder, "seed 1 | standard") == every[1]
    with pytest.raises(UsageError, match=r"select one cell with --cell; there are .*seed 0.*seed 1"):
        trained_cell(folder, "standard")
    with pytest.raises(UsageError, match="no trained cell is 'rder 2'"):
        trained_cells(folder, "rder 2")
    shutil.rmtree(run / "cells" / every[1].cell_id)
    folder.cells.save_failure(every[1].cell_id, "loss is nan at step 3")
    with pytest.raises(UsageError, match=r"'.*standard.*seed 1.*' failed: loss is nan at step 3; choose another cell"):
        trained_cell(folder, "seed 1 | standard")
    shutil.rmtree(run / "cells")
    with pytest.raises(UsageError, match="has no trained cell; train it"):
        trained_cells(folder, None)


def test_saved_weights_score_what_they_scored(run: Path) -> None:
    folder = RunFolder(run)
    results = read_results(folder.path)
    for cell in trained_cells(folder, None):
        source = open_source(cell, None)
        model = load_model(folder, cell)
        scores = score(model, source.held_out["test"].examples, source.law.schema, "fact")
        rows = results[(results["cell_id"] == cell.cell_id) & (results["split"] == "test")]
        assert {hop: at.n_correct for hop, at in scores.items()} == dict(
            zip(rows["hop"], rows["n_correct"], strict=True)
        )


def test_what_was_trained_on_is_asked_again(run: Path, command: Command) -> None:
    folder = RunFolder(run)
    assert command("eval", "run", "--trained", "-n", "9", "--quiet").returncode == 0
    results = read_results(folder.path)
    for cell in trained_cells(folder, None):
        source = open_source(cell, None)
        steps = [source.batch(step, cell.train.batch_size) for step in range(3)]
        examples = Examples.concatenate(steps)
        scores = score(load_model(folder, cell), examples, source.law.schema, "fact")
        rows = results[(results["cell_id"] == cell.cell_id) & (results["split"] == "eval_trained_n9")]
        found = dict(zip(rows["hop"], rows["n_correct"], strict=True))
        assert found == {hop: at.n_correct for hop, at in scores.items()}
        loss = dict(zip(rows["hop"], rows["loss"], strict=True))
        assert loss == pytest.approx({hop: at.loss for hop, at in scores.items()}, rel=1e-4)


def test_damaged_weights_are_named(run: Path) -> None:
    folder = RunFolder(run)
    cell = trained_cells(folder, None)[0]
    path = folder.cells.weights(cell.cell_id)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptArtefactError, match="is truncated or edited: its hash does not match"):
        load_model(folder, cell)
    path.unlink()
    with pytest.raises(CorruptArtefactError, match=r"model\.safetensors: is missing"):
        load_model(folder, cell)


def test_looped_models_are_asked_with_other_loops_on_the_same_graphs(tmp_path: Path, command: Command) -> None:
    (tmp_path / "asked.yaml").write_text(
        SUITE.replace("standard, d_model: 12", "standard, n_loops: [1, 2], d_model: 12")
    )
    run = tmp_path / "run"
    made = command("train", str(tmp_path / "asked.yaml"), "--executor", "inline", "--quiet", "--out", str(run))
    assert made.returncode == 0, made.stderr
    line = ["eval", str(run), "--quiet", "--loops"]
    assert_fails(
        command(*line, "5"),
        3,
        "standard, d_model 12 | seed 0: --loops asks models that were trained with loops; choose them by",
    )
    looped = ["--cell", "n_loops 2"]
    for loops in ("1", "2", "5"):
        assert command(*line, loops, *looped).returncode == 0
    assert command("eval", str(run), "--quiet", "--n-facts", "13", *looped).returncode == 0
    rows = read_results(run).set_index(["cell_id", "hop"])
    splits = {split: rows[rows["split"] == split] for split in rows["split"].unique()}
    assert splits["eval_loops1"]["chance"].equals(splits["eval_loops5"]["chance"])
    losses = {split: splits[split]["loss"].tolist() for split in ("eval_loops1", "eval_loops2", "eval_loops5")}
    assert losses["eval_loops1"] != losses["eval_loops2"] != losses["eval_loops5"] != losses["eval_loops1"]
    for loops in (1, 2, 5):
        split = ["--split", f"eval_loops{loops}", *looped]
        assert command("predictions", str(run), "--quiet", *split).returncode == 0
        (file,) = run.glob(f"predictions-eval_loops{loops}*.csv")
        told = pd.read_csv(file)
        right = told[told["answer"] == told["prediction"]].groupby(["cell_id", "hop"]).size()
        assert right.to_dict() == {key: n for key, n in splits[f"eval_loops{loops}"]["n_correct"].items() if n}
    answers = [pd.read_csv(next(run.glob(f"predictions-eval_loops{loops}*.csv")))["answer"] for loops in (1, 5)]
    assert answers[0].equals(answers[1])


def test_where_one_of_several_tasks_cannot_be_asked_eval_says_how_to_ask_the_others(
    command: Command, tmp_path: Path
) -> None:
    two = "n_nodes: 6\n", "n_nodes: 6\n    vocab_size: [9, 30]\n"
    (tmp_path / "two.yaml").write_text(TINY.replace(*two).replace("steps: 20", "steps: 1"))
    made = command("train", "two.yaml", "--seeds", "1", "--executor", "inline", "--quiet", "--out", "two")
    assert made.returncode == 0, made.stderr
    said = "cannot have 12 facts with these hops and symbols; the nearest: 8 and 9; or ask the cells of other tasks"
    assert_fails(command("eval", "two", "--n-facts", "12", "--quiet"), 3, f"{said} alone, by --cell")


def test_eval_appends_a_split_and_never_overwrites(run: Path, command: Command) -> None:
    before = (run / "results.csv").read_text()
    line = ["eval", str(run), "--hops", "1-4", "--n-facts", "29"]
    first = command(*line)
    assert first.returncode == 0, first.stderr
    after = (run / "results.csv").read_text()
    assert after.startswith(before)
    rows = read_results(run)
    new = rows[rows["split"] == "eval_hops1-4_facts29"]
    assert len(new) == 4 * 4 and set(new["n_facts"]) == {29} and new["steps_to_95"].isna().all()
    assert set(new["chance"]) == {round(1 / 28, 7)}
    assert (new["n_examples"] == new.groupby("cell_id")["n_examples"].transform("max")).any()
    stamp = {path: path.stat().st_mtime_ns for path in run.rglob("asked/*.json")}
    again = command(*line)
    assert "eval_hops1-4_facts29: 4 of 4 were evaluated before and are kept" in again.stdout
    assert (run / "results.csv").read_text() == after
    assert {path: path.stat().st_mtime_ns for path in run.rglob("asked/*.json")} == stamp
    assert "eval_hops1-4_facts29, 29 facts" in (run / "report.md").read_text()


def test_a_run_that_goes_on_keeps_what_was_asked(run: Path, command: Command) -> None:
    assert command("eval", str(run), "--set", "n_nodes=17", "--n", "5").returncode == 0
    assert command("eval", str(run), "--hops", "2,4", "--cell", "order 2").returncode == 0
    after = (run / "results.csv").read_bytes()
    again = command("train", str(run / "spec.yaml"), "--executor", "inline", "--quiet", "--out", str(run))
    assert again.returncode == 0 and (run / "results.csv").read_bytes() == after


def test_every_model_is_asked_the_same_graphs_and_none_that_it_was_trained_on(run: Path) -> None:
    folder = RunFolder(run)
    cells = [cell for cell in trained_cells(folder, None) if cell.seed == 1]
    question = asked(hops=(1, 4))
    drawn = []
    for cell in cells:
        source = open_source(cell, None)
        held = draw(further_law(cell.task, question), question, source, cells=cells, seed=1)
        drawn.append(held.examples)
        seen = np.concatenate([world_ids(source.batch(step, 3).facts) for step in range(7)])
        others = np.concatenate([world_ids(other.examples.facts) for other in source.held_out.values()])
        ids = world_ids(held.examples.facts)
        assert not np.isin(ids, np.concatenate([seen, others])).any()
    assert all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))
    assert set(np.unique(drawn[0].hop)) == {1, 4}


def test_trained_worlds_are_avoided_where_they_would_be_drawn(run: Path) -> None:
    cell = trained_cells(RunFolder(run), "standard | seed 0")[0]
    source, question = open_source(cell, None), asked(n_graphs=3)
    law = further_law(cell.task, question)
    first = draw(law, question, source, cells=[cell], seed=0).examples
    source.held_out["shown"] = source.held_out["test"]._replace(examples=first)
    assert not np.isin(
        world_ids(draw(law, question, source, cells=[cell], seed=0).examples.facts), world_ids(first.facts)
    ).any()


def test_too_few_worlds_are_refused() -> None:
    task = make_task(
        {"task": "pointer_chase", "hops": [1], "n_nodes": 4, "vocab_size": 4, "n_val": 1, "n_test": 1}, where="t"
    )
    from nexus_bench.data.splits import Splits
    from nexus_bench.model.spec import make_model
    from nexus_bench.training.spec import CellSpec, TrainSpec

    cell = CellSpec(task=task, model=make_model({"attention": "standard"}, where="t"), train=TrainSpec(steps=3), seed=0)
    source = Splits(task.laws(), seed=0, n_val=1, n_test=1)
    with pytest.raises(ConfigError, match="5 graphs are asked for that were not trained, of 6 distinct worlds"):
        draw(task.law(), asked(n_graphs=5), source, cells=[cell], seed=0)


@pytest.mark.parametrize("name", GENERATORS.names())
def test_every_family_can_be_asked_larger_graphs(name: str) -> None:
    family = GENERATORS.get(name)
    if family.sized_by is None:
        pytest.skip("does not say which parameter sets its size")
    vocab_size = 9 * make_task({"task": name}, where="t").generator().vocab_size
    room = {"vocab_size": vocab_size} if "vocab_size" in family.Params.model_fields else {}
    task = make_task({"task": name} | room, where="t")
    trained = task.generator()

    def asked_of(size: int) -> tuple[int, str]:
        """Facts of graphs of that size, or why they cannot be asked."""
        try:
            return further_law(task, asked(settings={str(family.sized_by): size})).family.n_facts, ""
        except ConfigError as error:
            return 0, str(error)

    found = [asked_of(size) for size in range(2, max(60, trained.n_facts + 3))]
    larger = [n_facts for n_facts, _ in found if n_facts > trained.n_facts]
    if larger:
        assert further_law(task, asked(n_facts=larger[0])).family.n_facts == larger[0]
    else:  # its symbols follow its size, as the places of k_hop_induction do
        assert name not in OURS or name == "k_hop_induction"
        assert any(
            f"eval must keep the {n} symbols" in reason
            for _, reason in found
            for n in trained.schema.vocabularies.values()
        )


@pytest.mark.parametrize(
    ("entry", "question", "message"),
    [
        (
            {},
            {"hops": (1, 5)},
            r"a query writes its hop count as a number, and 5 was never trained; train with `--set hop_ood=5`",
        ),
        (
            {"hop_ood": [3]},
            {"hops": (4,), "n_facts": 30},
            "queries of these weights have room for 3 hops, got 4; train with hop_ood",
        ),
        ({}, {"n_facts": 49}, "cannot have 49 facts with these hops and symbols; the nearest: 47 and 48"),
        ({}, {"settings": {"vocab_size": 99}}, "eval must keep the 48 symbols of vocabulary 'node', got 99"),
        ({}, {"settings": {"n_nods": 99}}, "unknown key 'n_nods'; did you mean 'n_nodes'"),
        ({}, {"settings": {"n_nodes": "many"}}, "n_nodes: input should be a valid integer, got 'many'"),
    ],
)
def test_what_weights_cannot_know_is_not_asked(entry: Config, question: Config, message: str) -> None:
    task = make_task({"task": "pointer_chase", "hops": [1, 2], "vocab_size": 48} | entry, where="t")
    with pytest.raises(ConfigError, match=message):
        further_law(task, asked(**question))


def test_hops_that_no_query_says_can_be_asked_beyond_training() -> None:
    task = make_task({"task": "reachable", "hops": [1, 2], "vocab_size": 80}, where="t")
    assert further_law(task, asked(hops=(4,))).family.hops == (4,)


def test_learned_positions_end(command: Command, tmp_path: Path) -> None:
    line = "train --task pointer_chase --hops 1 --attention standard --set encoding=flat --set steps=1 --set n_test=3"
    sizes = "--set n_val=3 --set n_nodes=5 --set d_model=8 --seeds 1 --executor inline --quiet --out run"
    assert command(*line.split(), *sizes.split()).returncode == 0
    assert_fails(
        command("eval", "run", "--n-facts", "7", "-q"), 3, "learned 12 positions, 16 are needed; use fewer facts"
    )
    assert command("eval", "run", "--n-facts", "5", "-q").returncode == 0


def test_what_no_label_has_is_not_said_to_be_evaluated(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "train --task brevo --hops 1-6 --attention standard --set n_test=60 --set n_val=60 --set d_model=8 --steps 1"
    made = command(*line.split(), "--seeds", "1", "--executor", "inline", "--quiet", "--out", "run")
    assert made.returncode == 0, made.stderr
    again: list[Path] = []

    def noted(run: Path) -> pd.DataFrame:
        again.append(run)
        return read_results(run)

    monkeypatch.setattr("nexus_bench.io.read_results.read_results", noted)
    nothing = command("eval", "run", "--hops", "6", "-n", "1", "-q")
    assert nothing.returncode == 0 and nothing.stdout.splitlines()[-1] == (
        "eval_hops6_n1: nothing was scored: no label has hop 6; ask for more graphs by --n, or other hops"
    )
    some = command("eval", "run", "--hops", "1,6", "-n", "1", "-q").stdout.splitlines()
    assert some[-2].startswith("eval_hops1,6_n1: not all was scored: no label has hop 6;")
    assert some[-1] == "eval_hops1,6_n1: 1 cell evaluated"
    assert again == [], "the report has read the results"


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("eval run", 2, "say what to evaluate on that differs from training"),
        ("eval run --hops 9", 3, "queries of these weights have room for 4 hops, got 9; train with hop_ood up to 9"),
        ("eval run --trained --hops 1", 3, "what was trained on is asked as it was; omit hops, n_facts and settings"),
        ("eval run --trained -n 100", 3, "100 graphs are asked for that were trained, sure are 21; ask for fewer"),
        ("eval run --hops 1 --cell nobody", 2, "no trained cell is 'nobody'"),
        ("eval run --cell order 3 --hops 1", 2, "'3' is no setting; write --cell 'order 3', or settings as key=value"),
        (
            "eval run --hops 1 n_nodes=8 n_queries=4",
            3,
            "pointer_chase: these weights have room for 4 hops, and so must the graphs, however few are asked; with "
            "n_nodes=8, n_queries=4 they have 2 at most: raise n_nodes from 8 to 12",
        ),
        ("eval nowhere --hops 1", 5, "nowhere: is not a run folder"),
        ("predictions run --split vale", 3, "has no split 'vale'; it has hop_ood, test, val"),
        ("predictions run --format xlsx", 2, "unknown format 'xlsx'; known: csv, parquet"),
        ("predictions run --out run/results.csv", 5, "results.csv/predictions.csv: cannot be written"),
    ],
)
def test_wrong_lines_change_nothing(line: str, code: int, message: str, run: Path, command: Command) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert_fails(command(*line.split()), code, message)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_predictions_are_a_row_an_example_and_agree_with_the_results(run: Path, command: Command) -> None:
    assert command("predictions", str(run)).returncode == 0
    frame = pd.read_csv(run / "predictions.csv")
    assert len(frame) == 4 * 17 * 5
    results = read_results(run)
    right = frame[frame["prediction"] == frame["answer"]]
    assert (right["rank"] == 1).all() and (frame[frame["prediction"] != frame["answer"]]["rank"] > 1).all()
    counts = right.groupby(["cell_id", "hop"]).size()
    for _, row in results[results["split"] == "test"].iterrows():
        assert counts.get((row["cell_id"], row["hop"]), 0) == row["n_correct"]
    assert frame["answer"].str.fullmatch(r"node\d+").all() and frame["rank"].between(1, 53).all()
    assert frame["probability"].between(0, 1).all()


def test_predictions_of_what_was_asked_later_agree_with_its_rows(run: Path, command: Command) -> None:
    split = "eval_hops1-4_facts29"
    assert_fails(command("predictions", str(run), "--split", split), 3, f"has no split '{split}'")
    assert command("eval", str(run), "--hops", "1-4", "--n-facts", "29", "--cell", "seed 0", "-q").returncode == 0
    assert command("predictions", str(run), "--split", split, "--cell", "seed 0").returncode == 0
    frame = pd.read_csv(run / f"predictions-{split}-seed-0.csv")
    right = frame[frame["prediction"] == frame["answer"]].groupby(["cell_id", "hop"]).size()
    results = read_results(run)
    rows = results[results["split"] == split]
    assert len(rows) == 2 * 4 and len(frame) == rows["n_examples"].sum()
    assert [right.get(key, 0) for key in zip(rows["cell_id"], rows["hop"], strict=True)] == rows["n_correct"].to_list()


def test_predictions_in_parquet_are_those_in_csv(run: Path, command: Command) -> None:
    for file_format in ("csv", "parquet"):
        done = command("predictions", str(run), "--split", "hop_ood", "--cell", "seed 1", "--format", file_format)
        assert done.returncode == 0 and "170 rows of 2 cells" in done.stdout
    stem = "predictions-hop_ood-seed-1"
    csv, parquet = pd.read_csv(run / f"{stem}.csv"), pd.read_parquet(run / f"{stem}.parquet")
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False, atol=1e-6)
    assert set(csv["split"]) == {"hop_ood"} and set(csv["hop"]) == {3, 4}


def test_the_rank_of_equal_scores_is_by_id(run: Path) -> None:
    from nexus_bench.inspection.predictions import predict

    cell = trained_cells(RunFolder(run), "standard | seed 0")[0]
    source, model = open_source(cell, None), load_model(RunFolder(run), cell)
    with torch.no_grad():
        model.readout.weight.zero_()
        model.readout.bias.zero_()
    held = source.held_out["test"]
    frame = predict(cell, model, held, source.law.schema, split="test")
    assert (frame["rank"].to_numpy() == 1 + held.examples.answer.ravel()).all()
    assert set(frame["prediction"]) == {"node0"} and frame["probability"].to_numpy() == pytest.approx(1 / 53)
