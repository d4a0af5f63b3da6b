"""Seals: by its hash, what nexus-bench wrote is told from what was edited, cut or deleted later.

The tables and settings of a run folder are sealed together by `seal.json`, a JSON file with a hash of its own
(`sealed_json.py`):

    files   file -> its SHA-256 and, of a table of at most 100,000 cells, a short digest of the rows of each cell
    begun   the same of files that are just being replaced
    records record of a cell -> the beginning of the hash in it, of at most 100,000 (`record_seals.py`)

Files are replaced in three steps: the seal names the new hashes next to the old ones, the files are replaced, the seal
names the new hashes alone. A reader accepts either hash, so a process that is killed at any moment leaves a folder that
is right. A seal finds accidents and careless edits; somebody who computes the hashes again is not found.
"""

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.files import sha256_of_file, writing_atomic
from nexus_bench.io.packed import drop_packed, is_there, open_table, where_kept
from nexus_bench.io.sealed_json import read_sealed, write_sealed

SEAL = "seal.json"
_CELL_DIGITS = 16  # enough to name the cells that differ; whether any does, the hash of the file says
MOST_CELLS = 100_000  # of a table whose cells have digests; with more, the seal would be as large as what it seals
_MOST_NAMED = 3  # cells in a message


class Digest(NamedTuple):
    """What a seal knows of a file.

    Attributes:
        sha256: Of the whole file.
        cells: Of a table, cell_id -> digest of its rows; empty if it has more than 100,000 cells.
    """

    sha256: str
    cells: dict[str, str]


class Seal(NamedTuple):
    """The seal of a run folder.

    Attributes:
        files: File -> what it must be.
        begun: File -> what it may also be, since it was being replaced.
        records: Sealed JSON file below the folder -> the first digits of the hash in it.
    """

    files: dict[str, Digest]
    begun: dict[str, Digest]
    records: dict[str, str]

    def allows(self, name: str, found: str | None) -> bool:
        """Whether a file may have this SHA-256; None: may be missing."""
        known = [digests[name].sha256 for digests in (self.files, self.begun) if name in digests]
        return found in known if found is not None else name not in self.files


def read_seal(run: Path) -> Seal | None:
    """The seal of a run folder; None if it has none.

    Raises:
        CorruptArtefactError: It was edited or cut.
        StorageError: It cannot be read.
    """
    if not (run / SEAL).exists():
        return None
    advice = "restore it, or train into another folder"
    told = read_sealed(run / SEAL, advice=advice)
    try:
        files, begun = ({name: Digest(**known) for name, known in told[part].items()} for part in ("files", "begun"))
        records = dict(told.get("records", {}))  # an older version sealed no records
        digests = [*files.values(), *begun.values()]
        is_whole = all(isinstance(digest.sha256, str) and isinstance(digest.cells, dict) for digest in digests)
    except (AttributeError, KeyError, TypeError, ValueError):
        is_whole = False
    if not is_whole or not all(isinstance(digits, str) for digits in records.values()):
        raise CorruptArtefactError(f"{run / SEAL}: is not a seal of a run folder; {advice}")
    return Seal(files, begun, records)


def check_sealed(run: Path, names: Iterable[str], *, may_lack: Container[str] = ()) -> dict[str, str | None]:
    """Check files of a run folder against its seal, also while another process replaces them.

    Args:
        run: A folder with a seal.
        names: The files to check; one that the seal does not know must not be there.
        may_lack: Files that may be missing, since the caller writes them.

    Returns:
        File -> its SHA-256; None if it is missing.

    Raises:
        CorruptArtefactError: A file is missing, or is not what nexus-bench wrote.
        StorageError: A file cannot be read.
    """
    seal = read_seal(run)
    hashes: dict[str, str | None] = {}
    for name in names:
        while True:
            found = sha256_of_file(run / name, open_table) if is_there(run / name) else None
            if seal is not None and (seal.allows(name, found) or (found is None and name in may_lack)):
                hashes[name] = found
                break
            before, seal = seal, read_seal(run)
            if seal == before:
                advice = _advice(name, is_missing=found is None)
                raise CorruptArtefactError(f"{where_kept(run / name)}: {_fault(run / name, seal, found)}; {advice}")
    return hashes


