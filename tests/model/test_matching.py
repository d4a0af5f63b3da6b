"""Models of the same parameters or the same compute, and the tables that set them side by side."""

import html

import pandas as pd
import pytest

from nexus_bench.analysis.compare_models import matched_pairs
from nexus_bench.analysis.select_recipes import select_recipes
from nexus_bench.data.task import make_task
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.bundled import read_bundled
from nexus_bench.io.read_results import read_curves, read_results
from nexus_bench.model import matching
from nexus_bench.model.build import build_model
from nexus_bench.model.costs import cost_of
from nexus_bench.model.matching import matched
from nexus_bench.model.spec import ModelSpec, make_model
from nexus_bench.report.build import build_report
from nexus_bench.report.output import to_markdown
from nexus_bench.report.page.report_page import to_html
from tests.paths import EXAMPLES

TASK = make_task({"task": "pointer_chase", "hops": "1-3", "n_nodes": 12}, where="test")
QUICK = make_task({"task": "pointer_chase", "hops": "1-3", "hop_ood": 4, "n_nodes": 12}, where="test")


def nexus(**entry: object) -> ModelSpec:
    return make_model({"attention": "nexus", **entry}, where="test")


@pytest.mark.parametrize(
    "entry",
    [
        {"order": 2},
        {"order": 3},
        {"order": 4},
        {"order": 2, "share": "unshared"},
        {"order": 3, "inner": "direct", "refine": "q"},
        {"order": 2, "d_model": 128, "n_heads": 4, "n_layers": 2},
        {"order": 2, "encoding": "flat"},
    ],
    ids=str,
)
def test_rivals_are_within_5_percent(entry: dict[str, object]) -> None:
    model = nexus(**entry)
    found = matched(model, TASK)
    assert [(match.shape, match.by) for match in found] == [
        (shape, by) for shape in ("same depth", "deeper", "looped") for by in ("parameters", "compute")
    ]
    target = cost_of(model, TASK)
    for match in found:
        assert match.error <= 0.05
        assert match.cost == cost_of(match.model, TASK)
        assert match.model.attention == "standard"
        assert match.parameters_ratio == match.cost.parameters / target.parameters
        assert match.compute_ratio == match.cost.compute / target.compute
        depth = (match.model.n_layers / model.n_layers, match.model.n_loops / model.n_loops)
        order = model.options["order"]
        assert depth == {"same depth": (1, 1), "deeper": (order, 1), "looped": (1, order)}[match.shape]


def test_where_no_width_is_near_the_nearest_is_given_and_said() -> None:
    """With 16 heads the width goes by 16."""
    model = nexus(order=2, n_heads=16)
    coarse = [match for match in matched(model, TASK) if match.error > 0.05]
    assert coarse
    for match in coarse:
        target = cost_of(model, TASK)._asdict()[match.by]
        for step in (-16, 16):
            other = match.model.model_copy(update={"d_model": match.model.d_model + step})
            assert abs(cost_of(other, TASK)._asdict()[match.by] / target - 1) >= match.error


@pytest.mark.parametrize("power", [0.5, 1, 2, 3])
def test_the_nearest_width_is_found_however_costs_grow(power: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "parameters_of", lambda model, task: round(1000 * model.d_model**power))
    model = make_model({"attention": "standard", "d_model": 72, "n_heads": 6}, where="test")
    widths = range(6 * matching._least_width(model, TASK), 1200, 6)
    for width in range(20, 1150, 13):
        target = round(1000 * width**power)
        nearest = min(widths, key=lambda at: abs(round(1000 * at**power) / target - 1))
        assert matching._fit_width(model, TASK, "parameters", target).d_model == nearest


def test_a_cost_is_that_of_the_model_that_is_trained() -> None:
    """The committed runs hold what training itself counted."""
    results = read_results(EXAMPLES / "quick")
    for order in (2, 3):
        row = results[results["order"] == order].iloc[0]
        cost = cost_of(nexus(order=order), QUICK)
        assert (cost.parameters, cost.compute * row["batch_size"]) == (row["n_params"], row["flops_per_step"])
    model = build_model(nexus(), TASK.generator().schema, seq_len=30, seed=0)
    assert sum(p.numel() for p in model.parameters()) == cost_of(nexus(), TASK).parameters


def test_standard_attention_has_no_rivals_and_order_1_only_those_of_its_depth() -> None:
    assert matched(make_model({"attention": "standard"}, where="test"), TASK) == []
    assert [match.shape for match in matched(nexus(order=1), TASK)] == ["same depth", "same depth"]


def test_a_suite_holds_every_rival_once() -> None:
    config = read_bundled("suite", "matched")
    suite = make_suite(config, where="test")
    models = {cell.model.label: cell.model for cell in suite.cells}
    wanted = [nexus(order=order) for order in (2, 3)]
    wanted += [match.model for model in wanted for match in matched(model, TASK)]
    assert set(models) == {model.label for model in wanted}
    assert len(suite.cells) == len(models) * 4 * 2 and suite.n_later == len(models) * 12


@pytest.fixture(scope="module")
def trained() -> pd.DataFrame:
    """Test rows of the committed run, with the learning rates that were chosen."""
    results = select_recipes(read_results(EXAMPLES / "matched"))
    return results[results["split"] == "test"]


def test_pairs_are_of_the_same_size_and_differences_paired_by_seed(trained: pd.DataFrame) -> None:
    pairs = matched_pairs(trained)
    assert set(pairs["model"]) == {"nexus, order 2, refine qk", "nexus, order 3, refine qk"}
    assert ((pairs["parameters"] - 1).abs() <= 0.05)[pairs["equal"] == "parameters"].all()
    assert ((pairs["compute"] - 1).abs() <= 0.05)[pairs["equal"] == "compute"].all()
    assert ((pairs["reach"] - pairs["baseline_reach"] - pairs["mean"]).abs() < 1e-9).all()
    assert ((pairs["low"] <= pairs["mean"]) & (pairs["mean"] <= pairs["high"])).all()


def test_pairs_use_only_seeds_that_both_models_have(trained: pd.DataFrame) -> None:
    without = trained[~((trained["model"] == "standard") & (trained["seed"] > 0))]
    pairs = matched_pairs(without)
    assert pairs[pairs["baseline"] == "standard"]["low"].isna().all()
    assert pairs[pairs["baseline"] != "standard"]["low"].notna().all()


def test_the_report_says_what_order_buys() -> None:
    run = RunFolder(EXAMPLES / "matched")
    results, curves = read_results(run.path), read_curves(run.path)
    report = build_report(results, curves)
    assert "matched" in {table.name for table in report.sections[0].tables}
    for text in (to_markdown(report), html.unescape(to_html(report, downloads={}))):
        assert "Models of the same size" in text and "baseline's compute" in text
    alone = build_report(results[results["attention"] == "nexus"], curves)
    assert "matched" not in {table.name for table in alone.sections[0].tables}
    assert "same size" not in to_markdown(alone)
