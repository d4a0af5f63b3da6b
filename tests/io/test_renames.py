"""A changed name works under its old one, and is told, until its version comes."""

import json
import warnings
from pathlib import Path

import pytest

import nexus_bench as nb
from nexus_bench.errors import UsageError
from nexus_bench.io import renames
from nexus_bench.io.config import parse_settings
from nexus_bench.io.renames import COMMAND, KEY, OPTION, PYTHON, Rename
from nexus_bench.version import __version__
from tests.conftest import Command

PLANTED = [
    Rename(KEY, "optimiser_steps", "steps", "9.1"),
    Rename(KEY, "problems", "tasks", "9.2"),
    Rename(OPTION, "--problem", "--task", "9.3"),
    Rename(COMMAND, "fit", "train", "9.4"),
    Rename(PYTHON, "display", "show", "9.5"),
]
SUITE = "suite: old\nproblems: [{task: ancestor}]\nmodels: [{attention: standard}]\ntrain: {optimiser_steps: 7}\n"


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renames, "RENAMES", PLANTED)


def told(old: str) -> str:
    (one,) = (rename for rename in PLANTED if rename.old == old)
    return f"the {one.kind} {old} is now {one.new}; the old name ends with version {one.ends}"


@pytest.mark.usefixtures("planted")
def test_old_words_of_a_command_line_work_and_are_told_in_a_line_each(command: Command) -> None:
    done = command("fit", "--problem=ancestor", "optimiser_steps=7", "--print-config", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["config"]["train"]["steps"] == 7
    assert done.stderr.splitlines() == [f"warning: {told(old)}" for old in ("fit", "--problem", "optimiser_steps")]
    assert command("train", "--task", "ancestor", "steps=7", "--print-config").stderr == ""


@pytest.mark.usefixtures("planted")
def test_old_keys_of_yaml_are_read(command: Command) -> None:
    Path("old.yaml").write_text(SUITE)
    done = command("train", "old.yaml", "--print-config", "--json")
    config = json.loads(done.stdout)["config"]
    assert config["tasks"] == [{"task": "ancestor"}] and config["train"] == {"steps": 7}
    assert done.stderr.splitlines() == [f"warning: {told(old)}" for old in ("problems", "optimiser_steps")]


@pytest.mark.usefixtures("planted")
def test_an_old_setting_is_the_new_one_where_both_are_given() -> None:
    with (
        pytest.warns(DeprecationWarning, match=told("optimiser_steps")),
        pytest.raises(UsageError, match="given twice"),
    ):
        parse_settings(["steps=8", "optimiser_steps=7"])


@pytest.mark.usefixtures("planted")
def test_old_names_of_python_work_with_a_deprecation_warning(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match=told("display")):
        assert nb.display is nb.show  # type: ignore[attr-defined]
    with pytest.warns(DeprecationWarning, match=told("optimiser_steps")), pytest.raises(nb.NexusBenchError, match="0"):
        nb.train(task="ancestor", optimiser_steps=0, out=tmp_path / "run")
    with pytest.raises(AttributeError, match="has no attribute 'exhibit'"):
        nb.exhibit  # type: ignore[attr-defined]  # noqa: B018


def test_no_rename_is_left_whose_version_has_come() -> None:
    def parts(version: str) -> list[int]:
        return [int(part) for part in version.split(".")]

    assert all(parts(rename.ends) > parts(__version__) for rename in renames.RENAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert renames.present_name(KEY, "steps") == "steps"
