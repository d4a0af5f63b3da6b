"""Questions as tokens, by the rule of the evaluation harness: context and answer are encoded together, then parted."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from nexus_bench.errors import ConfigError
from nexus_bench.hf.library import first_line
from nexus_bench.hf.questions import Question

_PART = 1000  # texts that are encoded at once


class EncodedQuestion(NamedTuple):
    """One question.

    Attributes:
        hop: Its hop count.
        context: Tokens before the answer.
        answer: Tokens of the answer.
        choices: Tokens of every choice; empty where the answer is to be written freely.
        label: Which of the choices is right; -1 if there are none.
    """

    hop: int
    context: list[int]
    answer: list[int]
    choices: tuple[list[int], ...]
    label: int


class QuestionTexts(NamedTuple):
    """A question as texts: the context, and the continuations that are compared, of which the first is the answer."""

    context: str
    continuations: tuple[str, ...]


class QuestionEncoder:
    """Encodes questions, and keeps what is to be said of the tokenizer.

    Args:
        tokenizer: Of the model.
        longest: Tokens that the model takes.
    """

    def __init__(self, tokenizer: Any, longest: int) -> None:
        self._tokenizer = tokenizer
        self._longest = longest
        self._split: tuple[str, int] | None = None
        self._alike: tuple[str, str, str] | None = None
        self._n_asked, self._n_split, self._n_alike = 0, 0, 0

    def encode(self, questions: Sequence[Question]) -> list[EncodedQuestion]:
        """The questions as tokens.

        Raises:
            ConfigError: One is longer than what the model takes, an answer has no token of its own, or the tokenizer
                has no template for messages.
        """
        asked = [self._texts(question) for question in questions]
        pairs = list(zip(questions, asked, strict=True))
        ids = {
            is_chat: iter(self._encoded([one for question, one in pairs if _is_chat(question) == is_chat], is_chat))
            for is_chat in (True, False)
        }
        return [self._one(question, one, ids[_is_chat(question)]) for question, one in pairs]

    def warnings(self) -> list[str]:
        """One line for each thing that figures must be read with."""
        told = []
        if self._split is not None:
            word, n = self._split
            share = f"{self._n_split:,} of {self._n_asked:,} answers"
            told.append(f"the tokenizer splits {share} into several tokens, as {word!r} into {n}; all of them count")
        if self._alike is not None:
            first, second, where = self._alike
            told.append(
                f"the tokenizer makes choices alike in {self._n_alike:,} of {self._n_asked:,} examples, as {first!r} "
                f"and {second!r} ({where}); the model cannot tell them apart"
            )
        return told

    def _texts(self, question: Question) -> QuestionTexts:
        context = question.context
        if not isinstance(context, str):
            if getattr(self._tokenizer, "chat_template", None) is None:
                raise ConfigError(f"{question.where}: the tokenizer has no template for messages; use view=text")
            try:
                context = str(self._tokenizer.apply_chat_template(context, tokenize=False, add_generation_prompt=True))
            except Exception as error:  # a template can refuse what it is given, and fail in any way
                raise ConfigError(
                    f"{question.where}: the tokenizer's template takes no such messages: {first_line(error)}"
                ) from error
            return QuestionTexts(context, (question.answer, *question.choices))
        plain = context.rstrip(" ")  # spaces belong to the token that follows them
        spaces = context[len(plain) :]
        return QuestionTexts(plain, tuple(spaces + text for text in (question.answer, *question.choices)))

    def _encoded(self, asked: Sequence[QuestionTexts], is_chat: bool) -> Iterable[list[int]]:
        texts = [text for one in asked for text in (one.context, *(one.context + c for c in one.continuations))]
        special = {"add_special_tokens": False} if is_chat else {}  # a template writes its own
        for start in range(0, len(texts), _PART):
            yield from self._tokenizer(list(texts[start : start + _PART]), **special)["input_ids"]

    def _one(self, question: Question, texts: QuestionTexts, ids: Any) -> EncodedQuestion:
        context = next(ids)
        parts = [next(ids)[len(context) :] for _ in texts.continuations]
        for text, part in zip(texts.continuations, parts, strict=True):
            if not part:
                raise ConfigError(f"{question.where}: the tokenizer leaves no token to {text!r} after its prompt")
        if (n := len(context) + max(map(len, parts))) > self._longest:
            raise ConfigError(
                f"{question.where}: prompt and answer have {n:,} tokens, the model takes {self._longest:,}; "
                "ask for fewer facts, or use another model"
            )
        answer, choices = parts[0], parts[1:]
        self._n_asked += 1
        if len(answer) > 1:
            self._n_split += 1
            self._split = self._split or (question.answer.strip(), len(answer))
        seen: dict[tuple[int, ...], str] = {}
        is_alike = False
        for word, part in zip(question.choices, choices, strict=True):
            if (other := seen.setdefault(tuple(part), word)) != word:
                is_alike = True
                self._alike = self._alike or (other.strip(), word.strip(), question.where)
        self._n_alike += is_alike
        label = question.choices.index(question.answer) if question.choices else -1
        return EncodedQuestion(question.hop, context, answer, tuple(choices), label)


def _is_chat(question: Question) -> bool:
    return not isinstance(question.context, str)
