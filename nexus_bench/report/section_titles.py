"""The titles of the sections of a report: the task, what tells it from other sections, its size and the training."""

import pandas as pd

from nexus_bench.io.options import only, varying


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
    return ", ".join(parts + ([only(first["task_options"], keys)] if keys else []))


def asked(rows: pd.DataFrame, trained_size: pd.Series) -> str:
    """The size of the task, how long models were trained on it, and the encoding."""
    first = rows.iloc[0]
    how = "evaluated at" if first["encoding"] == "text" else "trained on"
    trained = f"{how} hops {first['train_hops']}"
    sizes = trained_size[trained_size.index.isin(rows["cell_id"])].dropna().unique()
    if set(sizes) - {first["n_facts"]}:
        trained += f" with {', '.join(str(size) for size in sizes)} facts"
    length = "" if pd.isna(first["steps"]) else f", {first['steps']:,} steps of {first['batch_size']} graphs"
    if not pd.isna(first["reuse"]) and first["reuse"] != 1:
        length += f", each used {first['reuse']} times"
    return (
        f"{first['n_facts']} facts, vocabulary of {first['vocab_size']}, {trained}{length}, "
        f"{first['encoding']} encoding"
    )
