"""What a language model is asked: a task in English, or the lines of a file, with the answers to choose from."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nexus_bench.data.dataset import Dataset, read_dataset
from nexus_bench.data.generate import draw_dataset
from nexus_bench.data.lm_eval import ASKED, DELIMITER, documents, told_in
from nexus_bench.data.manifest import MANIFEST
from nexus_bench.data.task import TaskSpec, law_of
from nexus_bench.errors import ConfigError, StorageError
from nexus_bench.experiment.score import columns_beside
from nexus_bench.io.columns import TEST, TRAIN, VAL, Row
from nexus_bench.io.config import NOT_IN_NAMES, Config
from nexus_bench.io.files import parse_line, read_text, sha256
from nexus_bench.io.hops import format_hops
from nexus_bench.io.options import options_text

_OWN = (TRAIN, VAL, TEST)
_SEED = 0  # of a task without a folder; all seeds of training share its examples
_MANY = 1_000_000_000
_LARGEST_HOP = 1_000_000
_SHARE = 10  # one in so many lines of a file is for validation, and one for testing
_WRITE = '{"prompt": "...", "answer": "..."}'


class Question(NamedTuple):
    """One example.

    Attributes:
        hop: Its hop count.
        context: All text before the answer; or the messages before it, for the template of the tokenizer.
        answer: The answer, with the space before it.
        choices: The answers to choose from, likewise; empty where the answer is to be written freely.
        where: Its name in messages.
    """

    hop: int
    context: str | list[dict[str, str]]
    answer: str
    choices: tuple[str, ...]
    where: str


class Material(NamedTuple):
    """Everything that models are trained and tested on.

    Attributes:
        name: Names the run.
        identity: What tells it from other material.
        splits: Split -> questions; `train`, `val`, `test`, and further ones of the task.
        columns: Split -> the columns that describe it in results.csv.
        references: Split -> hop -> chance, shortcut and partial-input ceiling.
        warning: What must stand beside the scores; None if nothing.
    """

    name: str
    identity: Config
    splits: Mapping[str, list[Question]]
    columns: Mapping[str, Row]
    references: Mapping[str, Mapping[int, Row]]
    warning: str | None


class Size(NamedTuple):
    """How many examples are used at most: of training, and per hop of the other splits."""

    n_train: int
    n_val: int
    n_test: int

    def per_hop(self, split: str) -> int:
        """Of a split."""
        return {TRAIN: _MANY, VAL: self.n_val}.get(split, self.n_test)


def open_material(data: Path, *, size: Size, view: str, told: Config) -> Material:
    """The material in a dataset folder of `gen`, in a JSON-lines file, or in a folder with train, val and test.jsonl.

    Args:
        data: The folder or file.
        size: How many examples are used.
        view: `text` or `chat`.
        told: Settings of the English that differ from those of the dataset.

    Raises:
        ConfigError: A line lacks something, a split lacks a hop, or a setting is wrong.
        CorruptArtefactError: The dataset is damaged.
        StorageError: It cannot be read.
    """
    if data.is_dir() and (data / MANIFEST).exists():
        return told_material(read_dataset(data), size=size, view=view, told=told)
    if told:
        raise ConfigError(f"{data}: is no dataset of `gen`, so {next(iter(told))} says nothing; omit it")
    if not data.exists():
        raise StorageError(f"{data}: there is no such file or folder; give a dataset of `gen` or a .jsonl file")
    return _file_material(data, size=size, view=view)


def drawn_material(spec: TaskSpec, *, size: Size, view: str, told: Config) -> Material:
    """The material of a task, drawn on the spot: every example of training is new.

    Raises:
        ConfigError: The task has too few distinct graphs.
    """
    n_graphs = -(-size.n_train // spec.generator().n_queries)
    return told_material(draw_dataset(spec, seed=_SEED, n_train=n_graphs), size=size, view=view, told=told)


def told_material(dataset: Dataset, *, size: Size, view: str, told: Config) -> Material:
    """The material of a dataset, told in English.

    Raises:
        ConfigError: A split lacks a hop, or a setting of the English is wrong.
    """
    text, warning = told_in(dataset.manifest, told)
    laws = dataset.spec.laws()
    n_queries = laws["iid"].family.n_queries
    train = dataset.splits[TRAIN].take(slice(-(-size.n_train // n_queries)))
    dataset = dataset._replace(splits=dataset.splits | {TRAIN: train})
    splits, columns, references = {}, {}, {}
    for split in (*_OWN, *(name for name in dataset.splits if name not in _OWN)):
        by_hop = documents(dataset, split, text, size.per_hop(split))
        if lacking := [hop for hop, rows in by_hop.items() if not rows and split != TRAIN]:
            raise ConfigError(
                f"{dataset.spec.task}: split '{split}' has no example of hop {lacking[0]}; raise n_{split}"
            )
        rows = [row for here in by_hop.values() for row in here]
        splits[split] = [_asked(row, view, split) for row in rows]
        if split != TRAIN:
            task, references[split] = columns_beside(dataset, split, text)
            columns[split] = task | {"n_facts": law_of(split, laws).family.n_facts}
    identity = {"task": dataset.spec.task, "hops": format_hops(dataset.spec.hops), "text": text.model_dump()}
    identity |= {"content_sha256": dataset.manifest["content_sha256"]}
    return Material(dataset.spec.task, identity, splits, columns, references, warning)


def _asked(row: Row, view: str, split: str) -> Question:
    """A document of the harness, as it asks; or as one message."""
    where = f"graph {row['graph']}, query {row['query']} of {split}"
    before = DELIMITER if view == "text" else ""
    context = row["prompt"] + ASKED if view == "text" else [{"role": "user", "content": row["prompt"]}]
    choices = tuple(before + choice for choice in row["choices"])
    return Question(row["hop"], context, before + row["answer"], choices, where)


def _file_material(data: Path, *, size: Size, view: str) -> Material:
    files = [data / f"{split}.jsonl" for split in _OWN] if data.is_dir() else [data]
    if lacking := [path for path in files if not path.is_file()]:
        raise ConfigError(f"{data}: has neither {MANIFEST} nor {lacking[0].name}; give a dataset of `gen` or a .jsonl")
    texts = [read_text(path) for path in files]
    read = [_questions(text, path, view) for text, path in zip(texts, files, strict=True)]
    splits = dict(zip(_OWN, read, strict=True)) if data.is_dir() else _split(read[0], data)
    hops = tuple(sorted({question.hop for questions in splits.values() for question in questions}))
    for split in (VAL, TEST):
        if lacking_hops := set(hops) - {question.hop for question in splits[split]}:
            raise ConfigError(f"{data}: split '{split}' has no line of hop {min(lacking_hops)}; give more lines")
        splits[split] = [q for hop in hops for q in _of_hop(splits[split], hop)[: size.per_hop(split)]]
    content = sha256("".join(texts).encode())
    name = NOT_IN_NAMES.sub("-", data.resolve().stem).strip("-._") or "lines"
    words = {choice for questions in splits.values() for q in questions for choice in (q.answer, *q.choices)}
    task = {"task": name, "task_version": 1, "train_hops": format_hops(hops), "vocab_size": len(words)}
    task |= {"distractors": "none", "n_queries": 1, "n_facts": 1}
    task |= {"task_options": options_text({"content_sha256": content})}
    references = {split: {hop: _chance(_of_hop(splits[split], hop)) for hop in hops} for split in (VAL, TEST)}
    return Material(name, {"content_sha256": content}, splits, {VAL: task, TEST: task}, references, None)


def _of_hop(questions: Sequence[Question], hop: int) -> list[Question]:
    return [question for question in questions if question.hop == hop]


def _chance(questions: Sequence[Question]) -> Row:
    """A random choice; nothing is known of answers that are written freely."""
    shares = [1 / len(question.choices) for question in questions if question.choices]
    known = sum(shares) / len(shares) if len(shares) == len(questions) else None
    return {"chance": known, "shortcut": None, "shortcut_name": None, "partial_input": None}


def _split(questions: list[Question], data: Path) -> dict[str, list[Question]]:
    """Validation and test by the text asked, so that a line that occurs twice is not in two splits."""
    splits: dict[str, list[Question]] = {split: [] for split in _OWN}
    by_share = {0: TEST, 1: VAL}
    for question in questions:
        share = int(sha256(str(question.context).rstrip().encode())[:8], 16) % _SHARE
        splits[by_share.get(share, TRAIN)].append(question)
    if empty := [split for split, here in splits.items() if not here]:
        raise ConfigError(f"{data}: {len(questions)} lines leave none for split '{empty[0]}'; give more lines")
    return splits


def _questions(text: str, path: Path, view: str) -> list[Question]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise ConfigError(f"{path}: is empty; write one line {_WRITE} per example")
    return [_question(line, f"{path}:{number}", view) for number, line in lines]


def _question(line: str, where: str, view: str) -> Question:
    row = parse_line(line, where, f"; write {_WRITE}")
    if not isinstance(row, dict) or not (row.keys() >= {"prompt", "answer"} or "messages" in row):
        lacks = "answer" if isinstance(row, dict) and "prompt" in row else "prompt"
        raise ConfigError(f"{where}: has no {lacks}; write {_WRITE}, or `messages` that end with the assistant's")
    context: str | list[dict[str, str]]
    if "messages" in row:
        context, answer = _messages(row["messages"], where)
    else:
        context, answer = row["prompt"], row["answer"]
        if not isinstance(context, str) or not isinstance(answer, str) or not context.strip() or not answer.strip():
            raise ConfigError(f"{where}: prompt and answer must be text that is not empty")
        if view == "chat":
            context = [{"role": "user", "content": context}]
    before = "" if isinstance(context, list) or context[-1].isspace() else DELIMITER
    hop, choices = row.get("hop", 1), row.get("choices", [])
    if type(hop) is not int or not 1 <= hop <= _LARGEST_HOP:
        raise ConfigError(f"{where}: hop must be a whole number from 1 to {_LARGEST_HOP:,}, got {hop!r}")
    if not isinstance(choices, list) or not all(isinstance(one, str) for one in choices):
        raise ConfigError(f"{where}: choices must be a list of texts")
    if choices and (answer not in choices or len(choices) < 2 or len(set(choices)) < len(choices)):
        raise ConfigError(f"{where}: choices must be two or more different texts, and the answer one of them")
    return Question(hop, context, before + answer, tuple(before + choice for choice in choices), where)


def _messages(messages: Any, where: str) -> tuple[list[dict[str, str]], str]:
    is_list = isinstance(messages, list) and len(messages) > 1 and all(isinstance(one, dict) for one in messages)
    is_whole = is_list and all(isinstance(one.get(key), str) for one in messages for key in ("role", "content"))
    if not is_whole or messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
        raise ConfigError(f"{where}: messages must be two or more of role and content, the last of the assistant")
    return messages[:-1], messages[-1]["content"]


def in_order(n_examples: int, n_wanted: int, seed: int) -> list[int]:
    """Which example is used when: every one once before one is used again, in an order that the seed fixes."""
    order: list[int] = []
    drawn = random.Random(seed)
    while len(order) < n_wanted:
        order += drawn.sample(range(n_examples), n_examples)
    return order[:n_wanted]
