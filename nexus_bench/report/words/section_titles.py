"""The titles of the sections of a report: the task, what tells it from other sections, its size and the training."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from nexus_bench.io.options import only, varying

_Say = Callable[[Any], str]  # row -> what it is called in a finding
_OF_TASK: tuple[_Say, ...] = (
    lambda row: f"{row['encoding']} encoding",
    lambda row: f"{row['n_facts']} {words_of(row)[0]}",
    lambda row: f"trained on hops {row['train_hops']}",
)
_OF_TRAINING: tuple[_Say, ...] = (
    lambda row: f"distractors {row['distractors']}",
    lambda row: f"{row['n_queries']} queries",
    lambda row: f"vocabulary of {row['vocab_size']}",
    lambda row: f"{row['steps']} steps",
    lambda row: f"batches of {row['batch_size']}",
    lambda row: f"{words_of(row)[1]} used {row['reuse']} times",
    lambda row: f"version {row['task_version']}",
)


def words_of(row: Mapping[str, Any] | pd.Series) -> tuple[str, str]:
    """What an example has and what it is, in a report, by the `encoding` of a row."""
    return ("tokens", "sequences") if row["encoding"] == "sequence" else ("facts", "graphs")


def that_differ(rows: pd.DataFrame) -> dict[str, tuple[list[str], list[str]]]:
    """Task -> the columns and the options in which its sections differ, and which their titles do not show anyway."""
    differ = {}
    for task, of_task in rows.groupby("task", sort=False):
        columns = [n for n in ("task_version", "distractors", "n_queries") if of_task[n].nunique(dropna=False) > 1]
        differ[str(task)] = columns, varying(of_task["task_options"])
    return differ


def named(rows: pd.DataFrame, differ: dict[str, tuple[list[str], list[str]]]) -> str:
    """The task of a section, and the values that tell it from other sections of this task."""
    first = rows.iloc[0]
    columns, keys = differ[str(first["task"])]
    parts = [str(first["task"]), *(f"{name}={first[name]}" for name in columns)]
    told = [only(first["task_options"], [key]) for key in keys]
    return ", ".join(parts + [one for one in told if not one.endswith("=null")])


def apart(firsts: Sequence[pd.Series]) -> list[str]:
    """What tells each section from the others of its task, in as few words as do; empty for the only one.

    Args:
        firsts: A row of each section.
    """
    labels = [""] * len(firsts)
    for task in dict.fromkeys(first["task"] for first in firsts):
        places = [place for place, first in enumerate(firsts) if first["task"] == task]
        keys = varying(firsts[place]["task_options"] for place in places)
        parts: dict[int, list[str]] = {place: [] for place in places}
        for say in (*_OF_TASK, *map(_option, keys), *_OF_TRAINING):
            said = {place: say(firsts[place]) for place in places}
            more = {place: [*parts[place], said[place]] for place in places}
            if len({*map(tuple, more.values())}) > len({*map(tuple, parts.values())}):
                parts = more
        labels = [", ".join(parts[place]) if place in parts else label for place, label in enumerate(labels)]
    return labels


def _option(key: str) -> _Say:
    return lambda row: only(row["task_options"], [key])


def asked(rows: pd.DataFrame, trained_size: pd.Series) -> str:
    """The size of the task, how long models were trained on it, and the encoding."""
    first = rows.iloc[0]
    facts, graphs = words_of(first)
    how = "evaluated at" if first["encoding"] == "text" else "trained on"
    trained = f"{how} hops {first['train_hops']}"
    sizes = trained_size[trained_size.index.isin(rows["cell_id"])].dropna().unique()
    if set(sizes) - {first["n_facts"]}:
        trained += f" with {', '.join(str(size) for size in sizes)} {facts}"
    length = "" if pd.isna(first["steps"]) else f", {first['steps']:,} steps of {first['batch_size']} {graphs}"
    if not pd.isna(first["reuse"]) and first["reuse"] != 1:
        length += f", each used {first['reuse']} times"
    return (
        f"{first['n_facts']} {facts}, vocabulary of {first['vocab_size']}, {trained}{length}, "
        f"{first['encoding']} encoding"
    )
