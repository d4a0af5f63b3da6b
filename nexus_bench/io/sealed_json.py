"""Sealed JSON files: each holds the SHA-256 of its own text, in which the digits of the hash count as zeros."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.files import parse_json, read_bytes, sha256, to_json, write_atomic

_KEY = b'\n  "seal": "'  # only a top-level key stands after a line break and two spaces
_BLANK = b"0" * 64


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with its own hash, under the key `seal`.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    blank = to_json({**content, "seal": _BLANK.decode()}).encode()
    write_atomic(path, blank.replace(_KEY + _BLANK, _KEY + sha256(blank).encode(), 1))


def read_sealed(path: Path, *, advice: str) -> dict[str, Any]:
    """The content of a file of `write_sealed`.

    Args:
        path: The file.
        advice: What to do if it was edited.

    Raises:
        CorruptArtefactError: It is missing, or not byte for byte what was written.
        StorageError: It cannot be read.
    """
    data = read_bytes(path)
    own_hash(path, data, advice=advice)
    content: dict[str, Any] = parse_json(data)
    del content["seal"]
    return content


def own_hash(path: Path, data: bytes, *, advice: str) -> str:
    """The hash in a file of `write_sealed`.

    Args:
        path: The file, for messages.
        data: Its content.
        advice: What to do if it was edited.

    Raises:
        CorruptArtefactError: It is not that of the text.
    """
    start = data.rfind(_KEY) + len(_KEY)  # it stands near the end
    end = start + len(_BLANK)
    found, whole = data[start:end], hashlib.sha256()
    for part in (memoryview(data)[:start], _BLANK, memoryview(data)[end:]):  # without copies
        whole.update(part)
    if start < len(_KEY) or found != whole.hexdigest().encode():
        raise CorruptArtefactError(f"{path}: was edited or cut: it does not match the hash in it; {advice}")
    return found.decode()
