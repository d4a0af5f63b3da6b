"""Packed tables are read as what they hold, and damage to them is found."""

import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.errors import CorruptArtefactError
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
    for data in (whole[:-9], whole[:40], b"cell_id,", whole[:99] + b"\0" + whole[100:]):
        path.write_bytes(data)
        with pytest.raises(CorruptArtefactError, match=r"results\.csv\.gz: was edited or cut: .*; restore it"):
            read_results(run)
    path.write_bytes(gzip.compress(gzip.decompress(whole).replace(b"trained", b"solved_", 1)))
    with pytest.raises(CorruptArtefactError, match=r"results\.csv: was edited or cut: other rows of cell"):
        read_results(run)


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
