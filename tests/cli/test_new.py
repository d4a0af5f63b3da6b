"""`nexus-bench new`: a package that keeps every promise as it is written."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
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
@pytest.mark.parametrize("name", ["Mine", "1st", "a-b", "../x", "", "x" * 61])
def test_a_name_is_that_of_a_package(name: str, kind: str, command: Command) -> None:
    assert_fails(
        command("new", kind, "--", name), 2, "NAME must be lower-case letters, digits and '_', at most 60, and"
    )


@pytest.mark.parametrize("kind", ["attention", "task"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("class", "NAME cannot be 'class': class is a Python keyword"),
        ("none", "NAME cannot be 'none': None is a Python keyword"),
        ("null", "NAME cannot be 'null', which is no text in YAML"),
        ("json", "NAME cannot be 'json': Python has a module of this name"),
        ("winreg", "NAME cannot be 'winreg': Python has a module of this name"),  # on another system
        ("numpy", f"NAME cannot be 'numpy': a module of this name is at {np.__file__}"),
        ("nexus_bench", f"NAME cannot be 'nexus_bench': a module of this name is at {ROOT / 'nexus_bench'}"),
        ("pyyaml", "NAME cannot be 'pyyaml': pip would put it in the place of an installed package"),
    ],
)
def test_a_name_that_python_or_yaml_reads_otherwise_is_refused(
    name: str, said: str, kind: str, command: Command, tmp_path: Path
) -> None:
    refused = command("new", kind, name)
    assert_fails(refused, 2, said)
    assert refused.stderr.endswith("; choose another name\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["attention", "task"])
@pytest.mark.parametrize(("what", "name"), [("an attention", "standard"), ("a task", "kinship")])
def test_a_name_that_a_task_or_an_attention_has_is_refused(what: str, name: str, kind: str, command: Command) -> None:
    assert_fails(command("new", kind, name), 2, f"there is {what} '{name}' already, and tasks and attentions share")


@pytest.mark.parametrize(
    ("line", "hidden", "where"),
    [
        ("task labels --sequence", "Labels", "labels/labels.py"),
        ("task sequence_batch --sequence", "SequenceBatch", "sequence_batch/sequence_batch.py"),
        ("task sequence --sequence", "SequenceParams", "sequence/sequence.py"),
        ("task int --sequence", "Int", "int/int.py"),
        ("task named", "NamedParams", "named/named.py"),
        ("task role", "Role", "role/role.py"),
        ("attention tensor", "Tensor", "tensor/attention.py"),
        ("attention heads", "Heads", "heads/reference.py"),
        ("attention not_asked", "NotAsked", "tests/test_not_asked.py"),
    ],
)
def test_a_class_that_would_hide_what_the_template_uses_is_refused(
    line: str, hidden: str, where: str, command: Command, tmp_path: Path
) -> None:
    name = line.split()[1]
    said = f"NAME '{name}' would define {hidden}, which {where} also imports; choose another name"
    assert_fails(command("new", *line.split()), 2, said)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_an_installed_package_shares_with_others_is_refused(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared" / "part").mkdir(parents=True)
    (tmp_path / "shared" / "part" / "__init__.py").touch()  # newer Pythons count what is there
    about = tmp_path / "part-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: part\nVersion: 1\n")
    (about / "RECORD").write_text("shared/part/__init__.py,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    said = f"NAME cannot be 'shared': a module of this name is at {tmp_path / 'shared'}; choose another name"
    assert_fails(command("new", "task", "shared", "--out", "other"), 2, said)


def test_what_hides_nothing_is_allowed(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of another template, a bare folder on the path, and an earlier package of ours, of which pip knows."""
    (tmp_path / "heads").mkdir()
    about = tmp_path / "letters-1.dist-info"
    about.mkdir()
    (about / "entry_points.txt").write_text("[nexus_bench.tasks]\nletters = letters.letters\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    for line in ("task labels", "task heads --sequence --out other", "attention letters"):
        done = command("new", *line.split())
        assert done.returncode == 0, done.stderr