class SealedFile:
    """A file that is being written piece by piece, and what the seal must know of it."""

    def __init__(self, name: str, file: IO[bytes] | None = None) -> None:
        self._file = file
        self._whole = hashlib.sha256()
        self._cells: dict[bytes, Any] | None = {} if name.endswith(".csv") else None
        self._is_at_header = True

    def write(self, text: str | bytes) -> None:
        """Add text, of a table whole lines."""
        data = text.encode() if isinstance(text, str) else text
        self._whole.update(data)
        if self._file is not None:
            self._file.write(data)
        if self._cells is None:
            return
        for line in data.splitlines(keepends=True):
            if not self._is_at_header:
                self._cells.setdefault(line.partition(b",")[0], hashlib.sha256()).update(line)
            self._is_at_header = False
        if len(self._cells) > MOST_CELLS:
            self._cells = None

    def digest(self) -> Digest:
        """The digest of what was written."""
        cells = {} if self._cells is None else self._cells
        own = {cell_id.decode(errors="replace"): of.hexdigest()[:_CELL_DIGITS] for cell_id, of in cells.items()}
        return Digest(self._whole.hexdigest(), own)


def replace_sealed(run: Path, texts: Mapping[str, str]) -> None:
    """Replace files of a run folder and seal them; as `replacing_sealed`, for texts that fit into memory."""
    with replacing_sealed(run, list(texts)) as files:
        for name, text in texts.items():
            files[name].write(text)


@contextmanager
def replacing_sealed(run: Path, names: Iterable[str]) -> Iterator[dict[str, SealedFile]]:
    """Files of a run folder to write, which are sealed and get their names at the end, all or none.

    If the process is killed, `check_sealed` accepts what it leaves.

    Args:
        run: The folder, which only this process writes to.
        names: The files.

    Raises:
        CorruptArtefactError: A file to be replaced was edited, and is kept.
        StorageError: The disk is full or the folder cannot be written; what is not yet replaced is kept.
    """
    names = list(names)
    seal = read_seal(run)
    hashes = {} if seal is None else check_sealed(run, names, may_lack=names)
    with ExitStack() as stack:
        new = {name: SealedFile(name, stack.enter_context(writing_atomic(run / name))) for name in reversed(names)}
        yield new
        files = {} if seal is None else {name: known for name, known in seal.files.items() if name not in names}
        for name in names:
            if seal is None and is_there(run / name):
                files[name] = _digest(run / name)
            elif seal is not None and (found := hashes[name]) is not None:
                known = (digests[name] for digests in (seal.files, seal.begun) if name in digests)
                files[name] = next(digest for digest in known if digest.sha256 == found)
        others = {} if seal is None else {name: known for name, known in seal.begun.items() if name not in names}
        records = {} if seal is None else seal.records
        digests = {name: new[name].digest() for name in names}
        write_seal(run, Seal(files, others | digests, records))
    for name in names:
        drop_packed(run / name)  # of before
    write_seal(run, Seal(files | digests, others, records))


def write_seal(run: Path, seal: Seal) -> None:
    """Write seal.json.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    digests = {"files": seal.files, "begun": seal.begun}.items()
    told = {part: {name: digest._asdict() for name, digest in known.items()} for part, known in digests}
    write_sealed(run / SEAL, told | {"records": seal.records})


def _digest(path: Path) -> Digest:
    """The digest of a file, read line by line."""
    content = SealedFile(path.name)
    with open_table(path) as file:
        for line in file:
            content.write(line)
    return content.digest()


def _fault(path: Path, seal: Seal | None, found: str | None) -> str:
    """What is wrong with a file, in words."""
    if found is None:
        return "is missing"
    if seal is None:
        return f"has lost its {SEAL}"
    known = [digests[path.name].cells for digests in (seal.files, seal.begun) if path.name in digests]
    if not known:
        return "was not written by nexus-bench"
    if not known[0]:
        return "was edited or cut"
    cells, is_now = known[0], _digest(path).cells
    differ = [cell_id for cell_id, digest in cells.items() if is_now.get(cell_id) != digest]
    more = f" and {len(differ) - _MOST_NAMED} more" if len(differ) > _MOST_NAMED else ""
    told = [f"other rows of cell {', '.join(differ[:_MOST_NAMED])}{more} than nexus-bench wrote"] if differ else []
    told += ["rows of no cell of the run"] if is_now.keys() - cells.keys() else []
    return ": ".join(["was edited or cut", *([", ".join(told)] if told else [])])


def _advice(name: str, *, is_missing: bool) -> str:
    if name.endswith(".csv") and is_missing:
        return "restore it, or give the command again that made it"
    if name.endswith(".csv"):
        return "restore it, or delete it and give the command again that made it"
    return "restore it, or train into another folder"
