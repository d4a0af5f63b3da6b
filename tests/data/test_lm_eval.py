"""Tasks for the evaluation harness run offline, and anyone's answers are scored by hop."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from nexus_bench.data.dataset import Dataset, read_dataset
from nexus_bench.data.generate import draw_dataset
from nexus_bench.data.lm_eval import SCORED, Choices
from nexus_bench.data.task import make_task
from nexus_bench.io.columns import COLUMNS
from nexus_bench.io.read_results import read_results
from tests.conftest import Command, assert_fails


@pytest.fixture
def asked(command: Command) -> Dataset:
    sizes = ["--n", "5", "--set", "n_test=12", "--set", "n_val=12", "--set", "n_sets=4", "--out", "d", "--quiet"]
    assert command("gen", "--task", "kinship", "--hops", "1-3", *sizes).returncode == 0
    return read_dataset(Path("d"))


def write(path: str, rows: list[dict[str, Any]]) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def answers(asked: Dataset, *, wrong_at: int = 0) -> list[dict[str, Any]]:
    """The right answer of every example, but of those at one hop."""
    law, examples = asked.spec.generator(), asked.splits["test"]
    return [
        {
            "graph": g,
            "query": q,
            "prediction": "nobody" if examples.hop[g, q] == wrong_at else law.symbol("term", examples.answer[g, q]),
        }
        for g, q in np.ndindex(*examples.answer.shape)
    ]


def test_right_answers_score_one_and_wrong_ones_nought_at_their_hop(asked: Dataset, command: Command) -> None:
    write("mine.jsonl", answers(asked, wrong_at=2))
    done = command("score", "mine.jsonl", "--data", "d")
    assert done.returncode == 0, done.stderr
    frame = read_results(Path("runs/score-mine"))
    assert list(frame.columns) == [column.name for column in COLUMNS]
    assert dict(zip(frame["hop"], frame["accuracy"], strict=True)) == {1: 1.0, 2: 0.0, 3: 1.0}
    assert frame["n_examples"].sum() == 48 and set(frame["model"]) == {"mine"} and set(frame["status"]) == {"scored"}
    law = asked.spec.generator()
    assert list(frame["chance"]) == pytest.approx([law.chance(hop) for hop in (1, 2, 3)], rel=1e-5)
    assert frame["shortcut"].notna().all() and frame["partial_input"].notna().all()


def test_scores_stand_in_one_report_with_trained_models(asked: Dataset, command: Command) -> None:
    write("mine.jsonl", answers(asked))
    assert command("score", "mine.jsonl", "--data", "d").returncode == 0
    small = ["--set", "steps=3", "--set", "batch_size=4", "--seeds", "1", "--executor", "inline", "--quiet"]
    assert command("train", "--data", "d", *small, "--attention", "standard", "--out", "r").returncode == 0
    done = command("report", "r", "runs/score-mine", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(io.StringIO(done.stdout))["model"]) == {"standard", "mine (text)"}
    tables = command("report", "r", "runs/score-mine", "--format", "md").stdout
    assert tables.count("## kinship") == 1
    assert "| standard" in tables and "| mine (text)" in tables


@pytest.mark.parametrize("said", ["{}", " {}.\n", "The answer is {}.", "I think so. ANSWER: {}", "**{}**", '"{}"'])
def test_what_stands_around_an_answer_does_not_matter(asked: Dataset, command: Command, said: str) -> None:
    rows = [row | {"prediction": said.format(row["prediction"]).upper()} for row in answers(asked)]
    write("mine.jsonl", rows)
    assert command("score", "mine.jsonl", "--data", "d").returncode == 0
    assert set(read_results(Path("runs/score-mine"))["accuracy"]) == {1.0}


@pytest.mark.parametrize(
    "said",
    ["So the answer is {}. Thanks.", "So the answer is I. So the answer is {}", "So the answer is {}\nanswer: I"],
)
def test_at_the_end_of_steps_the_answer_is_that_of_tasks_that_ask_for_steps(
    asked: Dataset, command: Command, said: str
) -> None:
    rows = answers(asked)
    write("mine.jsonl", [row | {"prediction": f"Ada is his sister. {said.format(row['prediction'])}"} for row in rows])
    assert command("score", "mine.jsonl", "--data", "d").returncode == 0
    assert set(read_results(Path("runs/score-mine"))["accuracy"]) == {1.0}
    pattern = SCORED["derive"]["filter_list"][0]["filter"][0]["regex_pattern"]
    assert [re.findall(pattern, said.format(row["prediction"]))[-1] for row in rows] == [r["prediction"] for r in rows]


def test_part_of_the_answers_is_scored_as_such(asked: Dataset, command: Command) -> None:
    write("mine.jsonl", answers(asked)[:7])
    done = command("score", "mine.jsonl", "--data", "d")
    assert done.returncode == 0 and "answered: 7 of the 48 examples of test" in done.stdout
    assert read_results(Path("runs/score-mine"))["n_examples"].sum() == 7


def test_a_report_of_no_test_row_is_refused_in_one_line(asked: Dataset, command: Command) -> None:
    write("mine.jsonl", answers(asked)[:1])
    assert command("score", "mine.jsonl", "--data", "d", "--split", "val", "--out", "s").returncode == 0
    assert_fails(command("report", "s"), 3, "a report shows the test split, of which these results have no row")


def test_scores_on_another_dataset_do_not_replace_those_there(asked: Dataset, command: Command) -> None:
    write("mine.jsonl", answers(asked)[:1])
    assert command("score", "mine.jsonl", "--data", "d").returncode == 0
    sizes = ["--n", "5", "--set", "n_test=12", "--set", "n_val=12", "--out", "e", "--quiet", "--seed", "1"]
    assert command("gen", "--task", "kinship", "--hops", "1-3", *sizes).returncode == 0
    assert_fails(command("score", "mine.jsonl", "--data", "e"), 2, "runs/score-mine: holds other results")


def test_an_export_tells_examples_as_the_dataset_does(command: Command) -> None:
    told = ["--format", "text", "--set", "question=first", "--set", "target=steps"]
    sizes = ["--n", "5", "--set", "n_test=12", "--set", "n_val=12", "--out", "e", "--quiet"]
    assert command("gen", "--task", "kinship", "--hops", "2", *sizes, *told).returncode == 0
    assert command("export", "--data", "e", "--out", "h").returncode == 0
    row = json.loads(Path("h/test-hop2.jsonl").read_text().splitlines()[0])
    assert row["prompt"].index("?") < row["prompt"].index(".") and " " not in row["answer"]


WARNING = "shows the order of the derivation: chance, shortcuts and partial-input ceilings do not hold for this text"
SIZES = ["--n", "5", "--set", "n_test=30", "--set", "n_val=12", "--quiet"]


def test_sentences_in_the_order_of_the_derivation_are_told_to_void_the_ceilings(command: Command) -> None:
    order = ["--set", "sentences=forward"]
    done = command("gen", "--hops", "1-3", *SIZES, "--format", "text", *order, "--out", "d")
    assert f"sentences=forward {WARNING}" in done.stdout
    assert f"sentences=forward {WARNING}" in Path("d/README.md").read_text()
    done = command("export", "--data", "d", "--out", "h")
    assert f"sentences=forward {WARNING}" in done.stdout
    assert json.loads(Path("h/test-hop2.jsonl").read_text().splitlines()[0])["sentences"] == "forward"
    write("mine.jsonl", [{"graph": 0, "query": q, "prediction": "nobody"} for q in range(4)])
    done = command("score", "mine.jsonl", "--data", "d")
    lines = [line for line in done.stdout.splitlines() if " hops " in line and "right:" in line]
    assert lines and all("end_sentence 0." in line for line in lines)
    assert not any("chance" in line or "ceiling" in line for line in lines)
    assert f"sentences=forward {WARNING}" in done.stdout
    rows = read_results(Path("runs/score-mine"))
    assert rows[["chance", "partial_input"]].isna().all(axis=None)
    assert rows["shortcut"].notna().all() and set(rows["shortcut_name"]) == {"end_sentence"}
    assert rows["task_options"].str.contains("sentences=forward").all()


def test_scores_of_sentences_in_order_stand_beside_no_ceiling_of_shuffled_ones(command: Command) -> None:
    for order in ("shuffled", "forward"):
        told = ["--format", "text", "--set", f"sentences={order}", "--out", order]
        assert command("gen", "--hops", "1-3", *SIZES, *told).returncode == 0
        write(f"{order}.jsonl", [{"graph": 0, "query": q, "prediction": "nobody"} for q in range(4)])
        assert command("score", f"{order}.jsonl", "--data", order, "--out", f"s-{order}").returncode == 0
    assert command("report", "s-shuffled", "s-forward", "--out", "joint").returncode == 0
    told = pd.read_csv("joint/report.csv").groupby("model")[["chance", "partial_input"]].count()
    assert told.loc["shuffled"].min() > 0 and told.loc["forward"].max() == 0


def test_an_order_that_an_export_set_is_told_with_its_scores(command: Command) -> None:
    assert command("gen", "--hops", "1-3", *SIZES, "--out", "d").returncode == 0
    assert command("export", "--data", "d", "--set", "sentences=backward", "--out", "h").returncode == 0
    doc = json.loads(Path("h/test-hop2.jsonl").read_text().splitlines()[0])
    write("mine.jsonl", [{"doc": doc, "filtered_resps": [doc["answer"]]}])
    assert f"sentences=backward {WARNING}" in command("score", "mine.jsonl", "--data", "d").stdout
    document = json.loads(command("score", "mine.jsonl", "--data", "d", "--out", "s", "--json").stdout)
    assert WARNING in document["warning"] and {row["shortcut_name"] for row in document["rows"]} == {"end_sentence"}


def test_shuffled_sentences_void_nothing(command: Command) -> None:
    done = command("gen", "--hops", "1-3", *SIZES, "--format", "text", "--out", "d")
    write("mine.jsonl", [{"graph": 0, "query": 0, "prediction": "nobody"}])
    scored = command("score", "mine.jsonl", "--data", "d")
    assert "chance 0." in scored.stdout and WARNING not in done.stdout + scored.stdout
    assert WARNING not in Path("d/README.md").read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "mine.jsonl:1: is not a prediction"),
        ('{"graph": 0, "prediction": "aunt"}', "mine.jsonl:1: is not a prediction"),
        ('{"graph": 99, "query": 0, "prediction": "aunt"}', "test has graphs 0..11 with queries 0..3, got graph 99"),
        ('{"graph": 0, "query": "0", "prediction": "aunt"}', "graph and query must be numbers"),
        ('{"graph": 0, "query": 0, "prediction": "a"}\n{"graph": 0, "query": 0, "prediction": "b"}', "answered twice"),
        ("", "holds no prediction"),
    ],
)
def test_a_line_that_is_no_prediction_is_named(asked: Dataset, command: Command, line: str, message: str) -> None:
    Path("mine.jsonl").write_text(line)
    assert_fails(command("score", "mine.jsonl", "--data", "d"), 3, message)
    assert not Path("runs/score-mine").exists()


def test_results_of_something_else_are_kept(asked: Dataset, command: Command) -> None:
    write("mine.jsonl", answers(asked))
    assert command("score", "mine.jsonl", "--data", "d", "--out", "s").returncode == 0
    assert command("score", "mine.jsonl", "--data", "d", "--out", "s").returncode == 0
    before = Path("s/results.csv").read_bytes()
    other = command("score", "mine.jsonl", "--data", "d", "--model", "other", "--out", "s")
    assert_fails(other, 2, "s: holds other results, which are kept")
    assert Path("s/results.csv").read_bytes() == before


def test_predictions_that_are_not_there_are_an_error_of_storage(asked: Dataset, command: Command) -> None:
    assert_fails(command("score", "none.jsonl", "--data", "d"), 5, "none.jsonl: cannot be read")
    write("mine.jsonl", answers(asked))
    assert_fails(command("score", "mine.jsonl", "--data", "d", "--split", "hop_ood"), 3, "has no split 'hop_ood'")


def test_a_variable_is_no_choice_where_constants_are_asked_for() -> None:
    spec = make_task({"task": "variable_chain", "n_test": 50, "n_val": 5}, where="test")
    law, examples = spec.generator(), draw_dataset(spec, seed=0).splits["test"]
    choices = Choices(law, examples)
    assert all(len(choices(graph, 2)) == 4 for graph in range(50))


def test_an_export_holds_a_task_a_hop_and_kind_and_a_group_a_kind(asked: Dataset, command: Command) -> None:
    done = command("export", "--data", "d", "--n", "5", "--out", "e", "--files", "parquet")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in Path("e").iterdir()} == {
        "utils.py",
        *(f"test-hop{hop}.parquet" for hop in (1, 2, 3)),
        *(f"nexus_kinship_hop{hop}_{kind}.yaml" for hop in (1, 2, 3) for kind in ("choice", "generate")),
        *(f"_nexus_kinship_{kind}.yaml" for kind in ("choice", "generate")),
    }
    group = yaml.safe_load(Path("e/_nexus_kinship_choice.yaml").read_text())
    assert group["task"] == [f"nexus_kinship_hop{hop}_choice" for hop in (1, 2, 3)]
    assert group["metadata"]["version"] == 2
    assert_fails(command("export", "--data", "d", "--out", "e"), 2, "e: holds something, which is kept")
    assert_fails(
        command("export", "--data", "d", "--hops", "2", "--out", "f"), 2, "omit --task, --hops and settings of the task"
    )
    assert_fails(command("export", "--format", "helm", "--out", "f"), 2, "unknown format 'helm'")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_harness_runs_an_export_offline_and_its_samples_are_scored(
    asked: Dataset, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    import lm_eval
    import torch
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    assert command("export", "--data", "d", "--n", "9", "--out", "e").returncode == 0
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    text = Path("e/test-hop3.jsonl").read_text()
    words.train_from_iterator([text], trainers.WordLevelTrainer(special_tokens=["<unk>", "<eos>"]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>", pad_token="<eos>")
    torch.manual_seed(0)
    size = GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=1, bos_token_id=1, eos_token_id=1)
    model = HFLM(pretrained=GPT2LMHeadModel(size), tokenizer=tokenizer, backend="causal", batch_size=4, device="cpu")
    groups = ["nexus_kinship_choice", "nexus_kinship_generate"]
    manager = TaskManager(include_path="e", include_defaults=False)
    done = lm_eval.simple_evaluate(model, tasks=groups, task_manager=manager, bootstrap_iters=0, log_samples=True)
    samples = done["samples"]
    assert set(samples) == {f"nexus_kinship_hop{hop}_{kind}" for hop in (1, 2, 3) for kind in ("choice", "generate")}
    choice = [sample for name, some in samples.items() if name.endswith("choice") for sample in some]
    assert len(choice) == 27
    assert done["results"]["nexus_kinship_choice"]["acc,none"] == pytest.approx(np.mean([s["acc"] for s in choice]))
    assert "exact_match,stripped" in done["results"]["nexus_kinship_generate"]
    assert done["versions"]["nexus_kinship_hop2_choice"] == 2
    write("tiny.jsonl", [{"doc": s["doc"], "filtered_resps": s["filtered_resps"]} for s in choice])
    assert command("score", "tiny.jsonl", "--data", "d").returncode == 0
    frame = read_results(Path("runs/score-tiny"))
    assert frame["n_correct"].sum() == sum(sample["acc"] for sample in choice)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_of_a_derivation_the_answer_at_its_end_counts(asked: Dataset, command: Command) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Deriving(LM):  # type: ignore[misc]
        """Says the right answer after steps at 1 hop, another one before it at 2, and no answer at 3."""

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            told = {1: " So it is. So the answer is {}.", 2: " So the answer is {}. So the answer is aunts.", 3: " {}."}
            assert all(request.args[0].endswith("?\nSteps:") for request in requests)
            return [told[request.doc["hop"]].format(request.doc["answer"]) for request in requests]

        loglikelihood = loglikelihood_rolling = generate_until

    assert command("export", "--data", "d", "--n", "5", "--out", "e", "target=steps").returncode == 0
    assert sorted(path.name for path in Path("e").glob("_*")) == ["_nexus_kinship_derive.yaml"]
    manager = TaskManager(include_path="e", include_defaults=False)
    done = simple_evaluate(Deriving(), tasks=["nexus_kinship_derive"], task_manager=manager, bootstrap_iters=0)
    scores = [done["results"][f"nexus_kinship_hop{hop}_derive"]["exact_match,stripped"] for hop in (1, 2, 3)]
    assert scores == [1, 0, 0]
    assert done["results"]["nexus_kinship_derive"]["exact_match,stripped"] == pytest.approx(1 / 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_examples_before_a_question_show_their_derivations_and_the_longest_can_be_written(command: Command) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    seen: list[Any] = []

    class Asked(LM):  # type: ignore[misc]
        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            seen.extend(request.args for request in requests)
            return [f" So the answer is {request.doc['answer']}." for request in requests]

        loglikelihood = loglikelihood_rolling = generate_until

    sizes = "n_val=3 n_test=5 target=steps"
    assert command(*f"export rule_chain --hops 2,9 --n 4 {sizes} --out e".split()).returncode == 0
    manager = TaskManager(include_path="e", include_defaults=False)
    told = {"tasks": ["nexus_rule_chain_derive"], "task_manager": manager, "bootstrap_iters": 0}
    done = simple_evaluate(Asked(), num_fewshot=1, **told)
    assert done["results"]["nexus_rule_chain_derive"]["exact_match,stripped"] == 1
    for hop in (2, 9):
        rows = [json.loads(line) for line in Path(f"e/test-hop{hop}.jsonl").read_text().splitlines()]
        steps = {row["prompt"]: row["steps"] for row in rows}
        assert all(row["steps"].count(".") == hop + 1 for row in rows)
        assert all(row["steps"].endswith(f"So the answer is {row['answer']}.") for row in rows)
        here = [args for args in seen if args[0].removesuffix("\nSteps:").split("\n\n")[-1] in steps]
        assert len(here) == 4
        for context, generated in here:
            shown = context.split("\n\n")[0]
            assert shown.partition("\nSteps: ")[2] == steps[shown.partition("\nSteps: ")[0]]
            assert generated["max_gen_toks"] == max(256, *map(len, steps.values()))
    assert {generated["max_gen_toks"] > 256 for _, generated in seen} == {False, True}
