"""The saved state of an unfinished job: two checkpoints, each whole or recognised as damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from nexus_bench.errors import StorageError
from nexus_bench.io.files import sha256, write_atomic

_HASH_BYTES = 64  # hexadecimal SHA-256 at the head of the file, then a line break


class Saved(NamedTuple):
    """A state that was saved.

    Attributes:
        tensors: By name, on the CPU.
        about: Everything else, as JSON values.
    """

    tensors: dict[str, Tensor]
    about: dict[str, Any]


class Checkpoint:
    """The newest state of a job and the one before it.

    Args:
        folder: Where both are kept.
        root: The run folder, which must exist: a deleted one is not silently created again.
    """

    def __init__(self, folder: Path, *, root: Path) -> None:
        self._root = root
        self.newest, self.previous = folder / "newest", folder / "previous"

    def save(self, saved: Saved) -> None:
        """Write the state, whole or not at all; the newest one so far becomes the one before.

        Raises:
            StorageError: The disk is full, or the run folder is gone.
        """
        if not self._root.is_dir():
            raise StorageError(f"{self._root}: was deleted while it was written to; run the command again")
        content = safetensors.torch.save(saved.tensors, metadata={"about": json.dumps(saved.about)})
        data = sha256(content).encode() + b"\n" + content
        if self.newest.exists():
            self.newest.replace(self.previous)
        write_atomic(self.newest, data)

    def load(self, *, is_ours: Callable[[dict[str, Any]], bool], on_note: Callable[[str], None]) -> Saved | None:
        """The newest state that is whole and belongs to this job; None means to start from the beginning.

        Args:
            is_ours: Whether the description of a state fits the job.
            on_note: Called when a damaged file is skipped.
        """
        for path in (self.newest, self.previous):
            try:
                data = path.read_bytes()
            except OSError:
                continue
            try:
                saved = _parse(data)
            except (ValueError, KeyError, SafetensorError):
                on_note(f"{path}: is damaged; continuing from the checkpoint before it")
                continue
            if is_ours(saved.about):
                return saved
        return None


def _parse(data: bytes) -> Saved:
    content = data[_HASH_BYTES + 1 :]
    if sha256(content).encode() != data[:_HASH_BYTES]:
        raise ValueError("the content does not match its hash")
    n_header = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n_header])
    return Saved(safetensors.torch.load(content), json.loads(header["__metadata__"]["about"]))
