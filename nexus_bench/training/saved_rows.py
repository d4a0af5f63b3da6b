"""Rows from checkpoints: each goes on from where it was saved, however it was packed then."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch

from nexus_bench.io.files import sha256
from nexus_bench.model.scoring import HopScore
from nexus_bench.training.checkpoint import Checkpoint, Saved
from nexus_bench.training.modes import DETERMINISTIC
from nexus_bench.training.recipe import Point
from nexus_bench.training.row import Row

_Curve = list[tuple[int, list[tuple[int, tuple[int, int, float]]]]]  # step, then hop and its score


class Ended(NamedTuple):
    """How a row ended, as a checkpoint tells it.

    Attributes:
        status: As of `Ending`.
        seconds: Its share of the training time.
        curve: Its evaluations.
        sha256: The hash of its weights; None if they are not kept.
    """

    status: str
    seconds: float
    curve: _Curve
    sha256: str | None

    @classmethod
    def of(cls, row: Row, sha256: str | None) -> "Ended":
        """What is told of a row that ended."""
        assert row.status is not None
        return cls(row.status, row.seconds, _told(row.curve), sha256)


class Restored(NamedTuple):
    """Rows as checkpoints left them.

    Attributes:
        packs: Rows to train, in packs of one step each.
        ended: Rows that ended, and the files with their weights.
    """

    packs: list[list[Row]]
    ended: list[tuple[Row, Path]]


def made_with(mode: str, device: torch.device) -> dict[str, str]:
    """What results may depend on beyond rounding of the same kind: only such checkpoints are continued."""
    return {"mode": mode, "device": device.type, "torch": torch.__version__}


def described(row: Row) -> dict[str, Any]:
    """What a checkpoint tells of a row, beside its state."""
    return {
        "cell_id": row.cell.cell_id,
        "seconds": row.seconds,
        "status": row.status,
        "curve": _told(row.curve),
    }


def restore(
    rows: Sequence[Row], folders: Sequence[Path], *, made_with: dict[str, str], on_note: Callable[[str], None]
) -> Restored:
    """Give rows the newest states that checkpoints hold; those without any begin.

    Rows of a pack that was saved in mode deterministic stay together, also with those that ended, since there the same
    pack gives the same bytes. In other modes rows of the same step form one pack.

    Args:
        rows: New rows.
        folders: The folders of the packs in which they may be.
        made_with: From `made_with`.
        on_note: Called with messages for the user.
    """
    by_id = {row.cell.cell_id: row for row in rows}
    newest: dict[str, int] = {}
    whole_packs: list[list[str]] = []
    ended: dict[str, tuple[Row, Path]] = {}
    foreign: list[str] = []
    for folder in folders:
        saved = _load(folder, made_with, foreign, on_note)
        if saved is None:
            continue
        for cell_id, told in saved.about["ended"].items():
            path = folder / f"{cell_id}.safetensors"
            if cell_id in by_id and _is_whole(path, told["sha256"]):
                row = by_id[cell_id]
                row.status, row.seconds, row.curve = told["status"], told["seconds"], _curve(told["curve"])
                row.step = row.curve[-1].step
                ended[cell_id] = (row, path)
        members = [told["cell_id"] for told in saved.about["rows"]]
        if made_with["mode"] == DETERMINISTIC and set(members) <= by_id.keys():
            whole_packs.append(members)
        for index, told in enumerate(saved.about["rows"]):
            cell_id, step = told["cell_id"], saved.about["step"]
            if cell_id not in by_id or newest.get(cell_id, -1) >= step or (cell_id in ended and cell_id not in members):
                continue
            newest[cell_id] = step
            _take(by_id[cell_id], told, step, {name: t[index] for name, t in saved.tensors.items()})
    if foreign and not newest and not ended:
        title = rows[0].cell.title
        on_note(f"{title}: its checkpoint is of {foreign[0]}; training starts anew")
    return Restored(_packed(rows, whole_packs), list(ended.values()))


def _packed(rows: Sequence[Row], whole: Sequence[Sequence[str]]) -> list[list[Row]]:
    by_id = {row.cell.cell_id: row for row in rows}
    found = [[by_id[cell_id] for cell_id in pack] for pack in whole]
    found = [pack for pack in found if any(row.status is None for row in pack)]
    placed = {row.cell.cell_id for pack in found for row in pack}
    others: dict[int, list[Row]] = {}
    for row in rows:
        if row.status is None and row.cell.cell_id not in placed:
            others.setdefault(row.step, []).append(row)
    return [*found, *others.values()]


def _take(row: Row, told: dict[str, Any], step: int, state: dict[str, torch.Tensor]) -> None:
    row.step, row.state = step, state
    row.seconds, row.status, row.curve = told["seconds"], told["status"], _curve(told["curve"])


def _load(folder: Path, made_with: dict[str, str], foreign: list[str], on_note: Callable[[str], None]) -> Saved | None:
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


def _is_whole(path: Path, expected: str | None) -> bool:
    try:
        return expected is not None and sha256(path.read_bytes()) == expected
    except OSError:
        return False


def weights_in(path: Path) -> dict[str, torch.Tensor]:
    """The final weights of a row.

    Raises:
        SafetensorError: They are damaged.
    """
    return safetensors.torch.load_file(path)


def _told(curve: Sequence[Point]) -> _Curve:
    return [(point.step, [(hop, (*at,)) for hop, at in point.scores.items()]) for point in curve]


def _curve(told: _Curve) -> list[Point]:
    return [Point(step, {hop: HopScore(*at) for hop, at in scores}) for step, scores in told]
