"""Which records of cells the tables of a run were made from: one that is copied from another run is told from it.

A record holds its own hash, so it stands by itself; `seal.json` names the hash of each. It forgets a record before the
cell is trained again, and knows the new one once the tables are made from it. So a process that is killed at any moment
leaves a folder that is right.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io import seal as seals
from nexus_bench.io.files import read_bytes
from nexus_bench.io.seal import read_seal, write_seal
from nexus_bench.io.sealed_json import own_hash

_DIGITS = 16  # of a hash, which the record itself holds in full


def check_records(run: Path) -> None:
    """Check all records of cells that are in a run folder and that its seal knows.

    Raises:
        CorruptArtefactError: A record was edited, or is of another run or another training of its cell.
        StorageError: A record cannot be read.
    """
    seal = read_seal(run)
    for name in () if seal is None else tuple(seal.records):
        path = run / name
        while seal is not None and name in seal.records and path.exists():
            if _hash_of(path) == seal.records[name]:
                break
            before, seal = seal, read_seal(run)
            if seal == before:
                raise CorruptArtefactError(
                    f"{path}: is not the record that the tables of this run were made from; "
                    f"restore it, or {advice(path)}"
                )


def seal_records(run: Path, names: Iterable[str]) -> None:
    """Let the seal of a run folder know the records that its tables were made from; those it knows are kept.

    Of more than 100,000 it knows none: it would be as large as what it seals.

    Args:
        run: A folder with a seal, which only this process writes to.
        names: Records of cells, named from the folder.

    Raises:
        CorruptArtefactError: A record was edited.
        StorageError: The disk is full or the folder cannot be written.
    """
    seal = read_seal(run)
    if seal is None:
        return
    new = {name: _hash_of(run / name) for name in names if name not in seal.records}
    known = seal.records | new
    if new:
        write_seal(run, seal._replace(records=known if len(known) <= seals.MOST_CELLS else {}))


def forget_records(run: Path, is_replaced: Callable[[str], bool]) -> None:
    """Let the seal of a run folder forget records that are about to be made again.

    Args:
        run: The folder, which only this process writes to.
        is_replaced: Says so of a record, named from the folder.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    seal = read_seal(run)
    kept = {} if seal is None else {name: found for name, found in seal.records.items() if not is_replaced(name)}
    if seal is not None and len(kept) < len(seal.records):
        write_seal(run, seal._replace(records=kept))


def cells_of_tables(run: Path) -> set[str]:
    """The cells from whose records the tables of a run were made, also if they are deleted.

    Raises:
        CorruptArtefactError: seal.json was edited.
    """
    seal = read_seal(run)
    return set() if seal is None else {cell_of(name) for name in seal.records}


def cell_of(name: str) -> str:
    """The cell of a record, named from the run folder."""
    return name.split("/")[1]


def advice(path: Path) -> str:
    """What to do about a record that was edited."""
    if path.parent.name == "asked":
        return f"delete {path} and run `nexus-bench eval` again"
    return f"delete {path.parent} and train again"


def _hash_of(path: Path) -> str:
    return own_hash(path, read_bytes(path), advice=advice(path))[:_DIGITS]
