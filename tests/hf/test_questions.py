"""What is asked: datasets, tasks and files of lines; and lines that are wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from nexus_bench.data.dataset import read_dataset
from nexus_bench.data.lm_eval import documents
from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError, StorageError
from nexus_bench.hf.questions import Question, Size, drawn_material, in_order, open_material
from nexus_bench.hf.tokens import QuestionEncoder
from nexus_bench.io.columns import TEST, TRAIN, VAL
from nexus_bench.text.render import TextOptions
from tests.hf.made import saved_model

SIZE = Size(23, 5, 7)


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_dataset_is_asked_as_its_export_is(dataset_folder: Path) -> None:
    material = open_material(dataset_folder, size=SIZE, view="text", told={})
    rows = documents(read_dataset(dataset_folder), TEST, TextOptions(), 7)
    expected = [row for here in rows.values() for row in here]
    assert [q.context for q in material.splits[TEST]] == [row["prompt"] + "\nAnswer:" for row in expected]
    assert [q.answer for q in material.splits[TEST]] == [" " + row["answer"] for row in expected]
    assert [list(q.choices) for q in material.splits[TEST]] == [[" " + c for c in row["choices"]] for row in expected]
    assert [q.hop for q in material.splits[VAL]] == [1] * 5 + [2] * 5 + [3] * 5
    assert len(material.splits[TRAIN]) == 25  # five whole graphs of five queries
    assert material.references[TEST][2]["chance"] == pytest.approx(1 / 10)


def test_a_task_gives_new_examples_that_no_other_split_has(small_spec: TaskSpec) -> None:
    material = drawn_material(small_spec, size=SIZE, view="chat", told={"question": "first"})
    asked = {split: {str(q.context) for q in questions} for split, questions in material.splits.items()}
    assert len(asked[TRAIN]) == 25 and not asked[TRAIN] & (asked[VAL] | asked[TEST])
    (message,) = material.splits[TEST][0].context
    assert message["role"] == "user" and message["content"].index("?") < message["content"].index(".")


def test_a_file_is_split_by_what_is_asked_and_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"what is {i % 70}" + " " * (i // 70), "answer": str(i % 3), "choices": ["0", "1", "2"]}
        for i in range(140)
    ]
    material = open_material(lines(tmp_path / "sums.jsonl", rows), size=Size(9, 99, 99), view="text", told={})
    asked = [{str(q.context).rstrip() for q in material.splits[split]} for split in (TRAIN, VAL, TEST)]
    assert len(asked[0] | asked[1] | asked[2]) == 70 == sum(map(len, asked)) and min(map(len, asked)) > 0
    assert material.columns[TEST]["task"] == "sums" and material.references[TEST][1]["chance"] == pytest.approx(1 / 3)
    for split, row in zip((TRAIN, VAL, TEST), rows, strict=False):
        lines(tmp_path / f"{split}.jsonl", [row])
    taken = open_material(tmp_path, size=SIZE, view="text", told={}).splits
    assert [q.context for split in (TRAIN, VAL, TEST) for q in taken[split]] == ["what is 0", "what is 1", "what is 2"]


def test_messages_end_with_the_answer_and_free_answers_have_no_chance(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    for split in (TRAIN, VAL, TEST):
        lines(tmp_path / f"{split}.jsonl", [{"messages": said}])
    material = open_material(tmp_path, size=SIZE, view="text", told={})
    (one,) = material.splits[TEST]
    assert (one.context, one.answer, one.choices) == (said[:1], "ho", ())
    assert material.references[TEST][1]["chance"] is None


def test_messages_and_prompts_in_one_file_are_each_encoded_as_their_kind(tmp_path: Path) -> None:
    saved_model(tmp_path / "m", ["what is one two"], chat=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "m")
    begin = tokenizer.eos_token
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, tokenizer.eos_token_id)]
    )
    said = [{"role": "user", "content": "what"}]
    questions = [Question(1, said, "two", (), "a"), Question(1, "what is", " one", (), "b")]
    encode = QuestionEncoder(tokenizer, 99).encode
    for asked in (questions, questions[::-1]):
        by_name = {
            q.where: tokenizer.convert_ids_to_tokens(one.context) for q, one in zip(asked, encode(asked), strict=True)
        }
        assert by_name == {"a": ["user", "what", ".", "assistant"], "b": [begin, "what", "is"]}


@pytest.mark.parametrize("template", ["{{ broken", "{{ raise_exception('no system') }}", "{{ 1 / 0 }}"])
def test_a_template_that_takes_no_such_messages_is_told(template: str, tmp_path: Path) -> None:
    saved_model(tmp_path / "m", ["what"], chat=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "m")
    tokenizer.chat_template = template
    question = Question(1, [{"role": "user", "content": "what"}], "two", (), "x.jsonl:1")
    with pytest.raises(ConfigError, match=r"^x\.jsonl:1: the tokenizer's template takes no such messages: [^\n]+$"):
        QuestionEncoder(tokenizer, 99).encode([question])


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", r"lines.jsonl: is empty; write one line \{"),
        ("{", "lines.jsonl:1: is not JSON"),
        ('{"prompt": "a", "answer": "b"}\n\n{"prompt": "a"}', "lines.jsonl:3: has no answer; write"),
        ("3", "lines.jsonl:1: has no prompt; write"),
        ('{"prompt": "a", "answer": " "}', "lines.jsonl:1: prompt and answer must be text"),
        (
            '{"prompt": "a", "answer": "b", "hop": 0}',
            "lines.jsonl:1: hop must be a whole number from 1 to 1,000,000, got",
        ),
        (
            '{"prompt": "a", "answer": "b", "hop": 1000001}',
            "from 1 to 1,000,000, got 1000001",
        ),
        (
            r'{"prompt": "\ud800", "answer": "b"}',
            r"lines.jsonl:1: \\ud800 is half of a character; write both",
        ),
        (r'{"prompt": "a", "answer": "b", "choices": ["b", "\uDCff"]}', r"lines.jsonl:1: \\udcff is half of a charac"),
        ('{"prompt": "a", "answer": "b", "choices": ["c", "d"]}', "lines.jsonl:1: choices must be two or more diff"),
        ('{"prompt": "a", "answer": "b", "choices": "bc"}', "lines.jsonl:1: choices must be a list of texts"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "lines.jsonl:1: messages must be two or more"),
        ('{"prompt": "a", "answer": "b"}', "lines.jsonl: 1 lines leave none for split"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason) as refused:
        open_material(path, size=SIZE, view="text", told={})
    assert "\n" not in str(refused.value)


def test_a_split_without_a_hop_and_missing_files_are_refused(tmp_path: Path) -> None:
    for split, hop in ((TRAIN, 2), (VAL, 2), (TEST, 1)):
        lines(tmp_path / f"{split}.jsonl", [{"prompt": "a", "answer": "b", "hop": hop}])
    with pytest.raises(ConfigError, match="split 'val' has no line of hop 1; give more lines"):
        open_material(tmp_path, size=SIZE, view="text", told={})
    (tmp_path / "val.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"has neither manifest\.json nor val\.jsonl"):
        open_material(tmp_path, size=SIZE, view="text", told={})
    with pytest.raises(StorageError, match="there is no such file or folder"):
        open_material(tmp_path / "nothing", size=SIZE, view="text", told={})
    with pytest.raises(ConfigError, match="so question says nothing; omit it"):
        open_material(tmp_path / "nothing", size=SIZE, view="text", told={"question": "first"})


def test_every_example_is_used_once_before_one_is_used_again() -> None:
    first, other = in_order(7, 17, 3), in_order(7, 17, 4)
    assert len(first) == 17 and sorted(first[:7]) == sorted(first[7:14]) == list(range(7))
    assert first != other and first == in_order(7, 17, 3) and first[:7] != first[7:14]
