"""What becomes of text: documents, tokens, and what is held out."""

import gzip
import itertools
import json
import lzma
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Any, Literal

import numpy as np
import pytest

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError, StorageError
from nexus_bench.hf.batches import Batches, TrainingSchedule
from nexus_bench.hf.documents import find_text, told_documents
from nexus_bench.hf.processes import Processes
from nexus_bench.hf.token_files import TokenFiles, _write, token_files
from nexus_bench.hf.tokenizer import load_tokenizer, train_tokenizer
from nexus_bench.text.render import TextOptions
from tests.hf.pretraining import spec_of, write_text


def documents(*names: Path, divided: str = "file") -> list[str]:
    return list(find_text([str(name) for name in names]).documents(divided))


def decoded(files: TokenFiles, tokens: Any) -> list[str]:
    text = files.tokenizer.decode(tokens.tolist())
    assert text.endswith("<|endoftext|>")
    return text.removesuffix("<|endoftext|>").split("<|endoftext|>")  # type: ignore[no-any-return]


def test_files_folders_lines_and_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.txt").write_text("one\n\n\ntwo\nthree\n")
    (tmp_path / "more" / "a.jsonl").write_text('{"text": "four"}\n\n{"text": "five", "other": 1}\n')
    (tmp_path / "more" / "c.txt.xz").write_bytes(lzma.compress(b"six"))
    (tmp_path / "more" / "d.md.gz").write_bytes(gzip.compress(b"seven"))
    (tmp_path / "more" / "e.csv").write_text("no text")
    alone = tmp_path / "alone"
    alone.write_text("eight")
    assert documents(alone, tmp_path / "more") == ["eight", "four", "five", "one\n\n\ntwo\nthree\n", "six", "seven"]
    assert documents(tmp_path / "more" / "b.txt", divided="blank_line") == ["one\n", "two\nthree\n"]
    assert documents(tmp_path / "more" / "b.txt", divided="line") == ["one\n", "two\n", "three\n"]


def test_datasets_on_disk_are_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([{"text": "one"}, {"text": ""}, {"text": "two"}]).save_to_disk(tmp_path / "d")
    train = datasets.Dataset.from_list([{"text": "three"}])
    datasets.DatasetDict(test=train.map(lambda row: {"text": "no"}), train=train).save_to_disk(tmp_path / "dict")
    assert documents(tmp_path / "d", tmp_path / "dict") == ["one", "two", "three"]
    datasets.Dataset.from_list([{"words": "one"}]).save_to_disk(tmp_path / "other")
    with pytest.raises(ConfigError, match="has no column `text`, only words"):
        documents(tmp_path / "other")


