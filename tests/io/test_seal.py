"""Seals: what was written is accepted at every moment, and everything else is named."""

from pathlib import Path

import pytest

from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io import seal
from nexus_bench.io.seal import SEAL, check_sealed, read_seal, replace_sealed
from nexus_bench.io.sealed_json import read_sealed, write_sealed

TABLE = "cell_id,hop\na,1\na,2\nb,1\nb,2\nc,1\n"


def test_a_sealed_file_holds_what_was_written(tmp_path: Path) -> None:
    content = {"rows": [{"seal": "x", "value": 0.1}], "reason": '\n  "seal": "0'}
    write_sealed(tmp_path / "x.json", content)
    assert read_sealed(tmp_path / "x.json", advice="") == content


def test_every_flipped_bit_of_a_sealed_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_sealed(path, {"rows": [1, 2], "reason": "none"})
    whole = path.read_bytes()
    for i in range(8 * len(whole)):
        data = bytearray(whole)
        data[i // 8] ^= 1 << i % 8
        path.write_bytes(data)
        with pytest.raises(CorruptArtefactError, match=r"x\.json: was edited or cut: .*; do this"):
            read_sealed(path, advice="do this")


@pytest.mark.parametrize("size", range(0, 40, 3))
def test_a_cut_sealed_file_is_found(size: int, tmp_path: Path) -> None:
    write_sealed(tmp_path / "x.json", {"rows": [1, 2]})
    path = tmp_path / "x.json"
    path.write_bytes(path.read_bytes()[: -1 - size])
    with pytest.raises(CorruptArtefactError, match="was edited or cut"):
        read_sealed(path, advice="")


@pytest.mark.parametrize(
    ("edited", "named"),
    [
        (TABLE.replace("a,2", "a,3"), ": other rows of cell a than nexus-bench wrote"),
        (TABLE.replace("b,1\nb,2\n", ""), ": other rows of cell b than nexus-bench wrote"),
        (TABLE.replace(",1", ",7"), ": other rows of cell a, b, c than nexus-bench wrote"),
        (TABLE + "d,1\n", ": rows of no cell of the run"),
        (TABLE + "\n", ": rows of no cell of the run"),
        (TABLE.replace("b,", "d,"), ": other rows of cell b than nexus-bench wrote, rows of no cell of the run"),
        (TABLE[:16], ": other rows of cell a, b, c than nexus-bench wrote"),
        (TABLE.replace("hop", "hops"), ""),
    ],
)
def test_the_cells_of_an_edited_table_are_named(edited: str, named: str, tmp_path: Path) -> None:
    replace_sealed(tmp_path, {"results.csv": TABLE})
    check_sealed(tmp_path, ["results.csv"])
    (tmp_path / "results.csv").write_text(edited)
    with pytest.raises(
        CorruptArtefactError, match=rf"results\.csv: was edited or cut{named}; restore it, or delete it"
    ):
        check_sealed(tmp_path, ["results.csv"])


def test_of_many_edited_cells_some_are_named(tmp_path: Path) -> None:
    table = "cell_id,hop\n" + "".join(f"c{i},1\n" for i in range(9))
    replace_sealed(tmp_path, {"results.csv": table})
    (tmp_path / "results.csv").write_text(table.replace(",1", ",2"))
    with pytest.raises(CorruptArtefactError, match="other rows of cell c0, c1, c2 and 6 more than nexus-bench wrote"):
        check_sealed(tmp_path, ["results.csv"])


def test_an_edited_file_is_not_overwritten(tmp_path: Path) -> None:
    replace_sealed(tmp_path, {"results.csv": TABLE, "curve.csv": TABLE})
    (tmp_path / "curve.csv").write_text("mine\n")
    with pytest.raises(CorruptArtefactError, match=r"curve\.csv: was edited"):
        replace_sealed(tmp_path, {"results.csv": "x\n", "curve.csv": "x\n"})
    assert (tmp_path / "curve.csv").read_text() == "mine\n" and (tmp_path / "results.csv").read_text() == TABLE


def test_a_file_that_was_never_written_may_not_appear(tmp_path: Path) -> None:
    replace_sealed(tmp_path, {"results.csv": TABLE})
    check_sealed(tmp_path, ["results.csv", "curve.csv"])
    (tmp_path / "curve.csv").write_text(TABLE)
    with pytest.raises(CorruptArtefactError, match=r"curve\.csv: was not written by nexus-bench"):
        check_sealed(tmp_path, ["results.csv", "curve.csv"])


class KilledError(BaseException):
    pass


def test_a_replacement_stopped_at_any_file_is_accepted_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["results.csv", "curve.csv", "timing.csv"]
    replace_sealed(tmp_path, dict.fromkeys(names, "old\n"))
    replace = Path.replace
    for allowed in (*range(5), 3, 1, 5):
        left = [allowed]

        def dies(self: Path, target: Path, left: list[int] = left) -> Path:
            if not left[0]:
                raise KilledError
            left[0] -= 1
            return replace(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", dies)
            try:
                replace_sealed(tmp_path, dict.fromkeys(names, f"new {allowed}\n"))
            except KilledError:
                assert allowed < 5
        check_sealed(tmp_path, names)
    assert {(tmp_path / name).read_text() for name in names} == {"new 5\n"}
    found = read_seal(tmp_path)
    assert found is not None and not found.begun


def test_a_reader_whose_seal_is_older_than_the_file_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_sealed(tmp_path, {"results.csv": "old\n"})
    seals = [read_seal(tmp_path)]
    replace_sealed(tmp_path, {"results.csv": "new\n"})
    monkeypatch.setattr(seal, "read_seal", lambda run: seals.pop() if seals else read_seal(run))
    check_sealed(tmp_path, ["results.csv"])
    assert not seals


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data.replace(b"files", b"filed"), lambda data: b""]
)
def test_a_damaged_seal_is_named(damage: object, tmp_path: Path) -> None:
    replace_sealed(tmp_path, {"results.csv": TABLE})
    (tmp_path / SEAL).write_bytes(damage((tmp_path / SEAL).read_bytes()))  # type: ignore[operator]
    with pytest.raises(CorruptArtefactError, match=r"seal\.json: was edited or cut"):
        check_sealed(tmp_path, ["results.csv"])


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"files": 1, "begun": {}},
        {"files": {"a": {"sha": ""}}, "begun": {}},
        {"files": {"a": {"sha256": 1, "cells": {}}}, "begun": {}},
        {"files": {"a": 0.5}, "begun": {}},
    ],
)
def test_a_seal_of_another_shape_is_named(content: dict[str, object], tmp_path: Path) -> None:
    write_sealed(tmp_path / "seal.json", content)
    with pytest.raises(CorruptArtefactError, match=r"seal\.json: is not a seal of a run folder"):
        read_seal(tmp_path)
