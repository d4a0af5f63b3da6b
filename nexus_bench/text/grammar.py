"""The English of a family: sentence templates from its YAML, and words for its symbols.

A template names roles in braces: `{src} points to {dst}.` In addition, `{hop:step}` is a count, such as `1 step` or
`3 steps`, and `{relation*}` is the list of the roles relation1, relation2, ... that are used. A fact is one
sentence; a question may have several, but all questions of a family have the same number. So a prompt can be read
back, sentence by sentence.
"""

import functools
import importlib.resources
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator, Role, Schema
from nexus_bench.generators.defaults import shown_file, task_defaults
from nexus_bench.io.entries import validate

_PLACEHOLDER = re.compile(r"\{(\w+)(\*|:\w+)?\}")
_SENTENCE = re.compile(r'[^"\\\n]+[.?]')
SENTENCE_END = re.compile(r"[.?](?: |$)")
_UNUSED = "-"  # how a family writes an unused word of a query
_THEN = ", then "


def _checked(text: str) -> str:
    if not _SENTENCE.fullmatch(text):
        raise ValueError(f"must end in . or ? and hold no line break, quotation mark or backslash, got {text!r}")
    return text


Sentence = Annotated[str, AfterValidator(_checked)]


class TextSection(BaseModel):
    """The `text` of `tasks/<name>.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    words: dict[str, str | list[str] | dict[str, str]] = Field(
        default={},
        description="By vocabulary: a list that ships with nexus-bench, `numbers`, words, or one word per symbol.",
    )
    intro: Sentence | None = Field(default=None, description="Text before the facts.")
    facts: list[Sentence] = Field(min_length=1)
    questions: list[Sentence] = Field(min_length=1)

    @model_validator(mode="after")
    def _can_be_read_back(self) -> "TextSection":
        for text in [*self.facts, *([self.intro] if self.intro else [])]:
            if not text.endswith("."):
                raise ValueError(f"only questions end in ?, got {text!r}")
        for text in self.facts:
            if len(SENTENCE_END.findall(text)) > 1:
                raise ValueError(f"a fact is one sentence, got {text!r}")
        lengths = {len(SENTENCE_END.findall(text)): text for text in self.questions}
        if len(lengths) > 1:
            raise ValueError(f"every question must have as many sentences as the others, got {list(lengths.values())}")
        return self


class Slot(NamedTuple):
    """One gap of a template: the text before it, and how each symbol of its role is written there."""

    before: str
    role: int
    words: tuple[str, ...]


class Template(NamedTuple):
    """A sentence with gaps."""

    slots: tuple[Slot, ...]
    after: str

    def fill(self, symbols: list[int]) -> str:
        """The sentence about one fact or query."""
        return "".join(slot.before + slot.words[symbols[slot.role]] for slot in self.slots) + self.after


class Grammar(NamedTuple):
    """The English of one family at one setting.

    Attributes:
        intro: Text before the facts, or None.
        facts: Templates of a fact.
        questions: Templates of a query.
        answers: How each answer is written.
    """

    intro: str | None
    facts: tuple[Template, ...]
    questions: tuple[Template, ...]
    answers: tuple[str, ...]


def grammar_of(family: Generator[Any]) -> Grammar:
    """The grammar of a family, from its YAML; plain sentences of role and value if the YAML has none.

    Raises:
        ConfigError: The YAML names an unknown role or list, or leaves out a role.
    """
    schema, where = family.schema, f"{shown_file(family.name)}: text"
    given = task_defaults(family.name).get("text")
    section = _plain(schema) if given is None else validate(TextSection, given, where=where)
    words = {name: _words(family, name, section.words.get(name), where=where) for name in schema.vocabularies}
    return Grammar(
        section.intro,
        tuple(_template(text, schema.fact, words, where=where) for text in section.facts),
        tuple(_template(text, schema.query, words, where=where) for text in section.questions),
        words[schema.answer],
    )


@functools.cache
def shipped_list(name: str) -> tuple[str, ...]:
    """A list of words that ships with nexus-bench, one entry per line.

    Raises:
        ConfigError: There is no such list.
    """
    path = importlib.resources.files(__package__) / "lists" / f"{name}.txt"
    if not path.is_file():
        raise ConfigError(f"there is no list of words '{name}'; use people, places, qualities or numbers")
    return tuple(path.read_text(encoding="utf-8").splitlines())


def _words(
    family: Generator[Any], vocabulary: str, given: str | list[str] | dict[str, str] | None, *, where: str
) -> tuple[str, ...]:
    """How each symbol is written; a symbol that the family itself writes as a word keeps that word in a list."""
    own = [family.symbol(vocabulary, index) for index in range(family.schema.vocabularies[vocabulary])]
    if given is None:
        return tuple(own)
    if isinstance(given, dict):
        if unknown := sorted(set(given) - set(own)):
            raise ConfigError(f"{where}: words: {vocabulary} has no symbol '{unknown[0]}'; it has {', '.join(own)}")
        return tuple(given.get(word, word) for word in own)
    if given == "numbers":
        return tuple(str(index + 1) for index in range(len(own)))
    if not any(word == f"{vocabulary}{i}" for i, word in enumerate(own)):
        raise ConfigError(f"{where}: words: the family writes {vocabulary} itself, as {own[0]}; map each to a word")
    names = shipped_list(given) if isinstance(given, str) else given
    pairs = enumerate(zip(own, _endless(names), strict=False))
    return tuple(name if word == f"{vocabulary}{i}" else word for i, (word, name) in pairs)


def _endless(names: Sequence[str]) -> Iterator[str]:
    """Ada, ..., Zoe, Ada 2, ..., Zoe 2, Ada 3, ..."""
    yield from names
    for turn in itertools.count(2):
        yield from (f"{name} {turn}" for name in names)


def _template(text: str, roles: tuple[Role, ...], words: dict[str, tuple[str, ...]], *, where: str) -> Template:
    names = [role.name for role in roles]
    slots: list[Slot] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        name, how = match[1], match[2]
        before, end = text[end : match.start()], match.end()
        listed = [i for i, role in enumerate(names) if how == "*" and re.fullmatch(rf"{name}\d+", role)]
        if not listed and name not in names:
            raise ConfigError(f"{where}: {match[0]} in {text!r} is no role; roles are {', '.join(names)}")
        for i in listed or [names.index(name)]:
            written = words[roles[i].vocabulary]
            if how and how != "*":
                written = tuple(f"{word} {how[1:]}{'' if word == '1' else 's'}" for word in written)
            if how == "*":
                link = _THEN if i != listed[0] else ""
                written = tuple("" if word == _UNUSED else link + word for word in written)
            slots.append(Slot(before, i, written))
            before = ""
    left_out = sorted({names[i] for i in range(len(names))} - {names[slot.role] for slot in slots})
    if left_out:
        raise ConfigError(f"{where}: {text!r} leaves out {', '.join(left_out)}")
    return Template(tuple(slots), text[end:])


def _plain(schema: Schema) -> TextSection:
    fact, query = (", ".join(f"{role.name} {{{role.name}}}" for role in roles) for roles in (schema.fact, schema.query))
    return TextSection(facts=[f"{fact}."], questions=[f"{query}?"])
