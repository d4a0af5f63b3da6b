"""Files that are whole or absent: written under another name in the same folder, synced, then renamed."""

import errno
import gzip
import hashlib
import json
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

import filelock

from nexus_bench.errors import ConfigError, CorruptArtefactError, StorageError, UsageError, blame

NOT_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)  # what unpacking raises of a file that was cut or is no such one
_MANIFEST = "manifest.json"  # of a dataset
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # of a character that JSON writes as two
_BEGUN = ".begun"  # suffix of a file that is being written; a killed process leaves such a file behind


def drop_begun(folder: Path, *, below: bool = False) -> None:
    """Remove unfinished files of killed processes from a folder that only this process writes to now.

    Args:
        folder: The folder; it may be missing.
        below: Also look in all folders below it.
    """
    for path in list((folder.rglob if below else folder.glob)(f".*{_BEGUN}")):
        if path.is_file():  # a folder of such a name is not ours
            path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, guards: Path, advice: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock that a file stands for; the file stays, unless the holder deletes it before the end.

    Args:
        path: The lock file.
        guards: What only the holder writes to, for messages.
        advice: What to do where the lock file cannot be written.
        wait: Whether to wait while another process holds it.

    Raises:
        StorageError: The lock file cannot be written.
        UsageError: Another process holds the lock.
    """
    lock = filelock.FileLock(path, timeout=-1 if wait else 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise UsageError(f"{guards}: another nexus-bench is writing to it; wait, or choose another --out") from error
    except OSError as error:
        raise StorageError(f"{guards}: cannot be written: {error.strerror}; {advice}") from error
    try:
        yield
    finally:
        lock.release()


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that a crash leaves the old content or the new one, never a part.

    Raises:
        StorageError: The disk is full or the folder cannot be written; the old content is kept.
    """
    with writing_atomic(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def writing_atomic(path: Path) -> Iterator[IO[bytes]]:
    """A file that is written piece by piece and gets its name once it is whole.

    Raises:
        StorageError: The disk is full or the folder cannot be written; the old content is kept.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=_BEGUN, delete=False) as file:
            temporary = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        advice = "move that folder away, or write elsewhere" if path.is_dir() else "write it elsewhere"
        raise unwritable(path, error, advice) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)  # it still exists only if writing failed


def unwritable(path: Path | str, error: OSError, advice: str) -> StorageError:
    """The error for a place that cannot be written; on a full disk the advice is to free some space.

    Raises:
        OSError: It came from a task or an attention of another package, and has nothing to do with the place.
    """
    if blame(error) is not None:
        raise error
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    reason = error.strerror or str(error)
    return StorageError(f"{path}: cannot be written: {reason}; {'free some space' if is_full else advice}")


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        CorruptArtefactError: The file is missing.
        StorageError: It cannot be read.
    """
    try:
        with open_file(path) as file:
            return file.read()
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: is missing; make it again") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def read_text(path: Path) -> str:
    """The content of a text file that a person wrote.

    Raises:
        ConfigError: It is not UTF-8.
        StorageError: It is missing or cannot be read.
    """
    try:
        with open_file(path) as file:
            return file.read().decode()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error


def check_listed(*folders: Path) -> None:
    """Refuse folders whose content may not be listed: a search in such a one finds nothing, and says nothing.

    Raises:
        StorageError: One cannot be read.
    """
    for folder in folders:
        try:
            os.scandir(folder).close()
        except OSError as error:
            raise StorageError(f"{folder}: cannot be read: {error.strerror}; name a folder that can be") from error


def open_file(path: Path) -> BufferedReader:
    """A file to read; a device or a pipe is refused, since reading it may never end.

    Raises:
        OSError: It is missing or cannot be read.
        StorageError: It is a device or a pipe.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a folder says what it is
        raise StorageError(f"{path}: cannot be read: is a device or a pipe; give a regular file")
    return path.open("rb")


def parse_json(text: str | bytes) -> Any:
    """JSON as a value.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_line(line: str, where: str, advice: str = "") -> Any:
    """A line of JSON that somebody wrote, as a value.

    Args:
        line: The line.
        where: Its file and number.
        advice: What to write instead.

    Raises:
        ConfigError: It is not JSON, or a string in it is no text, as no file and no tokenizer takes it.
    """
    try:
        value = parse_json(line)
    except ValueError as error:
        raise ConfigError(f"{where}: is not JSON{advice}") from error
    if _ESCAPED_HALF.search(line):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = ascii(error.object[error.start])[1:-1]
            raise ConfigError(f"{where}: {half} is half of a character; write both halves, or none") from error
    return value


def read_json(path: Path) -> Any:
    """The content of a JSON file that nexus-bench wrote.

    Raises:
        CorruptArtefactError: It is missing or is not JSON.
    """
    try:
        return parse_json(read_bytes(path))
    except ValueError as error:
        raise CorruptArtefactError(f"{path}: is truncated or edited: not JSON; delete it and run again") from error


def to_json(value: Any) -> str:
    """JSON as nexus-bench writes it: the same bytes for the same value."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path, opened: Callable[[Path], IO[bytes]] | None = None) -> str:
    """The SHA-256 of a file, read piece by piece.

    Args:
        path: The file.
        opened: Opens it; default `open_file`.

    Raises:
        CorruptArtefactError: The file is missing.
        StorageError: It cannot be read.
    """
    try:
        with (opened or open_file)(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: is missing; make it again") from error
    except OSError as error:  # perhaps of what stands for it
        raise StorageError(f"{error.filename or path}: cannot be read: {error.strerror}") from error


def keep_others(folder: Path | None, files: Mapping[str, str | None]) -> None:
    """Refuse a folder where writing would touch what nexus-bench did not write, or a dataset, which is whole as it is.

    Args:
        folder: The folder; None is one that is nexus-bench's own.
        files: File or folder to be written -> how such a file of nexus-bench begins; None where that does not tell, and
            it counts as nexus-bench's only if the first of `files` is there.

    Raises:
        StorageError: A file cannot be read.
        UsageError: The folder holds a dataset, or something of one of these names.
    """
    if folder is None:
        return
    if _begins(folder / _MANIFEST, "{") and b'"manifest_sha256"' in read_bytes(folder / _MANIFEST):
        raise UsageError(f"{folder}: holds a dataset, which is kept as it is; choose another --out")
    first = folder / next(iter(files))
    for name, beginning in files.items():
        path = folder / name
        is_own = first.is_file() if beginning is None else _begins(path, beginning)
        if os.path.lexists(path) and not is_own:
            raise UsageError(f"{path}: was not written by nexus-bench and is kept; choose another --out")


def _begins(path: Path, beginning: str) -> bool:
    """Whether a file is there, and is empty or begins so; of a packed one what it holds, and nothing else holds any."""
    try:
        if not path.is_file():
            return False
        with open_file(path) as file:
            text = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            return text.read(len(beginning.encode())) in (b"", beginning.encode())
    except NOT_GZIP:
        return False
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
