"""Made-up results for tests of what is said about results, and what a report says of them."""

import pandas as pd

from nexus_bench.io.columns import COLUMNS, CURVE_COLUMNS
from nexus_bench.report.build import Report, Section, build_report
from nexus_bench.report.tables import Table

# What a failed cell has none of
_BESIDE = {"chance": 0.1, "shortcut": 0.12, "partial_input": 0.2, "n_params": 1000, "flops_per_step": 2_000_000}


def table(*cells: tuple[str, float, int, dict[int, float | None]]) -> pd.DataFrame:
    """Results of cells given as (model, lr, seed, accuracy by hop); validation equals test."""
    rows = [
        {
            "cell_id": f"{model}-{lr}-{seed}",
            "suite": "s",
            "task": "t",
            "encoding": "fact",
            "train_hops": ",".join(str(hop) for hop in by_hop),
            "n_facts": 12,
            "vocab_size": 36,
            "attention": model.split(",")[0],
            "model": model,
            "order": 1,
            "lr": lr,
            "batch_size": 2,
            "steps": 3,
            "seed": seed,
            "split": split,
            "hop": hop,
            "accuracy": accuracy,
            "status": "failed" if accuracy is None else "trained",
        }
        | ({} if accuracy is None else _BESIDE)
        for model, lr, seed, by_hop in cells
        for split in ("val", "test")
        for hop, accuracy in by_hop.items()
    ]
    frame = pd.DataFrame(rows, columns=[column.name for column in COLUMNS])
    return frame.astype({column.name: column.dtype for column in COLUMNS})


def curve(results: pd.DataFrame) -> pd.DataFrame:
    """Two evaluations of every cell of some results; hops are learned at the second."""
    rows = results[(results["split"] == "val") & results["accuracy"].notna()]
    points = [rows.assign(step=step, accuracy=share * rows["accuracy"]) for step, share in ((10, 0.2), (20, 1.0))]
    frame = pd.concat(points, ignore_index=True)[[column.name for column in CURVE_COLUMNS]]
    return frame.astype({column.name: column.dtype for column in CURVE_COLUMNS})


By = dict[int, float | None]


def results_of(cells: dict[str, list[By]], *, n_examples: int = 1000, lr: float = 0.1) -> pd.DataFrame:
    """Results of models given as model -> accuracy by hop, one dictionary a seed."""
    frame = table(*((model, lr, seed, by_hop) for model, seeds in cells.items() for seed, by_hop in enumerate(seeds)))
    frame["n_examples"] = n_examples
    frame["n_correct"] = (frame["accuracy"] * n_examples).round().astype("Int64")
    return frame.assign(task_version=1, train_hops="1-3", curriculum="none")


def at(*accuracies: float | None) -> list[By]:
    """Seeds with these accuracies at hop 1."""
    return [{1: accuracy} for accuracy in accuracies]


def report_of(results: pd.DataFrame) -> Report:
    return build_report(results, curve(results))


def tables_of(section: Section) -> dict[str, Table]:
    return {table_.name: table_ for table_ in section.tables}


def cells_of(table_: Table) -> list[list[str]]:
    return [row.cells for row in table_.rows]
