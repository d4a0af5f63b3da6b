"""Rows from checkpoints: each goes on from where it was saved, however it was packed then."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nexus_bench.io.files import sha256
from nexus_bench.model.scoring import HopScore
from nexus_bench.training.checkpoint import Checkpoint, SavedState
from nexus_bench.training.modes import DETERMINISTIC
from nexus_bench.training.recipe import DIVERGED, Point
from nexus_bench.training.row import TrainingRow


class RestoredRows(NamedTuple):
    """Rows as checkpoints left them.

    Attributes:
        packs: Rows to train, in packs of one step each.
        ended: Rows that ended, and the files with their weights; None for one that diverged.
    """

    packs: list[list[TrainingRow]]
    ended: list[tuple[TrainingRow, Path | None]]


def made_with(mode: str, device: torch.device) -> dict[str, str]:
    """What results may depend on beyond rounding of the same kind: only such checkpoints are continued."""
    return {"mode": mode, "device": device.type, "torch": torch.__version__}


def described(row: TrainingRow) -> dict[str, Any]:
    """What a checkpoint tells of a row, beside its state."""
    return {
        "cell_id": row.cell.cell_id,
        "seconds": row.seconds,
        "setup": row.setup,
        "status": row.status,
        "curve": [(point.step, [(hop, (*at,)) for hop, at in point.scores.items()]) for point in row.curve],
    }


def restore(
    rows: Sequence[TrainingRow], folders: Sequence[Path], *, made_with: dict[str, str], on_note: Callable[[str], None]
) -> RestoredRows:
    """Give rows the newest states that checkpoints hold; those without any begin.

    Rows of a pack that was saved in mode deterministic stay together, also with those that ended, since there the same
    pack gives the same bytes. In other modes, and where some of a pack have gone on elsewhere since, rows of the same
    step form one pack.

    Args:
        rows: New rows.
        folders: The folders of the packs in which they may be.
        made_with: From `made_with`.
        on_note: Called with messages for the user.
    """
    by_id = {row.cell.cell_id: row for row in rows}
    foreign: list[str] = []
    found = [(folder, _load(folder, made_with, foreign, on_note)) for folder in folders]
    newest_first = sorted(((folder, saved) for folder, saved in found if saved), key=lambda at: -at[1].about["step"])
    known: set[str] = set()  # rows with a state
    whole_packs: list[list[TrainingRow]] = []
    ended: dict[str, tuple[TrainingRow, Path | None]] = {}
    for folder, saved in newest_first:
        step, members = saved.about["step"], saved.about["rows"]
        ends = {
            cell_id: about_row
            for cell_id, about_row in saved.about["ended"].items()
            if _is_told(folder, cell_id, about_row)
        }
        pack = []
        for index, about_row in enumerate(members):
            cell_id = about_row["cell_id"]
            if cell_id in by_id and cell_id not in known and (about_row["status"] is None or cell_id in ends):
                row = by_id[cell_id]
                _take(row, about_row)
                row.step, row.state = step, {name: tensor[index] for name, tensor in saved.tensors.items()}
                pack.append(row)
        if made_with["mode"] == DETERMINISTIC and len(pack) == len(members):
            whole_packs.append(pack)
        for cell_id in ends.keys() & by_id.keys() - known:
            row, about_row = by_id[cell_id], ends[cell_id]
            _take(row, about_row)
            row.step = row.step or row.curve[-1].step  # in a pack that is whole, the step of the pack
            ended[cell_id] = (row, None if about_row["sha256"] is None else _weights(folder, cell_id))
        known |= {row.cell.cell_id for row in pack} | (ends.keys() & by_id.keys())
    if foreign and not known:
        title = rows[0].cell.title
        on_note(f"{title}: its checkpoint is of {foreign[0]}; training starts anew")
    return RestoredRows(_packed(rows, whole_packs), list(ended.values()))


def _packed(rows: Sequence[TrainingRow], whole: Sequence[list[TrainingRow]]) -> list[list[TrainingRow]]:
    going_on = [pack for pack in whole if any(row.status is None for row in pack)]
    placed = {row.cell.cell_id for pack in going_on for row in pack}
    others: dict[int, list[TrainingRow]] = {}
    for row in rows:
        if row.status is None and row.cell.cell_id not in placed:
            others.setdefault(row.step, []).append(row)
    return [*going_on, *others.values()]


def _take(row: TrainingRow, told: dict[str, Any]) -> None:
    """Give a row what `described` told of it."""
    row.seconds, row.setup, row.status = told["seconds"], told.get("setup", 0.0), told["status"]
    row.curve = [Point(step, {hop: HopScore(*at) for hop, at in scores}) for step, scores in told["curve"]]


def _load(
    folder: Path, made_with: dict[str, str], foreign: list[str], on_note: Callable[[str], None]
) -> SavedState | None:
    def is_ours(about: dict[str, Any]) -> bool:
        theirs = about.get("made_with", {})
        differs = [
            f"{key} {theirs.get(key)} instead of {mine}" for key, mine in made_with.items() if theirs.get(key) != mine
        ]
        foreign.extend(differs)
        return not differs

    checkpoint = Checkpoint(folder, root=folder)
    try:
        return checkpoint.load(is_ours=is_ours, on_note=on_note)
    finally:
        checkpoint.close()


def _is_told(folder: Path, cell_id: str, told: dict[str, Any]) -> bool:
    """Whether all that is known of a row that ended is there: its weights, unless it diverged."""
    try:
        return bool(told["status"] == DIVERGED or sha256(_weights(folder, cell_id).read_bytes()) == told["sha256"])
    except OSError:
        return False


def _weights(folder: Path, cell_id: str) -> Path:
    return folder / f"{cell_id}.safetensors"
