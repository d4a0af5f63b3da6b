"""What modules that call transformers share: silence, errors in a line, names on the hub, the precision of passes."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers

from nexus_bench.errors import NexusBenchError, StorageError
from nexus_bench.io.files import unwritable

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no advice of transformers within."""
    hub = logging.getLogger("huggingface_hub")
    level_of_hub = hub.level
    hub.setLevel(logging.CRITICAL)
    level, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        hub.setLevel(level_of_hub)
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()


@contextmanager
def told_if_unwritten(path: Path) -> Iterator[None]:
    """What a library cannot write is one line: each has errors of its own for a full disk.

    Args:
        path: What is written within.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        yield
    except (NexusBenchError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is not None:
            raise unwritable(path, cause, "write it elsewhere") from error
        raise StorageError(f"{path}: cannot be written: {first_line(error)}; free some space") from error


def first_line(error: BaseException) -> str:
    """The first line of an error that says something, without a full stop; its type if none does."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def in_precision(device: str) -> torch.autocast:
    """The context in which models are called: bfloat16 on a GPU, float32 on a CPU."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda")
