"""The page docs/columns.md: every column of every table, from the code that writes them."""

from nexus_bench.io.columns import TABLES

_ABOUT = {
    "results.csv": "One row per (cell, split, hop): all that reports are made from.",
    "curve.csv": "Validation while training: one row per (cell, evaluation, hop).",
    "timing.csv": "Seconds, kept apart so that results.csv has the same bytes in every repetition: one row per cell.",
    "places.csv": "Sequences by place and by length: one row per (cell, split, hop, bin); only where there are some.",
    "report.csv": "Accuracy over seeds: one row per (setting, split, model, hop).",
    "reach.csv": "Hop reach over seeds, and what it costs: one row per (setting, model).",
    "reached.csv": "How many seeds reach each hop: one row per (setting, split, model, hop, threshold).",
    "comparisons.csv": "Which model reaches further, tested on paired seeds: one row per pair of models.",
    "compare.csv": "A run compared with an accepted one: one row per (cell without its seed, hop).",
    "predictions.csv": "What trained cells answer: one row per example.",
    "walk.csv": "Where the attention of one cell points: one row per (head, step along the path).",
    "attention.csv": "The attention maps of one example: one row per (head, attending position, fact).",
    "log.csv": "Pretraining of one language model: one row every few steps.",
}
_HEAD = """# Columns of every table

Made by `nexus-bench schema --markdown`, and compared with the code by a test. `nexus_bench.DTYPES` has the type of
every column for `pandas.read_csv`; an empty field is a missing value. [Results](results.md) explains how to read them.
"""


def columns_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for file, columns in TABLES.items():
        rows = "\n".join(f"| `{c.name}` | {c.dtype} | {c.meaning} |" for c in columns)
        parts.append(f"## {file}\n\n{_ABOUT[file]}\n\n| column | type | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)
