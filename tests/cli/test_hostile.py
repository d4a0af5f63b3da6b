"""Hostile input on the command line: one line, the right exit code, at once, and nothing lost."""

import csv
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import typer

from nexus_bench.cli import app, run
from nexus_bench.io.sealed_json import write_sealed
from nexus_bench.report import output
from tests.conftest import Command, assert_fails, without_start
from tests.paths import ROOT
from tests.small import TINY

EXAMPLE = ROOT / "runs/example/quick"


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("train tiny.yaml --set lr=1e999", 3, "--set lr:1: a number must be finite, got 1e999"),
        ("train tiny.yaml --set seeds=100000000000", 3, "seeds must be a count from 1 to 100000"),
        ("train tiny.yaml --set seeds=[0,99999999999999999999]", 3, "a whole number must be within"),
        ("train tiny.yaml --set d_model=99999999999", 3, "d_model must be at most 65536"),
        ("train tiny.yaml --set n_layers=1000000000000", 3, "n_layers must be at most 1000"),
        ("train tiny.yaml --set n_loops=1000000000000", 3, "n_loops must be at most 10000"),
        ("train tiny.yaml --set order=1000000", 3, "order must be at most 1000"),
        ("train tiny.yaml --set batch_size=1000000000000", 3, "batch_size must be at most 1000000"),
        ("gen --n 99999999999999999999", 2, "nput should be less than or equal to 1000000000"),
        ("gen --seed 9223372036854775808", 2, "nput should be less than or equal to 9223372036854775807"),
        ("audit pointer_chase --n 99999999999999999999", 2, "nput should be less than or equal to"),
        ("eval nowhere --n-facts 999999999", 2, "nput should be less than or equal to 20000"),
        ("bench attention --n 99999999999", 2, "--n: write sequence lengths as 256 or 256,512"),
        ("bench attention --n [256", 2, "--n: write sequence lengths as 256 or 256,512"),
        ("bench attention --batch 99999999999", 2, "nput should be less than or equal to"),
        ("train /dev/zero.yaml", 5, "/dev/zero.yaml: cannot be read"),
        ("report " + "x" * 5000, 5, "File name too long"),
    ],
)
def test_a_number_or_a_name_beyond_all_bounds_is_one_line(
    line: str, code: int, message: str, command: Command, tiny: str
) -> None:
    assert_fails(command(*line.split()), code, message)


def test_a_name_that_breaks_lines_makes_one_line(command: Command) -> None:
    assert_fails(command("report", "a\n\x1b[31mb"), 5, "a\\n\\x1b[31mb: is not a run folder")


def test_memory_that_is_not_there_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(error: Exception) -> object:
        def reads(*arguments: object) -> None:
            raise error

        return reads

    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")):
        monkeypatch.setattr(output, "read_results", fails(error))
        assert_fails(command("report", "x"), 5, "out of memory; ask for less, or use a machine with more")
    monkeypatch.setattr(output, "read_results", fails(RuntimeError("a fault of the program")))
    with pytest.raises(RuntimeError, match="a fault of the program"):
        run(["report", "x"])


@pytest.mark.parametrize("what", ["list tasks", "schema --markdown", "list --json"])
def test_a_full_standard_output_is_one_line(what: str, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        line = [sys.executable, "-m", "nexus_bench", *what.split()]
        done = subprocess.run(line, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 5
    message = "error: standard output: cannot be written: No space left on device; free some space\n"
    assert done.stderr == message


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("list tasks >&-", 0, ""),
        ("list tasks <&- >&- 2>&-", 0, ""),
        ("list tusks 2>&-", 2, ""),
        ("schema --markdown | head -1; exit ${PIPESTATUS[0]}", 0, "# Columns of every table\n"),
        ("show pointer_chase | true; exit ${PIPESTATUS[0]}", 0, ""),
        ("list tusks 2>&1 | true; exit ${PIPESTATUS[0]}", 2, ""),
        ("list tusks 2>/dev/full", 2, ""),
    ],
)
def test_closed_streams_change_no_exit_code(line: str, code: int, said: str, tmp_path: Path) -> None:
    shell = ["bash", "-c", f"{sys.executable} -m nexus_bench {line}"]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (code, said, "")


