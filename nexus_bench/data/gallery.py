"""The page that shows every task: one example, its English, chance and ceilings by hop."""

import inspect
import re
from typing import Any

import numpy as np

from nexus_bench.data.law import Law, text_examples
from nexus_bench.data.show import as_text, show_example, show_sequence
from nexus_bench.data.task import make_task
from nexus_bench.generators.base import GENERATORS, Examples, Generator
from nexus_bench.generators.defaults import task_defaults
from nexus_bench.generators.sequences import SequenceFamily
from nexus_bench.streams import stream
from nexus_bench.text.render import TextExample, TextOptions, TextRenderer

_HOPS = range(1, 7)
_SHOWN_HOP = 2  # hop count of the example

_HEAD = """# The tasks

Every family that ships with nexus-bench, with one example of {hop} hops at the default sizes. This page is written
by `nexus-bench gallery --out docs/tasks.md`, and a test compares it with the code. The pictures draw the facts of the
same examples (`python -m nexus_bench.inspection.task_pictures docs/pictures`): an arrow is a fact, blue is the
derivation with its hops, a ring is the start.

Chance is the accuracy of the best guess that follows no fact. The partial-input ceiling is the accuracy of the best
solver that knows all facts of the derivation but one. Reasoning is `depth` if facts must be combined in order, and
`aggregation` if any order works. The flat tokens are the example as a causal language model sees it, facts first.
Sizes depend on the largest hop count, and ceilings depend on sizes; so each column of a table is for the task with that
hop count alone.
"""


_SEQUENCES = """# Tasks of sequences

Here a problem is one stream of tokens, and any place may have a label ([add a
task](add_a_task.md#sequences-with-a-label-at-every-token)). The examples are shorter than the defaults. Below
each stand what derives one of its labels, and chance and ceiling of the first hop counts at the defaults. In a picture
labels stand below their tokens; a ring is the place that is asked, and blue and numbered are the tokens that derive its
label.
"""
_SHORT: dict[str, dict[str, Any]] = {
    "brevo": {"n_nodes": 9},
    "depo": {"n_nodes": 9, "n_asked": 2},
    "hash_hop": {"n_chains": 2, "n_asked": 1},
    "hop_k": {"n_tokens": 24},
    "mqar": {"n_tokens": 24, "n_pairs": 4, "vocab_size": 64},
}


def gallery_page() -> str:
    """The page, in Markdown."""
    names = GENERATORS.own_names()
    sequences = [name for name in names if is_of_sequences(name)]
    graphs = [_section(name) for name in names if name not in sequences]
    return "\n".join([_HEAD.format(hop=_SHOWN_HOP), *graphs, _SEQUENCES, *map(_section_of_sequences, sequences)])


def is_of_sequences(name: str) -> bool:
    """Whether a family draws sequences, which have no English."""
    return issubclass(GENERATORS.get(name), SequenceFamily)


def gallery_example(name: str) -> tuple[Law, Examples]:
    """The example of a family that the page shows and its picture draws: one graph with one query."""
    law = _law(name, _SHOWN_HOP)
    return law, law.sample(1, stream("gallery", name)).one_query_per_graph().take(slice(1))


def gallery_sequence(name: str) -> tuple[Law, Examples]:
    """The sequence of a family that the page shows and its picture draws."""
    law = make_task({"task": name, **_SHORT.get(name, {})}, where="gallery").law()
    return law, law.sample(1, stream("gallery", name))


def example_of_hop(law: Law, hop: int, *, of: str) -> Examples:
    """One graph with one query, which has this hop count if one of a few draws has it.

    Args:
        law: The task at one setting.
        hop: The hop count.
        of: Names the stream of random numbers.
    """
    drawn = law.sample(8, stream(of, law.family.name)).one_query_per_graph()
    return drawn.take(slice(at := int(np.argmax(drawn.hop[:, 0] == hop)), at + 1))


