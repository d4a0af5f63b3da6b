import itertools
from pathlib import Path

import pytest

from nexus_bench.analysis.declared import read_declared
from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.experiment.suite import Suite, apply_settings, make_suite, select_suite
from nexus_bench.generators.base import Generator
from nexus_bench.io.config import Config, to_yaml
from nexus_bench.model.spec import make_model
from tests.suites import select

MINIMAL: Config = {
    "suite": "minimal",
    "tasks": [{"task": "pointer_chase", "hops": "1-2"}],
    "models": [{"attention": "nexus"}],
}


def test_lists_are_axes_and_the_last_varies_fastest() -> None:
    config = MINIMAL | {"train": {"lr": [1e-3, 3e-3]}, "seeds": [4, 2]}
    config["models"] = [{"attention": "nexus", "order": [1, 2]}]
    cells = make_suite(config, where="x").cells
    assert [(c.model.options["order"], c.train.lr, c.seed) for c in cells] == [
        (order, lr, seed) for order in (1, 2) for lr in (1e-3, 3e-3) for seed in (2, 4)
    ]


def of_two_recipes() -> Config:
    """Two tasks, of which the second is trained for longer, at several rates."""
    own = {"steps": 9, "lr": [1e-3, 3e-3]}
    tasks = [{"task": "pointer_chase", "hops": "1-2"}, {"task": "kinship", "hops": "1-2", "train": own}]
    return MINIMAL | {"tasks": tasks, "train": {"steps": 5, "batch_size": 4}}


def test_a_task_has_values_of_the_recipe_of_its_own() -> None:
    cells = make_suite(of_two_recipes(), where="x").cells
    assert [(c.task.task, c.train.steps, c.train.lr, c.train.batch_size) for c in cells] == [
        ("pointer_chase", 5, 3e-3, 4),
        ("kinship", 9, 1e-3, 4),
        ("kinship", 9, 3e-3, 4),
    ]


def test_a_setting_takes_the_place_of_what_a_task_has_of_its_own() -> None:
    config = of_two_recipes()
    cells = make_suite(apply_settings(config, {"steps": 3, "batch_size": 2}), where="x").cells
    assert {(c.train.steps, c.train.batch_size) for c in cells} == {(3, 2)}
    assert config == of_two_recipes(), "the configuration itself is as it was"


def test_one_task_of_a_suite_keeps_its_settings_and_its_recipe() -> None:
    for name in ("reference", "recipes"):  # alone in its entry, and one of a list
        whole, part = select(name), select(name, task="kinship")
        assert part.name == f"{name}-kinship"
        assert part.cells == tuple(cell for cell in whole.cells if cell.task.task == "kinship")
    assert {cell.task.params["n_nodes"] for cell in select(task="pointer_chase").cells} == {16}, "quick has 12"


def test_run_ids_name_cells_by_content() -> None:
    first, again = (make_suite(MINIMAL, where="x").cells[0].cell_id for _ in range(2))
    renamed = make_suite(MINIMAL | {"suite": "other", "summary": "x"}, where="x").cells[0].cell_id
    settings: list[Config] = [{"lr": 1e-2}, {"order": 3}, {"n_nodes": 9}, {"seeds": [5]}]
    changed = [make_suite(apply_settings(MINIMAL, one), where="x").cells[0].cell_id for one in settings]
    assert first == again == renamed
    assert len({first, *changed}) == 5


def test_settings_reach_the_value_of_their_name_wherever_it_stands() -> None:
    settings: Config = {"n_nodes": 13, "order": [1, 4], "d_model": 32, "steps": 7, "seeds": 2, "suite": "mine"}
    suite = select("quick", settings=settings)
    assert suite.name == "mine"
    assert {c.task.params["n_nodes"] for c in suite.cells} == {13}
    assert {c.model.options.get("order") for c in suite.cells} == {None, 1, 4}
    assert {(c.model.d_model, c.train.steps) for c in suite.cells} == {(32, 7)}
    assert {c.seed for c in suite.cells} == {0, 1}


QUICK: list[tuple[str, int | None]] = [("standard", None), ("nexus", 2), ("nexus", 3)]
STAIRCASE = [*QUICK, ("nexus", 4)]


