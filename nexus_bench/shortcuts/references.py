"""Columns next to accuracy in results.csv: those that describe the task, and what can be guessed."""

import numpy as np

from nexus_bench.data.splits import HeldOut
from nexus_bench.data.task import TaskSpec
from nexus_bench.generators.base import GENERATORS, Examples, Schema
from nexus_bench.io.columns import Row
from nexus_bench.io.hops import format_hops
from nexus_bench.io.options import options_text
from nexus_bench.shortcuts.rules import best_shortcuts
from nexus_bench.shortcuts.sentence_order import end_sentences

_SAME_AS_COLUMN = ("n_queries", "distractors")  # parameters that a column holds, in every split alike


def task_columns(spec: TaskSpec, **told: str) -> Row:
    """The columns that say which task it is; `task_options` holds everything that has no column of its own.

    Args:
        spec: The task.
        told: Options of how it is told in English that make another task of it.
    """
    family = spec.generator()
    columns = {
        "task": spec.task,
        "task_version": GENERATORS.get(spec.task).version,
        "train_hops": format_hops(spec.hops),
        "n_facts": family.n_facts,
        "vocab_size": family.vocab_size,
        "distractors": family.distractors,
        "n_queries": family.n_queries,
    }
    fields = spec.model_dump(mode="json", exclude={"task", "hops", "params"})
    params = {k: v for k, v in spec.params.items() if k not in _SAME_AS_COLUMN or v != columns[k]}
    return columns | {"task_options": options_text(fields | params | told)}


def reference_columns(fit: Examples, scored: HeldOut, schema: Schema) -> dict[int, Row]:
    """Chance, shortcut and partial-input ceiling to compare an accuracy with, by hop.

    Args:
        fit: Examples of another split, which shortcuts may be fitted to.
        scored: The examples that are answered, and their generator.
        schema: The task's roles and vocabularies.
    """
    return {
        hop: {
            "chance": scored.law.family.chance(hop),
            "shortcut": rule.accuracy,
            "shortcut_name": rule.name,
            "partial_input": scored.law.family.partial_input(hop),
        }
        for hop, rule in sorted(best_shortcuts(fit, scored.examples, schema).items())
    }


def columns_in_order(scored: HeldOut, order: str) -> dict[int, Row]:
    """`reference_columns` of English in the order of the derivation: of the first or last sentence alone, by hop.

    Args:
        scored: The examples that are answered, and their generator.
        order: `forward` or `backward`.
    """
    ends = end_sentences(scored.law.family, scored.law.numbered(scored.examples), order)
    void: Row = {"chance": None, "shortcut": None, "shortcut_name": None, "partial_input": None}
    hops = np.unique(scored.examples.hop).tolist()
    return {hop: void | ({"shortcut": ends[hop], "shortcut_name": "end_sentence"} if ends else {}) for hop in hops}
