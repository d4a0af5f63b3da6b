"""What can be known of macOS and Windows without such a machine."""

import ast
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus_bench.bench import generators
from nexus_bench.errors import UsageError
from nexus_bench.experiment.execution import available_cores
from nexus_bench.io.processes import fork_server
from tests.conftest import Command, assert_fails
from tests.paths import ROOT

SOURCES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "nexus_bench").rglob("*.py"))}
FOR_SLURM = ROOT / "nexus_bench" / "experiment" / "executors" / "slurm_example.py"  # runs on the machines of a cluster
UNIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}  # modules


def nodes(kind: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    for path, tree in SOURCES.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, kind))


def test_text_is_opened_with_its_encoding() -> None:
    """The default of a system may be another, and may write other line ends."""
    found = []
    for path, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if isinstance(node.func, ast.Attribute) and "encoding" not in {word.arg for word in node.keywords}:
            mode = str(getattr(node.args[0], "value", "")) if node.args else ""
            opens = node.func.attr == "open" and re.fullmatch(r"[rwax]t?\+?", mode)
            if opens or node.func.attr in ("read_text", "write_text"):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found


def test_modules_and_signals_are_those_of_all_systems() -> None:
    for path, node in nodes(ast.Import):
        assert isinstance(node, ast.Import)
        assert not {name.name.partition(".")[0] for name in node.names} & UNIX, path
    for path, node in nodes(ast.ImportFrom):
        assert isinstance(node, ast.ImportFrom)
        assert (node.module or "").partition(".")[0] not in UNIX, path
    for path, node in nodes(ast.Attribute):
        assert isinstance(node, ast.Attribute)
        of = node.value.id if isinstance(node.value, ast.Name) else ""
        if of == "signal" and path != FOR_SLURM:
            is_signal = isinstance(getattr(signal, node.attr, None), signal.Signals)
            assert not is_signal or node.attr in ("SIGINT", "SIGTERM"), path
        assert (of, node.attr) not in {("os", "fork"), ("os", "kill"), ("os", "killpg"), ("os", "setsid")}, path


def test_processes_are_started_in_one_place() -> None:
    asking = {path.name for path, node in nodes(ast.Attribute) if getattr(node, "attr", "") == "get_context"}
    assert asking == {"processes.py"}


def test_cores_are_counted_and_left_alone_where_there_is_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    assert available_cores() == os.cpu_count()
    with generators._one_core():
        pass


def test_without_a_fork_server_training_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """As on Windows."""
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(UsageError, match="which Windows lacks; use Linux, macOS or WSL"):
        fork_server()
    tiny = ("--quiet", "--seeds", "1", "--steps", "2", "--set", "n_val=4", "--set", "n_test=4")
    assert_fails(command("train", "quick", *tiny), 2, "which Windows lacks; use Linux, macOS or WSL")


def test_names_of_files_are_good_on_every_system() -> None:
    folders = ("nexus_bench", "tasks", "tests", "docs", "runs/example", ".github")
    paths = [path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*")]
    assert len({path.lower() for path in paths}) == len(paths)
    reserved = r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?"
    parts = {part for path in paths for part in path.split("/")}
    assert not [part for part in parts if re.search(r'[<>:"\\|?*]|[. ]$', part) or re.fullmatch(reserved, part)]


def test_text_has_the_same_line_ends_in_every_checkout() -> None:
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
