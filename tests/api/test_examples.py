"""Examples from Python: the stream, the reward, the folders."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

import nexus_bench as nb
from nexus_bench.data.task import make_task
from tests.paths import ROOT

SMALL: dict[str, Any] = {"hops": "1-2", "n_nodes": 6, "n_val": 8, "n_test": 16, "n_queries": 2}


def first(n: int, stream: nb.ItemStream) -> list[nb.Item]:
    return list(itertools.islice(stream, n))


def test_the_stream_is_the_same_in_every_pass_and_another_with_another_seed() -> None:
    stream = nb.dataset("pointer_chase", **SMALL)
    one, again = first(300, stream), first(300, stream)
    other = first(300, nb.dataset("pointer_chase", seed=1, **SMALL))
    assert [item.prompt for item in one] == [item.prompt for item in again]
    assert [item.prompt for item in one] != [item.prompt for item in other]


def test_items_are_right_by_the_solver_and_say_the_same_in_english() -> None:
    law = make_task({"task": "kinship", "hops": "1-3"}, where="test").law()
    for item in first(40, nb.dataset("kinship", hops="1-3", target="steps")):
        solution = law.solve(item.facts[None].astype("int32"), item.query[None, None].astype("int32"))
        assert (solution.answer.item(), solution.hop.item()) == (item.label, item.hop)
        assert item.completion.endswith(f"So the answer is {item.answer}.")
        assert nb.score_answer(item, item.completion) == 1.0


def test_the_stream_begins_with_the_training_graphs_of_a_dataset(tmp_path: Path) -> None:
    nb.generate("pointer_chase", n=70, out=tmp_path / "data", format="text", seed=3, **SMALL)
    lines = [json.loads(line) for line in (tmp_path / "data" / "train.jsonl").read_text().splitlines()]
    items = first(len(lines), nb.dataset("pointer_chase", seed=3, **SMALL))
    asked = [(item.graph, item.prompt, item.completion, item.hop) for item in items]
    assert asked == [(line["graph"], line["prompt"], line["completion"], line["hop"]) for line in lines]


def test_workers_share_the_stream_without_repeating_a_graph() -> None:
    stream = nb.dataset("pointer_chase", hops=1, n_nodes=6, n_val=8, n_test=16, n_queries=1)
    assert isinstance(stream, IterableDataset)
    batches = list(itertools.islice(DataLoader(stream, batch_size=256, num_workers=2), 12))
    graphs = torch.cat([batch.graph for batch in batches]).tolist()
    assert sorted(graphs) == [*range(2048 + 512), *range(3072, 3072 + 512)]  # blocks of 1024
    assert batches[0].facts.shape == (256, 6, 2) and batches[0].facts.dtype == torch.int64
    assert len(batches[0].prompt) == 256


def test_a_stream_that_cannot_be_drawn_says_so_before_it_is_used() -> None:
    with pytest.raises(nb.NexusBenchError, match="unknown task 'kinshp'; did you mean 'kinship'"):
        nb.dataset("kinshp")
    with pytest.raises(nb.NexusBenchError, match="n_nodez"):
        nb.dataset("pointer_chase", n_nodez=5)
    with pytest.raises(nb.NexusBenchError, match="has no index; take items by"):
        nb.dataset("kinship")[3]


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("aunt", 1.0),
        ("So the answer is Aunt.", 1.0),
        ("answer: uncle? no, answer: `aunt`", 1.0),
        ("uncle", 0.0),
        ("So the answer is aunt. Thanks", 1.0),
        ("So the answer is aunt. So the answer is uncle.", 0.0),
    ],
)
def test_an_answer_is_scored_by_the_rule_of_the_score_command(text: str, reward: float) -> None:
    item = next(iter(nb.dataset("kinship", hops=2)))._replace(answer="aunt")
    assert [nb.score_answer(asked, text) for asked in (item, {"answer": "aunt"}, "aunt")] == [reward] * 3


def test_generate_writes_the_folder_of_the_command_and_reads_it(tmp_path: Path, command: Any) -> None:
    made = nb.generate("ancestor", hops=[1, 2], n=30, seed=2, n_val=5, n_test=7, out=tmp_path / "ours")
    line = "gen --task ancestor --hops 1-2 --n 30 --seed 2 --set n_val=5 --n-test 7 --out theirs"
    assert command(*line.split()).returncode == 0
    assert made.manifest["content_sha256"] == nb.load(tmp_path / "theirs").manifest["content_sha256"]
    assert made["train"].n_graphs == 30
    with pytest.raises(nb.NexusBenchError, match="unknown format 'npy'; did you mean 'npz'"):
        nb.generate("ancestor", format="npy", out=tmp_path / "more")


def test_show_prints_what_the_command_prints(command: Any) -> None:
    assert f"{nb.show('spatial', hops=2, seed=4)}\n" == command("show", "spatial", "--hops", "2", "--seed", "4").stdout


def test_the_stream_is_a_dataset_of_the_hub_library() -> None:
    datasets = pytest.importorskip("datasets")
    stream = nb.dataset("kinship", hops="1-3", n_queries=1)
    rows = datasets.IterableDataset.from_generator(lambda: (item._asdict() for item in stream))
    one = next(iter(rows))
    assert (one["prompt"], one["answer"]) == next(iter(stream))[0:3:2]


def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "language_models.md").read_text()
    (block,) = re.findall(r"^```python\n(import itertools.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(block, names)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert names["reward"](["So the answer is Aunt.", "uncle"], answer=["aunt", "aunt"], hop=[2, 2]) == [1.0, 0.0]
