"""Examples as prompts and completions, a whole batch at a time.

Axis letters: g graphs, f facts, a roles, q queries, h facts of a derivation, s slots of a template.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nexus_bench.generators.base import Examples, Generator
from nexus_bench.generators.parts.sequences import refuse_sequences
from nexus_bench.streams import Int, Words, mix
from nexus_bench.text.grammar import Template, grammar_of, shipped_list

DISTRACTORS = "distractors"
SO = "So the answer is "


class TextOptions(BaseModel):
    """How examples are written in English."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    n_distractors: int = Field(default=0, ge=0, le=1000, description="Irrelevant sentences among the facts.")
    sentences: Literal["shuffled", "forward", "backward"] = Field(
        default="shuffled",
        description="Order of the facts; forward and backward sort the facts of the derivation, which voids ceilings.",
    )
    question: Literal["last", "first"] = Field(default="last", description="Position of the question.")
    target: Literal["answer", "steps"] = Field(
        default="answer", description="The completion: the answer alone, or the steps and then the answer."
    )


def order_warning(options: TextOptions) -> str | None:
    """What must stand beside any figure for English in this order of sentences; None if they are shuffled."""
    if options.sentences == "shuffled":
        return None
    return (
        f"sentences={options.sentences} shows the order of the derivation: chance, shortcuts and partial-input "
        "ceilings do not hold for this text"
    )


class TextExample(NamedTuple):
    """One example.

    Attributes:
        graph: Number of the graph in its split.
        query: Number of the query in its graph.
        prompt: Facts and question.
        question: The question alone.
        completion: The text that a model should write.
        answer: The answer alone.
        hop: True hop count.
        order: Which fact each sentence states, if the order is not that of the data; else None.
    """

    graph: int
    query: int
    prompt: str
    question: str
    completion: str
    answer: str
    hop: int
    order: list[int] | None


class TextRenderer:
    """Writes the examples of one family in English.

    Args:
        family: The family at one setting.
        options: How.

    Raises:
        ConfigError: The `text` of its YAML does not fit its roles, or it is a task of sequences.
    """

    def __init__(self, family: Generator[Any], options: TextOptions) -> None:
        refuse_sequences(family)
        self.family = family
        self.options = options
        self.grammar = grammar_of(family)
        self._facts = _Tables(self.grammar.facts)
        self._questions = _Tables(self.grammar.questions)

    def render(
        self, examples: Examples, *, first_graph: int = 0, chosen_by: Int | None = None
    ) -> Iterator[TextExample]:
        """Every query of every graph, in order; which templates are used depends on the graph and its number alone.

        Args:
            examples: The graphs.
            first_graph: The number of the first one in its split.
            chosen_by: Array (g, q, ...) that chooses the templates of the questions; None takes the queries.
        """
        facts, query = examples.facts, examples.query
        key = mix(np.arange(first_graph, first_graph + len(facts), dtype=np.uint64))
        sentences = self._facts.fill(facts, _codes(facts, key))
        asked = self._questions.fill(query, _codes(query if chosen_by is None else chosen_by, ~key))
        rows = self.family.solve(facts, query).rows if self._needs_rows else None
        for g, (fact_sentences, questions) in enumerate(zip(sentences, asked, strict=True)):
            story = self._story(fact_sentences, key[g])
            for q, question in enumerate(questions):
                derivation = [] if rows is None else [row for row in rows[g, q].tolist() if row >= 0]
                order = self._order(len(fact_sentences), derivation)
                if order is not None:
                    story = self._story([fact_sentences[i] for i in order], key[g])
                answer = self.grammar.answers[examples.answer[g, q]]
                is_first = self.options.question == "first"
                prompt = f"{question} {story}" if is_first else f"{story} {question}"
                completion = answer
                if self.options.target == "steps":
                    completion = " ".join([*(fact_sentences[row] for row in derivation), f"{SO}{answer}."])
                yield TextExample(
                    first_graph + g, q, prompt, question, completion, answer, int(examples.hop[g, q]), order
                )

    @property
    def _needs_rows(self) -> bool:
        return self.options.sentences != "shuffled" or self.options.target == "steps"

    def _order(self, n_facts: int, derivation: list[int]) -> list[int] | None:
        """The order of facts with those of the derivation sorted among their places; None if nothing changes."""
        if self.options.sentences == "shuffled":
            return None
        order = list(range(n_facts))
        sorted_facts = derivation if self.options.sentences == "forward" else derivation[::-1]
        for place, row in zip(sorted(derivation), sorted_facts, strict=True):
            order[place] = row
        return order

    def _story(self, sentences: list[str], key: np.uint64) -> str:
        """The facts, with the intro before them and distractors among them."""
        if self.options.n_distractors:
            fillers, sentences = shipped_list(DISTRACTORS), list(sentences)
            drawn = mix(key + np.arange(1, self.options.n_distractors + 1, dtype=np.uint64)).tolist()
            for word in drawn:
                sentences.insert((word >> 32) % (len(sentences) + 1), fillers[word % len(fillers)])
        intro = [] if self.grammar.intro is None else [self.grammar.intro]
        return " ".join([*intro, *sentences])


class _Tables:
    """Templates as arrays of strings, so that a batch is filled by look-ups."""

    def __init__(self, templates: tuple[Template, ...]) -> None:
        self._n = len(templates)
        n_slots = max(len(template.slots) for template in templates)
        width = max(len(slot.words) for template in templates for slot in template.slots)
        self._role = np.zeros((self._n, n_slots), dtype=np.int32)
        self._text = np.full((self._n, n_slots, width), "", dtype=object)
        for t, template in enumerate(templates):
            for s, slot in enumerate(template.slots):
                after = template.after if s + 1 == len(template.slots) else ""
                self._role[t, s] = slot.role
                self._text[t, s, : len(slot.words)] = [slot.before + word + after for word in slot.words]

    def fill(self, tuples: Int, codes: Words) -> list[list[str]]:
        """One sentence per tuple: from ids (g, n, roles) and random words (g, n)."""
        template = (codes % np.uint64(self._n)).astype(np.int32)
        symbols = np.take_along_axis(tuples, self._role[template], axis=2)  # g n s
        parts = self._text[template[:, :, None], np.arange(self._role.shape[1]), symbols]
        joined = parts[:, :, 0]
        for s in range(1, parts.shape[2]):
            joined = joined + parts[:, :, s]
        sentences: list[list[str]] = joined.tolist()
        return sentences


def _codes(tuples: Int, key: Words) -> Words:
    """A random word for every tuple (g, n, roles) of a graph, from its ids and the key (g) of the graph."""
    code = np.repeat(key[:, None], tuples.shape[1], axis=1)
    for role in range(tuples.shape[2]):
        code = mix(code + tuples[:, :, role].astype(np.uint64))
    return code >> np.uint64(8)
