"""`nexus-bench new attention`: a package that keeps every promise as it is written."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import Command, assert_fails
from tests.paths import ROOT


def test_it_is_a_package_whose_own_tests_pass(command: Command, tmp_path: Path) -> None:
    done = command("new", "attention", "my_own")
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "next: pip install ./my_own && nexus-bench check my_own" in done.stdout
    folder = tmp_path / "my_own"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["nexus_bench.attentions"] == {"my_own": "my_own.attention"}
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder / "tests"),
    ]
    ran = subprocess.run(tests, env=env, cwd=folder, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0 and "24 passed" in ran.stdout, ran.stdout


def test_it_overwrites_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert_fails(command("new", "attention", "mine"), 2, "mine: exists already; choose another folder with --out")
    assert command("new", "attention", "mine", "--out", "other").returncode == 0
    assert not list((tmp_path / "mine").iterdir()) and (tmp_path / "other" / "mine" / "attention.py").exists()


@pytest.mark.parametrize("name", ["Mine", "1st", "a-b", "../x", "class", "", "x" * 61])
def test_a_name_is_that_of_a_package(name: str, command: Command) -> None:
    assert_fails(command("new", "attention", "--", name), 2, "NAME must be lower-case letters, digits and '_'")


def test_a_name_that_is_taken_is_refused(command: Command) -> None:
    assert_fails(command("new", "attention", "standard"), 2, "there is an attention 'standard' already")
