"""A table that is kept packed, as `gzip -9n` leaves it."""

import gzip
from pathlib import Path

from nexus_bench.io.packed import packed


def pack(path: Path) -> None:
    packed(path).write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()
