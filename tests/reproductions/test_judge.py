import math
from typing import Any

import pytest

from nexus_bench.errors import ConfigError
from nexus_bench.io.config import Config, parse_yaml
from nexus_bench.io.entries import validate
from nexus_bench.reproductions.claim_page import measured, seeds
from nexus_bench.reproductions.judge import check_figures, judge
from nexus_bench.reproductions.spec import Reproduction, bundled_reproductions, read_reproduction
from nexus_bench.reproductions.verdict import FAILS, HOLDS, IN_PART, OPEN
from tests.reproduced import ONE_LAYER, TOY, TWO_LAYERS, TWO_LOOPS, planted

GOOD, POOR = [0.985, 0.986, 0.987], [0.30, 0.31, 0.32]


def toy(change: Config | None = None) -> Reproduction:
    """The toy, with other values in its first figure."""
    config = parse_yaml(TOY, where="toy")
    if change is not None:
        config["scales"]["small"]["checks"][0]["figures"][0] = change
    return validate(Reproduction, config, where="toy")


def test_a_claim_holds_if_all_of_its_figures_do() -> None:
    found = judge(toy(), "small", planted(toy(), {ONE_LAYER: POOR, TWO_LAYERS: GOOD, TWO_LOOPS: GOOD}))
    assert [one.verdict for one in found.figures] == [HOLDS] * 4
    assert found.checks == [HOLDS] * 3 and found.verdict == HOLDS and found.n_missing == 0
    first, reach, *_ = (one.row for one in found.figures)
    assert first["mean"] == pytest.approx(0.986) and first["seeds"] == GOOD and first["hops"] == "2"
    assert first["low"] < 0.985 < 0.987 < first["high"]
    assert reach["mean"] == 2 and reach["low"] == 2, "on every seed two hops further"


def test_a_claim_holds_in_part_if_a_figure_does_not() -> None:
    found = judge(toy(), "small", planted(toy(), {ONE_LAYER: POOR, TWO_LAYERS: GOOD, TWO_LOOPS: POOR}))
    assert [one.verdict for one in found.figures] == [HOLDS, HOLDS, FAILS, HOLDS]
    assert found.checks == [HOLDS, IN_PART, HOLDS] and found.verdict == IN_PART


def test_a_claim_does_not_hold_if_no_figure_does() -> None:
    found = judge(toy(), "small", planted(toy(), {ONE_LAYER: GOOD, TWO_LAYERS: POOR, TWO_LOOPS: GOOD}))
    assert found.checks[:2] == [FAILS, FAILS]
    assert found.figures[1].row["mean"] == -2


def test_a_claim_is_not_decided_if_seeds_are_missing_or_spread() -> None:
    good = {ONE_LAYER: POOR, TWO_LAYERS: GOOD, TWO_LOOPS: GOOD}
    spread = judge(toy(), "small", planted(toy(), good | {TWO_LAYERS: [0.6, 0.97, 0.99]}))
    assert spread.figures[0].verdict == OPEN and spread.n_missing == 0
    missing = judge(toy(), "small", planted(toy(), good | {TWO_LAYERS: GOOD[:2]}))
    assert [one.verdict for one in missing.figures] == [OPEN, OPEN, HOLDS, HOLDS] and missing.verdict == OPEN
    assert [one.row["n_missing"] for one in missing.figures] == [1, 1, 0, 0]
    nothing = judge(toy(), "small", planted(toy(), good | {TWO_LAYERS: []}))
    assert nothing.figures[0].row["n_seeds"] == 0 and math.isnan(nothing.figures[0].row["mean"])


def test_a_failed_cell_is_a_missing_seed_and_no_zero() -> None:
    rows = planted(toy(), {ONE_LAYER: POOR, TWO_LAYERS: [0.97, math.nan, 0.99], TWO_LOOPS: GOOD})
    found = judge(toy(), "small", rows).figures[0]
    assert found.verdict == OPEN and found.row["mean"] == pytest.approx(0.98) and found.row["n_missing"] == 1


def test_seeds_that_failed_are_told_from_those_not_trained_yet() -> None:
    """Also where a failed cell has no rows of what was asked later."""
    rows = planted(toy(), {ONE_LAYER: POOR[:1], TWO_LAYERS: [math.nan] * 3, TWO_LOOPS: [0.9, 0.9, math.nan]})
    rows = rows.assign(status=rows["status"].where(rows["accuracy"].notna(), "failed"))
    rows = rows[(rows["split"] != "eval_loops3") | rows["accuracy"].notna()]
    found = judge(toy(), "small", rows).figures
    assert [(measured(one), seeds(one)) for one in found] == [
        ("failed", "0 of 3, 3 failed"),
        ("failed", "0 of 3, 3 failed"),
        ("+0.00", "1 of 3, 1 failed"),
        ("+0.000", "2 of 3, 1 failed"),
    ]
    nothing = judge(toy(), "small", planted(toy(), {ONE_LAYER: POOR, TWO_LAYERS: [], TWO_LOOPS: GOOD})).figures[0]
    assert (measured(nothing), seeds(nothing)) == ("not trained", "0 of 3")


