"""What is printed fits the terminal, and nothing of it is cut off."""

import re
from pathlib import Path

import pytest
from rich.table import Table

from nexus_bench.cli import screen
from tests.conftest import Command
from tests.small import TINY

LINES = ["match pointer_chase n_layers=2 --attention nexus", "audit reachable --hops 1-2 -n 300", "show kinship"]


@pytest.mark.parametrize("line", LINES)
def test_eighty_columns_hold_everything(line: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = command(*line.split())
    monkeypatch.setenv("COLUMNS", "80")
    narrow = command(*line.split())
    assert max(map(len, whole.stdout.splitlines())) > 80 >= max(map(len, narrow.stdout.splitlines()))
    assert "…" not in narrow.stdout
    letters = [sorted(re.sub(r"[\W_]", "", shown)) for shown in (whole.stdout, narrow.stdout)]
    assert letters[0] == letters[1], "nothing is lost"


def test_a_narrow_table_keeps_words_whole_where_it_can(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    table = Table("baseline", "model")
    table.add_row("same depth", "standard, d_model 128")
    screen.print_table(table)
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("baseline", "standard,", "d_model")) and "│" not in shown


def test_runs_have_their_findings_below_and_their_states_beside_them(command: Command) -> None:
    Path("tiny.yaml").write_text(TINY)
    assert command(*"train tiny.yaml --executor inline -q order=1 --seeds 1".split()).returncode == 0
    head, run, finding = command("runs").stdout.splitlines()
    assert head.index("state") == run.index("done") == len("runs/tiny  ")
    assert finding.startswith("  ") and len(finding) > len(run)