@pytest.mark.parametrize(
    ("given", "name", "tasks", "models"),
    [
        ({"task": "reachable"}, "quick-reachable", ["reachable"], QUICK),
        ({"task": "reachable, kinship"}, "quick-reachable-kinship", ["reachable", "kinship"], QUICK),
        ({"task": "reachable", "attention": "nexus"}, "reachable-nexus", ["reachable"], QUICK),
        ({"task": "reachable", "attention": "standard,nexus"}, "reachable-standard-nexus", ["reachable"], QUICK),
        ({"attention": "tree"}, "quick-tree", ["pointer_chase"], [("standard", None), ("tree", None)]),
        (
            {"attention": "nexus", "settings": {"order": [1, 4]}},
            "quick-nexus",
            ["pointer_chase"],
            [("nexus", 1), ("nexus", 4)],
        ),
        ({"suite": "staircase", "task": "kinship"}, "staircase-kinship", ["kinship"], STAIRCASE),
        ({"suite": "matched", "attention": "standard"}, "matched-standard", ["pointer_chase"], [("standard", None)]),
    ],
)
def test_tasks_and_attentions_take_the_place_of_those_of_a_suite(
    given: Config, name: str, tasks: list[str], models: list[tuple[str, int | None]]
) -> None:
    """An attention brings its baseline, unless the orders are given; a task alone is asked of the models of quick."""
    suite = select(**given)
    assert suite.name == name
    assert list(dict.fromkeys(cell.task.task for cell in suite.cells)) == tasks
    found = [(cell.model.attention, cell.model.options.get("order")) for cell in suite.cells]
    assert list(dict.fromkeys(found)) == models


def test_a_suite_can_be_made_on_the_spot() -> None:
    cells = select(task="pointer_chase", attention="nexus", settings={"order": [1, 2], "hops": [1, 2]}).cells
    assert [(c.model.options["order"], c.seed) for c in cells] == [(o, s) for o in (1, 2) for s in (0, 1, 2)]


