"""The command, on a reproduction that is trained in a second."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nexus_bench.io.columns import REPRODUCTION_COLUMNS
from nexus_bench.io.csv_files import read_csv
from nexus_bench.model import transformer
from nexus_bench.model.batch import Batch
from nexus_bench.model.costs import cost_of
from nexus_bench.reproductions.claim_page import to_markdown
from nexus_bench.reproductions.judge import judge
from nexus_bench.reproductions.overview import overview
from nexus_bench.reproductions.run import flops_of, judge_folder, write
from nexus_bench.reproductions.spec import bundled_reproductions, read_reproduction
from tests.conftest import Command, assert_fails
from tests.paths import ROOT
from tests.reproduced import ONE_LAYER, TOY, TWO_LAYERS, TWO_LOOPS, planted

MODELS = (ONE_LAYER, TWO_LAYERS, TWO_LOOPS)
LINE = ("reproduce", "toy.yaml", "--executor", "inline", "--quiet")


@pytest.fixture
def toy(command: Command) -> Command:
    Path("toy.yaml").write_text(TOY)
    return command


def test_a_reproduction_is_trained_asked_judged_and_resumed(toy: Command) -> None:
    done = toy(*LINE)
    assert done.returncode == 0, done.stderr
    run = Path("runs/reproductions/toy/small")
    table = read_csv(run / "reproduction.csv", REPRODUCTION_COLUMNS)
    assert list(table["check"]) == [1, 2, 2, 3] and set(table["n_seeds"]) == {3} and set(table["n_missing"]) == {0}
    assert "eval_loops3" in (run / "results.csv").read_text() and (run / "report.md").is_file()
    verdict = done.stdout.splitlines()[-3]
    assert verdict.startswith("toy: ") and verdict.removeprefix("toy: ") in (run / "reproduction.md").read_text()
    files = ("reproduction.md", "reproduction.csv", "results.csv")
    before = {name: (run / name).read_bytes() for name in files}
    weights = {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}
    again = toy(*LINE)
    assert again.returncode == 0 and len(weights) == 9
    assert {path: path.stat().st_mtime_ns for path in weights} == weights, "what is there is kept"
    assert {name: (run / name).read_bytes() for name in files} == before
    checked = toy("reproduce", "toy.yaml", "--check", str(run), "--json")
    document = json.loads(checked.stdout)
    assert document["verdict"] == verdict.removeprefix("toy: ") == document["reproductions"][0]["scales"][0]["state"]
    assert {name: (run / name).read_bytes() for name in files} == before
    shutil.move(run / "cells", "elsewhere")
    kept = toy(*LINE)
    assert kept.returncode == 0 and kept.stderr.endswith("is judged; to train it again, choose another --out\n")
    assert kept.stdout == again.stdout and not (run / "cells").exists()
    Path("other.yaml").write_text(TOY.replace("steps: 2", "steps: 3"))
    for other in ("other.yaml", "hops-alone"):
        is_refused = toy("reproduce", other, "--check", str(run))
        assert_fails(
            is_refused, 2, f"trained with other settings; train it with `nexus-bench reproduce {other} --scale small -o"
        )
    assert_fails(toy("reproduce", "toy.yaml", "--check", "nowhere"), 5, "is not a run folder")


def test_the_page_names_the_file_of_a_reproduction_and_no_folder(toy: Command, tmp_path: Path) -> None:
    path = tmp_path / "my toy.yaml"
    path.write_text(TOY)
    made = read_reproduction(str(path))
    page = to_markdown(made, "small", judge(made, "small", planted(made, dict.fromkeys(MODELS, [0.5] * 3))), None)
    assert "To run it again: `nexus-bench reproduce 'my toy.yaml' --scale small`." in page
    assert made.command("small") == f"nexus-bench reproduce '{path}' --scale small"
    assert read_reproduction("loops").command("small") == "nexus-bench reproduce loops --scale small"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["hops-alnoe"], 3, "did you mean 'hops-alone'"),
        (["toy.yaml", "--scale", "published"], 2, "has no scale published, only small"),
        (["toy.yaml", "--scale", "large"], 2, "unknown scale 'large'"),
        (["--check", "x"], 2, "name the reproduction too"),
        (["toy.yaml", "--check", "x", "-o", "y"], 2, "omit --out"),
    ],
)
def test_mistakes_end_in_one_line(toy: Command, words: list[str], code: int, said: str) -> None:
    assert_fails(toy("reproduce", *words), code, said)


def test_a_suite_that_names_itself_ends_in_one_line(toy: Command) -> None:
    named = Path("toy.yaml").read_text().replace("    suite:\n", "    suite:\n      suite: quick\n")
    Path("named.yaml").write_text(named)
    said = "named.yaml: scales.small.suite: has no name of its own, got suite 'quick'; omit it"
    assert_fails(toy("reproduce", "named.yaml"), 3, said)
    assert not Path("runs").exists()


def test_a_failed_cell_leaves_the_claim_open_and_the_exit_code_says_so(
    toy: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = transformer.Transformer.forward

    def forward(model: transformer.Transformer, batch: Batch) -> Any:
        if len(model.blocks) == 2:
            raise RuntimeError("broken")
        return built(model, batch)

    monkeypatch.setattr(transformer.Transformer, "forward", forward)
    failed = toy(*LINE)
    said = "error: 3 of 9 cells failed; `nexus-bench status runs/reproductions/toy/small` says why"
    assert failed.returncode == 7 and said in failed.stderr
    assert "toy: not decided" in failed.stdout
    table = read_csv(Path("runs/reproductions/toy/small/reproduction.csv"), REPRODUCTION_COLUMNS)
    assert list(table["n_missing"]) == [3, 3, 0, 0]


def test_where_every_asked_cell_failed_the_rest_is_judged_all_the_same(
    toy: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(model: transformer.Transformer, batch: Batch) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(transformer.Transformer, "forward", forward)
    failed = toy(*LINE)
    assert failed.returncode == 7 and "error: 9 of 9 cells failed" in failed.stderr
    assert "toy: not decided" in failed.stdout
    table = read_csv(Path("runs/reproductions/toy/small/reproduction.csv"), REPRODUCTION_COLUMNS)
    assert list(table["n_missing"]) == [3, 3, 3, 3]


def test_the_list_says_claim_source_cost_and_state(command: Command) -> None:
    document = json.loads(command("reproduce", "--json").stdout)
    by_name = {one["name"]: one for one in document["reproductions"]}
    found = by_name["delta-s3"]
    assert found["arxiv"] == "2502.10297" and {at["state"] for at in found["scales"]} == {"not run"}
    shown = command("reproduce").stdout
    assert "delta-s3 (arXiv 2502.10297)" in shown and f"{found['scales'][0]['flops']:.1e} FLOPs" in shown


@pytest.mark.parametrize("name", bundled_reproductions())
def test_the_cost_in_the_file_is_that_of_all_steps_of_all_cells(name: str) -> None:
    reproduction = read_reproduction(name)
    for scale, at in reproduction.scales.items():
        suite = reproduction.suite(scale)
        counted = 0
        for cell in suite.cells:
            compute = cost_of(cell.model, cell.task).compute
            counted += cell.train.steps * cell.train.batch_size * (compute or 0)
        assert not suite.n_later and flops_of(suite) == counted > 0
        assert at.flops == pytest.approx(counted, rel=0.01), f"flops: {counted:.3g}"


KEPT = sorted(
    path.parent
    for path in (ROOT / "runs" / "reproductions").glob("*/*/reproduction.md")
    if not (path.parent / "cells").is_dir()  # else it was just trained here
)


@pytest.mark.parametrize("run", KEPT, ids=lambda run: f"{run.parent.name}-{run.name}")
def test_what_is_said_of_a_kept_run_is_what_its_results_say(run: Path, tmp_path: Path) -> None:
    reproduction = read_reproduction(run.parent.name)
    outcome = judge_folder(reproduction, run.name, run)
    for path in write(reproduction, run.name, outcome, tmp_path):
        assert path.read_bytes() == (run / path.name).read_bytes(), "make figures"
    assert outcome.n_missing == 0


def test_the_page_is_what_the_code_and_the_runs_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "reproductions.md").read_text()
    assert page == overview(), "python -m nexus_bench.reproductions.overview > docs/reproductions.md"