def test_training_goes_on_without_those_who_read_of_it(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    line = f"{sys.executable} -m nexus_bench train tiny.yaml --seeds 1 2>&1 | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1) and (tmp_path / "runs/tiny/report.md").is_file()


@pytest.mark.parametrize("started", ["script", "module"])
def test_a_stop_while_the_command_is_imported_is_quiet(started: str) -> None:
    """Ctrl-C in the first half second, before the command line is there."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = scripts["nexus-bench"].split(":")
    run = {
        "script": f"importlib.import_module({module!r}).{function}()",
        "module": "runpy.run_module('nexus_bench', run_name='__main__', alter_sys=True)",
    }[started]
    stopped = """
import importlib, runpy, sys

class Stopped:
    def find_spec(self, name, path=None, target=None):
        if name == "nexus_bench.cli.init":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Stopped())
"""
    done = subprocess.run([sys.executable, "-c", stopped + run], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_failed_cells_are_told_by_the_exit_code_though_nobody_reads(tmp_path: Path, tiny: str) -> None:
    line = f"{sys.executable} -m nexus_bench train {tiny} --executor inline -q | true; exit ${{PIPESTATUS[0]}}"
    limited = f"trap '' XFSZ; ulimit -f 9; {line}"  # checkpoints no longer fit
    without = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # which would be cut, and break every later import
    done = subprocess.run(["bash", "-c", limited], cwd=tmp_path, capture_output=True, text=True, env=without)
    assert done.returncode == 7, done.stderr


@pytest.mark.usefixtures("reports_made_once")
def test_a_report_that_is_killed_loses_nothing(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EXAMPLE, "run")
    assert command("report", "run").returncode == 0
    whole = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    made = [path for path in whole if path.name.startswith("report.") or path.parent.name == "figures"]
    write = output.write_atomic
    for n_written in (0, 2, 5, 8):
        for path in made:
            path.unlink()
        left = [n_written]

        def killed(path: Path, content: bytes | str, left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            write(path, content)

        monkeypatch.setattr(output, "write_atomic", killed)
        with pytest.raises(KeyboardInterrupt):
            output.report([Path("run")], Path("run"))
        monkeypatch.setattr(output, "write_atomic", write)
        assert command("status", "run").returncode == 0
        assert command("report", "run").returncode == 0
        assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == whole


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """Root ignores modes unless it gives up the right to."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    shutil.copytree(EXAMPLE, tmp_path / "run")
    subprocess.run(["chmod", "-R", "a-w", str(tmp_path / "run")], check=True)
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    before = hashlib.sha256((tmp_path / "run/results.csv").read_bytes()).hexdigest()
    for line in ("report run", "compare run run", "train run/spec.yaml --out run -q", "gen --hops 1 --n 9 --out run/d"):
        call = [*without, sys.executable, "-m", "nexus_bench", *line.split()]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 5, (line, done.stderr)
        assert "cannot be written: Permission denied" in done.stderr and done.stderr.count("\n") == 1
    assert hashlib.sha256((tmp_path / "run/results.csv").read_bytes()).hexdigest() == before


