"""The command `report`, and what GitHub is told of a run."""

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Command, assert_fails


def without_provenance(path: Path) -> bytes:
    """A file but for what it says of env.json and spec.yaml, which tables do not hold."""
    text = path.read_bytes().partition(b"\n## Provenance\n")[0] if path.suffix == ".md" else path.read_bytes()
    return re.sub(rb'<details id="provenance">.*?</details>', b"", text, flags=re.DOTALL)


def test_report_is_rebuilt_from_the_tables_alone(command: Command, tiny: str) -> None:
    command("train", tiny, "--executor", "inline")
    alone = Path("alone")
    alone.mkdir()
    for name in ("results.csv", "curve.csv"):
        (alone / name).write_bytes(Path("runs/tiny", name).read_bytes())
    assert command("report", "alone").returncode == 0
    made = [path.relative_to(alone) for path in alone.rglob("*.*")]
    assert len(made) == 22
    for path in made:
        assert without_provenance(alone / path) == without_provenance(Path("runs/tiny", path)), path
    table = pd.read_csv(io.StringIO(command("report", "alone", "--format", "csv").stdout))
    assert list(table["hop"]) == [1, 2, 1, 2]
    assert command("report", "alone", "--format", "md").stdout.startswith("# nexus-bench: tiny\n")
    assert command("report", "alone", "runs/tiny", "--out", "both").returncode == 0
    assert Path("both/report.csv").read_bytes() == Path("runs/tiny/report.csv").read_bytes()
    document = json.loads(command("report", "alone", "runs/tiny", "--json").stdout)
    assert document["files"] == [] and len(document["report"]["reach"]) == 2


def test_a_report_keeps_what_other_runs_hold(command: Command, tiny: str) -> None:
    for out in ("a", "b"):
        assert command("train", tiny, "--executor", "inline", "--quiet", "--out", out).returncode == 0
    before = {path: path.read_bytes() for path in Path("b").rglob("*") if path.is_file()}
    assert_fails(
        command("report", "a", "--out", "b"), 2, "b: holds a run with its own report, which is not overwritten"
    )
    assert_fails(command("report", "a", "--out", "c", "--format", "csv"), 2, "--format prints and writes no files")
    assert {path: path.read_bytes() for path in Path("b").rglob("*") if path.is_file()} == before
    assert not Path("c").exists()
    assert_fails(
        command("report", "a", "b", "--out", "a"), 2, "a: holds a run with its own report, which is not overwritten"
    )
    assert command("report", "a", "--out", "a").returncode == 0
    Path("mine").mkdir()
    Path("mine/report.md").write_text("# My thoughts\n")
    assert_fails(
        command("report", "a", "--out", "mine"), 2, "mine/report.md: was not written by nexus-bench and is kept"
    )
    assert [path.name for path in Path("mine").iterdir()] == ["report.md"]


def test_a_report_of_results_alone_lacks_the_curves(command: Command, tiny: str) -> None:
    command("train", tiny, "--executor", "inline")
    Path("alone").mkdir()
    Path("alone/results.csv").write_bytes(Path("runs/tiny/results.csv").read_bytes())
    assert command("report", "alone").returncode == 0
    drawn = {path.stem for path in Path("alone/figures").iterdir()}
    curves = {"accuracy_by_hop", "order_by_hop", "reach_by_order", "reach_by_cost", "seeds_by_hop"}
    assert drawn == curves | {"task_pointer_chase"}


def test_github_is_told_what_a_run_came_to_and_which_cells_failed(
    command: Command, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(Path("summary.md").absolute()))
    run = command("train", tiny, "--executor", "inline", "--quiet", "--set", "lr=3e-3,1e30", "--set", "order=1")
    assert run.returncode == 7
    errors = [line for line in run.stderr.splitlines() if line.startswith("::error ")]
    assert len(errors) == 4 and all("the loss is not finite at step" in line for line in errors)
    assert errors[0].startswith("::error title=pointer_chase hops 1-2 | standard%2C d_model 16 | lr 1e+30 | seed 0::")
    summary = Path("summary.md").read_text()
    finding, _, folded = summary.partition("<details>")
    assert "\n**" in finding and "| model" not in finding and folded.rstrip().endswith("</details>")
    assert summary.startswith("# nexus-bench: tiny\n") and "### Accuracy by hop" in summary and "![" not in summary
    assert command("report", "runs/tiny").returncode == 0
    assert Path("summary.md").read_text().count("# nexus-bench: tiny\n") == 2
