"""Another package brings a task and an attention of its own."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.outside import install, python

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "their-package"
version = "1"
license = "GPL-3.0-only"

[project.entry-points."nexus_bench.tasks"]
backwards = "their_package.backwards"

[project.entry-points."nexus_bench.attentions"]
uniform = "their_package.uniform"
"""

TASK = '''
from nexus_bench.generators.base import GENERATORS
from nexus_bench.generators.pointer_chase import PointerChase


@GENERATORS.register
class Backwards(PointerChase):
    """Follow the edges, and call it backwards."""

    name = "backwards"
'''

ATTENTION = '''
from torch import nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions


@ATTENTIONS.register
class Uniform(Attention[AttentionOptions]):
    """The mean of all keys' values."""

    name = "uniform"
    version = 1
    Options = AttentionOptions

    def __init__(self, d_model, n_heads, options):
        super().__init__(d_model, n_heads, options)
        self.value = nn.Linear(d_model, d_model)

    def forward(self, x, mask):
        return self.value(x[:, : mask.n_keys]).mean(dim=1, keepdim=True).expand_as(x)
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages that holds theirs."""
    package = tmp_path / "source" / "their_package"
    package.mkdir(parents=True)
    (tmp_path / "source" / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").write_text("")
    (package / "backwards.py").write_text(TASK)
    (package / "backwards.yaml").write_text("task: backwards\nsummary: Theirs.\nhops: 1-2\nn_nodes: 9\n")
    (package / "uniform.py").write_text(ATTENTION)
    install(tmp_path / "source", tmp_path / "site")
    return tmp_path / "site"


def call(site: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return python(site, "-m", "nexus_bench", *arguments)


@pytest.mark.slow
def test_installed_entries_are_listed_generated_and_trained(site: Path) -> None:
    listed = json.loads(call(site, "list", "--json").stdout)
    assert "backwards" in [task["name"] for task in listed["tasks"]]
    assert "uniform" in [attention["name"] for attention in listed["attentions"]]
    made = call(site, "gen", "--task", "backwards", "--n", "30", "--n-test", "9", "--out", "d")
    assert made.returncode == 0 and "9 facts per graph" in made.stdout, made.stderr
    assert call(site, "verify", "d").returncode == 0
    manifest = json.loads((site.parent / "d" / "manifest.json").read_text())
    theirs = {"package": "their-package", "version": "1", "licence": "GPL-3.0-only"}
    assert manifest["origin"] == theirs
    card = (site.parent / "d" / "README.md").read_text()
    assert "license: gpl-3.0-only\n" in card and "of the task, which is of their-package 1.\n" in card
    train = ["train", "--task", "backwards", "--attention", "uniform", "--seeds", "1", "--set", "steps=3"]
    trained = call(site, *train, "--workers", "1")
    assert trained.returncode == 0, trained.stderr
    assert "uniform" in trained.stdout
    (environment,) = json.loads(next(site.parent.glob("runs/*/env.json")).read_text())["environments"]
    assert environment["tasks"] == {"backwards": theirs} and environment["attentions"]["uniform"] == theirs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_the_kind", "ModuleNotFoundError: No module named"),
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("class Odd(BaseException): pass\nraise Odd('two\\nlines \\x1b[31m')", "Odd: two lines \\x1b[31m"),
        (TASK.replace('name = "backwards"', 'name = "../x"'), "its name must be letters, digits"),
        (TASK + "raise ValueError('half done')", "ValueError: half done"),
    ],
)
def test_a_broken_entry_point_warns_in_one_line_and_fails_only_where_it_is_used(
    code: str, reason: str, site: Path
) -> None:
    (site / "their_package" / "backwards.py").write_text(f"{code}\n")
    listed = call(site, "list", "tasks")
    assert listed.returncode == 0 and "pointer_chase" in listed.stdout and "backwards" not in listed.stdout
    assert listed.stderr.startswith("warning: entry point backwards = their_package.backwards of nexus_bench.tasks ")
    assert reason in listed.stderr and listed.stderr.count("\n") == 1
    for command in ("show", "check"):
        used = call(site, command, "backwards")
        assert used.returncode == 3
        assert used.stderr.splitlines()[-1].startswith(
            "error: task 'backwards': entry point backwards = their_package.back"
        )


@pytest.mark.slow
def test_a_task_without_its_defaults_is_left_out_of_the_list(site: Path) -> None:
    (site / "their_package" / "backwards.yaml").unlink()
    listed = call(site, "list", "tasks")
    assert listed.returncode == 0 and "pointer_chase" in listed.stdout
    assert listed.stderr.startswith("warning: backwards cannot be listed (ConfigError: task 'backwards' has neither")
