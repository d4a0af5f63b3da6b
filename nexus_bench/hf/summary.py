"""The summary of a finished pretraining run, sealed: an edited number is found when it is read."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.files import read_bytes, read_json
from nexus_bench.io.sealed_json import read_sealed, write_sealed

SUMMARY = "summary.json"
_WORDS = ("model", "device")
_MAY_LACK = ("tokens_per_second", "mfu")


class Summary(NamedTuple):
    """A finished run.

    Attributes:
        model: The method in words.
        parameters: Trained numbers.
        flops_per_token: Operations of a pass there and back, for each token.
        steps: Optimiser steps.
        tokens: Tokens trained on.
        loss: Of the last steps, in nats for each token.
        held_out_loss: Of held-out text at the end.
        bits_per_byte: The same in bits for each byte.
        tokens_per_second: Median over the rows of log.csv.
        mfu: Likewise.
        device: The device, and how many of them.
        seconds: Of the last process that trained.
    """

    model: str
    parameters: int
    flops_per_token: float
    steps: int
    tokens: int
    loss: float
    held_out_loss: float
    bits_per_byte: float
    tokens_per_second: float | None
    mfu: float | None
    device: str
    seconds: float


def write_summary(folder: Path, summary: Summary) -> None:
    """Write `summary.json` with its own hash.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    write_sealed(folder / SUMMARY, summary._asdict())


def read_summary(folder: Path, *, needed: Iterable[str] = Summary._fields) -> dict[str, Any]:
    """The content of `summary.json`; one of an older version has no seal, so that an edit of it is not found.

    Args:
        folder: Of a finished run.
        needed: What it must hold.

    Raises:
        CorruptArtefactError: It was edited or cut, or lacks something.
        StorageError: It cannot be read.
    """
    path = folder / SUMMARY
    advice = "restore it, or delete it and repeat the command that wrote it"
    told = read_sealed(path, advice=advice) if is_sealed(folder) else read_json(path)
    needed = set(needed)
    if not isinstance(told, dict) or not needed <= set(told) or not all(_fits(told[name], name) for name in needed):
        raise CorruptArtefactError(f"{path}: is damaged: not what pretrain writes; {advice}")
    return told


def _fits(value: Any, name: str) -> bool:
    """Whether a summary can hold this value under this name."""
    if name in _WORDS:
        return isinstance(value, str)
    return (type(value) in (int, float) and math.isfinite(value)) or (value is None and name in _MAY_LACK)


def is_sealed(folder: Path) -> bool:
    """Whether the summary of a finished run has a seal, or what is left of one; versions before 0.2 wrote none."""
    return b'"seal"' in read_bytes(folder / SUMMARY)
