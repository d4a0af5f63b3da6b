"""What the bundled suites hold, and that what they declare can be shown by it."""

import re
from pathlib import Path

import pytest

from nexus_bench.analysis.declared import matching, read_declared
from nexus_bench.analysis.intervals import seeds_needed
from nexus_bench.data.generate import generate
from nexus_bench.experiment.run_folder import open
from nexus_bench.experiment.sources import open_sources
from nexus_bench.experiment.suite import Suite, suite_of
from nexus_bench.io.bundled import bundled
from nexus_bench.io.columns import TEST
from nexus_bench.io.hops import format_hops
from nexus_bench.io.read_results import read_results
from nexus_bench.model.build import build_model
from nexus_bench.model.costs import cost_of, parameters_of
from nexus_bench.model.matching import match
from nexus_bench.training.spec import CellSpec
from tests.families import GRAPHS
from tests.paths import EXAMPLES, ROOT
from tests.suites import select


def test_quick_is_three_models_of_three_seeds() -> None:
    cells = select().cells
    assert [(cell.model.label, cell.seed) for cell in cells] == [
        (label, seed)
        for label in ("standard", "nexus, order 2, refine qk", "nexus, order 3, refine qk")
        for seed in (0, 1, 2)
    ]
    assert {cell.task.hops for cell in cells} == {(1, 2, 3)}


def test_staircase_is_orders_1_to_4_refined_both_ways_over_10_seeds() -> None:
    cells = select("staircase").cells
    assert len(cells) == 7 * 10
    assert {cell.model.options.get("order", 1) for cell in cells} == {1, 2, 3, 4}
    assert {cell.model.options.get("refine") for cell in cells} == {None, "q", "qk"}
    assert {cell.task.hops for cell in cells} == {(1, 2, 3, 4, 5)}


@pytest.mark.parametrize("name", ["quick", "staircase", "matched"])
def test_committed_runs_hold_the_cells_of_their_suites(name: str) -> None:
    folder = open(EXAMPLES / name)
    assert list(dict.fromkeys(read_results(folder.path)["cell_id"])) == [c.cell_id for c in suite_of(folder).cells]


DECLARED = {"quick": 0, "staircase": 6, "matched": 11, "rivals": 11, "deep": 0}
DECLARED |= {
    "reference": 6,
    "reference-small": 2,
    "recipes": 0,
    "reference-wide": 0,
    "reference-flat": 0,
    "crossed": 0,
    "reference-lion": 0,
}
DECLARED |= {"mechanisms": 0, "mechanisms-flat": 0}


@pytest.mark.parametrize("name", bundled("suite"))
def test_a_bundled_suite_has_the_seeds_that_its_comparisons_need(name: str) -> None:
    suite = select(name)
    declared = read_declared(suite.config.get("comparisons"), where=name)
    n_tasks = len({cell.task.task for cell in suite.cells})
    n_tests = n_tasks if declared.in_order else len(declared.asked)
    assert len(declared.asked) == DECLARED[name]
    assert not n_tests or len(suite.seeds) >= seeds_needed(n_tests)


def recipes_of(suite: Suite) -> set[str]:
    """Each task with its recipe, but for the rate, of which a suite tries several."""
    return {repr((cell.task, cell.train.model_copy(update={"lr": 1.0}))) for cell in suite.cells}


def test_the_control_of_the_study_is_trained_by_its_recipes_on_other_seeds() -> None:
    study, control = select("reference"), select("recipes")
    assert recipes_of(study) <= recipes_of(control)
    assert {cell.train.lr for cell in study.cells} == {cell.train.lr for cell in control.cells}
    of_study = {cell.seed for cell in study.cells} | set(study.seeds)
    assert not of_study & set(control.seeds) and len(of_study) == 14


def test_the_study_covers_every_family_with_one_recipe_for_all_of_its_models() -> None:
    study = select("reference")
    assert sorted({cell.task.task for cell in study.cells}) == sorted(GRAPHS)
    assert len(recipes_of(study)) == len(GRAPHS)
    assert len(study.cells) + study.n_later == 2340


def test_the_first_comparison_of_the_study_is_of_equal_parameters() -> None:
    study = select("reference")
    first = read_declared(study.config["comparisons"], where="reference").asked[0]
    for task in ("kinship", "ordering"):
        cells = {cell.label: cell for cell in study.cells if cell.task.task == task}
        ours, theirs = (cells[matching(name, list(cells))[0]] for name in first)
        costs = [cost_of(cell.model, cell.task) for cell in (ours, theirs)]
        assert costs[0].parameters == costs[1].parameters
        assert 1.9 < costs[1].counted / costs[0].counted < 2.25


def test_the_page_of_the_study_says_hops_steps_and_operations_of_its_suite() -> None:
    study = select("reference")
    page = (ROOT / "docs" / "reference_study.md").read_text()
    table = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \| (\S+) \|$", page, flags=re.MULTILINE)
    cells = {cell.task.task: cell for cell in study.cells}
    expected = [(task, format_hops(cell.task.hops), f"{cell.train.steps:,}") for task, cell in cells.items()]
    assert [(task, hops, steps) for task, hops, steps, _ in table] == expected
    told = {task: operations for task, _, _, operations in table}
    for task in ("reachable", "spatial"):
        models = {cell.label: cell for cell in study.cells if cell.task.task == task}.values()
        of_a_graph = sum(cost_of(cell.model, cell.task).counted for cell in models)
        recipe = cells[task].train
        assert told[task] == f"{(8 + 12) * recipe.steps * recipe.batch_size * of_a_graph / 1e15:.1f}"


