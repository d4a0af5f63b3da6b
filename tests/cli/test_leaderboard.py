"""The command `leaderboard`: a page of runs, and the check of what is submitted."""

import json
import shutil
from pathlib import Path

import pytest

from nexus_bench.io.record_seals import seal_records
from nexus_bench.io.seal import replace_sealed
from tests.boards import FAR, NEAR, run_of
from tests.conftest import Command, assert_fails
from tests.packs import pack
from tests.paths import EXAMPLES

QUICK = EXAMPLES / "quick"
RETROFIT = EXAMPLES / "retrofit/kinship"


def submitted(name: str) -> Path:
    folder = Path("runs/submissions", name)
    shutil.copytree(QUICK, folder, ignore=shutil.ignore_patterns("cells", "figures", "inspect", "report.*"))
    return folder


def test_a_page_and_its_examples_are_written_and_said(command: Command) -> None:
    run_of(Path("other"), {"mamba2": [FAR, NEAR]})
    done = command("leaderboard", str(QUICK), "other", "--examples", "1")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("4 models of 2 runs on 2 families.")
    assert lines[1:] == [
        "pointer_chase: furthest came nexus, order 3, refine qk: 3 hops on 3 of 3 seeds.",
        "t: furthest came mamba2: 3 hops on 1 of 2 seeds.",
        "No answers of other: it keeps no weights.",
        "runs/leaderboard/index.html",
        "runs/leaderboard/examples.json",
        lines[-1],
    ]
    assert done.stderr == "note: other: results.csv is unsealed, so edits of it cannot be found; keep seal.json\n"
    assert len(json.loads(Path("runs/leaderboard/examples.json").read_text())["examples"]) == 4
    shown = json.loads(command("leaderboard", "other", "--json").stdout)
    assert [one["reach"] for one in shown["standings"]] == [3] and shown["files"] == []


def test_of_a_packed_run_the_same_is_said_and_its_table_is_linked(command: Command) -> None:
    run = Path("other")
    run_of(run, {"mamba2": [FAR, NEAR]})
    pack(run / "results.csv")
    done = command("leaderboard", "other", "--examples", "1")
    assert "No answers of other: it keeps no weights." in done.stdout.splitlines()
    assert done.stderr == "note: other: results.csv.gz is unsealed, so edits of it cannot be found; keep seal.json\n"
    assert 'href="../../other/results.csv.gz"' in Path("runs/leaderboard/index.html").read_text()


def test_an_edited_run_gets_no_page(command: Command) -> None:
    run = submitted("mine")
    (run / "results.csv").write_text((run / "results.csv").read_text().replace(",3000,", ",2999,", 1))
    assert_fails(command("leaderboard", str(run)), 4, "results.csv: was edited or cut")
    assert not Path("runs/leaderboard").exists()
    shutil.copytree(QUICK / "cells", submitted("other") / "cells")
    other = Path("runs/submissions/other")
    (record,) = other.glob("cells/*/result.json")
    seal_records(other, [record.relative_to(other).as_posix()])
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1', 1))
    assert_fails(command("leaderboard", str(other), "--examples", "0"), 4, "result.json: ")


def test_submissions_are_checked_and_each_fault_has_the_code_of_its_kind(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, edited, bare = submitted("good"), submitted("edited"), submitted("bare")
    done = command("leaderboard", "--check", str(good))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{good}: accepted: 9 cells, 3 models on pointer_chase\n"
    document = json.loads(command("leaderboard", "--check", str(good), "--json").stdout)
    assert [one["n_cells"] for one in document["accepted"]] == [9]
    text = (edited / "results.csv").read_text()
    (edited / "results.csv").write_text(text.replace(",trained,", ",solved,", 1))
    (bare / "seal.json").unlink()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    refused = command("leaderboard", "--check", *map(str, (good, edited, bare)))
    assert refused.returncode == 4 and refused.stdout == done.stdout
    faults = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert len(faults) == 2 and {"edited or cut" in line for line in faults} == {True, False}
    assert [line.split("::")[1] for line in refused.stderr.splitlines() if line.startswith("::")] == [
        f"error title={edited}", f"error title={bare}"
    ]  # fmt: skip
    assert not Path("runs/leaderboard").exists()


def test_a_submission_without_all_cells_is_a_failed_check_which_has_its_document(command: Command) -> None:
    whole, part = submitted("whole"), submitted("part")
    lines = (part / "results.csv").read_text().splitlines(keepends=True)
    replace_sealed(part, {"results.csv": "".join(line for line in lines if not line.startswith(lines[1][:16]))})
    refused = command("leaderboard", "--check", str(whole), str(part), "--json")
    assert refused.returncode == 6 and refused.stderr.startswith(f"error: {part}: lacks 1 cell of its suite")
    assert [one["run"] for one in json.loads(refused.stdout)["accepted"]] == [str(whole)]


@pytest.mark.parametrize("line", ["status", "leaderboard --check", "eval --hops 1", "predictions", "train"])
def test_a_retrofit_is_told_from_a_run_of_a_suite(line: str, command: Command) -> None:
    told = f"{RETROFIT}: is a run of `nexus-bench retrofit`, which has no suite; `report`, `open`"
    assert_fails(command(*line.split(), str(RETROFIT)), 3, told)


def test_options_that_contradict_each_other_are_refused(command: Command) -> None:
    assert_fails(command("leaderboard", "a", "--check", "-o", "b"), 2, "--check writes no page; omit --out")
    assert_fails(command("leaderboard", str(QUICK), str(QUICK)), 2, "is given twice; name it once")
