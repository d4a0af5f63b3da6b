"""Answers are scored as the evaluation harness scores them, and the loss is that of the answers alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from nexus_bench.errors import ConfigError
from nexus_bench.hf import apply_nexus
from nexus_bench.hf.likelihood import answer_loss, collate_answers, score
from nexus_bench.hf.questions import Question
from nexus_bench.hf.tokens import EncodedQuestion, QuestionEncoder
from tests.hf.made import TEMPLATE, saved_model, word_tokenizer
from tests.hf.tiny import FAMILIES, logits, stock

CHOICES = ("d", "a b", "a b c", "a", "e d")


def asked(n: int = 5) -> list[EncodedQuestion]:
    """Contexts of several lengths; choices of one to three tokens, some the beginning of others."""
    drawn = torch.Generator().manual_seed(11)
    made = []
    for i in range(n):
        ids = torch.randint(0, 61, (20,), generator=drawn).tolist()
        choices = ([ids[0]], ids[1:3], ids[1:4], [ids[1]], [ids[1], ids[5], ids[4]])
        made.append(EncodedQuestion(i % 2 + 1, ids[6 : 9 + i], list(choices[i % 5]), tuple(choices), i % 5))
    return made


def likelihood(model: Any, context: list[int], answer: list[int]) -> float:
    told = logits(model, torch.tensor([context + answer]))[0].log_softmax(-1)
    return sum(told[len(context) - 1 + at, token].item() for at, token in enumerate(answer))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_likeliest_choice_is_that_of_one_sequence_at_a_time(family: str, nested: bool) -> None:
    model = apply_nexus(stock(family)) if nested else stock(family)
    for one, found in zip(asked(), score(model, asked(), device="cpu"), strict=True):
        each = [likelihood(model, one.context, choice) for choice in one.choices]
        assert found.is_right == (each.index(max(each)) == one.label)
        assert found.loss == pytest.approx(-each[one.label], abs=1e-4)
    assert {found.is_right for found in score(model, asked(20), device="cpu")} == {False, True}


def test_an_answer_without_choices_is_right_if_greedy_decoding_writes_it() -> None:
    model, context = stock(), [5, 7, 11]
    written = model.generate(torch.tensor([context]), max_new_tokens=3, do_sample=False)[0, 3:].tolist()
    other = [*written[:2], (written[2] + 1) % 61]
    questions = [EncodedQuestion(1, context, answer, (), -1) for answer in (written, other)]
    assert [found.is_right for found in score(model, questions, device="cpu")] == [True, False]


def test_a_model_that_diverged_is_never_right() -> None:
    model = stock()
    torch.nn.init.constant_(model.lm_head.weight, float("nan"))
    assert not any(found.is_right for found in score(model, asked(), device="cpu"))


def test_the_loss_is_that_of_the_answers_and_no_example_counts_more() -> None:
    model, examples = stock(), asked()
    each = []
    for one in examples:
        ids = torch.tensor([one.context + one.answer])
        told = model(ids).logits[0, len(one.context) - 1 : -1]
        each.append(cross_entropy(told, torch.tensor(one.answer)))
    torch.testing.assert_close(answer_loss(model, collate_answers(examples)), torch.stack(each).mean())


def encoder(**more: Any) -> QuestionEncoder:
    return QuestionEncoder(word_tokenizer(["what is next a b c d e"], **more), 12)


def test_an_answer_of_several_tokens_and_alike_answers_are_told_with_an_example() -> None:
    told = encoder()
    told.encode([Question(1, "what is next", " a b", (" a b", " c"), "line 1")])
    told.encode([Question(1, "what is next", " a", (" a", " new", " newer"), "line 2")])
    assert told.warnings() == [
        "the tokenizer splits 1 of 2 answers into several tokens, as 'a b' into 2; all of them count",
        "the tokenizer makes choices alike in 1 of 2 examples, as 'new' and 'newer' (line 2); the model cannot tell "
        "them apart",
    ]


def test_a_prompt_longer_than_the_model_takes_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="line 1: prompt and answer have 13 tokens, the model takes 12; ask for fewer"
    ):
        encoder().encode([Question(1, "what " * 12, " a", (), "line 1")])


def test_messages_are_asked_by_the_template_and_need_one() -> None:
    question = Question(1, [{"role": "user", "content": "what is"}], "a", (), "line 1")
    tokenizer = word_tokenizer(["what is next a"], chat_template=TEMPLATE)
    (one,) = QuestionEncoder(tokenizer, 12).encode([question])
    assert tokenizer.convert_ids_to_tokens(one.context) == ["user", "what", "is", ".", "assistant"]
    assert tokenizer.convert_ids_to_tokens(one.answer) == ["a"]
    with pytest.raises(ConfigError, match="line 1: the tokenizer has no template for messages; use view=text"):
        encoder().encode([question])


@pytest.mark.slow
def test_scores_are_those_of_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from nexus_bench.hf.pretrained import open_pretrained

    opened = open_pretrained(str(saved_model(tmp_path / "m", ["what is next a b c d e f g"])))
    model = apply_nexus(opened.load())
    contexts = ["what is next a b c\nAnswer:", "is d next\nAnswer:", "what\nAnswer:"]
    questions = [Question(1, text, " a b c", tuple(" " + c for c in CHOICES), "") for text in contexts]
    harness = HFLM(pretrained=model, tokenizer=opened.tokenizer, backend="causal", batch_size=2, device="cpu")
    pairs = [(q.context, choice) for q in questions for choice in q.choices]
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    each = [told for told, _ in harness.loglikelihood(requests, disable_tqdm=True)]
    encoded = QuestionEncoder(opened.tokenizer, 64).encode(questions)
    for label in range(len(CHOICES)):
        found = score(model, [one._replace(label=label) for one in encoded], device="cpu")
        assert [-one.loss for one in found] == pytest.approx(each[label :: len(CHOICES)], abs=1e-4)
        best = [max(range(len(CHOICES)), key=lambda i: each[5 * q + i]) for q in range(3)]
        assert [one.is_right for one in found] == [b == label for b in best]