def test_datasets_on_disk_without_text_or_that_are_damaged_are_one_line(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_list([{"text": None, "n": 1}, {"text": "one", "n": 2}])
    made.with_format("numpy", columns=["n"]).save_to_disk(tmp_path / "some")
    assert documents(tmp_path / "some") == ["one"]
    for name, rows in {"numbers": [1, 2], "lists": [["one"]], "bytes": [b"one"], "nothing": [None]}.items():
        datasets.Dataset.from_list([{"text": row} for row in rows]).save_to_disk(tmp_path / name)
        with pytest.raises(ConfigError, match=f"{name}: its column `text` must hold strings, got "):
            documents(tmp_path / name)
    datasets.DatasetDict(a=made, b=made).save_to_disk(tmp_path / "parts")
    with pytest.raises(ConfigError, match="parts: has no split `train`, only a, b; give the folder of one split"):
        documents(tmp_path / "parts")
    assert documents(tmp_path / "parts" / "b") == ["one"]
    made.save_to_disk(tmp_path / "bare")
    for damaged, content in {"bare/state.json": "{}", "some/state.json": "{", "parts/dataset_dict.json": "{}"}.items():
        (tmp_path / damaged).write_text(content)
        with pytest.raises(StorageError, match=f"{damaged[:4]}.*: cannot be loaded as a dataset .*; save it again"):
            documents((tmp_path / damaged).parent)


def test_a_dataset_on_disk_is_known_by_what_it_holds_and_is_not_held_out_from_itself(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([{"text": "Ada walked"}]).save_to_disk(tmp_path / "d")
    before = find_text([str(tmp_path / "d")]).sha256
    assert before == find_text([str(tmp_path / "d")]).sha256
    (data,) = (tmp_path / "d").glob("*.arrow")
    data.write_bytes(data.read_bytes().replace(b"Ada", b"Eve"))  # made in the same way, as from a file that changed
    assert documents(tmp_path / "d") == ["Eve walked"] and find_text([str(tmp_path / "d")]).sha256 != before
    both = spec_of(text=[str(tmp_path / "d")], held_out=[f"{tmp_path}/d/"])
    with pytest.raises(ConfigError, match=f"{data.name} is in --text and in --held-out"):
        token_files(both, tmp_path / "made")


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"\xff\xfe", ConfigError, "t.txt: is not UTF-8 text"),
        (None, StorageError, "t.txt: there is no such file"),
    ],
)
def test_text_that_cannot_be_read_is_named(content: bytes | None, error: Any, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(error, match=said):
        documents(tmp_path / "t.txt")
    (tmp_path / "t.jsonl").write_text('{"text": "a"}\n{"txt": "b"}\n')
    with pytest.raises(ConfigError, match=r"t.jsonl:2: must be JSON with a `text`"):
        documents(tmp_path / "t.jsonl")
    (tmp_path / "t.txt.xz").write_bytes(b"no xz")
    with pytest.raises(StorageError, match=r"t.txt.xz: cannot be read"):
        documents(tmp_path / "t.txt.xz")


def test_documents_are_packed_with_an_end_behind_each_and_none_is_trained_on_and_held_out(tmp_path: Path) -> None:
    text = write_text(tmp_path / "t.txt")
    spec = spec_of(text=[str(text)], documents="line", held_out_share=0.1, vocab_size=300, seq_len=16)
    files = token_files(spec, tmp_path / "made")
    trained, held_out = decoded(files, files.train), decoded(files, files.held_out)
    assert sorted(trained + held_out) == sorted(text.read_text().splitlines(keepends=True))
    assert 5 <= len(held_out) <= 8  # a tenth of 60 by characters
    assert files.held_out_bytes == len("".join(held_out).encode())
    text.write_text("".join(reversed(text.read_text().splitlines(keepends=True))))
    again = token_files(spec, tmp_path / "made")
    assert set(decoded(again, again.held_out)) == set(held_out)  # whatever their order


def test_given_held_out_text_is_all_of_it(tmp_path: Path) -> None:
    text, other = write_text(tmp_path / "t.txt", 20), write_text(tmp_path / "o.txt", 7, first=100)
    spec = spec_of(text=[str(text)], held_out=[str(other)], vocab_size=300, seq_len=16)
    files = token_files(spec, tmp_path / "made")
    assert decoded(files, files.train) == [text.read_text()]
    assert decoded(files, files.held_out) == [other.read_text()]


def test_tokens_are_made_once_for_all_models_and_seeds(tmp_path: Path) -> None:
    text = write_text(tmp_path / "t.txt")
    told = {"text": [str(text)], "documents": "line", "vocab_size": 300, "seq_len": 16}
    first = token_files(spec_of(**told), tmp_path / "made")
    again = token_files(spec_of("pythia-70m", **told, seed=3, attention="nexus"), tmp_path / "made")
    assert first.sha256 == again.sha256
    assert first.sha256 != token_files(spec_of(**told | {"vocab_size": 290}), tmp_path / "made").sha256
    write_text(text, 61)
    assert first.sha256 != token_files(spec_of(**told), tmp_path / "made").sha256


def test_long_documents_are_tokenised_in_pieces_that_join_to_the_same_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_bench.hf.token_files._CHARACTERS", 100)
    text, other = write_text(tmp_path / "t.txt", 20), write_text(tmp_path / "o.txt", 7, first=100)
    files = token_files(spec_of(text=[str(text)], held_out=[str(other)], vocab_size=300, seq_len=16), tmp_path / "m")
    assert decoded(files, files.train) == [text.read_text()]
    text.write_text("x" * 950)  # no line break anywhere
    files = token_files(spec_of(text=[str(text)], held_out=[str(other)], vocab_size=300, seq_len=16), tmp_path / "m")
    assert decoded(files, files.train) == ["x" * 950]


def test_a_task_has_its_share_and_none_of_the_graphs_that_an_export_asks(tmp_path: Path) -> None:
    from nexus_bench.data.generate import draw_dataset
    from nexus_bench.data.lm_eval import export_lm_eval
    from nexus_bench.text.parse import TextReader
    from nexus_bench.text.render import TextRenderer

    few = {"n_nodes": 6, "vocab_size": 6}  # 120 worlds: of two seeds some would be the same
    task = make_task({"task": "pointer_chase", "hops": [1, 2], **few, "n_test": 20, "n_val": 20}, where="test")
    text = write_text(tmp_path / "t.txt", 1500)
    spec = spec_of(
        text=[str(text)],
        task=task.model_dump(mode="json"),
        task_share=0.4,
        documents="line",
        vocab_size=300,
        seq_len=16,
    )
    files = token_files(spec, tmp_path / "made")
    pieces = decoded(files, files.train)
    told = [piece for piece in pieces if "\nAnswer: " in piece]
    assert 1470 < len(pieces) - len(told) < 1500
    ids = files.tokenizer("<|endoftext|>".join(told) + "<|endoftext|>")["input_ids"]
    assert len(ids) / len(files.train) == pytest.approx(0.4, abs=0.02)
    export_lm_eval(
        tmp_path / "e", draw_dataset(task, seed=0), split="test", n_per_hop=99, text=TextOptions(), file_format="jsonl"
    )
    reader = TextReader(TextRenderer(task.generator(), TextOptions()))

    def world(prompt: str, answer: str) -> frozenset[tuple[int, ...]]:
        return frozenset(tuple(fact) for fact in reader.parse(prompt, answer).facts)

    rows = [json.loads(line) for path in (tmp_path / "e").glob("*.jsonl") for line in path.read_text().splitlines()]
    asked = {world(row["prompt"], row["answer"]) for row in rows}
    trained = {world(*piece.split("\nAnswer: ")) for piece in told}
    assert len(asked) > 10 and len(trained) > 10 and not asked & trained
    first = next(told_documents(task, TextOptions(), ask="one"))
    assert first == told[0] and first.count("\nAnswer: ") == 1 and not first.endswith("\n")


def test_a_task_is_told_as_the_spec_says(tmp_path: Path) -> None:
    task = make_task({"task": "pointer_chase", "hops": [1, 2], "n_val": 7, "n_test": 7}, where="test")
    told: dict[str, Any] = {"task": task.model_dump(mode="json"), "vocab_size": 300, "seq_len": 16, "tokens": 999}
    pieces = {}
    for name, english in {"plain": None, "first": {"question": "first", "target": "steps"}}.items():
        files = token_files(spec_of(**told, english=english), tmp_path / "made")
        pieces[name] = decoded(files, np.append(files.train, files.end_of_text))[0]
    prompt, answer = pieces["plain"].split("\nAnswer: ")
    assert prompt.endswith("?") and "So the answer is" not in answer
    prompt, answer = pieces["first"].split("\nAnswer: ")
    assert not prompt.endswith("?") and "?" in prompt and "So the answer is" in answer


def test_answers_are_derived_in_sentences_in_a_share_of_the_graphs() -> None:
    entry = {"task": "pointer_chase", "hops": [1, 2], "n_queries": 2, "n_val": 7, "n_test": 7}
    task = make_task(entry, where="test")

    def told(ask: Literal["one", "all"], share: float) -> list[str]:
        return list(itertools.islice(told_documents(task, TextOptions(), ask=ask, derived_share=share), 640))

    direct, derived, mixed = (told("all", share) for share in (0.0, 1.0, 0.3))
    assert all(one.count("\nAnswer: ") == 2 and "So the answer is" not in one for one in direct)
    assert all(one.count("\nSteps: ") == one.count("So the answer is") == 2 and "Answer:" not in one for one in derived)
    assert all(one in either for one, *either in zip(mixed, direct, derived, strict=True)), "each graph in its place"
    assert 0.24 < sum(one in derived for one in mixed) / 640 < 0.36
    prompt, _, _ = direct[0].partition("\nAnswer: ")
    assert any(one.startswith(f"{prompt}\nSteps: ") for one in derived)
    assert [one.count("?") for one in told("one", 0.3)] == [1] * 640


def test_of_the_graphs_held_out_exactly_a_share_is_derived_also_among_the_first() -> None:
    task = make_task({"task": "pointer_chase", "hops": [1, 2], "n_val": 100, "n_test": 7}, where="test")

    def told(share: float) -> list[str]:
        return list(told_documents(task, TextOptions(), ask="all", derived_share=share, validation=True))

    direct, mixed, derived = (told(share) for share in (0.0, 0.5, 1.0))
    assert all(one in either for one, *either in zip(mixed, direct, derived, strict=True))
    assert 0 < sum(one in derived for one in mixed[:10]) < 10
    assert sum(one in derived for one in mixed) == 50


def test_a_document_can_ask_all_questions_of_its_graph(tmp_path: Path) -> None:
    entry = {"task": "pointer_chase", "hops": [1, 2], "n_queries": 5, "n_val": 7, "n_test": 7}
    task = make_task(entry, where="test")
    told: dict[str, Any] = {"task": task.model_dump(mode="json"), "vocab_size": 300, "seq_len": 16, "tokens": 9999}
    pieces = {}
    for ask in ("one", "all"):
        files = token_files(spec_of(**told, ask=ask), tmp_path / "made")
        pieces[ask] = decoded(files, np.append(files.train, files.end_of_text))
    for whole, alone in ((pieces["all"][0], pieces["one"][:5]), (pieces["all"][1], pieces["one"][5:10])):
        sentences = zip(*(one.split(". ") for one in alone), strict=False)
        story = "".join(f"{one}. " for one, *others in sentences if set(others) == {one})
        assert story.count(". ") >= 8 and len({one.removeprefix(story) for one in alone}) == 5
        assert whole == "\n".join([alone[0], *(one.removeprefix(story) for one in alone[1:])])


def test_a_task_alone_is_drawn_until_there_are_enough_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus_bench.hf.token_files._CHARACTERS", 10_000)
    task = make_task({"task": "pointer_chase", "hops": [1], "n_nodes": 5, "n_test": 7, "n_val": 7}, where="test")
    told: dict[str, Any] = {"task": task.model_dump(mode="json"), "vocab_size": 300, "seq_len": 16}
    files = token_files(spec_of(**told, tokens=3000), tmp_path)
    assert 3000 < len(files.train) < 3300 and len(files.held_out) > 16
    with pytest.raises(ConfigError, match="a task alone has no end; say how many --tokens"):
        token_files(spec_of(**told), tmp_path)


def test_runs_that_begin_together_wait_for_the_tokens_that_one_of_them_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(text=[str(write_text(tmp_path / "t.txt"))], vocab_size=300, seq_len=16, documents="line")
    begun, go_on, made = Event(), Event(), []

    def slowly(*given: Any) -> None:
        begun.set()
        assert go_on.wait(20)
        made.append(given[0])
        write(*given)

    write = _write
    monkeypatch.setattr("nexus_bench.hf.token_files._write", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(token_files, spec, tmp_path / "tokens")
        assert begun.wait(20)
        second = pool.submit(token_files, spec, tmp_path / "tokens")
        assert not wait([second], timeout=0.3).done
        go_on.set()
        assert (first.result(20).train == second.result(20).train).all() and len(made) == 1


def test_each_epoch_has_every_sequence_once_whatever_the_number_of_processes(tmp_path: Path) -> None:
    import torch

    tokens = np.arange(7 * 11 + 1, dtype=np.uint16)
    spec = spec_of(seq_len=11, batch_size=4)
    seen: dict[int, list[list[int]]] = {}
    for n, micro in ((1, 4), (1, 1), (2, 2), (2, 1)):
        plan = TrainingSchedule(7, 7, micro, 4 // (n * micro), 1, frozenset(), 1)
        for step in range(7):
            of_step: list[int] = []
            for rank in range(n):
                batches = Batches(tokens, spec, plan, Processes(rank, n, torch.device("cpu")))
                for ids, labels in batches.of(step):
                    assert ids.shape == (micro, 11) and torch.equal(labels, ids + 1)
                    of_step += (ids[:, 0] // 11).tolist()
            seen.setdefault(step, []).append(sorted(of_step))
    assert all(way == ways[0] for ways in seen.values() for way in ways)
    order = [number for step in range(7) for number in seen[step][0]]
    assert sorted(order) == sorted(list(range(7)) * 4)
    one = Batches(tokens, spec, TrainingSchedule(7, 7, 4, 1, 1, frozenset(), 1), Processes(0, 1, torch.device("cpu")))
    places = [int(number) // 11 for step in range(7) for ids, _ in one.of(step) for number in ids[:, 0]]
    epochs = [tuple(places[at : at + 7]) for at in range(0, 28, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs) and len(set(epochs)) > 1


def test_a_tokenizer_is_read_from_a_file_or_a_folder_and_writes_every_text_back(tmp_path: Path) -> None:
    made = train_tokenizer(iter(["some text, and some more text"] * 3), 270)
    made.save_pretrained(tmp_path / "t")
    for name in (tmp_path / "t", tmp_path / "t" / "tokenizer.json"):
        found = load_tokenizer(str(name))
        assert found.eos_token_id == 0
        text = "\u00e9 \U0001f600\n\tx  y"
        assert found.decode(found(text)["input_ids"]) == text
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty: holds no tokenizer; give a folder with tokenizer.json"):
        load_tokenizer(str(tmp_path / "empty"))
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"bad.json: is no tokenizer that transformers can read"):
        load_tokenizer(str(tmp_path / "bad.json"))
