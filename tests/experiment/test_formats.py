"""Run folders and datasets of older formats are refused in one line, and nothing in them changes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_bench.data.manifest import MANIFEST, manifest_sha256
from nexus_bench.io.files import to_json
from tests.conftest import Command, assert_fails
from tests.small import TINY

OLD = {"cell_id": "run_id", "vocab_size": "n_symbols", "partial_input": "partial"}
LINES = [
    "train tiny.yaml --executor inline --quiet --out old",
    "status old",
    "report old",
    "report old --format md",
    "compare old old",
    "eval old --n-facts 8 -q",
    "inspect old --cell seed",
    "predictions old -q",
]


def aged(run: Path) -> None:
    """A run as the first format had it."""
    (run / "seal.json").unlink()
    for path in [*run.glob("*.csv"), *run.glob("cells/*/result.json")]:
        text = path.read_text()
        for new, old in OLD.items():
            text = text.replace(new, old)
        path.write_text(text)
    environment = json.loads((run / "env.json").read_text())
    del environment["format"]
    (run / "env.json").write_text(to_json(environment))


def without(*names: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        for name in names:
            (run / name).unlink()

    return change


def with_another_head(write: Callable[[str], str]) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        (run / "env.json").unlink()
        head, _, rest = (run / "results.csv").read_text().partition("\n")
        (run / "results.csv").write_text(f"{write(head)}\n{rest}")

    return change


STATES: dict[str, Callable[[Path], None]] = {
    "as it was": without(),
    "without env.json": without("env.json"),
    "with a byte order mark": with_another_head(lambda head: f"\ufeff{head}"),
    "with quotes": with_another_head(lambda head: '"' + head.replace(",", '","') + '"'),
    "in another order": with_another_head(lambda head: ",".join(sorted(head.split(",")))),
    "curves alone": without("env.json", "results.csv"),
    "cells alone": without("env.json", "results.csv", "curve.csv", "timing.csv"),
}


def content(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.fixture
def run(command: Command, tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(TINY)
    assert command("train", "tiny.yaml", "--executor", "inline", "--quiet", "--out", "old").returncode == 0
    return tmp_path / "old"


@pytest.mark.parametrize("state", STATES)
def test_an_older_run_is_refused_and_kept(state: str, run: Path, command: Command) -> None:
    aged(run)
    STATES[state](run)
    before = content(run)
    for line in LINES:
        refused = command(*line.split())
        assert_fails(refused, 3, "old: is a run of format 1, this version reads format 2; train it again into another")
    assert content(run) == before


@pytest.mark.parametrize("damage", ["[1, 2]", '"x"', "5", "{"])
def test_a_damaged_environment_is_told_in_one_line(damage: str, run: Path, command: Command) -> None:
    (run / "env.json").write_text(damage)
    before = content(run)
    for line in LINES:
        assert_fails(command(*line.split()), 4, "env.json: ")
    assert content(run) == before


def test_a_run_of_this_format_needs_its_environment(run: Path, command: Command) -> None:
    (run / "env.json").unlink()
    for line in LINES:
        assert_fails(command(*line.split()), 4, "env.json: is missing; restore it, or train into another folder")


def test_an_older_dataset_is_refused_and_kept(command: Command, tmp_path: Path) -> None:
    made = "gen --hops 1 --n 3 --n-test 3 --set n_val=3 --out d"
    assert command(*made.split()).returncode == 0
    manifest = json.loads((tmp_path / "d" / MANIFEST).read_text()) | {"format_version": 2}
    manifest["manifest_sha256"] = manifest_sha256(manifest)
    (tmp_path / "d" / MANIFEST).write_text(to_json(manifest))
    before = content(tmp_path / "d")
    for line in ("verify d", "train --data d --quiet", "export --data d", made):
        assert_fails(command(*line.split()), 3, "d: is of format 2, this is 3; make it again")
    assert content(tmp_path / "d") == before
