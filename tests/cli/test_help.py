"""The help of every command, and completion by the shell."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main

from nexus_bench import cli
from nexus_bench.analysis.compare_runs import METRICS
from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.cli import choices, language_models
from nexus_bench.cli.examples import EXAMPLES
from nexus_bench.data.formats import FORMATS
from nexus_bench.data.lm_eval import FILE_FORMATS
from nexus_bench.experiment.execution import EXECUTORS
from nexus_bench.experiment.loggers.chosen import LOGGERS
from nexus_bench.inspection import predictions
from nexus_bench.reproductions.spec import ScaleName
from nexus_bench.shortcuts.audit import ENCODINGS
from nexus_bench.training.modes import SINGLE, STACKED
from tests.conftest import Command


def commands(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command and every group of commands, by what one types."""
    command = command or typer.main.get_command(cli.app)
    yield name, command
    for inner, found in getattr(command, "commands", {}).items():
        yield from commands(found, f"{name} {inner}".strip())


ALL = dict(commands())


def test_every_command_has_three_examples_of_its_own() -> None:
    assert set(EXAMPLES) == set(ALL)
    for name, lines in EXAMPLES.items():
        assert len(set(lines)) == 3 and all(line.startswith(name.split(" ")[0]) for line in lines), name


@pytest.mark.parametrize("line", [line for name, lines in EXAMPLES.items() if name for line in lines])
def test_examples_are_read_as_commands(line: str) -> None:
    words = shlex.split(line.partition(" && ")[0])
    command = ALL[words.pop(0)]
    if hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("example", words)


@pytest.mark.parametrize("name", ALL)
def test_help_fits_eighty_columns_and_cuts_nothing(
    name: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = command(*name.split(), "-h").stdout
    assert shown.startswith("Usage: nexus-bench") and "..." not in re.sub(r"[\]\w]\.\.\.", "", shown)
    assert max(map(len, shown.splitlines())) <= 80
    assert all(f"  nexus-bench {line}\n" in shown for line in EXAMPLES[name])
    assert "<" not in shown and "TEXT" not in shown.replace("--text TEXT", "").replace("--held-out TEXT", "")


def test_commands_and_options_stand_in_groups(command: Command) -> None:
    headings = re.findall(r"^(\w.*):$", command("-h").stdout, re.MULTILINE)
    assert headings[:6] == [
        "Train", "Look at runs", "Data", "Language models", "Check and extend", "Maintain"
    ]  # fmt: skip
    shown = command("train", "-h").stdout
    assert re.findall(r"^(\w.*):$", shown, re.MULTILINE) == [
        "Arguments", "What to train", "Recipe", "How to run", "Output", "Options", "General", "Examples"
    ]  # fmt: skip
    assert "--mode [auto|single|deterministic|tf32|bfloat16]" in shown
    assert shown.index("Recipe:") < shown.index("--steps") < shown.index("How to run:")


def test_the_choices_that_help_shows_are_those_that_there_are() -> None:
    assert set(choices.ATTENTIONS) == set(ATTENTIONS.own_names())
    assert set(choices.DATA_FORMATS) == set(FORMATS)
    assert choices.MODES == ("auto", SINGLE, *STACKED)
    assert choices.EXECUTORS == EXECUTORS
    assert choices.LOGGERS == tuple(LOGGERS)
    shown = {
        (name, option): param.metavar
        for name, found in ALL.items()
        for param in found.params
        for option in param.opts
        if param.metavar
    }
    assert shown["export", "--files"] == f"[{'|'.join(FILE_FORMATS)}]"
    assert shown["compare", "--metric"] == f"[{'|'.join(METRICS)}]"
    assert shown["audit", "--encoding"] == f"[{'|'.join(ENCODINGS)}]"
    assert shown["reproduce", "--scale"] == f"[{'|'.join(get_args(ScaleName))}]"
    assert shown["predictions", "--format"] == f"[{'|'.join(predictions.FORMATS)}]"


def test_the_shapes_that_help_shows_are_those_that_there_are() -> None:
    pythia = pytest.importorskip("nexus_bench.hf.pythia")
    assert set(language_models.ARCHES) == set(pythia.ARCHS)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tr", {"train"}),
        ("train --attention standard,ne", {"standard,nexus"}),
        ("train --task kin", {"kinship"}),
        ("train --task reachable,kin", {"reachable,kinship"}),
        ("train stair", {"staircase"}),
        ("train --mode d", {"deterministic"}),
        ("train --device tpu --mode d", {"deterministic"}),
        ("show path_", {"path_query", "path_star", "path_tokens"}),
        ("status runs/a", {"runs/a", "runs/ab"}),
        ("list ta", {"tasks"}),
    ],
)
def test_a_shell_completes(
    line: str,
    expected: set[str],
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a", "ab", "b"):
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "results.csv").touch()
    monkeypatch.setenv("_NEXUS_BENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"nexus-bench {line}")
    monkeypatch.setenv("COMP_CWORD", str(len(line.split())))
    with pytest.raises(SystemExit, match="0"):
        cli.run([])
    assert set(capsys.readouterr().out.split()) == expected
