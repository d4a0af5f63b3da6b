"""Packed tables are read as what they hold, and damage to them is found."""

import errno
import gzip
import os
import shutil
from io import BufferedReader
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nexus_bench.errors import CorruptArtefactError, StorageError
from nexus_bench.io import packed as packed_tables
from nexus_bench.io.columns import COLUMNS
from nexus_bench.io.csv_files import read_csv
from nexus_bench.io.files import open_file
from nexus_bench.io.packed import is_there
from nexus_bench.io.read_results import read_curves, read_results
from nexus_bench.io.seal import check_sealed, replace_sealed
from tests.packs import pack
from tests.paths import EXAMPLES

TABLES = ("results.csv", "curve.csv", "timing.csv")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES / "quick", tmp_path / "run", ignore=shutil.ignore_patterns("cells", "figures", "inspect"))
    for name in TABLES:
        pack(tmp_path / "run" / name)
    return tmp_path / "run"


def test_a_run_with_packed_tables_is_the_same_run(run: Path) -> None:
    pd.testing.assert_frame_equal(read_results(run), read_results(EXAMPLES / "quick"))
    pd.testing.assert_frame_equal(read_curves(run, whole=True), read_curves(EXAMPLES / "quick", whole=True))
    assert check_sealed(run, TABLES) == check_sealed(EXAMPLES / "quick", TABLES), "the seal is of the text"


def test_a_packed_table_alone_is_a_copy_of_the_results(run: Path) -> None:
    for path in run.iterdir():
        if path.name not in ("results.csv.gz", "seal.json"):
            path.unlink()
    assert len(read_results(run)) == len(read_results(EXAMPLES / "quick"))


def test_a_packed_table_that_was_edited_or_cut_is_found(run: Path) -> None:
    path = run / "results.csv.gz"
    whole = path.read_bytes()
    told = r"results\.csv\.gz: was edited or cut: .*; restore it, or delete it and give the command again"
    for data in (whole[:-9], whole[:40], b"cell_id,", whole[:99] + b"\0" + whole[100:]):
        path.write_bytes(data)
        with pytest.raises(CorruptArtefactError, match=told):
            read_results(run)
    path.write_bytes(gzip.compress(gzip.decompress(whole).replace(b"trained", b"solved_", 1)))
    with pytest.raises(CorruptArtefactError, match=r"results\.csv\.gz: was edited or cut: other rows of cell"):
        read_results(run)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cell_id,suite\n", " lacks the columns task, "),
        ("{first}\n{second}", " is truncated; make it again"),
        ("{first}\n{second},1\n{second}\n", " is truncated or edited: "),
        ("{first}\n", " has no rows: "),
        ("{first}\n{second}\n{second}\n", "3: was edited: the cell has two rows of this split and hop"),
    ],
)
def test_what_is_wrong_in_a_packed_table_is_told_of_the_file_that_is_there(run: Path, text: str, told: str) -> None:
    first, second = gzip.decompress((run / "results.csv.gz").read_bytes()).decode().splitlines()[:2]
    for path in run.iterdir():
        path.unlink()
    (run / "results.csv.gz").write_bytes(gzip.compress(text.format(first=first, second=second).encode()))
    with pytest.raises(CorruptArtefactError, match=rf"results\.csv\.gz:{told}"):
        read_results(run)


@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_packed_table_that_cannot_be_read_is_told_by_its_name(
    run: Path, monkeypatch: pytest.MonkeyPatch, is_sealed: bool
) -> None:
    for name in () if is_sealed else ("seal.json", "spec.yaml", "env.json", "curve.csv.gz", "timing.csv.gz"):
        (run / name).unlink()
    opened = Path.open

    def refused(path: Path, *args: Any, **more: Any) -> Any:
        if path.name == "results.csv.gz":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *args, **more)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(StorageError, match=r"results\.csv\.gz: cannot be read: Permission denied"):
        read_csv(run / "results.csv", COLUMNS) if not is_sealed else read_results(run)


def test_a_plain_table_counts_before_a_packed_one_and_writing_removes_that(run: Path) -> None:
    (run / "results.csv").write_text("cell_id\n")
    with pytest.raises(CorruptArtefactError, match=r"results\.csv: was edited or cut"):
        read_results(run)
    (run / "results.csv").unlink()
    replace_sealed(run, {"results.csv": gzip.decompress((run / "results.csv.gz").read_bytes()).decode()})
    assert (run / "results.csv").exists() and not (run / "results.csv.gz").exists()
    assert len(read_results(run)) == len(read_results(EXAMPLES / "quick"))


def test_only_tables_can_be_packed(run: Path) -> None:
    pack(run / "spec.yaml")
    assert not is_there(run / "spec.yaml") and is_there(run / "results.csv")
    with pytest.raises(CorruptArtefactError, match=r"spec\.yaml: is missing"):
        read_results(run)


@pytest.mark.parametrize("name", ["spec.yaml.gz", "env.json.gz"])
def test_what_is_no_packed_table_is_kept_when_its_namesake_is_written(run: Path, name: str) -> None:
    (run / name).write_bytes(b"of somebody")
    plain = name.removesuffix(".gz")
    replace_sealed(run, {plain: (run / plain).read_text()})
    assert (run / name).read_bytes() == b"of somebody"


def test_a_folder_or_a_broken_link_with_the_name_of_a_packed_table_hinders_no_writing(run: Path) -> None:
    texts = {name: gzip.decompress((run / f"{name}.gz").read_bytes()).decode() for name in TABLES}
    replace_sealed(run, texts)
    (run / "results.csv.gz").mkdir()
    (run / "curve.csv.gz").symlink_to("nowhere")
    replace_sealed(run, texts)
    assert (run / "results.csv.gz").is_dir() and (run / "curve.csv.gz").is_symlink()
    assert len(read_results(run)) == len(read_results(EXAMPLES / "quick"))


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_table_is_read_while_another_process_writes_or_packs_it(
    run: Path, monkeypatch: pytest.MonkeyPatch, is_packed: bool
) -> None:
    text = gzip.decompress((run / "results.csv.gz").read_bytes())
    if not is_packed:
        (run / "results.csv").write_bytes(text)
        (run / "results.csv.gz").unlink()

    def changes_first(path: Path) -> BufferedReader:
        monkeypatch.setattr(packed_tables, "open_file", open_file)
        if is_packed:
            replace_sealed(run, {"results.csv": text.decode()})
        else:
            pack(path)
        return open_file(path)

    monkeypatch.setattr(packed_tables, "open_file", changes_first)
    assert len(read_results(run)) == len(read_results(EXAMPLES / "quick"))
    assert (run / "results.csv").exists() is is_packed


def test_a_table_that_is_written_while_it_is_looked_for_is_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_file = Path.is_file

    def writes_then(path: Path) -> bool:
        was_there = is_file(path)
        if path.name == "results.csv.gz":
            monkeypatch.setattr(Path, "is_file", is_file)
            (run / "results.csv").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
        return was_there

    monkeypatch.setattr(Path, "is_file", writes_then)
    assert is_there(run / "results.csv")
