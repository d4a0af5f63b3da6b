"""Packs of rows that were begun, and how far they came: what the heads of their checkpoints say, without PyTorch."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

STATES = ("newest", "previous")  # the files of a pack that hold its rows
HASH_BYTES = 64  # hexadecimal SHA-256 at the head of a checkpoint, then a line break


class Pack(NamedTuple):
    """A pack of rows that was begun.

    Attributes:
        folder: Its checkpoints.
        mode: The mode it was trained in.
        step: The step of its newest checkpoint.
        cell_ids: Its cells in their order, also those that ended.
    """

    folder: Path
    mode: str
    step: int
    cell_ids: tuple[str, ...]


def begun_packs(checkpoints: Path) -> list[Pack]:
    """The packs that have checkpoints; those that cannot be read are left out."""
    found = []
    for folder in _packs(checkpoints):
        ids: dict[str, None] = {}
        modes, steps = [], []
        for about in _describe(folder):
            with suppress(KeyError, TypeError):  # of another version of nexus-bench
                ids |= dict.fromkeys([*(row["cell_id"] for row in about["rows"]), *about["ended"]])
                modes.append(str(about["made_with"]["mode"]))
                steps.append(int(about["step"]))
        if steps:
            found.append(Pack(folder, modes[0], steps[0], tuple(ids)))
    return found


def saved_steps(checkpoints: Path, *, mode: str | None = None) -> dict[str, int]:
    """Cell id -> optimiser steps after which its newest state was saved, of the cells that have one.

    Args:
        checkpoints: The folder of checkpoints of a run.
        mode: Only states of this mode, as others do not go on in it; None counts all.
    """
    steps: dict[str, int] = {}
    for pack in (pack for pack in begun_packs(checkpoints) if mode in (None, pack.mode)):
        steps |= {cell_id: max(pack.step, steps.get(cell_id, 0)) for cell_id in pack.cell_ids}
    return steps


def _describe(folder: Path) -> list[dict[str, Any]]:
    """What the checkpoints in a folder say of themselves, the newest first; their content is not checked."""
    found = []
    for path in (folder / name for name in STATES):
        try:
            with path.open("rb") as file:
                file.seek(HASH_BYTES + 1)
                n_header = int.from_bytes(file.read(8), "little")
                found.append(json.loads(json.loads(file.read(n_header))["__metadata__"]["about"]))
        except (OSError, ValueError, KeyError, OverflowError, MemoryError):
            continue
    return found


def _packs(checkpoints: Path) -> Iterable[Path]:
    """The folders of packs under a folder of checkpoints, in the order of their names."""
    return sorted({path.parent for name in STATES for path in checkpoints.glob(f"*/*/{name}")})
