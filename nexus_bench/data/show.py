"""Examples as readable text: facts, flat tokens, and the chain of facts that derives the answer."""

from typing import Any, NamedTuple

import numpy as np

from nexus_bench.data.encodings import encode_flat, table_offsets
from nexus_bench.data.faults import find_denied
from nexus_bench.data.law import Law, text_examples
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Role, Schema
from nexus_bench.io.hops import format_hops
from nexus_bench.streams import Int, stream
from nexus_bench.text.render import TextOptions, TextRenderer

_MOST_DRAWN, _AT_ONCE = 4_096, 64  # sequences that are looked through for one with a label
_MOST_TOKENS = 1 << 20  # of those drawn at once


class Shown(NamedTuple):
    """One example as text.

    Attributes:
        facts: One fact per line, in the order of the data.
        query: The query.
        answer: The label.
        hop: The number of facts that derive it.
        chain: Those facts, drawn as a chain where one fact begins at the end of another.
        flat: The example as the flat encoding writes it, one word per token.
        tokens: The same tokens as rows of the embedding table.
        prompt: The example in English, if it was rendered.
        completion: The completion expected from a language model: the derivation, then the answer.
        denied: How the facts deny the label; empty if `solve` derives it.
        labels: Of a sequence, whose facts are its tokens: the label of every place, `-` for none. Empty of a graph.
    """

    facts: list[str]
    query: str
    answer: str
    hop: int
    chain: str
    flat: str
    tokens: list[int]
    prompt: str = ""
    completion: str = ""
    denied: str = ""
    labels: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The facts, the derivation, the tokens and the English, in a few lines."""
        tokens = " ".join(str(token) for token in self.tokens)
        english = f"\nenglish {self.prompt}\n        {self.completion}" if self.prompt else ""
        if self.labels:
            return f"{as_text(self)}\ntokens  {tokens}"
        return f"{as_text(self)}\nflat    {self.flat}\ntokens  {tokens}{english}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """In a notebook, as printed."""
        printer.text(str(self))


def show(law: Law, *, seed: int = 0) -> Shown:
    """One drawn example of a task, as text and in English.

    Args:
        law: The task at one setting.
        seed: Another seed shows another example.

    Raises:
        ConfigError: Of many sequences none has a label of these hops.
    """
    examples = law.sample(1, stream("show", law.family.name, seed))
    if law.schema.is_sequence:
        examples = examples if examples.hop.any() else _with_a_label(law, seed)
        fault = find_denied(law, examples)
        return show_sequence(law, examples)._replace(denied=fault.what if fault else "")
    told = next(text_examples(TextRenderer(law.family, TextOptions(target="steps")), law, examples))
    denied = find_denied(law, _one_of(examples, 0, 0))
    shown = show_example(law, examples)
    return shown._replace(prompt=told.prompt, completion=told.completion, denied=denied.what if denied else "")


def _with_a_label(law: Law, seed: int) -> Examples:
    """One drawn sequence that has a label, found among many."""
    at_once = max(1, min(_AT_ONCE, _MOST_TOKENS // law.family.n_facts))
    for number in range(_MOST_DRAWN // _AT_ONCE):
        drawn = law.sample(at_once, stream("show", law.family.name, seed, "further", number))
        has = np.flatnonzero(drawn.hop.any(axis=1))
        if len(has):
            return drawn.take(has[:1])
    n, hops = at_once * (_MOST_DRAWN // _AT_ONCE), law.family.hops
    raise ConfigError(
        f"{law.family.name}: none of {n:,} sequences has a label of {format_hops(hops)} "
        f"hop{'s' if hops != (1,) else ''}; ask other hops, or change the sizes"
    )


def show_example(law: Law, examples: Examples, *, graph: int = 0, query: int = 0) -> Shown:
    """Describe one query of one graph."""
    schema = law.schema
    one = _one_of(examples, graph, query)
    facts, asked = one.facts[0], one.query[0, 0]
    tokens = encode_flat(one, schema).tokens[0, :, 0].tolist()
    names = {
        offset + index: law.symbol(vocabulary, index)
        for vocabulary, offset in table_offsets(schema).items()
        for index in range(schema.vocabularies[vocabulary])
    }
    return Shown(
        facts=[_arrow(_ends_last(law, schema.fact, fact)) for fact in facts],
        query=query_as_text(law, asked),
        answer=law.symbol(schema.answer, int(one.answer[0, 0])),
        hop=int(one.hop[0, 0]),
        chain=_chain(law, schema, facts, asked),
        flat=" ".join(names[token] for token in tokens),
        tokens=tokens,
    )


def show_sequence(law: Law, examples: Examples, *, graph: int = 0, place: int | None = None) -> Shown:
    """Describe one sequence: its tokens, its labels, and the derivation of one: the last one with the most hops."""
    schema = law.schema
    facts, _, answer, hop = (array[graph] for array in examples)
    tokens = facts[facts[:, 0] >= 0, 0]
    words = [law.symbol(schema.fact[0].vocabulary, int(word)) for word in tokens]
    one = examples.take(slice(graph, graph + 1))
    at = asked_place(one) if place is None else place
    rows = rows_read(law, one, at)
    return Shown(
        facts=words,
        query=f"place {at + 1}",
        answer=law.symbol(schema.answer, int(answer[at])) if hop[at] else "-",
        hop=int(hop[at]),
        chain="; ".join(f"place {row + 1} {words[row]}" for row in rows),
        flat=" ".join(words),
        tokens=(tokens + table_offsets(schema)[schema.fact[0].vocabulary]).tolist(),
        labels=tuple(law.symbol(schema.answer, int(label)) if label >= 0 else "-" for label in answer[: len(words)]),
    )


def asked_place(examples: Examples) -> int:
    """The place of the first sequence whose label is shown with its derivation: the last one with the most hops."""
    hop = examples.hop[0]
    return len(hop) - 1 - int(hop[::-1].argmax())


def rows_read(law: Law, examples: Examples, place: int) -> list[int]:
    """The places of the first sequence that derive the label of a place, hop by hop."""
    found = law.solve(examples.facts[:1], examples.query[:1]).rows[0, place]
    return [int(row) for row in found if row >= 0]


def _one_of(examples: Examples, graph: int, query: int) -> Examples:
    """One query of one graph, with its facts."""
    one = examples.take(slice(graph, graph + 1))
    at = slice(query, query + 1)
    return Examples(one.facts, one.query[:, at], one.answer[:, at], one.hop[:, at])


def as_text(shown: Shown) -> str:
    """The example in a few lines; facts of the chain are not marked, since finding them is the task."""
    if shown.labels:
        return _sequence_as_text(shown)
    width = max(len(fact) for fact in shown.facts)
    columns = max(1, 78 // (width + 3))
    rows = [shown.facts[i : i + columns] for i in range(0, len(shown.facts), columns)]
    lines = ["facts"]
    lines += ["  " + "   ".join(fact.ljust(width) for fact in row).rstrip() for row in rows]
    lines += [f"query   {shown.query}", f"answer  {shown.answer}", f"chain   {shown.chain}"]
    return "\n".join(lines)


def _sequence_as_text(shown: Shown) -> str:
    """Tokens above their labels, a few columns to a line, each line with the place that it begins at."""
    width = max(len(word) for word in (*shown.facts, *shown.labels)) + 1
    columns = max(1, 68 // width)
    lines = []
    for start in range(0, len(shown.facts), columns):
        for name, row in ((f"token {start + 1}", shown.facts), ("label", shown.labels)):
            lines.append(f"{name:<11}" + "".join(word.rjust(width) for word in row[start : start + columns]))
    asked = f"{shown.query}, {shown.hop} hop{'s' if shown.hop != 1 else ''}"
    return "\n".join([*lines, f"asked   {asked}", f"answer  {shown.answer}", f"read    {shown.chain or 'nothing'}"])


def query_as_text(law: Law, query: Int) -> str:
    """What is asked, role by role."""
    roles = law.schema.query
    return " ".join(f"{role.name}={name}" for role, name in zip(roles, _names(law, roles, query), strict=True))


class Arrow(NamedTuple):
    """A fact as it is drawn.

    Attributes:
        start: The symbol that it leads from.
        end: The symbol that it leads to.
        label: The label of the arrow, such as a relation; may be empty.
    """

    start: str
    end: str
    label: str


def arrow_of(law: Law, fact: Int) -> Arrow:
    """How a fact is drawn."""
    start, *on_arrow, end = _ends_last(law, law.schema.fact, fact)
    return Arrow(start, end, ",".join(on_arrow))


def _chain(law: Law, schema: Schema, facts: Int, query: Int) -> str:
    """The facts of the derivation; one that touches where the last ended goes on from there, either way round."""
    drawn = end = _names(law, schema.query, query)[0]
    is_begun = False
    for row in law.solve(facts[None], query[None, None]).rows[0, 0]:
        if row < 0:
            break
        first, *rest = _ends_last(law, schema.fact, facts[row])
        if first == end:
            drawn, end = drawn + _link(rest), rest[-1]
        elif rest[-1] == end:
            drawn, end = drawn + _link_back([first, *rest[:-1]]), first
        else:
            drawn, end = (f"{drawn}; " if is_begun else "") + first + _link(rest), rest[-1]
        is_begun = True
    return drawn if is_begun else ""


def _ends_last(law: Law, roles: tuple[Role, ...], symbols: Int) -> list[str]:
    """The names of a fact, its two ends first and last: the last is the last role of the first one's vocabulary."""
    names = _names(law, roles, symbols)
    ends = [i for i, role in enumerate(roles) if role.vocabulary == roles[0].vocabulary]
    names.append(names.pop(ends[-1] if len(ends) > 1 else -1))
    return names


def _arrow(names: list[str]) -> str:
    return names[0] + _link(names[1:])


def _link(names: list[str]) -> str:
    """An arrow to the last symbol, labelled with the symbols in between."""
    *on_arrow, last = names
    return f" -{','.join(on_arrow)}-> {last}" if on_arrow else f" -> {last}"


def _link_back(names: list[str]) -> str:
    """An arrow from the first symbol, for a fact that is walked from its last symbol to its first."""
    first, *on_arrow = names
    return f" <-{','.join(on_arrow)}- {first}" if on_arrow else f" <- {first}"


def _names(law: Law, roles: tuple[Role, ...], symbols: Int) -> list[str]:
    return [law.symbol(role.vocabulary, int(symbol)) for role, symbol in zip(roles, symbols, strict=True)]