def test_the_recipe_is_chosen_on_validation_alone() -> None:
    config = parse_yaml(TOY, where="toy")
    config["scales"]["small"]["suite"]["train"]["lr"] = [0.001, 0.003]
    made = validate(Reproduction, config, where="toy")
    rows = planted(made, {ONE_LAYER: POOR, TWO_LAYERS: GOOD, TWO_LOOPS: GOOD})
    worse_on_test = (rows["lr"] == 0.001) & (rows["split"] == "test")  # the first, so that the last would not do
    better_on_val = (rows["lr"] == 0.001) & (rows["split"] == "val")
    rows.loc[worse_on_test, "accuracy"], rows.loc[better_on_val, "accuracy"] = 0.2, 1.0
    assert judge(made, "small", rows).figures[0].row["seeds"] == [0.2, 0.2, 0.2]


@pytest.mark.parametrize(
    ("relation", "accepted", "said"),
    [
        ({"equals": 0.4, "within": 0.1}, (0.3, 0.5), "0.4 ± 0.1"),
        ({"at_least": 0.95}, (0.95, math.inf), "at least 0.95"),
        ({"at_least": 0.95, "within": 0.01}, (0.94, math.inf), "at least 0.95, within 0.01"),
        ({"at_most": 0.3, "within": 0.1}, (-math.inf, 0.4), "at most 0.3, within 0.1"),
        ({"above": {"n_layers": 1}, "by": 0.05}, (0.05, math.inf), "above n_layers 1 by 0.05 or more"),
        ({"near": {"n_layers": 1}, "within": 0.05}, (-0.05, 0.05), "like n_layers 1, within 0.05"),
        ({"not_below": {"n_layers": 1}, "within": 0.05}, (-0.05, math.inf), "not below n_layers 1, within 0.05"),
    ],
)
def test_a_relation_accepts_and_says_what_the_page_has(
    relation: Config, accepted: tuple[float, float], said: str
) -> None:
    made = toy({"where": {"n_layers": 2, "n_loops": 1}} | relation)
    assert made.scale("small").checks[0].figures[0].accepted == pytest.approx(accepted)
    results = planted(made, {ONE_LAYER: POOR, TWO_LAYERS: GOOD, TWO_LOOPS: GOOD})
    assert judge(made, "small", results).figures[0].claimed == said


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ({"where": {"n_layers": 3}, "at_least": 1}, "check 1, figure 1: no row has split test, n_layers 3"),
        ({"where": {"attention": "standard"}, "at_least": 1}, "selects 3 sets of rows, with model"),
        ({"where": {"n_layers": 2}, "hops": 7, "at_least": 1}, "hops 7 are not evaluated, only 1-2"),
        ({"where": {"n_layers": 2}, "above": {"n_layers": 5}, "by": 1}, "no row has split test, n_layers 5"),
        ({"at_least": 1, "at_most": 2}, "figures.0: a figure has one of .* got at_least and at_most"),
        ({"where": {}}, "got 0"),
        ({"above": {"n_loops": 1}}, "`by`, more than 0, goes with `above`"),
        ({"at_least": 1, "by": 1}, "`by`, more than 0, goes with `above`"),
        ({"near": {"n_loops": 1}}, "near needs `within`"),
        ({"at_leest": 1}, "toy: scales.small.checks.0.figures.0: unknown key 'at_leest'; did you mean 'at_least'"),
        ({"hops": "2-1", "at_least": 1}, "figures.0.hops: hops '2-1' run backwards"),
        ({"where": {"n_layers": 2}, "at_least": 1.5}, "figure 1: at_least must be in 0..1 for accuracy, got 1.5"),
        ({"where": {"n_layers": 2}, "equals": -0.1}, "equals must be in 0..1 for accuracy, got -0.1"),
        (
            {"where": {"n_layers": 2}, "above": {"n_layers": 1, "n_loops": 1}, "by": 2},
            "by must be in 0..1 for accuracy",
        ),
        ({"where": {"n_layers": 2}, "at_least": 0.5, "within": 0.5}, "every accuracy is accepted; claim something"),
        (
            {"where": {"n_layers": 2, "seed": 0}, "at_least": 1},
            "figure 1: .*seed 0 selects a part of the rows of a model",
        ),
        ({"where": {"n_layers": 2, "hop": 2}, "at_least": 1}, "hop 2 selects a part .* hops are named by `hops`"),
        ({"where": {"n_layers": 2, "status": "failed"}, "at_least": 1}, "no row has .* status failed"),
        ({"where": {"n_layers": 2, "mode": "single"}, "at_least": 1}, "no row has .* mode single"),
    ],
)
def test_a_figure_that_says_nothing_is_refused(figure: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_figures(toy(figure), "small")


def test_one_of_several_recipes_is_not_selected_as_validation_chooses() -> None:
    config = parse_yaml(TOY, where="toy")
    config["scales"]["small"]["suite"]["train"]["lr"] = [1e-3, 1e-2]
    check_figures(validate(Reproduction, config, where="toy"), "small")
    config["scales"]["small"]["checks"][0]["figures"][0]["where"]["lr"] = 1e-2
    with pytest.raises(ConfigError, match=r"check 1, figure 1: .*lr 0\.01 selects a part .* the best on validation"):
        check_figures(validate(Reproduction, config, where="toy"), "small")


def test_a_figure_is_compared_with_the_same_hops() -> None:
    config = parse_yaml(TOY, where="toy")
    at = config["scales"]["small"]
    at["ask"] += [{"cells": "n_layers 2", "hops": "1"}]
    at["checks"][0] |= {"hops": None}
    figure = {"where": {"n_layers": 2}, "not_below": {"split": "eval_hops1"}, "within": 0.1}
    at["checks"][0]["figures"] = [figure]
    with pytest.raises(
        ConfigError, match=r"check 1, figure 1: is of hops 1-2, .* compared with of hops 1; name `hops`"
    ):
        check_figures(validate(Reproduction, config, where="toy"), "small")
    figure["hops"] = 1
    check_figures(validate(Reproduction, config, where="toy"), "small")


def test_a_reach_above_the_hops_asked_is_refused() -> None:
    config = parse_yaml(TOY, where="toy")
    check = config["scales"]["small"]["checks"][1]
    check["figures"][0] = {"where": {"n_layers": 2}, "at_least": 3}
    with pytest.raises(ConfigError, match=r"check 2, figure 1: at_least must be in 0\.\.2 for reach, got 3"):
        check_figures(validate(Reproduction, config, where="toy"), "small")
    check["figures"][0] = {"where": {"n_layers": 2}, "at_least": 2}
    check_figures(validate(Reproduction, config, where="toy"), "small")
    check["measure"] = "loss"
    check["figures"][0] = {"where": {"n_layers": 2}, "at_most": 3}
    check_figures(validate(Reproduction, config, where="toy"), "small")
    check["figures"][0] = {"where": {"n_layers": 2}, "at_most": -1}
    with pytest.raises(ConfigError, match="at_most must be 0 or more for loss, got -1"):
        check_figures(validate(Reproduction, config, where="toy"), "small")


@pytest.mark.parametrize(
    ("cells", "asked", "said"),
    [
        (
            "n_loops 2",
            {"n_facts": 20},
            "reproduction toy: small: ask: .*n_loops 2.*: learned 8 positions, 20 are needed; use fewer facts",
        ),
        ("n_layers 2", {"loops": 3}, "ask: .*n_layers 2.*: loops asks models .* with loops; choose them by cells"),
    ],
)
def test_a_question_that_a_model_cannot_take_is_refused_before_anything_is_trained(
    cells: str, asked: Config, said: str
) -> None:
    config = parse_yaml(TOY, where="toy")
    at = config["scales"]["small"]
    at["suite"]["tasks"] = [{"task": "hop_k", "hops": "1-2", "n_tokens": 8, "n_symbols": 3, "n_val": 40, "n_test": 40}]
    at["ask"] = [{"cells": "n_loops 2", "loops": 3}]
    check_figures(validate(Reproduction, config, where="toy"), "small")
    at["ask"] += [{"cells": cells} | asked]
    with pytest.raises(ConfigError, match=said):
        check_figures(validate(Reproduction, config, where="toy"), "small")
    at["suite"]["model"]["position"] = "none"
    if "n_facts" in asked:
        check_figures(validate(Reproduction, config, where="toy"), "small")


@pytest.mark.parametrize("name", bundled_reproductions())
def test_every_bundled_reproduction_selects_rows_that_its_suites_give(name: str) -> None:
    made = read_reproduction(name)
    assert made.reproduction == name and set(made.scales) == {"small", "published"}
    for scale in made.scales:
        check_figures(made, scale)
        suite = made.suite(scale)
        assert len(suite.seeds) >= 3, "fewer decide nothing"
        assert "split" not in suite.config and made.scale(scale).about.endswith(".")


def test_the_reproductions_of_the_issue_are_there() -> None:
    names = {
        "brevo",
        "crasp-depth",
        "mano",
        "depth-log-k",
        "grokking",
        "hops-alone",
        "delta-s3",
        "mqar",
        "loops",
        "tree-composition",
    }
    assert names <= set(bundled_reproductions())
    with pytest.raises(ConfigError, match="unknown reproduction 'mqr'; did you mean 'mqar'"):
        read_reproduction("mqr")


def test_questions_are_of_the_cells_that_they_name_and_figures_of_two_sides() -> None:
    config = parse_yaml(TOY, where="toy")
    config["scales"]["small"]["ask"][0]["cells"] = "nothing here"
    with pytest.raises(ConfigError, match="ask: no cell of the suite is 'nothing here'; name parts"):
        check_figures(validate(Reproduction, config, where="toy"), "small")
    unasked = {"where": {"n_layers": 2, "split": "eval_loops3"}, "at_least": 0.5}
    with pytest.raises(ConfigError, match="check 1, figure 1: no row has"):
        check_figures(toy(unasked), "small")
    same = {"where": {"n_layers": 2}, "near": {"n_layers": 2}, "within": 0.1}
    with pytest.raises(ConfigError, match="check 1, figure 1: is compared with itself; name what differs under near"):
        check_figures(toy(same), "small")
