"""Tables that are kept small: `curve.csv.gz` stands for `curve.csv`, and is read as the text that it holds.

Where both are there, the plain one counts. Nothing here writes a packed table: `gzip -9n curve.csv` does.
"""

import gzip
import io
import zlib
from pathlib import Path
from typing import IO

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.files import open_file


def packed(path: Path) -> Path:
    """Where a table is if it is kept packed."""
    return path.with_name(f"{path.name}.gz")


def is_there(path: Path) -> bool:
    """Whether a file is there; a table, also if it is packed."""
    return path.exists() or (path.suffix == ".csv" and packed(path).is_file())


def open_table(path: Path) -> IO[bytes]:
    """A file to read; a packed table is unpacked in memory.

    Raises:
        CorruptArtefactError: What is packed was cut or edited.
        OSError: It is missing or cannot be read.
        StorageError: It is a device or a pipe.
    """
    if path.exists() or not is_there(path):
        return open_file(path)
    with open_file(packed(path)) as file:
        try:
            return io.BytesIO(gzip.decompress(file.read()))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CorruptArtefactError(f"{packed(path)}: was edited or cut: {error}; restore it") from error
