"""Recipes in a report: what was chosen, from what, and that tuning stands in no table."""

import pandas as pd
import pytest

from nexus_bench.errors import ConfigError
from tests.made import cells_of, report_of, table, tables_of


def test_a_learning_rate_chosen_on_validation_is_said() -> None:
    report = report_of(table(("a", 0.1, 0, {1: 0.5}), ("a", 0.2, 0, {1: 0.6})))
    assert "Learning rates chosen on validation from 0.1, 0.2: a: 0.2." in report.sections[0].notes
    assert "The best learning rate of a lies at the edge of the grid: 0.1, 0.2." in report.sections[0].notes


def test_a_learning_rate_inside_of_the_grid_needs_no_warning() -> None:
    results = table(*(("a", lr, 0, {1: accuracy}) for lr, accuracy in ((0.1, 0.5), (0.2, 0.9), (0.4, 0.6))))
    notes = report_of(results).sections[0].notes
    assert "Learning rates chosen on validation from 0.1, 0.2, 0.4: a: 0.2." in notes
    assert "edge" not in " ".join(notes)


def tuned() -> pd.DataFrame:
    """Two models, tuned on seeds 2 and 3 over three rates, and measured on seeds 0 and 1."""
    tuning = table(
        *(("a", lr, seed, {1: by_lr}) for lr, by_lr in ((0.1, 0.5), (0.2, 0.9), (0.4, 0.6)) for seed in (2, 3)),
        *(("b", lr, seed, {1: by_lr}) for lr, by_lr in ((0.1, 0.7), (0.2, 0.6), (0.4, 0.6)) for seed in (2, 3)),
    )
    measured = table(*((model, lr, seed, {1: 0.25}) for model, lr in (("a", 0.2), ("b", 0.1)) for seed in (0, 1)))
    return pd.concat([tuning.assign(purpose="tuning"), measured.assign(purpose="measured")], ignore_index=True)


def test_cells_of_tuning_at_seeds_that_another_run_measures_choose_nothing() -> None:
    other = table(*((model, lr, seed, {1: 0.25}) for model, lr in (("a", 0.2), ("b", 0.1)) for seed in (3, 4)))
    both = pd.concat([tuned(), other.assign(purpose="measured")], ignore_index=True)
    both.loc[(both["purpose"] == "tuning") & (both["seed"] == 3), "cell_id"] += "-tuning"
    assert report_of(both).sections[0].notes[0].startswith("Learning rates chosen on validation of 1 other seed ")


def test_recipes_are_told_of_which_all_tuning_was_at_seeds_that_another_run_measures() -> None:
    lion = {"recipe_options": "optimizer=lion"}
    other = table(*(("a", 0.05, seed, {1: 0.95}) for seed in (0, 1))).assign(purpose="measured", **lion)
    trials = table(*(("a", lr, 1, {1: 0.9}) for lr in (0.05, 0.1))).assign(purpose="tuning", **lion)
    for results in (other, trials):
        results["cell_id"] += f"-lion-{results['purpose'][0]}"
    first = tuned().query("model == 'a'")
    notes = report_of(pd.concat([first, trials, other], ignore_index=True)).sections[0].notes
    assert notes[0] == (
        "Recipes (learning rate and options) chosen on validation of 2 other seeds from 0.05, 0.1, 0.2, 0.4: "
        "a: lr=0.05, optimizer=lion."
    )


def test_tuning_is_told_and_stands_in_no_table() -> None:
    report = report_of(tuned())
    (section,) = report.sections
    assert section.notes[:2] == [
        "Learning rates chosen on validation of 2 other seeds from 0.1, 0.2, 0.4: a: 0.2; b: 0.1.",
        "The best learning rate of b lies at the edge of the grid: 0.1, 0.2, 0.4.",
    ]
    assert [row[:3] for row in cells_of(tables_of(section)["seeds"])] == [
        [model, seed, "0.250"] for model in "ab" for seed in "01"
    ]
    assert list(report.accuracy["mean"]) == [0.25, 0.25] and list(report.accuracy["n_seeds"]) == [2, 2]


def test_cells_that_choose_and_failed_are_told() -> None:
    """They stand in no table, and a rate is not chosen by them."""
    results = tuned()
    is_lost = (results["purpose"] == "tuning") & (results["seed"] == 3) & (results["model"] == "b")
    results["accuracy"] = results["accuracy"].mask(is_lost & (results["lr"] > 0.1))
    results["status"] = results["status"].mask(is_lost & (results["lr"] > 0.1), "failed")
    said = "Of the cells that choose, 2 of b failed: a recipe of which one fails comes after all others."
    assert said in report_of(results).sections[0].notes
    results["accuracy"], results["status"] = (
        results["accuracy"].mask(is_lost),
        results["status"].mask(is_lost, "failed"),
    )
    said = "Of the cells that choose, 3 of b failed: no recipe was without, so the choice says little."
    notes = report_of(results).sections[0].notes
    assert said in notes and not any("of a failed" in note for note in notes)


def test_failed_cells_of_a_rate_that_is_not_shown_are_told() -> None:
    cells = [("a", 0.1, 0, {1: 0.5}), ("a", 0.1, 1, {1: 0.5}), ("a", 0.2, 0, {1: 0.9}), ("a", 0.2, 1, {1: None})]
    notes = report_of(table(*cells)).sections[0].notes
    assert "Learning rates chosen on validation from 0.1, 0.2: a: 0.1." in notes
    assert any(note.startswith("Of the cells that choose, 1 of a failed") for note in notes)
    assert not any("cells that choose" in note for note in report_of(table(*cells[2:])).sections[0].notes)


def test_a_run_that_is_still_being_tuned_has_no_report() -> None:
    results = tuned()
    with pytest.raises(ConfigError, match="these results are of tuning alone, which a report does not show; run"):
        report_of(results[results["purpose"] == "tuning"])


def test_a_cell_that_one_run_measured_and_another_tuned_with_is_measured() -> None:
    results = tuned()
    measured = results[results["purpose"] == "measured"]
    both = pd.concat([measured.assign(purpose="tuning"), results], ignore_index=True)
    assert report_of(both).accuracy.equals(report_of(results).accuracy)


def test_values_of_the_recipe_are_chosen_among_and_said() -> None:
    results = pd.concat(
        [
            table(("a", 0.1, 0, {1: accuracy})).assign(
                cell_id=f"c{decay}", recipe_options=f"clip_norm=1.0; weight_decay={decay}"
            )
            for decay, accuracy in ((0.0, 0.2), (0.1, 0.7))
        ],
        ignore_index=True,
    )
    report = report_of(results)
    assert [cells_of(section.tables[1])[0][:3] for section in report.sections] == [["a", "0.0", "0.700"]]
    said = "Recipes (learning rate and options) chosen on validation from 0.1: a: lr=0.1, weight_decay=0.1."
    assert said in report.sections[0].notes