def test_a_folder_or_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """Root ignores modes unless it gives up the right to."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    (tmp_path / "tiny.yaml").write_text(TINY.replace("steps: 20", "steps: 2, warmup_steps: 0"))
    train = "train tiny.yaml --seeds 1 --executor inline -q --out own"
    call = [sys.executable, "-m", "nexus_bench", *train.split()]
    assert subprocess.run(call, cwd=tmp_path, capture_output=True, timeout=120).returncode == 0
    cell = next((tmp_path / "own" / "cells").iterdir())
    for locked, lines in (
        (cell, ("status own", train)),
        (tmp_path / "own", ("report own", "verify own", "gen --hops 1 --n 9 --out own", train)),
        (tmp_path / "own" / "spec.yaml", ("train own/spec.yaml",)),
    ):
        mode = locked.stat().st_mode
        locked.chmod(0)
        for line in lines:
            call = [*without, sys.executable, "-m", "nexus_bench", *line.split()]
            done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
            told = without_start(done.stderr)
            assert (done.returncode, told.count("\n")) == (5, 1), (locked.name, line, done.stderr)
            assert "ermission denied" in told and told.startswith("error: ")
        locked.chmod(mode)


def test_no_command_takes_a_path_that_cannot_be_read_for_a_wrong_command_line() -> None:
    def paths(group: typer.Typer) -> set[tuple[str, bool]]:
        of_groups = [paths(below.typer_instance) for below in group.registered_groups if below.typer_instance]
        found = set().union(*of_groups)
        for command in group.registered_commands:
            for name, given in get_type_hints(command.callback, include_extras=True).items():
                annotated = next((one for one in (given, *get_args(given)) if hasattr(one, "__metadata__")), None)
                if annotated is not None and "Path" in str(annotated.__origin__):
                    found.add((f"{command.callback.__name__} {name}", annotated.__metadata__[0].readable))
        return found

    known = paths(app)
    assert len(known) > 20
    assert not [name for name, is_refused in known if is_refused]


def test_a_list_that_several_entries_share_is_written_and_read_back(command: Command, tmp_path: Path) -> None:
    text = TINY.replace("attention: standard", "attention: nexus, refine: q").replace("- attention", "- {attention")
    (tmp_path / "s.yaml").write_text(text.replace("refine: q", "refine: q}").replace("suite: tiny", 'suite: "1e3"'))
    train = ["train", "s.yaml", "--executor", "inline", "-q", "--set", "order=1,2", "--set", "steps=1"]
    assert command(*train).returncode == 0
    assert command("status", "runs/1e3").returncode == 0
    assert command("train", "runs/1e3/spec.yaml", "--out", "again", "--executor", "inline", "-q").returncode == 0


@pytest.mark.parametrize("name", ["suite.yaml", "run/results.csv", "run/spec.yaml", "run/seal.json", "run/env.json"])
def test_a_pipe_is_answered_at_once(name: str, command: Command) -> None:
    shutil.copytree(EXAMPLE, "run")
    Path(name).unlink(missing_ok=True)
    os.mkfifo(name)
    line = ["train", name] if name == "suite.yaml" else ["report", "run"]
    assert_fails(command(*line), 5, f"{name}: cannot be read: is a device or a pipe")


def test_hostile_names_of_a_sealed_run_do_no_harm(command: Command) -> None:
    shutil.copytree(EXAMPLE, "run", ignore=shutil.ignore_patterns("report*", "figures", "cells"))
    evil = "=x[/b][bold]$\\frac{$<script>alert(1)</script>|`[l](javascript:1)"
    for name in ("results.csv", "curve.csv"):
        with Path("run", name).open(newline="") as file:
            head, *rows = csv.reader(file)
        at = head.index("model")
        assert any(row[at] == "standard" for row in rows)
        with Path("run", name).open("w", newline="") as file:
            changed = [[evil if i == at and cell == "standard" else cell for i, cell in enumerate(row)] for row in rows]
            csv.writer(file, lineterminator="\n").writerows([head, *changed])
    names = ("results.csv", "curve.csv", "timing.csv", "spec.yaml", "env.json")
    files = {n: {"sha256": hashlib.sha256(Path("run", n).read_bytes()).hexdigest(), "cells": {}} for n in names}
    write_sealed(Path("run/seal.json"), {"files": files, "begun": {}})
    done = command("report", "run", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "[/b][bold]$\\frac{$" in done.stdout
    markdown = Path("out/report.md").read_text()
    assert "=x[/b]" in markdown
    assert (
        "<script" not in markdown
        and "](javascript" not in markdown
        and "<script>alert" not in Path("out/report.html").read_text()
    )
    for table in Path("out").glob("*.csv"):
        assert ",=x" not in table.read_text() and ',"=x' not in table.read_text(), table
    compared = command("compare", "run", "run", "--out", "out")
    assert compared.returncode == 0 and "[/b][bold]" in compared.stdout
