"""`nexus-bench lm`: likelihoods, files of questions, exported tasks."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from nexus_bench.errors import ConfigError
from nexus_bench.hf import apply_nexus
from nexus_bench.hf.lm import _whole_prompts
from nexus_bench.hf.tokenizer import train_tokenizer
from tests.conftest import Command, assert_fails
from tests.hf.pretraining import write_text
from tests.hf.tiny import stock

ROWS: list[dict[str, Any]] = [
    {"question": "Where did Ada walk?", "choices": ["to the hill", "to the river", "home"], "gold": 1},
    {"question": "How far?", "choices": ["one mile", "many"], "gold": 0},
    {"question": "Who waited?", "choices": ["Ben", "Cleo", "Dan and Eve"], "gold": 2},
    {"question": "And then?", "choices": ["nobody knows", "the market", "a garden"], "gold": 0},
    {"question": "Why?", "choices": ["for days", "the mill"], "gold": 1},
]


@pytest.fixture
def offline(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """In a folder with a nested model and questions; what would ask a network fails at once."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    tokenizer = train_tokenizer(iter([write_text(Path("t.txt")).read_text()]), 300)
    model = apply_nexus(stock("gpt_neox", vocab_size=300, eos_token_id=0, max_position_embeddings=512), order=2)
    tokenizer.save_pretrained("m")
    model.save_pretrained("m")
    write_rows(Path("q.jsonl"), ROWS)
    return command


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def likelihoods(asked: str, choices: list[str]) -> list[float]:
    """Of each choice after the question, token by token."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained("m"), AutoTokenizer.from_pretrained("m")
    before = tokenizer(asked)["input_ids"]
    found = []
    for choice in choices:
        ids = tokenizer(f"{asked} {choice}")["input_ids"]
        assert ids[: len(before)] == before
        chances = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        found.append(sum(chances[at - 1, ids[at]].item() for at in range(len(before), len(ids))))
    return found


@pytest.mark.parametrize("batch", ["1", "4"])
def test_choices_are_scored_by_their_likelihood(batch: str, offline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.models.huggingface import HFLM

    told: list[float] = []
    asked_of = HFLM.loglikelihood

    def noted(self: Any, requests: Any, **more: Any) -> Any:
        answers = asked_of(self, requests, **more)
        told.extend(score for score, _ in answers)
        return answers

    monkeypatch.setattr(HFLM, "loglikelihood", noted)
    done = offline("lm", "m", "--tasks", "q.jsonl", "--device", "cpu", "--batch", batch, "--out", "s.json", "--json")
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        expected = [likelihoods(f"Question: {row['question']}\nAnswer:", row["choices"]) for row in ROWS]
    assert sorted(told) == pytest.approx(sorted(one for row in expected for one in row), abs=1e-4)
    right = [
        max(range(len(row)), key=row.__getitem__) == asked["gold"] for row, asked in zip(expected, ROWS, strict=True)
    ]
    by_byte = [
        [one / len(c) for one, c in zip(row, asked["choices"], strict=True)]
        for row, asked in zip(expected, ROWS, strict=True)
    ]
    normed = [
        max(range(len(row)), key=row.__getitem__) == asked["gold"] for row, asked in zip(by_byte, ROWS, strict=True)
    ]
    scores = {score["metric"]: score for score in json.loads(done.stdout)["scores"]}
    assert {name: score["value"] for name, score in scores.items()} == pytest.approx(
        {"acc": sum(right) / 5, "acc_norm": sum(normed) / 5}
    )
    share = sum(right) / 5
    assert scores["acc"]["stderr"] == pytest.approx((share * (1 - share) / 4) ** 0.5) and scores["acc"]["n"] == 5
    assert json.loads(Path("s.json").read_text())["scores"] == json.loads(done.stdout)["scores"]


def test_questions_are_asked_as_the_prompt_says(offline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.models.huggingface import HFLM

    seen: list[str] = []
    asked_of = HFLM.loglikelihood

    def noted(self: Any, requests: Any, **more: Any) -> Any:
        seen.extend(request.args[0] for request in requests)
        return asked_of(self, requests, **more)

    monkeypatch.setattr(HFLM, "loglikelihood", noted)
    line = ["lm", "m", "--tasks", "q.jsonl", "--device", "cpu", "--limit", "1", "--prompt", "Q {{question}} A"]
    assert offline(*line).returncode == 0
    assert set(seen) == {"Q Where did Ada walk? A"}
    seen.clear()
    assert offline(*line, "--shots", "1").returncode == 0
    assert set(seen) == {"Q How far? A one mile\n\nQ Where did Ada walk? A"}


@pytest.mark.slow
def test_exported_tasks_and_written_answers_are_run(offline: Command) -> None:
    sizes = "--set n_nodes=7 --set n_val=3 --set n_test=5"
    assert offline(*f"export --task pointer_chase --hops 1-2 --n 4 {sizes} --out h".split()).returncode == 0
    write_rows(Path("g.jsonl"), [{"question": "What?", "answer": "nothing"}])
    done = offline(*"lm m --device cpu --tasks h/nexus_pointer_chase_hop1_choice,g.jsonl --tasks h".split())
    assert done.returncode == 0, done.stderr
    for name in ("hop1_choice", "hop2_generate", "choice", "generate"):
        assert f"nexus_pointer_chase_{name} " in done.stdout
    assert "standard error" in done.stdout and "\u2502 g " in done.stdout


@pytest.mark.slow
def test_a_prompt_that_the_model_takes_is_asked_whole_and_less_is_written(
    offline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.models.huggingface import HFLM

    seen: list[str] = []
    lengths: list[int] = []
    generate = HFLM._model_generate

    def noted(self: Any, context: Any, max_length: int, *args: Any, **more: Any) -> Any:
        seen.extend(self.tokenizer.decode(row, skip_special_tokens=True) for row in context)
        lengths.append(max_length)
        return generate(self, context, max_length, *args, **more)

    monkeypatch.setattr(HFLM, "_model_generate", noted)
    sizes = "n_nodes=8 n_val=3 n_test=5 target=steps"
    assert offline(*f"export --task pointer_chase --hops 1-2 --n 4 {sizes} --out h".split()).returncode == 0
    done = offline(*"lm m --device cpu --tasks h".split())
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for hop in (1, 2) for line in Path(f"h/test-hop{hop}.jsonl").read_text().splitlines()]
    assert sorted(seen) == sorted(f"{row['prompt']}\nSteps:" for row in rows)
    assert set(lengths) == {512}


def test_no_more_is_written_than_a_task_asks_for_and_prompts_without_room_are_left_to_lm_eval() -> None:
    class Harness:
        max_length, max_gen_toks = 100, 256

        def tok_encode(self, context: str) -> list[str]:
            return context.split()

        def generate_until(self, requests: list[Any], disable_tqdm: bool) -> list[Any]:
            return [request.arguments[1] for request in requests]

    class Request:
        def __init__(self, n_tokens: int, told: dict[str, Any]) -> None:
            self.arguments = self.args = ("a " * n_tokens, told)

    asked = [
        (40, {"max_new_tokens": 60}),
        (41, {"max_new_tokens": 60}),
        (90, {}),
        (100, {"max_gen_toks": 99}),
        (120, {"max_gen_toks": 9}),
    ]
    told = _whole_prompts(Harness)().generate_until([Request(*one) for one in asked])
    assert told == [
        asked[0][1],
        {"max_new_tokens": 60, "max_gen_toks": 59},
        {"max_gen_toks": 10},
        asked[3][1],
        asked[4][1],
    ]
    with pytest.raises(ConfigError, match="the longest prompt has 300 tokens and the model takes 100; give a model"):
        _whole_prompts(Harness)().generate_until([Request(100, {}), Request(300, {"max_gen_toks": 9})])


def test_prompts_longer_than_the_model_takes_are_one_line(offline: Command) -> None:
    config = json.loads(Path("m/config.json").read_text())
    Path("m/config.json").write_text(json.dumps(config | {"max_position_embeddings": 64}))
    assert offline(*"export --task pointer_chase --hops 1 --n 2 target=steps --out h".split()).returncode == 0
    tokenizer = AutoTokenizer.from_pretrained("m")
    rows = [json.loads(line) for line in Path("h/test-hop1.jsonl").read_text().splitlines()]
    longest = max(len(tokenizer(f"{row['prompt']}\nSteps:")["input_ids"]) for row in rows)
    said = f"h: the longest prompt has {longest} tokens and the model takes 64; give a model of longer sequences, or sh"
    assert_fails(offline(*"lm m --device cpu --tasks h".split()), 3, said)


WRONG = [
    ("nowhere/m --tasks q.jsonl", 5, "nowhere/m: is no file or folder here, and cannot be downloaded; give a folder"),
    ("bare --tasks q.jsonl", 3, "bare: has no config.json; give a folder that `pretrain` or save_pretrained wrote"),
    ("m --tasks bare", 3, "bare: holds no tasks of lm-eval; `nexus-bench export` writes such a folder"),
    ("m --tasks tasks --prompt Q", 2, "--prompt says how rows of a .jsonl file are asked, and there is none: exported"),
    ("m --tasks piqa --prompt Q", 2, "--prompt says how rows of a .jsonl file are asked, and there is none: exported"),
    ("m --tasks tasks/one --prompt Q", 2, "--prompt says how rows of a .jsonl file are asked, and there is none: expo"),
    ("m --tasks nowhere.jsonl", 5, "nowhere.jsonl: cannot be read"),
    ("m --tasks bad.jsonl", 3, "bad.jsonl:2: `gold` must be the number of a choice, 0 to 1, got 2"),
    ("m --tasks few.jsonl", 3, "few.jsonl:1: `choices` must be a list of two or more strings"),
    ("m --tasks other.jsonl", 3, "other.jsonl:1: needs `question`, a string, and `choices` and `gold`, or `answer`"),
    ("m --tasks empty.jsonl", 3, "empty.jsonl: has no lines"),
    ("m --tasks blank.jsonl", 3, "blank.jsonl:1: `choices` must be a list of two or more strings, none of them empty"),
    ("m --tasks kinds.jsonl", 3, "kinds.jsonl: a key must have values of one kind in all lines ("),
    ("m --tasks q.jsonl --tasks bare/q.jsonl", 3, "bare/q.jsonl: another file is called q, too; rename one of them"),
    ("m --tasks ,", 2, "--tasks: a name is empty; give a folder, a .jsonl file or a task of lm-eval"),
    ("m --tasks q.jsonl --shots 5", 2, "there are too few others for 5 examples before each; lower --shots"),
    ("m --tasks q.jsonl --prompt {{nope}}", 3, "--prompt: 'nope' is undefined; question 1 of q.jsonl has question, "),
    ("m --tasks q.jsonl --prompt {{question", 3, "--prompt: unexpected end of template"),
    ("m --tasks q.jsonl --prompt {{cycler()}}", 3, "--prompt: at least one item has to be provided; question 1 of q"),
    ("m --tasks half.jsonl", 3, "half.jsonl:1: \\ud83d is half of a character; write both halves, or none"),
    ("m --tasks large.jsonl", 3, "large.jsonl: a key must have values of one kind in all lines ("),
    ("m --tasks long.jsonl", 3, "long.jsonl: lm-eval cannot ask it: AssertionError: no message ("),
    ("m --tasks q.jsonl --out q.jsonl", 2, "q.jsonl: was not written by nexus-bench and is kept; choose another --out"),
    ("other --tasks q.jsonl", 3, "other: the weights lack gpt_neox.layers.3.attention.dense.bias; give the folder of"),
    ("m --tasks q.jsonl --prompt {{gold}}", 3, "q.jsonl: question 1 is asked as '1', a number alone; add a word to"),
    ("m --tasks q.jsonl --dtype int8", 2, "unknown dtype 'int8'; did you mean"),
]


@pytest.mark.parametrize(("line", "code", "said"), WRONG, ids=[line for line, _, _ in WRONG])
def test_a_wrong_line_is_one_line_of_error(line: str, code: int, said: str, offline: Command) -> None:
    Path("bare").mkdir()
    Path("tasks").mkdir()
    Path("tasks/one.yaml").write_text("task: one\n")
    good = {"question": "a", "choices": ["b", "c"], "gold": 0}
    write_rows(Path("bad.jsonl"), [good, good | {"gold": 2}])
    write_rows(Path("blank.jsonl"), [good | {"choices": ["b", ""]}])
    write_rows(Path("kinds.jsonl"), [good | {"of": "b"}, good | {"of": [1]}])
    write_rows(Path("bare/q.jsonl"), [good])
    write_rows(Path("few.jsonl"), [good | {"choices": ["b"]}])
    write_rows(Path("other.jsonl"), [{"goal": "a"}])
    write_rows(Path("half.jsonl"), [good | {"question": "\ud83d"}])
    write_rows(Path("large.jsonl"), [good | {"of": 10**30}])
    write_rows(Path("long.jsonl"), [good | {"choices": ["b " * 600, "c"]}])
    shutil.copytree("m", "other")
    config = json.loads(Path("other/config.json").read_text())
    Path("other/config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    Path("empty.jsonl").write_text("\n")
    if "dtype" in said:
        said = "unknown dtype 'int8'; "
    assert_fails(offline("lm", *line.split(), "--device", "cpu"), code, said)


@pytest.mark.parametrize("task", ["", "/nexus_kinship_choice"])
def test_tasks_in_a_folder_that_may_not_be_read_are_a_fault_of_storage(
    task: str, offline: Command, closed: Path
) -> None:
    done = offline("lm", "m", "--tasks", f"{closed}{task}", "--device", "cpu")
    assert_fails(done, 5, f"{closed}: cannot be read: Permission denied; name a folder that can be")


def test_what_ends_a_line_elsewhere_may_stand_in_a_question_and_scores_are_written_again(offline: Command) -> None:
    rows = [row | {"question": f"{row['question']}\u2028\x85and?\U0001f600"} for row in ROWS]
    Path("u.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    for _ in range(2):
        done = offline(*"lm m --tasks u.jsonl --device cpu --out scores.json".split())
        assert done.returncode == 0, done.stderr
    assert json.loads(Path("scores.json").read_text())["scores"][0]["n"] == len(ROWS)


def test_git_is_not_asked_which_complains_where_there_is_no_repository(
    offline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[None] = []
    monkeypatch.setattr("lm_eval.evaluator.get_git_commit_hash", lambda: asked.append(None))
    assert offline(*"lm m --tasks q.jsonl --device cpu --limit 1".split()).returncode == 0 and not asked


@pytest.mark.slow
def test_without_a_network_tasks_of_lm_eval_are_one_line(offline: Command) -> None:
    said = "arc_easy: cannot be run ("
    assert_fails(offline(*"lm m --tasks arc_easy --device cpu".split()), 5, said)
    done = offline(*"lm m --tasks arc_eazy --device cpu".split())
    assert_fails(done, 2, "unknown task 'arc_eazy'; did you mean 'arc_easy'?")
    Path("away").mkdir()
    write_text(Path("away/t.txt"))
    assert_fails(offline(*"pretrain --text someone/text --out r".split()), 5, "someone/text: is no file or folder here")
