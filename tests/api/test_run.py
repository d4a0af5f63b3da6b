"""Training from Python, and what a run offers then."""

import pickle
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import nexus_bench as nb
from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.errors import UsageError
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.jobs import Job, n_drawers
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.sources import open_source
from nexus_bench.io import renames
from nexus_bench.io.columns import COLUMNS, CURVE_COLUMNS, WALK_COLUMNS
from nexus_bench.training.row import TrainingRow
from tests.paths import EXAMPLES
from tests.small import cell

SMALL: dict[str, Any] = {"n_nodes": 6, "n_val": 8, "n_test": 16, "d_model": 16, "steps": 20, "batch_size": 4}
TINY: dict[str, Any] = SMALL | {"eval_every": 10, "quiet": True}
GRID: dict[str, Any] = {"task": "pointer_chase", "attention": ["standard", "nexus"], "order": [2, 3], "hops": "1-2"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nb.Run:
    return nb.train(**GRID, seeds=2, out=tmp_path_factory.mktemp("api") / "run", executor="inline", **TINY)


def test_a_run_holds_the_grid_in_frames_of_the_documented_types(run: nb.Run) -> None:
    assert set(run.results["model"]) == {f"{m}, d_model 16" for m in ("standard", *NEXUS)}
    assert run.results.dtypes.astype(str).to_dict() == {column.name: column.dtype for column in COLUMNS}
    assert run.curves.dtypes.astype(str).to_dict() == {column.name: column.dtype for column in CURVE_COLUMNS}
    assert run.cells["state"].tolist() == ["done"] * 6
    assert run.cells["steps"].tolist() == [20] * 6


NEXUS = ("nexus, order 2, refine qk", "nexus, order 3, refine qk")


def test_the_same_call_keeps_what_is_done_and_gives_the_results_of_the_command(
    run: nb.Run, tmp_path: Path, command: Any
) -> None:
    before = (run.path / "results.csv").read_bytes()
    again = nb.train(**GRID, seeds=2, out=run.path, executor="process", **TINY)
    assert (again.path / "results.csv").read_bytes() == before
    suite = run.path / "spec.yaml"
    assert command("train", str(suite), "--executor", "inline", "--out", str(tmp_path / "cli"), "-q").returncode == 0
    assert (tmp_path / "cli" / "results.csv").read_bytes() == before


def test_a_study_of_other_settings_leaves_the_run_of_the_first_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    call: dict[str, Any] = {"task": "pointer_chase", "attention": "standard", "hops": "1-2", "executor": "inline"}
    first = nb.train(**call, seeds=1, **TINY)
    before = first.results
    second = nb.train(**call, seeds=1, **TINY | {"steps": 10, "quiet": False})
    assert first.path == Path("runs/pointer_chase-standard")
    assert second.path.name.startswith("pointer_chase-standard-") and second.cells["steps"].tolist() == [10]
    told = f"{first.path} holds a study of other settings, which is kept; this one goes into {second.path} (out="
    assert capsys.readouterr().err.count(told) == 1
    pd.testing.assert_frame_equal(first.results, before)
    assert [nb.train(**call, seeds=1, **TINY | {"steps": n}).path for n in (20, 10)] == [first.path, second.path]
    more = nb.train(**call, seeds=2, **TINY)  # grows
    assert more.path == first.path and len(more.cells) == 2
    fewer = nb.train(**call, seeds=1, **TINY | {"quiet": False})
    assert fewer.path == first.path and set(fewer.results["seed"]) == {0, 1}  # the second seed does not vanish
    assert "holds this study with 2 seeds, and keeps them; of these 1 is trained, if need be" in capsys.readouterr().err
    assert sorted(path.name for path in Path("runs").iterdir())[0] == first.path.name and len(more.cells) == 2


def test_a_declaration_that_comes_after_the_results_is_another_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call: dict[str, Any] = GRID | {"order": [1, 2], "attention": "nexus", "executor": "inline"}
    declared = [{"model": "nexus, order 2", "baseline": "order 1"}]
    first = nb.train(**call, seeds=1, **TINY)
    second = nb.train(**call, seeds=1, comparisons=declared, **TINY)
    assert second.path != first.path and second.path.name.startswith(first.path.name)
    assert nb.train(**call, seeds=2, comparisons=declared, **TINY).path == second.path
    assert nb.train(**call, seeds=2, **TINY).path == first.path
    for later in ({"comparisons": declared}, {"comparisons": declared, "order": [1, 2, 3]}):
        with pytest.raises(UsageError, match=r"holds 4 cells trained under other declared comparisons"):
            nb.train(**call | later, seeds=2, out=first.path, **TINY)
    with pytest.raises(UsageError, match=r"holds 4 cells trained under other"):
        nb.train(**call, seeds=2, out=second.path, **TINY)  # what was declared cannot be taken back
    assert nb.train(**call, seeds=2, comparisons=declared, out=second.path, **TINY).path == second.path


def test_cells_of_a_recipe_that_is_no_longer_the_best_are_told_when_they_leave_the_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = {
        "suite": "tuned",
        "tasks": [{"task": "pointer_chase", "hops": "1-2", "n_nodes": 6, "n_val": 8, "n_test": 16}],
        "model": {"d_model": 16},
        "models": [{"attention": "standard"}],
        "train": {"steps": 20, "batch_size": 4, "eval_every": 10},
        "seeds": 1,
    }
    where = {"executor": "inline", "out": tmp_path / "run"}
    nb.train(suite | {"tune": {"lr": [1e-3, 3e-3], "seeds": 1}}, **where)
    assert "that this grid lacks" not in capsys.readouterr().err
    nb.train(suite | {"tune": {"lr": [1e-12, 1e-11], "optimizer": ["adamw", "lion"], "seeds": 1}}, **where)
    assert "3 cells that this grid lacks: left out of the tables" in capsys.readouterr().err  # one of them measured


def test_a_notebook_shows_the_titles_of_cells_whole() -> None:
    """Pandas shows 50 characters of a text, and as many columns as a line of the terminal holds."""
    cells = nb.open(EXAMPLES / "quick").cells
    for shown in (cells, cells[cells["title"].str.contains("order 3")], pickle.loads(pickle.dumps(cells))):
        for text in (shown._repr_html_(), repr(shown)):
            assert all(name in text for column in ("cell_id", "title", "trained") for name in shown[column])
    assert max(cells["title"].str.len()) > 50 and pd.get_option("display.max_colwidth") == 50


def test_cells_that_leave_the_tables_of_a_folder_of_ones_own_choice_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = GRID | {"attention": "standard", "order": None, "executor": "inline", "out": tmp_path / "run"}
    loud = TINY | {"quiet": False}
    assert len(nb.train(**call, seeds=3, **loud).cells) == 3
    assert "that this grid lacks" not in capsys.readouterr().err
    assert len(nb.train(**call, seeds=1, **loud).cells) == 1
    assert "2 cells that this grid lacks: left out of the tables, kept in cells/" in capsys.readouterr().err


def test_training_begins_with_what_its_seeds_cannot_decide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = {"model": "gated", "baseline": "standard"}
    call = {"task": "pointer_chase", "attention": "gated", "hops": 1, "seeds": 1, "comparisons": [pair]}
    nb.train(**call, out=tmp_path / "run", executor="inline", **TINY | {"quiet": False})
    told, _, after = capsys.readouterr().err.partition(
        "1 declared comparison needs 6 seeds; with 1 none can be shown\n"
    )
    assert "seed 0" not in told and after


def test_a_suite_can_be_a_mapping(tmp_path: Path) -> None:
    suite = {
        "suite": "mine",
        "tasks": [{"task": "pointer_chase", "hops": (1, 2), "n_nodes": 6, "n_val": 8, "n_test": 16}],
        "model": {"d_model": 16},
        "models": [{"attention": "standard"}],
        "train": {"steps": 2, "batch_size": 4, "eval_every": 2, "lr": [1e-3, 3e-3]},
    }
    made = nb.train(suite, out=tmp_path / "run", executor="inline", quiet=True)
    assert made.cells["title"].str.contains(r"lr 0.00[13]").all() and len(made.cells) == 2
    with pytest.raises(nb.NexusBenchError, match="a suite that is a mapping holds its tasks"):
        nb.train(suite, task="ancestor")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"suite": "reachable", "task": "ancestor"}, "'reachable' and 'ancestor' are tasks"),
        ({"task": "reachabel"}, "unknown task 'reachabel'; did you mean 'reachable'"),
        ({"stepps": 5}, "unknown setting 'stepps'; did you mean 'steps'"),
        ({"executor": "threads"}, "unknown executor 'threads'"),
        ({"suite": "quick", "task": None, "attention": "nexuss"}, "unknown attention 'nexuss'|give a suite, or"),
    ],
)
def test_a_mistake_in_a_call_is_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(nb.NexusBenchError, match=message) as caught:
        nb.train(**GRID | TINY | change, out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert caught.value._render_traceback_() == [f"{type(caught.value).__name__}: {caught.value}"]  # in a notebook


def test_failed_cells_are_told_and_the_others_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, *arguments: Any) -> Tensor:
        raise ValueError("no such luck")

    monkeypatch.setattr(ATTENTIONS.get("gated"), "forward", fail)
    call = GRID | {"attention": ["standard", "gated"], "order": None, "seeds": 1, "executor": "inline"}
    with pytest.raises(nb.NexusBenchError, match=r"^1 of 2 cells failed; the first: .*no such luck") as caught:
        nb.train(**call, out=tmp_path / "run", **TINY)
    assert f"nexus_bench.open('{tmp_path / 'run'}') has the others" in str(caught.value)
    assert nb.open(tmp_path / "run").cells["state"].tolist() == ["done", "failed"]


