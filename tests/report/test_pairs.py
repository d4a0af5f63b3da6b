"""Pairs of models in a report: declared comparisons, those of equal size, all others."""

import pandas as pd

from nexus_bench.analysis.compare_models import Declaration
from nexus_bench.analysis.declared import Declared, DeclaredComparison
from nexus_bench.report.build import Report, build_report
from nexus_bench.report.output import to_markdown
from tests.made import cells_of, curve, report_of, table, tables_of


def test_too_few_seeds_are_told_and_nothing_is_called_better(results: pd.DataFrame) -> None:
    section = report_of(results).sections[0]
    assert section.notes[-1] == (
        "Exploration, not declared before training, by one comparison of hop reach: no model is called better where "
        "fewer than 6 seeds are paired. With so few, no outcome of one comparison of hop reach could differ "
        "significantly from chance (there is 1; 1 comparison needs 6 seeds)."
    )
    assert [row.cells[-1] for row in tables_of(section)["comparisons"].rows] == ["too few seeds"]
    assert "better" not in to_markdown(report_of(results)).replace(section.notes[-1], "")


def test_where_models_have_different_numbers_of_seeds_both_are_told() -> None:
    seeds_of = {"a": 3, "b": 3, "c": 1}
    results = table(*((name, 0.1, seed, {1: 1.0, 2: 0.1}) for name, n in seeds_of.items() for seed in range(n)))
    (section,) = report_of(results).sections
    assert section.notes[-1].endswith("(there are 1 to 3; 3 comparisons need 7 seeds).")
    assert any(
        "and 1 to 3 seeds are too few (1 comparison needs 6 seeds)" in clause for clause in open_clauses(results)
    )


def open_clauses(results: pd.DataFrame) -> list[str]:
    return to_markdown(report_of(results)).splitlines()


def test_enough_seeds_say_which_model_reaches_further() -> None:
    cells = [("a", 0.1, seed, {1: 1.0, 2: 0.1}) for seed in range(6)] + [
        ("b", 0.1, seed, {1: 1.0, 2: 1.0}) for seed in range(6)
    ]
    section = report_of(table(*cells)).sections[0]
    assert section.notes[-1] == (
        "Exploration, not declared before training, by one comparison of hop reach (exact paired test, Holm): reaches "
        "further: b than a."
    )
    every = tables_of(section)["comparisons"]
    assert every.title == "Every pair (exploration)"
    assert cells_of(every) == [["b", "a", "+1.0", "2.0", "1.0", "6", "6 / 0", "0.031", "0.031", "better"]]


def orders() -> pd.DataFrame:
    """Orders 1 to 3 that each reach as many hops, on 7 seeds."""
    models = {"standard": 1, "nexus, order 2": 2, "nexus, order 3": 3}
    cells = [
        (model, 0.1, seed, {hop: 1.0 if hop <= order else 0.1 for hop in (1, 2, 3)})
        for model, order in models.items()
        for seed in range(7)
    ]
    results = table(*cells)
    return results.assign(order=results["model"].map(models).astype("Int64"))


def declaring(results: pd.DataFrame, *asked: tuple[str, str], equal_size: bool = False) -> Declaration:
    declared = Declared(tuple(DeclaredComparison(*pair) for pair in asked), equal_size=equal_size)
    return Declaration(declared, frozenset(results["cell_id"]))


def test_declared_comparisons_are_a_family_of_their_own() -> None:
    results = orders()
    asked = [("order 2", "standard"), ("order 3", "order 2")]
    report = build_report(results, curve(results), [declaring(results, *asked)])
    (section,) = report.sections
    size, tested = "parameters and compute", ("0.016", "0.031", "better")
    assert cells_of(tables_of(section)["declared"]) == [
        ["nexus, order 2", size, "standard", "+1.0", "2.0", "1.0", "7", "7 / 0", *tested, "x 1.00", "x 1.00"],
        ["nexus, order 3", size, "nexus, order 2", "+1.0", "3.0", "2.0", "7", "7 / 0", *tested, "x 1.00", "x 1.00"],
    ], "corrected for two tests, while every pair makes three"
    assert section.notes[-2:] == [
        "By 2 declared comparisons of hop reach (exact paired test, Holm): reaches further: nexus, order 2 than "
        "standard; nexus, order 3 than nexus, order 2.",
        "Exploration, not declared before training, by 3 comparisons of hop reach (exact paired test, Holm): reaches "
        "further: nexus, order 2 than standard; nexus, order 3 than standard; nexus, order 3 than nexus, order 2.",
    ]
    kinds = report.comparisons.groupby("kind")["p_holm"].max().round(4).to_dict()
    assert kinds == {"declared": 0.0312, "matched": 0.0312, "models": 0.0469}


ASKED = [("nexus, order 2", "standard"), ("nexus, order 3", "nexus, order 2"), ("nexus, order 3", "standard")]


def in_order(*tasks: pd.DataFrame) -> tuple[Report, list[list[str]]]:
    """A report of tasks that declare `ASKED` in order, each in a run of its own, and p and verdict of each row."""
    runs = [declaring(results, *ASKED) for results in tasks]
    runs = [run._replace(declared=run.declared._replace(in_order=True)) for run in runs]
    results = pd.concat(tasks, ignore_index=True)
    report = build_report(results, curve(results), runs)
    tables = [tables_of(section)["declared"] for section in report.sections]
    return report, [[" ".join(cells[9:11]) for cells in cells_of(table)] for table in tables]


def other_task(results: pd.DataFrame) -> pd.DataFrame:
    return results.assign(task="u", cell_id="u-" + results["cell_id"])


