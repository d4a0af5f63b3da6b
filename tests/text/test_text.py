"""English: its templates, options and words. That it is read back is a promise of every family."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from nexus_bench.data.dataset import read_dataset
from nexus_bench.data.generate import generate
from nexus_bench.data.law import text_examples
from nexus_bench.data.promises import expected, heard
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.data.verify import verify
from nexus_bench.errors import ConfigError, CorruptArtefactError
from nexus_bench.generators.base import Generator
from nexus_bench.shortcuts.sentence_order import end_sentences
from nexus_bench.streams import stream
from nexus_bench.text import grammar
from nexus_bench.text.grammar import grammar_of, shipped_list
from nexus_bench.text.lines import text_line
from nexus_bench.text.render import TextOptions, TextRenderer
from tests.conftest import Command, assert_fails
from tests.families import GRAPHS

FAMILIES = GRAPHS
_ASKED = "{start} {hop}?"


def law_of(name: str, **entry: object) -> Generator:
    return make_task({"task": name, **entry}, where="test").generator()


@pytest.mark.parametrize("name", FAMILIES)
def test_templates_are_told_about_equally_often(name: str) -> None:
    law = law_of(name, n_queries=1)
    renderer = TextRenderer(law, TextOptions())
    examples = law.sample(100, stream("often"))
    counts = dict.fromkeys(range(len(renderer.grammar.facts)), 0)
    for told, facts in zip(renderer.render(examples), examples.facts.tolist(), strict=True):
        for symbols in facts:
            for number, template in enumerate(renderer.grammar.facts):
                counts[number] += template.fill(symbols) in told.prompt
    assert min(counts.values()) > 0.7 * max(counts.values())


def test_families_of_ours_have_several_templates_a_relation() -> None:
    for name in FAMILIES:
        assert len(grammar_of(law_of(name)).facts) >= 2, name


def test_the_words_of_a_list_are_all_different_and_hold_no_sentence_end() -> None:
    for name in ("people", "places", "qualities"):
        words = shipped_list(name)
        assert len(set(words)) == len(words) > 100
        assert not any(set(word) & set('.?"\\{}') for word in words)


def test_more_symbols_than_names_are_numbered_and_read_back() -> None:
    law = law_of("pointer_chase", vocab_size=500)
    words = grammar_of(law).answers
    assert len(set(words)) == 500 and words[len(shipped_list("people"))] == "Ada 2"
    examples = law.sample(4, stream("many names"))
    assert heard(TextRenderer(law, TextOptions()), examples) == expected(examples)


def test_a_hop_count_in_marks_is_told_as_a_number() -> None:
    law = make_task({"task": "pointer_chase", "hops": [1, 2], "hop_ood": [4]}, where="test").law()
    told = next(text_examples(TextRenderer(law.family, TextOptions()), law, law.sample(1, stream("marks"))))
    assert any(count in told.prompt for count in ("1 step", "2 steps", "1 time", "2 times"))


def test_forward_tells_the_derivation_in_order_and_backward_against_it() -> None:
    law = law_of("pointer_chase", hops=[3])
    examples = law.sample(5, stream("order"))
    rows = law.solve(examples.facts, examples.query).rows
    for sentences, step in (("forward", 1), ("backward", -1)):
        told = list(TextRenderer(law, TextOptions.model_validate({"sentences": sentences})).render(examples))
        for one in told:
            assert one.order is not None
            places = [one.order.index(row) for row in rows[one.graph, one.query]]
            assert places == sorted(places, reverse=step < 0)


@pytest.mark.parametrize(("sentences", "end"), [("forward", -1), ("backward", 0)])
def test_the_end_sentences_of_a_sorted_derivation_give_answers_away(sentences: str, end: int) -> None:
    """As often as the fact at this end of the list is one of the derivation."""
    law = law_of("pointer_chase", hops=[4], n_queries=1)
    examples = law.sample(4000, stream("ends"))
    told = TextRenderer(law, TextOptions.model_validate({"sentences": sentences})).render(examples)
    named = np.array([examples.facts[one.graph, one.order[end], 1] for one in told if one.order is not None])
    found = end_sentences(law, examples, sentences)
    assert found == {4: (named == examples.answer[:, 0]).mean()}
    assert abs(found[4] - 4 / law.n_facts) < 0.03


def test_the_end_sentences_of_a_verdict_name_no_answer() -> None:
    law = law_of("reachable", hops=[2])
    assert end_sentences(law, law.sample(5, stream("verdict")), "forward") == {}


def test_a_worked_answer_tells_the_facts_of_the_derivation_in_order() -> None:
    law = law_of("variable_chain", hops=[3])
    examples = law.sample(4, stream("worked"))
    renderer = TextRenderer(law, TextOptions(target="steps"))
    rows = law.solve(examples.facts, examples.query).rows
    for told in renderer.render(examples):
        *steps, last = told.completion.split(". ")
        assert last == f"So the answer is {told.answer}."
        facts = [examples.facts[told.graph, row] for row in rows[told.graph, told.query] if row >= 0]
        for step, fact in zip(steps, facts, strict=True):
            assert all(renderer.grammar.answers[symbol] in step for symbol in fact) and f"{step}." in told.prompt


def test_the_text_of_a_graph_does_not_depend_on_the_batch_it_came_in() -> None:
    law = law_of("kinship")
    examples = law.sample(7, stream("batches"))
    renderer = TextRenderer(law, TextOptions(n_distractors=3))
    parts = [
        told for start in (0, 3) for told in renderer.render(examples.take(slice(start, start + 4)), first_graph=start)
    ]
    assert [told for told in parts if told.graph < 3 or told.graph > 3] == [
        told for told in renderer.render(examples) if told.graph != 3
    ]


def test_a_family_without_a_grammar_is_told_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "task_defaults", lambda name: {})
    law = law_of("path_query")
    examples = law.sample(3, stream("plain"))
    renderer = TextRenderer(law, TextOptions())
    assert "src node" in next(iter(renderer.render(examples))).prompt
    assert heard(renderer, examples) == expected(examples)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"facts": ["{src} to {dest}."], "questions": ["{start} {hop}?"]},
            "{dest} in .* is no role; roles are src, dst",
        ),
        ({"facts": ["{src} leads on."], "questions": ["{start} {hop}?"]}, "leaves out dst"),
        ({"facts": ["{src} to {dst}"], "questions": [_ASKED]}, r"must end in \. or \? and .*, got '{src} to {dst}'"),
        (
            {"facts": ["{src} is. To {dst}."], "questions": [_ASKED]},
            "a fact is one sentence, got '{src} is. To {dst}.'",
        ),
        ({"facts": ["{src} to {dst}?"], "questions": [_ASKED]}, r"only questions end in \?, got '{src} to {dst}\?'"),
        (
            {"facts": ["{src} {dst}."], "questions": [_ASKED, "Go {hop} from {start}. Where is that?"]},
            "every question must have as many sentences as the others",
        ),
        ({"words": {"hop": ["a", "b"]}, "facts": ["{src} {dst}."], "questions": [_ASKED]}, "writes hop itself, as 0"),
        ({"words": {"node": "cats"}, "facts": ["{src} {dst}."], "questions": [_ASKED]}, "no list of words 'cats'"),
    ],
)
def test_a_grammar_that_does_not_fit_is_refused(
    section: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammar, "task_defaults", lambda name: {"text": section})
    with pytest.raises(ConfigError, match=message):
        grammar_of(law_of("pointer_chase"))


@pytest.mark.parametrize("file_format", ["text", "chat"])
@pytest.mark.parametrize("options", [{}, {"sentences": "backward", "n_distractors": 2, "target": "steps"}])
def test_a_dataset_in_english_is_the_same_dataset(
    tmp_path: Path, small_spec: TaskSpec, file_format: str, options: dict[str, object]
) -> None:
    text = TextOptions.model_validate(options)
    told = generate(tmp_path / "told", small_spec, seed=3, n_train=50, file_format=file_format, text=text)
    arrays = generate(tmp_path / "arrays", small_spec, seed=3, n_train=50, file_format="npz")
    assert told["content_sha256"] == arrays["content_sha256"]
    first, second = read_dataset(tmp_path / "told"), read_dataset(tmp_path / "arrays")
    for split, examples in second.splits.items():
        assert all((a == b).all() for a, b in zip(first.splits[split], examples, strict=True))
    assert [row.split for row in verify(tmp_path / "told")] == [row.split for row in verify(tmp_path / "arrays")]


def test_chunks_do_not_change_the_bytes(tmp_path: Path, small_spec: TaskSpec) -> None:
    manifests = [
        generate(
            tmp_path / str(chunk),
            small_spec,
            seed=1,
            n_train=60,
            file_format="text",
            text=TextOptions(n_distractors=1),
            chunk_graphs=chunk,
        )
        for chunk in (7, 4096)
    ]
    assert manifests[0] == manifests[1]


def test_verify_names_a_sentence_that_no_template_tells(tmp_path: Path, small_spec: TaskSpec) -> None:
    folder = tmp_path / "told"
    generate(folder, small_spec, seed=3, n_train=9, file_format="text", text=TextOptions())
    path = folder / "test.jsonl"
    lines = path.read_text().splitlines()
    row = json.loads(lines[0])
    row["prompt"] = row["prompt"].replace("chosen", "shunned", 40)
    path.write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n")
    with pytest.raises(CorruptArtefactError, match="matches no template; run gen again"):
        verify(folder)


def test_gen_tells_examples_as_asked(command: Command) -> None:
    asked = ["--set", "question=first", "--set", "target=steps", "--set", "n_distractors=2"]
    done = command("gen", "--hops", "2", "--n", "5", "--set", "n_test=5", "--format", "chat", "--out", "d", *asked)
    assert done.returncode == 0, done.stderr
    row = json.loads(Path("d/train.jsonl").read_text().splitlines()[0])
    user, assistant = row["messages"]
    assert user["content"].split("?")[0].count(".") == 0 and "So the answer is" in assistant["content"]
    assert command("verify", "d").returncode == 0


def test_an_option_of_english_that_is_not_there_is_refused(command: Command) -> None:
    done = command("gen", "--format", "text", "--set", "question=middle", "--out", "d")
    assert_fails(done, 3, "gen: text: question")
    done = command("gen", "--set", "question=first", "--out", "d")
    assert_fails(done, 3, "question")


GOLDEN = {  # of 40 graphs; changes with the templates of the task's YAML
    "kinship": "e8f159baa4dc0a1cb30bce527031801d1f67b6eace335d3933a0032b7cd280c2",
    "path_query": "b5ce79b602e76eebc42242af1c6fe14df5febb38319ceadc8c229badf5d940ef",
    "pointer_chase": "1913374eabd4bc0641e2fbeaa7e7005c49abeebaacd7605919b0d935b2361a23",
    "rule_chain": "efc7419e3c6cb39f3a5eae13075c158aad069abab51c7e3abd233f27d6a268c4",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_lines_of_english_are_the_golden_ones(name: str) -> None:
    assert english_sha256(name) == GOLDEN[name]


def english_sha256(name: str) -> str:
    law = law_of(name)
    options = TextOptions(n_distractors=2, sentences="forward", target="steps")
    told = TextRenderer(law, options).render(law.sample(40, stream("golden", name)))
    return hashlib.sha256("".join(map(text_line, told)).encode()).hexdigest()


def test_marks_choose_the_templates_of_the_questions() -> None:
    """So that lines of datasets with `hop_ood` have the bytes that they always had."""
    law = make_task({"task": "pointer_chase", "hops": [1, 2], "hop_ood": [4]}, where="test").law()
    renderer = TextRenderer(law.family, TextOptions(n_distractors=2, sentences="forward", target="steps"))
    told = "".join(map(text_line, text_examples(renderer, law, law.sample(40, stream("golden", "marks")))))
    assert (
        hashlib.sha256(told.encode()).hexdigest() == "f11c81f7b1adc722e828a27f81006602c5e2bce5eb7ef4d2f2ea314e3a94d38e"
    )