def test_figures_show_and_save_themselves(run: nb.Run, tmp_path: Path) -> None:
    assert "accuracy_by_hop" in run.figures
    figure = run.plot("accuracy_by_hop")
    assert "</svg>" in figure._repr_svg_()
    assert figure.save(tmp_path / "a.svg").read_text() == figure.svg
    assert figure.save(tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(nb.NexusBenchError, match=r"a figure is saved as \.png or \.svg"):
        figure.save(tmp_path / "a.gif")
    with pytest.raises(nb.NexusBenchError, match="unknown figure 'accuracy'; did you mean 'accuracy_by_hop'"):
        run.plot("accuracy")


def test_a_report_shows_tables_and_saves_the_page_of_the_run(run: nb.Run, tmp_path: Path) -> None:
    report = run.report()
    shown = report._repr_html_()
    assert "<table" in shown and "nexus, order 3" in shown and "<script" not in shown
    assert report.save(tmp_path / "r.html").read_bytes() == (run.path / "report.html").read_bytes()
    assert report.save(tmp_path / "r.md").read_text().startswith("# nexus-bench")
    with pytest.raises(nb.NexusBenchError, match=r"a report is saved as \.html or \.md"):
        report.save(tmp_path / "r.pdf")


def test_the_finding_comes_first_in_a_notebook_and_is_a_text(run: nb.Run) -> None:
    first, *more = run.finding.splitlines()
    assert first.startswith("With nexus, refine qk, orders 2 and 3 reached") and more[-1].startswith("Not decided: ")
    shown = run.report()._repr_html_()
    assert shown.index(f"<b>{first}</b>") < shown.index(f"<li>{more[0]}</li>") < shown.index("<table")
    assert run.report().finding == run.finding


def test_a_report_shows_accuracy_against_the_parameters_asked(tmp_path: Path) -> None:
    run = nb.train("pointer_chase", attention="standard", hops="1-2", seeds=1, out=tmp_path, executor="inline",
                   **TINY | {"n_nodes": [6, 8], "encoding": ["fact", "flat"]})  # fmt: skip
    assert "Accuracy by n_nodes" in run.report()._repr_html_()
    asked = run.report(by="encoding")
    assert "Accuracy by encoding" in asked._repr_html_() and "Accuracy by n_nodes" not in asked._repr_html_()
    said = [line for line in asked.finding.splitlines() if ": mean hop reach at encoding fact / flat: standard" in line]
    assert len(said) == 2  # one of each size
    both = run.report(by=["encoding", "n_nodes"])._repr_html_()
    assert "Accuracy by encoding" in both and "Accuracy by n_nodes" in both
    with pytest.raises(nb.NexusBenchError, match="unknown varying parameter 'n_node'; did you mean 'n_nodes'"):
        run.report(by="n_node")


def test_a_report_knows_parameters_by_their_old_names(run: nb.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renames, "RENAMES", [renames.Rename(renames.KEY, "nodes", "n_nodes", "9.9")])
    with (
        pytest.warns(DeprecationWarning, match="nodes is now n_nodes"),
        pytest.raises(nb.NexusBenchError, match="n_nodes"),
    ):
        run.report(by="nodes")


def test_a_folder_of_runs_names_them(run: nb.Run) -> None:
    with pytest.raises(nb.NexusBenchError, match=f"give one of those in it: {run.path}"):
        nb.open(run.path.parent)


def test_a_model_comes_with_its_weights(run: nb.Run) -> None:
    one, same, other = (run.model("order 3", seed=seed) for seed in (0, 0, 1))
    assert isinstance(one, nn.Module) and not one.training
    weights, others = one.state_dict(), other.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in same.state_dict().items())
    assert not all(torch.equal(weights[name], value) for name, value in others.items())
    with pytest.raises(nb.NexusBenchError, match="select one cell"):
        run.model("order 3")


