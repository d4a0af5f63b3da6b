"""The example workflow is valid, guards what it says, and its steps do what a runner would see."""

import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
import pytest
import typer.main
import yaml

from nexus_bench.cli import app
from nexus_bench.experiment.suite import make_suite, select_suite
from nexus_bench.io.read_results import read_results
from nexus_bench.io.seal import replace_sealed
from tests.paths import ROOT

WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/nexus-bench.yml").read_text())
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["compare"]["steps"]
RELEASE: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
BOARD: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/leaderboard.yml").read_text())
NEXUS = [step for step in STEPS if "nexus-bench" in step.get("run", "")]

TINY = """
suite: tiny
tasks: [{task: pointer_chase, hops: 1-2, n_nodes: 6, n_val: 8, n_test: 16}]
model: {d_model: 16}
models: [{attention: standard}]
train: {steps: 20, batch_size: 4, eval_every: 10}
seeds: 2
"""


def test_every_command_of_the_workflow_can_be_parsed() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    lines = [Template(line).substitute(WORKFLOW["env"]) for step in NEXUS for line in step["run"].splitlines()]
    parsed = [shlex.split(line) for line in lines]
    assert [words[:2] for words in parsed] == [["nexus-bench", "train"], ["nexus-bench", "compare"]]
    for _, name, *arguments in parsed:
        commands[name].make_context(name, arguments)


def test_the_workflow_can_only_read_and_pins_its_actions() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in WORKFLOW["jobs"]["compare"] and WORKFLOW["jobs"]["compare"]["timeout-minutes"] <= 60
    actions = [step["uses"] for step in STEPS if "uses" in step]
    assert len(actions) == 3 and all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)
    triggers = WORKFLOW[True]  # YAML 1.1 reads `on` as true
    assert set(triggers) == {"push", "pull_request"}


def test_submissions_are_checked_before_a_page_is_made_of_them_by_a_job_that_can_only_read() -> None:
    assert BOARD[True] == {"pull_request": {"paths": ["runs/submissions/**"]}}
    assert BOARD["permissions"] == {"contents": "read"} and list(BOARD["jobs"]) == ["check"]
    steps: list[dict[str, Any]] = BOARD["jobs"]["check"]["steps"]
    assert "permissions" not in BOARD["jobs"]["check"] and not any("if" in step for step in steps)
    same = {step["uses"] for step in STEPS if "uses" in step}
    assert {step["uses"] for step in steps if "uses" in step} == same, "the actions that the other workflow pins"
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    parsed = [shlex.split(step["run"]) for step in steps if "nexus-bench" in step.get("run", "")]
    assert [words[:2] for words in parsed] == [["nexus-bench", "leaderboard"]] * 2
    assert [("--check" in words) for words in parsed] == [True, False]
    for words in parsed:
        assert "runs/submissions/*/" in words
        commands["leaderboard"].make_context("leaderboard", words[2:])
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"!/runs/submissions/", "/runs/submissions/*/cells/"} <= set(ignored)


def test_a_release_is_checked_before_it_is_published_and_by_a_tag_alone() -> None:
    assert RELEASE[True] == {"push": {"tags": ["v*"]}} and RELEASE["permissions"] == {"contents": "read"}
    check, *others = RELEASE["jobs"].values()
    assert {step["run"] for step in check["steps"] if step.get("run", "").startswith("make ")} == {
        "make release-check",
        "make docs",
    }
    assert "permissions" not in check and all(job["needs"] == "check" and job["environment"] for job in others)
    writes = [{name for name, value in job["permissions"].items() if value == "write"} for job in others]
    assert writes == [{"id-token"}, {"pages", "id-token"}]
    rules = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"release-check", "docs"} <= rules


def test_the_baseline_is_a_run_of_the_suite() -> None:
    config, where = select_suite(WORKFLOW["env"]["SUITE"], task=None, attention=None, data=None, settings={})
    asked = {(cell.task.task, cell.label, cell.train.lr, cell.seed) for cell in make_suite(config, where=where).cells}
    results = read_results(ROOT / WORKFLOW["env"]["BASELINE"])
    assert set(results[["task", "model", "lr", "seed"]].itertuples(index=False, name=None)) == asked


@pytest.mark.slow
def test_the_steps_hold_on_the_same_code_and_fail_on_a_regression(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    summary = tmp_path / "summary.md"
    inside = {"SUITE": "tiny.yaml", "BASELINE": "base", "RUN": "runs/tiny", "GITHUB_ACTIONS": "true"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | inside | {"GITHUB_STEP_SUMMARY": str(summary), "PATH": path}

    def step(run: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        line = ["bash", "-e", "-c", run]  # as a runner calls it
        return subprocess.run(
            line, cwd=tmp_path, env=environment | changed, capture_output=True, text=True, timeout=300
        )

    train, compare = (one["run"] for one in NEXUS)
    for run in ("base", "runs/tiny"):
        trained = step(train, RUN=run)
        assert trained.returncode == 0, trained.stderr
    same = step(compare)
    assert (same.returncode, same.stderr) == (0, "")
    assert "2 comparisons: 2 ok\n" in same.stdout

    results = read_results(tmp_path / "base")
    perfect = results.assign(accuracy=1.0, n_correct=results["n_examples"])
    worse = pd.concat([perfect[perfect["hop"] == 1], results[results["hop"] == 2]])
    replace_sealed(tmp_path / "base", {"results.csv": worse.to_csv(index=False)})
    new = read_results(tmp_path / "runs" / "tiny")
    right = new["n_correct"].where(new["hop"] == 2, new["n_examples"] // 4)
    fallen = new.assign(n_correct=right, accuracy=(right / new["n_examples"]).round(6))
    replace_sealed(tmp_path / "runs" / "tiny", {"results.csv": fallen.to_csv(index=False)})
    failed = step(compare)
    assert failed.returncode == 6
    error, last = failed.stderr.splitlines()
    title = "pointer_chase%2C standard%2C d_model 16%2C hop 1"
    assert error.startswith(f"::error title={title}::accuracy 1.000 -> 0.250 (-0.750,")
    assert last.startswith("error: of 2 comparisons, 1 fell by more than 0.02 and by more than noise; worst: ")
    assert "accuracy on test, runs/tiny compared with base: fails" in summary.read_text()
    suite = ET.parse(tmp_path / "runs/tiny/junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert (tmp_path / "runs/tiny/compare.csv").is_file()
