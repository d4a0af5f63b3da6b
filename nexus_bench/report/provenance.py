"""What a report says of where its results come from, and how to make them again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.files import read_json
from nexus_bench.io.read_results import DAYS, ENVIRONMENT, SPEC

_PACKAGES = {"nexus_bench": "nexus-bench", "torch": "PyTorch", "python": "Python"}


def provenance(runs: Sequence[Path], results: Sequence[pd.DataFrame]) -> list[str]:
    """What each run was trained in and when, and the commands that make it and its report again.

    Names of folders and the day of the report are left out, as the same run gives the same report everywhere.

    Args:
        runs: Run folders.
        results: Their results.csv.
    """
    told = []
    for run, of_run in zip(runs, results, strict=True):
        suites = ", ".join(dict.fromkeys(of_run["suite"]))
        told.append(f"Suite {suites}: {'; '.join(_environments(run)) or 'what it was trained in is not recorded'}.")
        if (run / SPEC).exists():
            told.append(
                f"To train {suites} again: `nexus-bench train {SPEC}` with the {SPEC} of the run folder; then "
                "`nexus-bench report` on the new folder, or `nexus-bench compare` with the old one."
            )
    return list(dict.fromkeys(told))


def _environments(run: Path) -> list[str]:
    """One line per entry of env.json: versions, device, mode and days; nothing where there is none."""
    if not (run / ENVIRONMENT).exists():
        return []
    found = read_json(run / ENVIRONMENT)
    entries: Any = found.get("environments") if isinstance(found, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CorruptArtefactError(f"{run / ENVIRONMENT}: has no list of environments; train the run again")
    lines = []
    for entry in entries:
        parts = [f"{name} {entry[key]}" for key, name in _PACKAGES.items() if key in entry]
        parts += [f"device {entry['device']}"] if "device" in entry else []
        parts += [f"mode {entry['mode']}"] if "mode" in entry else []
        days = dict.fromkeys(str(entry[name]) for name in DAYS if name in entry)
        parts += [f"trained {' to '.join(days)}"] if days else []
        lines.append(", ".join(parts))
    return list(dict.fromkeys(lines))
