"""Tables that are kept small: `curve.csv.gz` stands for `curve.csv`, and is read as the text that it holds.

Where both are there, the plain one counts. Nothing here writes a packed table: `gzip -9n curve.csv` does.
"""

import gzip
import io
from pathlib import Path
from typing import IO

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.files import NOT_GZIP, open_file


def packed(path: Path) -> Path:
    """Where a table is if it is kept packed."""
    return path.with_name(f"{path.name}.gz")


def is_there(path: Path) -> bool:
    """Whether a file is there; a table, also if it is packed, or is just being packed or unpacked."""
    return path.exists() or where_kept(path) != path or path.exists()


def where_kept(path: Path) -> Path:
    """The file that counts: that of a table which is only kept packed, else the plain one, whether there or not."""
    return packed(path) if path.suffix == ".csv" and not path.exists() and packed(path).is_file() else path


def drop_packed(path: Path) -> None:
    """Remove the packed form of a table that was written plain; what could not count in its place is kept."""
    if path.suffix == ".csv" and packed(path).is_file():
        packed(path).unlink(missing_ok=True)


def open_table(path: Path) -> IO[bytes]:
    """A file to read; a packed table is unpacked in memory.

    Also where another process packs or unpacks it meanwhile.

    Raises:
        CorruptArtefactError: What is packed was cut or edited.
        OSError: It is missing or cannot be read.
        StorageError: It is a device or a pipe.
    """
    kept = where_kept(path)
    try:
        return _opened(path, kept)
    except FileNotFoundError:
        if (now := where_kept(path)) == kept:
            raise
        return _opened(path, now)


def _opened(path: Path, kept: Path) -> IO[bytes]:
    if kept == path:
        return open_file(path)
    with open_file(kept) as file:
        try:
            return io.BytesIO(gzip.decompress(file.read()))
        except NOT_GZIP as error:
            advice = "restore it, or delete it and give the command again that made it"
            raise CorruptArtefactError(f"{kept}: was edited or cut: {error}; {advice}") from error