def by_task(suite: Suite) -> dict[str, dict[str, CellSpec]]:
    """Task -> label of a model -> a cell of it."""
    found: dict[str, dict[str, CellSpec]] = {}
    for cell in suite.cells:
        found.setdefault(cell.task.task, {}).setdefault(cell.label.removesuffix(", curriculum adaptive"), cell)
    return found


def test_the_wide_suite_has_the_recipes_of_the_study_and_other_models() -> None:
    study, wide = select("reference"), select("reference-wide")
    assert recipes_of(wide) < recipes_of(study), "so that a report shows them side by side"
    models = [{cell.model.model_dump_json() for cell in suite.cells} for suite in (study, wide)]
    assert not models[0] & models[1]


@pytest.mark.parametrize(
    "task", ["kinship", *(pytest.param(task, marks=pytest.mark.exhaustive) for task in ("ancestor", "pointer_chase"))]
)
def test_the_narrow_models_of_the_wide_suite_have_the_size_of_a_nest(task: str) -> None:
    study, models = by_task(select("reference"))[task], by_task(select("reference-wide"))[task]
    for order, deep, equal, near in ((2, "n_layers 2", 92, (84, 92)), (3, "n_layers 3", 76, (76, 80))):
        nest = study[f"nexus, order {order}, refine qk, d_model 128, n_heads 4"]
        same = models[f"standard, {deep}, d_model {equal}, n_heads 4"]
        assert parameters_of(same.model, same.task) == pytest.approx(parameters_of(nest.model, nest.task), rel=0.05)
        layers = [models[f"standard, {deep}, d_model {width}, n_heads 4"] for width in near]
        loops = [models[f"standard, {deep.replace('layers', 'loops')}, inject, d_model {w}, n_heads 4"] for w in near]
        for built in (layers, loops):
            ratios = [cost_of(one.model, one.task).counted / cost_of(nest.model, nest.task).counted for one in built]
            assert min(abs(ratio - 1) for ratio in ratios) < 0.05, (task, order)


def test_the_flat_suite_is_causal_with_rotary_positions_on_four_families() -> None:
    flat = select("reference-flat")
    assert {(cell.model.encoding, cell.model.position) for cell in flat.cells} == {("flat", "rope")}
    assert [len(models) for models in by_task(flat).values()] == [5] * 4


@pytest.mark.exhaustive
def test_the_page_of_the_study_says_cells_and_operations_of_the_suites_beside_it() -> None:
    page = (ROOT / "docs" / "reference_study.md").read_text()
    table = re.findall(r"^\| `([a-z-]+)` \| .{30,} \| ([\d,]+) \| (\S+) \|$", page, flags=re.MULTILINE)
    told = {name: (n_cells, operations) for name, n_cells, operations in table}
    assert set(told) == {"reference-wide", "reference-flat", "reference-lion", "crossed"}
    for name, (n_cells, operations) in told.items():
        suite = select(name)
        assert n_cells == f"{len(suite.cells) + suite.n_later:,}"
        trials = [(choice.trials[0][0], sum(map(len, choice.trials)) + len(suite.seeds)) for choice in suite.choices]
        trials = trials or [(cell, 1) for cell in suite.cells]
        costs = (
            n * cell.train.steps * cell.train.batch_size * cost_of(cell.model, cell.task).counted for cell, n in trials
        )
        assert operations == f"{sum(costs) / 1e15:.1f}"


def test_seeds_of_a_stored_dataset_are_of_weights_alone(tmp_path: Path) -> None:
    """So that five datasets and five seeds are crossed."""
    tests, weights = {}, {}
    for data_seed in (0, 1):
        spec = select("crossed", settings={"n_test": 8, "n_val": 30}).cells[0].task
        generate(tmp_path / f"d{data_seed}", spec, seed=data_seed, n_train=64, file_format="npz")
        suite = select("crossed", data=tmp_path / f"d{data_seed}", settings={"seeds": 2})
        cells = [cell for cell in suite.cells if cell.label == suite.cells[0].label]
        for cell, source in zip(cells, open_sources(cells, tmp_path / f"d{data_seed}"), strict=True):
            tests[data_seed, cell.seed] = source.held_out[TEST].examples.facts.tobytes()
            model = build_model(cell.model, source.law.schema, seq_len=16, seed=cell.seed)
            weights[data_seed, cell.seed] = next(model.parameters()).sum().item()
    assert tests[0, 0] == tests[0, 1] != tests[1, 0] == tests[1, 1]
    assert weights[0, 0] == weights[1, 0] != weights[0, 1] == weights[1, 1]


def test_matched_declares_every_order_against_all_of_its_baselines() -> None:
    suite = select("matched")
    declared = [(entry["model"], entry["baseline"]) for entry in suite.config["comparisons"]]
    cells = {(cell.task.task, cell.label): (cell.task, cell.model) for cell in suite.cells}
    expected = {
        (one.model.label.removesuffix(", refine qk"), baseline.model.label)
        for one in match(cells.values())
        for baseline in one.baselines
    }
    assert set(declared) == expected


@pytest.mark.parametrize("name", ["mechanisms", "mechanisms-flat"])
def test_mechanisms_have_about_equal_parameters(name: str) -> None:
    for models in list(by_task(select(name)).values())[:2]:
        sizes = [parameters_of(cell.model, cell.task) for cell in models.values()]
        assert len(sizes) == 11 and all(0.9 < size / sizes[0] < 1.12 for size in sizes)
