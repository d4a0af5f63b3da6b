"""Run folders of made-up results, for tests of leaderboards."""

from pathlib import Path

import pandas as pd

from nexus_bench.io.columns import COLUMNS
from nexus_bench.io.csv_files import rows_of, to_csv
from tests.made import By, results_of


def run_of(folder: Path, cells: dict[str, list[By]], **columns: object) -> Path:
    """A folder with results.csv alone, of models given as model -> accuracy by hop (1 to 3), a dictionary a seed."""
    frame = results_of(cells).assign(**columns)
    names = frame["task"] + frame["encoding"] + frame["n_facts"].astype("string") + frame["cell_id"]
    frame = frame.assign(cell_id=names.map({name: f"{i:016x}" for i, name in enumerate(dict.fromkeys(names))}))
    return write_run(folder, frame)


def write_run(folder: Path, frame: pd.DataFrame) -> Path:
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text(to_csv(rows_of(frame), COLUMNS))
    return folder


def by(*accuracies: float | None) -> By:
    """One seed: its accuracies at hops 1, 2, ..."""
    return dict(enumerate(accuracies, start=1))


FAR, MIDDLE, NEAR = by(1.0, 1.0, 1.0), by(1.0, 1.0, 0.5), by(1.0, 0.5, 0.5)  # reach 3, 2 and 1 hops