def test_an_inspection_has_its_tables_and_figures(run: nb.Run, tmp_path: Path) -> None:
    seen = run.inspect("order 2", seed=1, hops=2, n=10, out=tmp_path / "seen")
    assert seen.walk.dtypes.astype(str).to_dict() == {column.name: column.dtype for column in WALK_COLUMNS}
    assert seen.attention["weight"].between(0, 1).all()
    assert seen.figures == ("inspect_graph", "inspect_maps", "inspect_walk")
    assert seen.plot().svg == (tmp_path / "seen" / "inspect_walk.svg").read_text()
    assert set(seen.files) == set((tmp_path / "seen").iterdir())
    shown = seen._repr_html_()  # what a notebook shows
    assert shown.count("<img ") == 1 and seen.title in shown and seen.example in shown
    assert "order 2" in seen.title and "answered" in seen.example and 0 <= seen.accuracy <= 1


def test_an_evaluation_returns_its_rows_and_the_report_follows(run: nb.Run) -> None:
    before = run.figures
    rows = run.evaluate("order 2", hops=[2], n=5)
    assert rows["hop"].tolist() == [2, 2] and rows["split"].unique().tolist() == ["eval_hops2_n5"]
    assert run.results["split"].isin(["eval_hops2_n5"]).sum() == 2
    assert "accuracy_by_hop-eval_hops2_n5" in set(run.figures) - set(before)
    assert run.evaluate("order 2", trained=True, n=40)["split"].unique().tolist() == ["eval_trained_n40"]
    with pytest.raises(nb.NexusBenchError, match="say what to evaluate on that differs from training"):
        run.evaluate()


