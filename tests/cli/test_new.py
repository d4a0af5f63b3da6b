"""`nexus-bench new`: a package that keeps every promise as it is written."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import Command, assert_fails
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("kind", "options", "passed"),
    [
        ("attention", [], "26 passed"),
        ("task", [], "39 passed, 5 skipped"),
        ("task", ["--sequence"], "33 passed, 11 skipped"),
    ],
)
def test_it_is_a_package_whose_own_tests_pass(
    kind: str, options: list[str], passed: str, command: Command, tmp_path: Path
) -> None:
    group = f"nexus_bench.{kind}s"
    done = command("new", kind, "my_own", *options)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "next: pip install -e ./my_own && nexus-bench check my_own\nthen: nexus-bench train --task " in done.stdout
    folder = tmp_path / "my_own"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    module = {"attention": "my_own.attention", "task": "my_own.my_own"}[kind]
    assert project["entry-points"][group] == {"my_own": module}
    about = tmp_path / "site" / "my_own-1.dist-info"  # as pip would install it
    about.mkdir(parents=True)
    (about / "entry_points.txt").write_text(f"[{group}]\nmy_own = {module}\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my_own\nVersion: 1\n")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(about.parent), str(ROOT)])}
    if kind == "attention":
        assert "put yours in its place" in (folder / "README.md").read_text()
        (line,) = re.findall(r"^OPTIONS: .*# (.*)$", (folder / "tests/test_my_own.py").read_text(), flags=re.MULTILINE)
        assert line == "settings to ask; change them with the options of the class"
    tests = ["pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder / "tests")]
    ran = subprocess.run(
        [sys.executable, "-m", *tests], env=env, cwd=folder, capture_output=True, text=True, timeout=200
    )
    assert ran.returncode == 0 and passed in ran.stdout, ran.stdout


def test_it_overwrites_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert_fails(command("new", "attention", "mine"), 2, "mine: exists already; choose another folder with --out")
    assert command("new", "attention", "mine", "--out", "other").returncode == 0
    assert not list((tmp_path / "mine").iterdir()) and (tmp_path / "other" / "mine" / "attention.py").exists()


@pytest.mark.parametrize("kind", ["attention", "task"])
@pytest.mark.parametrize("name", ["Mine", "1st", "a-b", "../x", "class", "", "x" * 61])
def test_a_name_is_that_of_a_package(name: str, kind: str, command: Command) -> None:
    assert_fails(command("new", kind, "--", name), 2, "NAME must be lower-case letters, digits and '_'")


@pytest.mark.parametrize(("kind", "name"), [("attention", "standard"), ("task", "kinship")])
def test_a_name_that_is_taken_is_refused(kind: str, name: str, command: Command) -> None:
    article = "an" if kind == "attention" else "a"
    assert_fails(command("new", kind, name), 2, f"there is {article} {kind} '{name}' already")
