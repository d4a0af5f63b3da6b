"""The documents tell the truth."""

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import typer.main

from nexus_bench.cli import app
from nexus_bench.data.gallery import gallery_page
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.columns import COLUMNS
from nexus_bench.io.config import parse_yaml
from tests.paths import ROOT

README = (ROOT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE)
    return [block for kind, block in found if kind == language]


def test_readme_explains_every_column_in_order() -> None:
    _, section = README.split("## results.csv")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, flags=re.MULTILINE)
    assert rows == [(column.name, column.meaning) for column in COLUMNS]


def test_every_command_of_the_readme_can_be_parsed() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    lines = [line for block in blocks(README, "") for line in block.splitlines() if "nexus-bench " in line]
    assert len(lines) == 29
    for line in lines:
        name, *arguments = shlex.split(line, comments=True)[1:]
        command = commands[name]
        while hasattr(command, "commands"):
            name, *arguments = arguments
            command = command.commands[name]
        command.make_context(name, arguments)


def test_the_suite_of_the_readme_is_valid() -> None:
    (text,) = blocks(README, "yaml")
    assert len(make_suite(parse_yaml(text, where="README"), where="README").cells) == 6 * 2 * 6


def test_the_page_of_tasks_is_what_the_tasks_are() -> None:
    assert (ROOT / "docs" / "tasks.md").read_text() == gallery_page(), "nexus-bench gallery --out docs/tasks.md"


def test_every_link_and_picture_of_the_readme_exists() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", README)
    assert targets and all((ROOT / target).is_file() for target in targets)


@pytest.mark.slow
def test_the_entries_that_contributing_shows_pass_the_contract_tests(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "runs")
    shutil.copytree(ROOT, copy, ignore=ignored)
    text = (ROOT / "CONTRIBUTING.md").read_text()
    shown = [block for block in blocks(text, "python") + blocks(text, "yaml") if block.startswith("# ")]
    paths = [block.splitlines()[0].removeprefix("# ") for block in shown]
    assert len(paths) == 3
    for path, block in zip(paths, shown, strict=True):
        (copy / path).write_text(block.split("\n", 1)[1])

    def passes(*line: str) -> None:
        done = subprocess.run([sys.executable, "-m", *line], cwd=copy, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    passes("ruff", "check", *paths[:2])
    passes("pytest", "-q", "tests/test_generators.py", "tests/test_attention.py")
    tiny = ["--set", "steps=5", "--seeds", "1", "--executor", "inline", "--set", "n_test=9", "--set", "n_val=9"]
    passes("nexus_bench", "train", "--task", "predecessor", "--attention", "tempered", "--set", "start=0.5,2", *tiny)


@pytest.mark.slow
def test_an_installed_copy_knows_its_suites_from_any_folder(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"nexus_bench/tasks/suites/quick.yaml", "nexus_bench/tasks/pointer_chase.yaml"} <= set(names)
    assert "nexus_bench/text/lists/people.txt" in names
    assert {f"nexus_bench/report/page.{suffix}" for suffix in ("html", "css", "js")} <= set(names)
    assert {"nexus_bench/schemas/results.csv.json", "nexus_bench/py.typed"} <= set(names)
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    line = [sys.executable, "-m", "nexus_bench", "list", "suites"]
    done = subprocess.run(
        line,
        cwd=tmp_path / "site",
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "quick" in done.stdout and "staircase" in done.stdout