def _section(name: str) -> str:
    law, one = gallery_example(name)
    shown = show_example(law, one)
    told, worked = (_told(law, one, target) for target in ("answer", "steps"))
    facts, query = (", ".join(f"`{role.name}`" for role in roles) for roles in (law.schema.fact, law.schema.query))
    paragraphs, source = _documented(GENERATORS.get(name))
    laws = {hop: _law(name, hop) for hop in _HOPS}
    ceilings = [
        "| hops | " + " | ".join(str(hop) for hop in laws) + " |",
        "|---|" + "---|" * len(laws),
        "| facts | " + " | ".join(str(at.family.n_facts) for at in laws.values()) + " |",
        "| chance | " + " | ".join(f"{at.family.chance(hop):.3f}" for hop, at in laws.items()) + " |",
        "| partial-input ceiling | "
        + " | ".join(f"{at.family.partial_input(hop):.3f}" for hop, at in laws.items())
        + " |",
    ]
    return "\n".join(
        [
            f"## {name}",
            "",
            str(task_defaults(name)["summary"]),
            "",
            *paragraphs,
            f"- a fact: {facts}; a query: {query}; an answer: one of {law.schema.n_classes} (`{law.schema.answer}`)",
            f"- reasoning: {law.family.reasoning}; distractors: `{law.family.distractors}`",
            f"- {source}",
            "",
            f"![the facts of the example as a graph, its derivation in blue](pictures/{name}.svg)",
            "",
            "```text",
            as_text(shown),
            f"flat    {shown.flat}",
            "```",
            "",
            f"> {told.prompt}",
            ">",
            f"> **{told.completion}**",
            "",
            f"Worked: {worked.completion}",
            "",
            *ceilings,
            "",
        ]
    )


def _section_of_sequences(name: str) -> str:
    law, one = gallery_sequence(name)
    usual = make_task({"task": name}, where="gallery").law()
    paragraphs, source = _documented(GENERATORS.get(name))
    hops = usual.family.hops[: len(_HOPS)]
    return "\n".join(
        [
            f"## {name}",
            "",
            str(task_defaults(name)["summary"]),
            "",
            *paragraphs,
            f"- a token: one of {usual.schema.vocabularies['word']}; a label: one of {usual.schema.n_classes}; "
            f"{usual.family.n_facts} tokens",
            f"- reasoning: {usual.family.reasoning}",
            f"- {source}",
            "",
            f"![the tokens of the example with their labels; what derives the asked one in blue](pictures/{name}.svg)",
            "",
            "```text",
            as_text(show_sequence(law, one)),
            "```",
            "",
            "| hops | " + " | ".join(map(str, hops)) + " |",
            "|---|" + "---|" * len(hops),
            "| chance | " + " | ".join(f"{usual.family.chance(hop):.3f}" for hop in hops) + " |",
            "| partial-input ceiling | " + " | ".join(f"{usual.family.partial_input(hop):.3f}" for hop in hops) + " |",
            "",
        ]
    )


def _law(name: str, hop: int) -> Law:
    return make_task({"task": name, "hops": [hop], **_sizes(name, hop)}, where="gallery").law()


def _sizes(name: str, hop: int) -> dict[str, Any]:
    """Three nodes per hop where the default would be too small."""
    n_nodes = task_defaults(name).get("n_nodes")
    return {"n_nodes": 3 * hop} if type(n_nodes) is int and n_nodes < 3 * hop else {}


def _told(law: Law, one: Examples, target: str) -> TextExample:
    return next(text_examples(TextRenderer(law.family, TextOptions.model_validate({"target": target})), law, one))


def _documented(family: type[Generator[Any]]) -> tuple[list[str], str]:
    """The paragraphs of a class's docstring between its first line and its source, and the source."""
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", inspect.getdoc(family) or "")]
    body = [part for part in parts if not part.startswith((">>>", "Source:", "Args:", "Raises:"))]
    source = next((part for part in parts if part.startswith("Source:")), "Source: none given.")
    return [line for part in body for line in (part, "")], source.replace("Source:", "source:")
