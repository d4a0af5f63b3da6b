"""What nexus-bench did not write is kept: one line says so, and nothing else is written."""

import gzip
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Command, assert_fails
from tests.packs import pack
from tests.paths import ROOT

PLACES = [  # of a command, how it is told where to write, and what it writes first and last
    ("report run --out o", "o", ["report.md", "report.csv", "reached.csv", "report.html", "figures"]),
    ("compare run run --out o", "o", ["compare.csv"]),
    ("compare run run --junit o/junit.xml", "o", ["junit.xml"]),
    ("inspect run --out o", "o", ["walk.csv", "attention.csv", "inspect_maps.png"]),
    ("predictions run --out o", "o", ["predictions.csv"]),
    ("score p.jsonl --data data --out o", "o", ["results.csv", "results.csv.gz", "report.html"]),
    ("schema --out o", "o", ["train.json"]),
    ("gallery --out o/page.md", "o", ["page.md"]),
]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def at_hand(command: Command) -> Command:
    """A run, a dataset and predictions."""
    shutil.copytree(ROOT / "runs/example/quick", "run")
    made = command("gen", "--n", "9", "--n-test", "9", "--hops", "1", "--out", "data", "-q")
    assert made.returncode == 0, made.stderr
    Path("p.jsonl").write_text('{"graph": 0, "query": 0, "prediction": "a"}\n')
    return command


@pytest.mark.parametrize(
    ("line", "folder", "name"), [(line, folder, name) for line, folder, names in PLACES for name in names]
)
def test_a_file_of_somebody_else_is_kept(line: str, folder: str, name: str, at_hand: Command) -> None:
    Path(folder).mkdir()
    if name == "figures":
        Path(folder, name).mkdir()
        Path(folder, name, "mine.png").write_bytes(b"mine")
    else:
        Path(folder, name).write_bytes(b"mine")
    before = content(Path(folder))
    assert_fails(at_hand(*line.split()), 2, f"{folder}/{name}: was not written by nexus-bench and is kept")
    assert content(Path(folder)) == before


def test_a_packed_table_of_somebody_else_is_kept_and_ones_own_is_written_again(at_hand: Command) -> None:
    line = "score p.jsonl --data data --out o".split()
    assert at_hand(*line).returncode == 0
    pack(Path("o/results.csv"))
    assert at_hand(*line).returncode == 0 and not Path("o/results.csv.gz").exists()
    Path("o/results.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    before = content(Path("o"))
    told = "o/results.csv.gz: was not written by nexus-bench and is kept"
    assert_fails(at_hand(*line), 2, told)
    assert content(Path("o")) == before
    Path("o/results.csv").unlink()
    assert_fails(at_hand(*line), 2, told)
    Path("o/results.csv.gz").unlink()
    Path("o/seal.json").unlink()
    Path("o/results.csv.gz").mkdir()
    assert at_hand(*line).returncode == 0 and Path("o/results.csv.gz").is_dir(), "a folder is not in the way"


@pytest.mark.parametrize("line", [line for line, _, _ in PLACES])
def test_a_dataset_stays_as_it_is(line: str, at_hand: Command) -> None:
    shutil.copytree("data", "o")
    before = content(Path("o"))
    assert_fails(at_hand(*line.split()), 2, "o: holds a dataset, which is kept as it is; choose another --out")
    assert content(Path("o")) == before
    assert at_hand("verify", "o").returncode == 0


@pytest.mark.parametrize("line", [line for line, _, _ in PLACES if not line.startswith(("inspect", "predictions"))])
def test_what_nexus_bench_wrote_is_written_again(line: str, at_hand: Command) -> None:
    assert at_hand(*line.split()).returncode == 0
    Path("o/of-somebody-else.txt").write_text("mine")
    again = at_hand(*line.split())
    assert again.returncode == 0, again.stderr
    assert Path("o/of-somebody-else.txt").read_text() == "mine"


def test_a_pipe_in_the_place_of_a_file_is_kept(at_hand: Command) -> None:
    Path("o").mkdir()
    os.mkfifo("o/compare.csv")
    assert_fails(at_hand("compare", "run", "run", "--out", "o"), 2, "o/compare.csv: was not written by nexus-bench")
    assert Path("o/compare.csv").is_fifo()


def test_a_folder_that_takes_no_files_is_one_line(at_hand: Command) -> None:
    for line in ("report run --out /proc", "compare run run --out /proc", "compare run run --junit /proc/j.xml"):
        done = at_hand(*line.split())
        assert_fails(done, 5, "/proc/")
        assert "cannot be written" in done.stderr