def test_what_is_declared_in_order_is_corrected_over_settings_at_each_place() -> None:
    report, told = in_order(orders(), other_task(orders()))
    assert told == [["0.031 better"] * 3] * 2, "each place is a family of two tests; in one setting it would be three"
    assert [section.notes[-2] for section in report.sections] == [
        "By 3 declared comparisons of hop reach (exact paired test, Holm over 2 settings, in their order): reaches "
        "further: nexus, order 2 than standard; nexus, order 3 than nexus, order 2; nexus, order 3 than standard."
    ] * 2
    assert "one family over all settings of the report" in tables_of(report.sections[0])["declared"].about


def test_what_stands_behind_no_difference_is_not_tested() -> None:
    alike = orders()
    reached = (alike["model"] != "nexus, order 2") | (alike["seed"] > 0) | (alike["hop"] != 2)  # one seed stays at 1
    alike["accuracy"] = alike["accuracy"].where(reached, 0.1)
    report, told = in_order(orders(), other_task(alike))
    assert told == [["0.031 better"] * 3] * 2, (
        "6 of 7 seeds further: p is 0.031 there, and Holm multiplies the larger p by one"
    )
    alike["accuracy"] = alike["accuracy"].where((alike["seed"] > 2) | (alike["hop"] != 2), 0.1)
    report, told = in_order(orders(), other_task(alike))
    assert told[0] == ["0.031 better"] * 3, "the tests of the other task count, also if they are not made"
    assert told[1] == ["0.12 no difference shown", "0.12 not tested", "0.12 not tested"]
    assert report.sections[1].notes[-2].endswith("in their order): no model is shown to reach further.")
    assert "Not decided: 2 declared comparisons behind one that showed no difference." in report.finding
    assert in_order(alike)[0].finding[2] == (
        "Not tested, as one before it in the declared order shows no difference, 2 of 3 comparisons: nexus, order 3 "
        "and nexus, order 2; nexus, order 3 and standard."
    )


def test_a_model_that_is_missing_leaves_all_behind_it_untested() -> None:
    without = orders()[lambda rows: rows["model"] != "standard"]
    report, told = in_order(without)
    assert told == [["1 not tested"]]
    missing = "Declared, but not one model each in these results: nexus, order 2 with standard"
    assert missing in report.sections[0].notes[-2]


def test_so_many_settings_need_more_seeds() -> None:
    few = orders()[lambda rows: rows["seed"] < 6]
    assert in_order(few)[1] == [["0.031 better"] * 3]
    report, told = in_order(few, other_task(few))
    assert told == [["0.062 too few seeds", "0.062 not tested", "0.062 not tested"]] * 2
    assert "fewer than 7 seeds are paired" in report.sections[0].notes[-2]


def test_several_runs_declare_together() -> None:
    results = orders()
    first, second = results[results["model"] != "nexus, order 3"], results[results["model"] != "nexus, order 2"]
    runs = [declaring(first, ("order 2", "standard")), declaring(second, ("nexus", "standard"))]
    pairs = build_report(results, curve(results), runs).comparisons
    pairs = pairs[pairs["kind"] == "declared"]
    assert list(zip(pairs["model"], pairs["baseline"], strict=True)) == [
        ("nexus, order 2", "standard"),
        ("nexus, order 3", "standard"),
    ]
    assert list(pairs["p_holm"]) == [2 * 2 / 2**7] * 2


def test_every_pair_of_equal_size_can_be_declared() -> None:
    results = orders()
    pairs = build_report(results, curve(results), [declaring(results, equal_size=True)]).comparisons
    found = {kind: list(zip(of["model"], of["baseline"], strict=True)) for kind, of in pairs.groupby("kind")}
    assert found["declared"] == found["matched"] == [("nexus, order 2", "standard"), ("nexus, order 3", "standard")]


def test_a_declared_comparison_that_cannot_be_made_is_said() -> None:
    results = orders()
    report = build_report(results, curve(results), [declaring(results, ("nexus", "standard"), ("order 4", "order 2"))])
    assert "Declared, but not one model each in these results: nexus with standard; order 4 with order 2." in (
        report.sections[0].notes
    )
    assert "declared" not in set(report.comparisons["kind"])


def test_a_comparison_is_tested_in_the_setting_of_its_models_and_not_missed_in_others() -> None:
    facts = orders()
    tokens = facts.assign(encoding="flat", cell_id="flat " + facts["cell_id"], model=facts["model"] + ", flat")
    results = pd.concat([facts, tokens], ignore_index=True)
    asked = [
        ("nexus, order 2", "standard"),
        ("nexus, order 2, flat", "standard, flat"),
        ("nexus, order 3", "order 3, flat"),
    ]
    report = build_report(results, curve(results), [declaring(results, *asked)])
    declared = report.comparisons[report.comparisons["kind"] == "declared"]
    assert list(zip(declared["encoding"], declared["model"], declared["baseline"], strict=True)) == [
        ("fact", "nexus, order 2", "standard"),
        ("flat", "nexus, order 2, flat", "standard, flat"),
    ]
    missing = "Declared, but not one model each in these results: nexus, order 3 with order 3, flat."
    assert all(section.notes.count(missing) == 1 for section in report.sections), "its models are of two settings"
    assert not any("order 2 with standard" in note for section in report.sections for note in section.notes)


def test_models_that_cannot_be_told_apart_are_said_to_be_so() -> None:
    cells = [(model, 0.1, seed, {1: 1.0}) for model in "ab" for seed in range(6)]
    assert report_of(table(*cells)).sections[0].notes[-1].endswith("Holm): no model is shown to reach further.")
