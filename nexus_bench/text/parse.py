"""Reading English back: the facts, the query and the answer of a prompt and its completion."""

import functools
import re
from typing import NamedTuple

from nexus_bench.text.grammar import SENTENCE_END, Template, shipped_list
from nexus_bench.text.render import DISTRACTORS, SO, TextRenderer

_REMEMBERED = 4096  # sentences: the queries of a graph share its facts
_BETWEEN = re.compile(r"(?<=\.) ")


class ParsedExample(NamedTuple):
    """One example read back from English, as ids; the facts stand in the order of the text.

    Where a question says its hop count, the query holds that number too.
    """

    facts: list[list[int]]
    query: list[int]
    answer: int


class TextReader:
    """Reads examples back from the English of a `TextRenderer`.

    Args:
        renderer: The renderer, with its grammar and options.
    """

    def __init__(self, renderer: TextRenderer) -> None:
        grammar, schema = renderer.grammar, renderer.family.schema
        self._words = grammar.answers
        self._question_first = renderer.options.question == "first"
        self._facts = [_Pattern(template, len(schema.fact)) for template in grammar.facts]
        n_asked = 1 + max(slot.role for template in grammar.questions for slot in template.slots)
        self._questions = [_Pattern(template, n_asked) for template in grammar.questions]
        self._answers = {word: index for index, word in enumerate(grammar.answers)}
        self._skipped = {*shipped_list(DISTRACTORS), *_BETWEEN.split(grammar.intro or "")}
        self._fact = functools.lru_cache(_REMEMBERED)(lambda sentence: _read(sentence, self._facts))

    def parse(self, prompt: str, completion: str) -> ParsedExample:
        """Read one example back.

        Raises:
            ValueError: A sentence does not belong to the grammar.
        """
        story, question = self._parted(prompt)
        told = [sentence for sentence in _BETWEEN.split(story) if sentence not in self._skipped]
        answer = completion.rpartition(SO)[2].removesuffix(".")
        if answer not in self._answers:
            raise ValueError(f"{answer!r} is no answer")
        return ParsedExample(
            [self._fact(sentence) for sentence in told], _read(question, self._questions), self._answers[answer]
        )

    def word(self, answer: int) -> str:
        """The text of an answer."""
        return self._words[answer]

    def _parted(self, prompt: str) -> tuple[str, str]:
        """The story, and the sentences of the question, whose number the templates determine."""
        n = self._questions[0].n_sentences
        ends = [match.end() for match in SENTENCE_END.finditer(prompt)]
        if len(ends) <= n:
            raise ValueError("the prompt has too few sentences")
        if self._question_first:
            return prompt[ends[n - 1] :], prompt[: ends[n - 1]].rstrip()
        return prompt[: ends[-n - 1]].rstrip(), prompt[ends[-n - 1] :]


class _Pattern:
    """A template as a regular expression."""

    def __init__(self, template: Template, n_roles: int) -> None:
        parts = [re.escape(slot.before) + f"({_either(slot.words)})" for slot in template.slots]
        self._regex = re.compile("".join(parts) + re.escape(template.after))
        self._slots = [(slot.role, {word: i for i, word in enumerate(slot.words)}) for slot in template.slots]
        self._n_roles = n_roles
        fixed = [template.after, *(slot.before for slot in template.slots)]
        self.n_sentences = sum(len(SENTENCE_END.findall(part)) for part in fixed)

    def read(self, sentence: str) -> list[int] | None:
        """The ids of the roles, None if the sentence does not match."""
        match = self._regex.fullmatch(sentence)
        if match is None:
            return None
        ids = [0] * self._n_roles
        for (role, words), word in zip(self._slots, match.groups(), strict=True):
            if ids[role] and ids[role] != words[word]:
                return None
            ids[role] = words[word]
        return ids


def _either(words: tuple[str, ...]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _read(sentence: str, patterns: list[_Pattern]) -> list[int]:
    for pattern in patterns:
        if (ids := pattern.read(sentence)) is not None:
            return ids
    raise ValueError(f"{sentence[:80]!r} matches no template")
