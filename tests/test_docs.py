"""The documents tell the truth."""

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.cli import app
from nexus_bench.cli.schemas.markdown import columns_page
from nexus_bench.data.gallery import gallery_page
from nexus_bench.data.task import make_task, task_keys
from nexus_bench.experiment.suite import make_suite
from nexus_bench.generators.base import GENERATORS
from nexus_bench.hf.pretrain_spec import SHAPE, PretrainSpec, RunOptions
from nexus_bench.hf.retrofit_spec import Recipe
from nexus_bench.io.config import parse_yaml
from nexus_bench.model.spec import ModelSpec
from nexus_bench.training.spec import TrainSpec
from tests.paths import ROOT
from tests.release import missing

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text() for page in PAGES}
MEASURED = "type(self), self.params, self.hops, self.largest_hop, hop"


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE)
    return [block for kind, block in found if kind == language]


def commands(text: str) -> Iterator[list[str]]:
    """Every line of a block that runs nexus-bench, as a shell splits it, after the program's name."""
    for block in blocks(text, ""):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip().startswith("nexus-bench "):
                yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_of_a_page_can_be_parsed(name: str) -> None:
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for arguments in commands(TEXTS[name]):
        first, *rest = arguments
        command = known[first]
        while hasattr(command, "commands"):
            first, *rest = rest
            command = command.commands[first]
        command.make_context(first, rest)


def test_pages_show_most_commands_and_the_readme_ten() -> None:
    shown = {arguments[0] for text in TEXTS.values() for arguments in commands(text)}
    assert shown >= set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert len(list(commands(TEXTS["README.md"]))) == 10


@pytest.mark.parametrize("name", TEXTS)
def test_settings_of_a_page_are_those_of_the_code(name: str) -> None:
    """`--set` names what a task, a model, a recipe, a suite or a text can be told."""
    tasks = {key for task in GENERATORS.names() for key in task_keys(task).all}
    keys = tasks | set(ModelSpec.model_fields) | set(TrainSpec.model_fields) | {"seeds", "matched"}
    keys |= {
        "question",
        "sentences",
        "n_distractors",
        "target",
        "start",
        "order",
        "inner",
        "combine",
        "refine",
        "share",
        *NexusOptions.model_fields,
        *SHAPE,
        *PretrainSpec.model_fields,
        *Recipe.model_fields,
        *RunOptions.model_fields,
    }
    asked = {
        arguments[at + 1].partition("=")[0]
        for arguments in commands(TEXTS[name])
        for at, word in enumerate(arguments)
        if word == "--set"
    }
    assert asked <= keys


def test_suites_of_the_pages_are_valid() -> None:
    shown = [block for text in TEXTS.values() for block in blocks(text, "yaml") if block.startswith("suite:")]
    assert [len(make_suite(parse_yaml(block, where="docs"), where="docs").cells) for block in shown] == [6 * 2 * 6]


