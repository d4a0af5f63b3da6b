"""The saved states of unfinished rows: two checkpoints of each pack, each whole or recognised as damaged.

Layout of the folder of a pack of rows:

    newest, previous        the states of its rows, their curves, and how those that left it ended
    <cell_id>.safetensors   the final weights of a row that ended
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from nexus_bench.errors import StorageError
from nexus_bench.io.files import sha256, unwritable, write_atomic
from nexus_bench.training.checkpoint_heads import HASH_BYTES

_SHARE = 20  # wait this many times the duration of saving before saving again


class SavedState(NamedTuple):
    """A state that was saved.

    Attributes:
        tensors: By name, on the CPU.
        about: Everything else, as JSON values.
    """

    tensors: dict[str, Tensor]
    about: dict[str, Any]


class Checkpoint:
    """The newest state of a pack of rows and the one before it.

    Args:
        folder: Where both are kept.
        root: The run folder, which must exist: a deleted one is not silently created again.
    """

    def __init__(self, folder: Path, *, root: Path) -> None:
        self._root = root
        self.folder = folder
        self.newest, self.previous = folder / "newest", folder / "previous"
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None
        self._free_at = 0.0  # when saving is affordable again

    def offer(self, make: Callable[[], SavedState]) -> None:
        """Save in the background, unless that would take more than a twentieth of the time.

        Args:
            make: Called for the state if it is saved.

        Raises:
            StorageError: The save before failed.
        """
        if self._writing is not None and not self._writing.done():
            return
        self._wait()
        if time.monotonic() < self._free_at:
            return
        started = time.monotonic()
        saved = make()
        self._writing = self._thread.submit(self._write, saved, started)

    def save(self, saved: SavedState) -> None:
        """Write the state, whole or not at all; the newest one so far becomes the one before.

        Raises:
            StorageError: The disk is full, or the run folder is gone.
        """
        self._wait()
        self._write(saved, time.monotonic())

    def keep(self, name: str, tensors: dict[str, Tensor]) -> tuple[Path, str]:
        """Write the final weights of a row.

        Returns:
            The file, and the SHA-256 of its content.

        Raises:
            StorageError: The disk is full, or the run folder is gone.
        """
        self._check_root()
        path = self.folder / f"{name}.safetensors"
        content = safetensors.torch.save(tensors)
        write_atomic(path, content)
        return path, sha256(content)

    def close(self) -> None:
        """Wait for what is being written; a failure is told by the next call, or does not matter any more."""
        self._thread.shutdown(wait=True)

    def load(self, *, is_ours: Callable[[dict[str, Any]], bool], on_note: Callable[[str], None]) -> SavedState | None:
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

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, saved: SavedState, started: float) -> None:
        self._check_root()
        content = safetensors.torch.save(saved.tensors, metadata={"about": json.dumps(saved.about)})
        data = sha256(content).encode() + b"\n" + content
        try:
            self.newest.replace(self.previous)
        except FileNotFoundError:
            pass  # the first one
        except OSError as error:
            raise unwritable(self.newest, error, "make its folder writable") from error
        write_atomic(self.newest, data)
        now = time.monotonic()
        self._free_at = now + _SHARE * (now - started)

    @property
    def has_root(self) -> bool:
        """Whether the run folder is there."""
        return self._root.is_dir()

    def _check_root(self) -> None:
        if not self.has_root:
            raise StorageError(f"{self._root}: was deleted while it was written to; run the command again")


def _parse(data: bytes) -> SavedState:
    content = data[HASH_BYTES + 1 :]
    if sha256(content).encode() != data[:HASH_BYTES]:
        raise ValueError("the content does not match its hash")
    n_header = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n_header])
    return SavedState(safetensors.torch.load(content), json.loads(header["__metadata__"]["about"]))