def test_a_dataset_takes_the_place_of_the_tasks(dataset_folder: Path, small_task: Generator) -> None:
    suite = select("quick", data=dataset_folder)
    assert suite.name == "quick-data"
    assert {c.task.hops for c in suite.cells} == {small_task.hops}
    assert all(c.task.content_sha256 for c in suite.cells)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modles": []}, "x: unknown key 'modles'; did you mean 'models'?"),
        ({"suite": None}, "x: suite must be letters"),
        ({"suite": "../x"}, r"x: suite must be letters, .* got '\.\./x'"),
        ({"tasks": []}, "x: tasks must be a list of entries, each beginning with `- task: ...`"),
        ({"tasks": [{"hops": 1}]}, "x: every entry needs a name under `task`, got None"),
        ({"tasks": [{"task": "pointer_chaze"}]}, "unknown task 'pointer_chaze'; did you mean 'pointer_chase'?"),
        ({"tasks": [{"task": "../x"}]}, r"unknown task '\.\./x'"),
        ({"tasks": [{"task": "pointer_chase", "n_node": 3}]}, "unknown key 'n_node'; did you mean 'n_nodes'?"),
        (
            {"tasks": [{"task": "pointer_chase", "n_train": 3}]},
            "there is no n_train, training draws new graphs at every",
        ),
        ({"tasks": [{"task": "pointer_chase", "hops": "3-1"}]}, "x: pointer_chase: hops '3-1' run backwards"),
        (
            {"tasks": [{"task": "pointer_chase", "hops": "7"}]},
            r"hops must be in 1\.\.5, got 7; raise n_nodes from 16 to 21",
        ),
        (
            {"tasks": [{"task": "pointer_chase", "n_test": 0}]},
            "n_test: input should be greater than or equal to 1, got 0",
        ),
        ({"models": [{"attention": "nexsu"}]}, "unknown attention 'nexsu'; did you mean 'nexus'?"),
        ({"models": [{"attention": "standard", "order": 2}]}, "x: standard: unknown key 'order'"),
        ({"models": [{"attention": "nexus", "order": 0}]}, "order: input should be greater than or equal to 1, got 0"),
        (
            {"models": [{"attention": "nexus", "refine": "v"}]},
            "refine: input should be 'q', 'k', 'qk' or 'qkv', got 'v'",
        ),
        ({"models": [{"attention": "nexus", "order": "2"}]}, "order: input should be a valid integer, got '2'"),
        ({"models": [{"attention": "nexus", "order": []}]}, "order is an empty list"),
        ({"models": [{"attention": "nexus", "order": [2, 2]}]}, "the grid holds the same cell twice: .*order 2"),
        ({"model": {"d_model": 65}}, r"x: nexus: n_heads must divide d_model \(65\): 1, 5, 13, 65; got 2"),
        ({"train": {"lr": "fast"}}, "x: train: lr: input should be a valid number, got 'fast'"),
        ({"train": {"step": 5}}, "x: train: unknown key 'step'; did you mean 'steps'?"),
        ({"train": 5}, "x: train must hold `key: value` lines, got 5"),
        ({"tasks": [{"task": "kinship", "train": 5}]}, "x: kinship: train must hold `key: value` lines, got 5"),
        (
            {"tasks": [{"task": "kinship", "train": {"step": 5}}]},
            "x: kinship: train: unknown key 'step'; did you mean 'steps'?",
        ),
        ({"tasks": [{"task": "kinship", "train": {"lr": []}}]}, "x: kinship: train: lr is an empty list; give at"),
        (
            {"tune": {"lr": [1, 2]}, "tasks": [{"task": "kinship", "train": {"lr": 1}}]},
            "x: lr is tuned, and given under train as well; omit it there",
        ),
        (
            {"tasks": [{"task": "kinship", "train": {"steps": list(range(1, 20001))}}], "seeds": 6},
            "x: a suite has at most 100,000 cells, got 120,000; divide it",
        ),
        (
            {"seeds": 0},
            r"x: seeds must be a count from 1 to 100000, or a list of integers from 0 to 2\*\*63 - 1, got 0",
        ),
        ({"seeds": [1, 1]}, r"x: seeds \[1, 1\] contain a seed twice; remove one"),
        ({"tune": 5}, r"x: tune must be such as `{lr: \[1e-3, 3e-3\], seeds: 2}`, or false, got 5"),
        ({"tune": {"seeds": 2}}, "x: tune must be such as"),
        ({"tune": {"lrr": [1, 2]}}, "x: tune: unknown key 'lrr'; did you mean 'lr'?"),
        ({"tune": {"lr": 1e-3}}, "x: tune: lr must be a list of two or more values, got 0.001"),
        ({"tune": {"lr": [1e-3, -1]}}, "x: train: lr: input should be greater than 0, got -1"),
        ({"tune": {"lr": [1e-3, 1e-3]}}, "x: tune: lr holds 0.001 twice; remove one"),
        ({"tune": {"lr": [1, 2], "seeds": 0}}, "x: tune: seeds must be a count from 1 to 10000, got 0"),
        ({"tune": {"lr": [1, 2]}, "train": {"lr": 1}}, "x: lr is tuned, and given under train as well; omit it there"),
        ({"comparisons": "all"}, "x: comparisons must be `matched`, or a list of entries such as .*, got 'all'"),
        ({"comparisons": []}, r"x: comparisons must be .*, got \[\]"),
        ({"comparisons": [{"model": "nexus"}]}, "x: comparisons must be .*, got {'model': 'nexus'}"),
        (
            {"comparisons": [{"model": "nexus", "baseline": "standard"}]},
            "x: comparisons: 'standard' selects no model of: nexus, order 2, refine qk; name exactly one, or declare",
        ),
        (
            {"comparisons": [{"model": "nexus", "baseline": "order 2"}]},
            "x: comparisons: 'nexus' with 'order 2' compares a model with itself; remove it",
        ),
    ],
)
def test_a_wrong_suite_is_refused_in_one_line(change: Config, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        make_suite(MINIMAL | change, where="x")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"suite": "quik"}, ConfigError, "unknown suite 'quik'; did you mean 'quick'?"),
        ({"suite": "../x"}, ConfigError, r"suite '\.\./x' is neither a \.yaml file nor a bundled name"),
        ({"task": "pointer_chaze"}, ConfigError, "unknown task 'pointer_chaze'; did you mean 'pointer_chase'?"),
        ({"attention": "nexsu"}, ConfigError, "unknown attention 'nexsu'; did you mean 'nexus'?"),
        ({"settings": {"stepz": 1}}, ConfigError, "unknown setting 'stepz'; did you mean 'steps'?"),
        ({"data": Path("x"), "task": "y"}, UsageError, "--data determines task and hops"),
    ],
)
def test_a_wrong_command_line_is_refused(options: Config, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        select(**options)


def test_models_that_differ_have_names_that_differ() -> None:
    axes = {
        "order": [2, 3],
        "inner": ["reproject", "direct"],
        "combine": ["none", "norm"],
        "refine": ["q", "k"],
        "share": ["shared", "unshared"],
        "encoding": ["fact", "flat"],
        "position": ["none", "learned", "rope"],
        "n_layers": [1, 2],
        "n_loops": [1, 2],
    }
    points = [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]
    labels = {make_model({"attention": "nexus", **point}, where="test").label for point in points}
    assert len(labels) == len(points)


def declaring(*pairs: tuple[str, str]) -> Suite:
    config = MINIMAL | {"models": [{"attention": "standard", "n_layers": [1, 2]}, {"attention": "nexus"}]}
    comparisons = [{"model": model, "baseline": baseline} for model, baseline in pairs]
    return make_suite(config | {"comparisons": comparisons}, where="x")


def test_a_comparison_names_models_by_whole_labels_or_by_parts_of_them() -> None:
    assert len(declaring(("nexus", "standard"), ("order 2, nexus", "n_layers 2")).cells) == 3
    with pytest.raises(ConfigError, match="'refine q' selects no model of: standard; standard, n_layers 2; nexus"):
        declaring(("refine q", "standard"))
    with pytest.raises(ConfigError, match="'standard' with 'nexus' is declared twice; remove it"):
        declaring(("nexus", "standard"), ("standard", "nexus"))


def test_comparisons_can_be_declared_in_order() -> None:
    pair = {"model": "nexus, order 2", "baseline": "nexus, order 1"}
    config = MINIMAL | {"models": [{"attention": "nexus", "order": [1, 2]}]}
    assert make_suite(config | {"comparisons": {"in_order": [pair]}}, where="x").cells
    assert read_declared({"in_order": [pair]}, where="x") == read_declared([pair], where="x")._replace(in_order=True)
    for wrong in ({"in_order": []}, {"in_order": [pair], "more": 1}, {"in_ordre": [pair]}, {"in_order": "matched"}):
        with pytest.raises(ConfigError, match="x: comparisons must be `matched`, or a list of entries such as"):
            read_declared(wrong, where="x")


def test_a_comparison_finds_its_models_whatever_their_curriculum() -> None:
    models = {"models": [{"attention": "standard", "n_layers": [1, 2]}, {"attention": "nexus"}]}
    tasks = [{"task": "pointer_chase"}, {"task": "kinship", "train": {"curriculum": "adaptive"}}]
    declared = {"comparisons": [{"model": "nexus", "baseline": "standard"}]}
    assert make_suite(MINIMAL | models | declared | {"tasks": tasks}, where="x").cells
    with pytest.raises(ConfigError, match="'nexus' selects 2 models"):
        two = [{"task": "kinship", "train": {"curriculum": ["staged", "adaptive"]}}]
        make_suite(MINIMAL | models | declared | {"tasks": two}, where="x")


def test_a_comparison_of_several_models_is_refused() -> None:
    config = MINIMAL | {"models": [{"attention": "standard"}, {"attention": "nexus", "order": [2, 3]}]}
    with pytest.raises(ConfigError, match=r"'nexus' selects 2 models \(nexus, order 2.*; nexus, order 3.*\); name"):
        make_suite(config | {"comparisons": [{"model": "nexus", "baseline": "standard"}]}, where="x")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my data", "quick-my-data"),
        ("d\u00fcnn (2)", "quick-d-nn-2-"),
        ("\u6570\u636e", "quick--"),
        ("d.1_a-b", "quick-d.1_a-b"),
        ("x" * 200, "quick-" + "x" * 94),
    ],
)
def test_a_suite_on_a_dataset_has_an_allowed_name_and_keeps_it(folder: str, name: str, dataset_folder: Path) -> None:
    data = dataset_folder.rename(dataset_folder.with_name(folder))
    config, where = select_suite("quick", task=None, attention=None, data=data, settings={})
    assert make_suite(config, where=where).name == name
    path = data.with_name("again.yaml")
    path.write_text(to_yaml(config))
    assert select(str(path), data=data).name == name
