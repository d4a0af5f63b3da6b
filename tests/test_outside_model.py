"""A task of sequences and a model of another package, as the pages show them, are trained."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.outside import install, python
from tests.paths import ROOT

PAGES = ("add_a_task.md", "add_an_attention.md")
PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "your-package"
version = "1"

[project.entry-points."nexus_bench.tasks"]
prefix_sums = "your_package.prefix_sums"

[project.entry-points."nexus_bench.attentions"]
fading = "your_package.fading"
"""
SUITE = """
suite: sums
tasks: [{task: prefix_sums, hops: 1-3, n_val: 20, n_test: 30}]
model: {encoding: sequence, d_model: 16}
models: [{attention: fading}, {attention: nexus, order: 2}]
train: {steps: 40, batch_size: 8, eval_every: 10, stop_when_solved: false}
seeds: 2
"""
ALIKE = """
from pathlib import Path
import sys, torch
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.config import read_config
from nexus_bench.training.loop import StoppedError
from tests.jobs import run_cells, same, stops_at

suite = make_suite(read_config(Path("sums.yaml")), where="test")
cells = [cell for cell in suite.cells if cell.model.attention == sys.argv[1]]
together = run_cells(cells)
assert {one.status for one in together} == {"trained"}
for cell, stacked in zip(cells, together, strict=True):
    (alone,) = run_cells([cell], mode="single")
    assert alone.weights.keys() == stacked.weights.keys()
    for name, weights in alone.weights.items():
        torch.testing.assert_close(stacked.weights[name], weights, rtol=0, atol=2e-4)
Path(sys.argv[1]).mkdir()
try:
    run_cells(cells, root=Path(sys.argv[1]), should_stop=stops_at(25))
except StoppedError:
    resumed = run_cells(cells, root=Path(sys.argv[1]))
assert all(same(a.weights, b.weights) for a, b in zip(together, resumed, strict=True))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package that the pages show, installed, and a suite beside it."""
    top = tmp_path_factory.mktemp("outside")
    package = top / "source" / "your_package"
    package.mkdir(parents=True)
    (top / "source" / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").write_text("")
    text = "".join((ROOT / "docs" / page).read_text() for page in PAGES)
    shown = re.findall(r"^```(?:python|yaml)\n# your_package/(\S+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert {name for name, _ in shown} == {"prefix_sums.py", "prefix_sums.yaml", "fading.py"}
    for name, content in shown:
        (package / name).write_text(content)
    install(top / "source", top / "site")
    (top / "sums.yaml").write_text(SUITE)
    return top / "site"


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["fading", "nexus"])
def test_it_is_trained_in_a_stack_as_alone_and_after_a_stop(attention: str, site: Path) -> None:
    done = python(site, "-c", ALIKE, attention)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_it_is_trained_costed_stored_reported_and_asked_again(site: Path) -> None:
    nexus_bench, top = ("-m", "nexus_bench"), site.parent
    done = python(
        site, *nexus_bench, "train", "sums.yaml", "--set", "steps=400", "--quiet", "--workers", "1", "--out", "run"
    )
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(top / "run" / "results.csv")
    assert set(rows["hop"]) == {1, 2, 3} and rows["flops_per_step"].notna().all() and (rows["n_params"] > 0).all()
    assert set(rows["shortcut_name"]) <= {
        "majority_class",
        "given_place",
        "given_token",
        "given_two_tokens",
        "given_successor",
    }
    assert set(rows["chance"]) == {0.2}
    assert rows.groupby(["cell_id", "split"])["n_examples"].sum().isin([60, 90]).all(), "one label a hop and sequence"
    best = rows[(rows["attention"] == "nexus") & (rows["hop"] == 1) & (rows["split"] == "test")]["accuracy"].max()
    assert best > 0.9, "to copy a token is learned in 400 steps"
    told = python(site, *nexus_bench, "predictions", "run", "--split", "test", "--json")
    assert told.returncode == 0, told.stderr
    written = pd.read_csv(top / json.loads(told.stdout)["file"])
    assert len(written) == 4 * 90 and set(written["hop"]) == {1, 2, 3}


@pytest.mark.slow
def test_it_keeps_what_sequences_promise_and_is_written_and_shown(site: Path) -> None:
    for line in (["check", "prefix_sums"], ["gen", "prefix_sums", "-n", "50", "--out", "d"], ["verify", "d"]):
        done = python(site, "-m", "nexus_bench", *line)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_takes_queries_alone_says_so_in_a_line(site: Path) -> None:
    nexus_bench = ("-m", "nexus_bench")
    only = "error: prefix_sums: is a task of sequences, which can be trained; "
    done = python(site, *nexus_bench, "gen", "--task", "prefix_sums", "--format", "text")
    assert (done.returncode, done.stderr.startswith(only), done.stderr.count("\n")) == (3, True, 1), done.stderr
    done = python(site, *nexus_bench, "bench", "attention", "fading")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1) and "'fading' is a whole model" in done.stderr
    done = python(site, *nexus_bench, "train", "sums.yaml", "--set", "encoding=fact", "--out", "other")
    assert done.returncode == 3 and "prefix_sums: encoding must be sequence, got fact" in done.stderr, done.stderr