def test_open_finds_a_run_and_refuses_what_is_none(run: nb.Run, tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(nb.open(str(run.path)).results, run.results)
    (tmp_path / "alone").mkdir()
    shutil.copy(run.path / "results.csv", tmp_path / "alone")
    pd.testing.assert_frame_equal(nb.open(tmp_path / "alone").results, run.results)
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(nb.NexusBenchError, match="not a run folder"):
            nb.open(folder)


@pytest.fixture
def mine() -> Iterator[type[Attention[Any]]]:
    class Mean(Attention[AttentionOptions]):
        """The mean of the values."""

        name = "mean_of_values"
        version = 1
        __module__ = "__main__"

        def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
            super().__init__(d_model, n_heads, options)
            self.value = nn.Linear(d_model, d_model)

        def forward(self, x: Tensor, layout: Any) -> Tensor:
            return self.value(x[:, : layout.n_keys]).mean(dim=1, keepdim=True).expand_as(x)

    ATTENTIONS.names()
    yield ATTENTIONS.register(Mean)
    del ATTENTIONS._entries[Mean.name]


def test_an_attention_of_a_script_is_trained_where_it_is_known(
    mine: type[Attention[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Execution] = []
    from nexus_bench.experiment import train as trains

    carry_out = trains.run_plan
    monkeypatch.setattr(
        trains, "run_plan", lambda plan, folder, how, **more: seen.append(how) or carry_out(plan, folder, how, **more)
    )
    made = nb.train(
        **GRID | {"attention": ["standard", mine.name], "order": None}, seeds=1, out=tmp_path / "run", **TINY
    )
    assert set(made.results["attention"]) == {"standard", mine.name}
    assert [how.executor for how in seen] == ["inline"]
    call = GRID | {"attention": mine.name, "order": None, "executor": "process"}
    with pytest.raises(nb.NexusBenchError, match="other processes cannot import a task or an attention"):
        nb.train(**call, seeds=1, out=tmp_path / "again", **TINY)


def test_a_task_of_a_script_is_drawn_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    row = TrainingRow(cell(), open_source(cell(), None))
    job = Job((cell(),), frozenset(), "tf32", "cuda", None, None)
    assert n_drawers([row], job, torch.device("cpu")) == 0 < n_drawers([row], job, torch.device("cuda"))
    monkeypatch.setattr(type(row.source.law.family), "__module__", "__main__")
    assert n_drawers([row], job, torch.device("cuda")) == 0


def test_an_attention_of_a_notebook_can_be_defined_again(mine: type[Attention[Any]]) -> None:
    again = type(mine.__name__, (mine,), {"__module__": "__main__"})
    assert ATTENTIONS.register(again) is ATTENTIONS.get(mine.name) is again
    theirs = type(mine.__name__, (mine,), {"__module__": "elsewhere"})
    with pytest.raises(nb.NexusBenchError, match="is defined twice, in __main__ and elsewhere"):
        ATTENTIONS.register(theirs)


SCRIPT = f"""
import nexus_bench as nb

print("once")
run = nb.train(**{GRID | {"attention": "standard", "order": None}}, seeds=1, executor="process", out="run", **{TINY})
print(len(run.cells))
"""


def test_a_script_needs_no_guard_of_its_main_part(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    line = [sys.executable, "script.py"]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stdout) == (0, "once\n1\n"), ended.stderr


def test_a_report_opens_in_its_run_folder_and_leaves_other_pages_alone(
    run: nb.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("report.html").write_text("mine")
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", shown.append)
    assert run.report().open() == run.path / "report.html"
    assert shown == [(run.path / "report.html").absolute().as_uri()] and Path("report.html").read_text() == "mine"


def test_a_run_at_the_end_of_a_cell_shows_its_finding(run: nb.Run) -> None:
    first, *_ = run.finding.splitlines()
    assert f"<b>{first}</b>" in run._repr_html_()


def test_a_run_and_what_it_shows_can_be_pickled(run: nb.Run) -> None:
    report, figure = run.report(), run.plot()
    again = pickle.loads(pickle.dumps((run, report, figure)))
    assert again[0].finding == run.finding and again[1].html == report.html and again[2].svg == figure.svg


def test_an_inspection_can_be_pickled(run: nb.Run, tmp_path: Path) -> None:
    seen = run.inspect("order 2", seed=0, n=8, out=tmp_path)
    assert pickle.loads(pickle.dumps(seen)).title == seen.title


def test_a_run_is_found_after_the_working_directory_has_changed(
    run: nb.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path.parent)
    opened = nb.open(run.path.name)
    assert opened.path == Path(run.path.name)
    monkeypatch.chdir(tmp_path)
    assert opened.path == run.path and len(opened.results) == len(run.results) and len(opened.cells) == 6


def test_an_unfinished_run_says_so_wherever_it_is_asked(run: nb.Run, tmp_path: Path) -> None:
    unfinished = RunFolder(tmp_path / "new")
    unfinished.path.mkdir()
    unfinished.write_spec(RunFolder(run.path).read_spec())
    opened = nb.open(unfinished.path)
    for ask in (lambda: opened.results, lambda: opened.curves, lambda: opened.finding, opened.plot):
        with pytest.raises(
            nb.NexusBenchError, match=r'no cell is finished yet; `nexus_bench\.train\(".*/new"\)` goes on'
        ):
            ask()


def test_a_parameter_that_cannot_vary_is_refused_without_an_empty_list(run: nb.Run) -> None:
    with pytest.raises(nb.NexusBenchError, match=r"^no parameter varies within a task, .* by n_nodes; omit by$"):
        run.report(by="n_nodes")