def test_generated_pages_are_what_the_code_says() -> None:
    assert TEXTS["tasks.md"] == gallery_page(), "nexus-bench gallery --out docs/tasks.md"
    assert TEXTS["columns.md"] == columns_page(), "nexus-bench schema --markdown > docs/columns.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_of_a_page_exists(page: Path) -> None:
    text = page.read_text()
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", text):
        there = (page.parent / target) if target else page
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", there.read_text(), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            anchors |= set(re.findall(r'<a id="([^"]+)"></a>', there.read_text()))
            assert anchor in anchors, f"{target}#{anchor}"


def test_the_index_and_the_readme_name_every_page() -> None:
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert set(re.findall(r"\]\((\w+\.md)\)", TEXTS["index.md"])) == pages - {"index.md"}
    assert pages <= set(re.findall(r"\]\(docs/(\w+\.md)\)", TEXTS["README.md"]))


def test_pages_keep_their_length() -> None:
    assert TEXTS["README.md"].count("\n") <= 150
    assert TEXTS["CONTRIBUTING.md"].count("\n") <= 110
    assert 0 < len(re.findall(r"^- \*\*", TEXTS["glossary.md"], flags=re.MULTILINE)) <= 21


def test_the_glossary_is_in_the_order_of_the_alphabet() -> None:
    terms = [term.lower() for term in re.findall(r"^- \*\*(.+?)\.\*\*", TEXTS["glossary.md"], flags=re.MULTILINE)]
    assert terms == sorted(terms)


def test_the_readme_names_every_task_and_attention() -> None:
    heads = re.findall(r"^- ((?:`\w+`, )*`\w+`): ", TEXTS["README.md"], flags=re.MULTILINE)
    named = re.findall(r"`(\w+)`", " ".join(heads))
    assert sorted(named) == sorted([*GENERATORS.own_names(), *ATTENTIONS.own_names()]), "once, as in `- `name`: ...`"
    for page in ("README.md", "index.md"):
        assert re.findall(r"\b(\d+) (?:task )?families", TEXTS[page]) == [str(len(GENERATORS.own_names()))], page
    listed = re.findall(r"^\| `(\w+)` \|", TEXTS["task_families.md"], flags=re.MULTILINE)
    assert set(listed) >= set(GENERATORS.own_names())


def test_the_citation_names_whom_the_licence_names() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    (holder,) = re.findall(r"Copyright \(c\) \d+ (.+)", (ROOT / "LICENSE").read_text())
    assert cited["authors"] == [{"name": holder}]
    from nexus_bench import __version__

    assert cited["version"] == __version__ and f"version = {{{__version__}}}" in TEXTS["README.md"]
    (newest, *_) = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest in (__version__, "Unreleased"), "raise the version, or add to what is not released"


def test_the_measured_ceiling_that_the_page_shows_is_right_and_kept() -> None:
    (block,) = (block for block in blocks(TEXTS["add_a_task.md"], "python") if "@cache\n" in block)
    assert block.count("\n") <= 12 and f"measured({MEASURED})" in TEXTS["add_a_task.md"]
    shown: dict[str, Any] = {}
    exec(block, shown)
    sums = make_task({"task": "word_problem", "group": "Z_5", "hops": "1-3", "n_tokens": 6}, where="t").generator()
    look_ups = make_task({"task": "hop_k", "hops": "1-3", "n_tokens": 20}, where="t").generator()
    for task, expected in ((sums, 0.2), (look_ups, look_ups.partial_input(3))):
        found = eval(f"measured({MEASURED})", shown, {"self": task, "hop": 3})
        assert found == pytest.approx(expected, abs=0.02)
        assert eval(f"measured({MEASURED})", shown, {"self": task, "hop": 3}) == found
    assert shown["measured"].cache_info().hits == 2


@pytest.mark.slow
def test_the_entries_that_the_pages_show_pass_the_contract_tests(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "runs")
    shutil.copytree(ROOT, copy, ignore=ignored)
    text = TEXTS["add_a_task.md"] + TEXTS["add_an_attention.md"]
    here = ("# nexus_bench/", "# tasks/")  # what belongs into another package is tested as such
    shown = [block for block in blocks(text, "python") + blocks(text, "yaml") if block.startswith(here)]
    paths = [block.splitlines()[0].removeprefix("# ") for block in shown]
    assert len(paths) == 3
    for path, block in zip(paths, shown, strict=True):
        (copy / path).write_text(block.split("\n", 1)[1])

    def passes(*line: str) -> None:
        done = subprocess.run([sys.executable, "-m", *line], cwd=copy, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    passes("ruff", "check", *paths[:2])
    contracts = ["tests/generators/test_contract.py", "tests/attention/test_contract.py", "tests/shortcuts"]
    passes("pytest", "-q", "-p", "no:cacheprovider", *contracts, "-k", "predecessor or tempered")
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
    assert not missing(wheel)
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
