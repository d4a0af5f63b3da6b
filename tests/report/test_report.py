import io
import re
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from nexus_bench.analysis.compare_models import Declaration
from nexus_bench.analysis.declared import Asked, Declared
from nexus_bench.errors import ConfigError
from nexus_bench.io.read_results import read_results
from nexus_bench.report import output
from nexus_bench.report import terminal as printed
from nexus_bench.report.build import Report, Section, build_report
from nexus_bench.report.figures import pareto_front
from nexus_bench.report.orders import series_of
from nexus_bench.report.output import to_csvs, to_document, to_markdown, write_report
from nexus_bench.report.page import to_html
from nexus_bench.report.tables import COSTS, Table
from tests.made import curve, table
from tests.paths import EXAMPLES


@pytest.fixture
def results() -> pd.DataFrame:
    return table(
        ("standard, d 8", 0.1, 0, {1: 1.0, 2: 0.25}),
        ("standard, d 8", 0.1, 1, {1: 1.0, 2: 0.35}),
        ("nexus, order 2, d 8", 0.1, 0, {1: 1.0, 2: 1.0}),
        ("nexus, order 2, d 8", 0.1, 1, {1: None, 2: None}),
    )


def report_of(results: pd.DataFrame) -> Report:
    return build_report(results, curve(results))


def tables_of(section: Section) -> dict[str, Table]:
    return {table_.name: table_ for table_ in section.tables}


def cells_of(table_: Table) -> list[list[str]]:
    return [row.cells for row in table_.rows]


def test_the_first_table_says_how_many_seeds_reach_each_hop(results: pd.DataFrame) -> None:
    (section,) = report_of(results).sections
    reached = section.tables[0]
    assert (reached.name, reached.columns) == ("reached", ["model", "1 hop", "2 hops", "failed", *COSTS])
    assert cells_of(reached) == [
        ["standard", "2/2 [0.16, 1.00]", "0/2 [0.00, 0.84]", "0", "1,000", "2"],
        ["nexus, order 2", "1/1 [0.03, 1.00]", "1/1 [0.03, 1.00]", "1", "1,000", "2"],
    ]
    whole = tables_of(report_of(results[results["model"] == "standard, d 8"]).sections[0])["reached"]
    assert whole.columns == ["model", "1 hop", "2 hops", *COSTS], "without failed cells none are counted"


def test_a_hop_is_not_claimed_where_the_ceiling_is_as_high(results: pd.DataFrame) -> None:
    results["partial_input"] = results["partial_input"].mask((results["hop"] == 2) & results["accuracy"].notna(), 0.95)
    (section,) = report_of(results).sections
    assert [row[1:3] for row in cells_of(section.tables[0])] == [["2/2 [0.16, 1.00]", "-"], ["1/1 [0.03, 1.00]", "-"]]
    assert "A dash claims nothing: there the partial-input ceiling is itself 0.95 or more." in section.tables[0].about


def test_answers_from_elsewhere_reach_a_hop_or_do_not() -> None:
    answers = table(("m", 0.1, 0, {1: 1.0, 2: 0.5})).assign(status="scored", n_examples=20, n_correct=20)
    (section,) = report_of(answers).sections
    assert cells_of(section.tables[0]) == [["m", "yes", "no", "1,000", "2"]]
    assert section.tables[0].about.endswith("Answers of other models have no seeds: yes or no.")


def test_mean_accuracy_stands_in_the_second_table(results: pd.DataFrame) -> None:
    (section,) = report_of(results).sections
    staircase = section.tables[1]
    assert staircase.columns == ["model", "1 hop", "2 hops", "hop reach", "seeds", "parameters", "MFLOP/step"]
    assert cells_of(staircase) == [
        ["standard", "1.000", "0.300 [0.000, 0.935]", "1.0", "2", "1,000", "2"],
        ["nexus, order 2", "1.000", "1.000", "2.0", "1, 1 failed", "1,000", "2"],
    ]
    assert staircase.references == [
        ["chance", "0.100", "0.100"],
        ["best shortcut", "0.120", "0.120"],
        ["partial-input ceiling", "0.200", "0.200"],
    ]
    assert "All models: d 8." in section.notes
    assert "Failed cells are left out of every figure." in section.notes


def test_every_seed_is_shown_and_failed_ones_as_missing(results: pd.DataFrame) -> None:
    seeds = tables_of(report_of(results).sections[0])["seeds"]
    assert cells_of(seeds) == [
        ["standard", "0", "1.000", "0.250", "trained"],
        ["standard", "1", "1.000", "0.350", "trained"],
        ["nexus, order 2", "0", "1.000", "1.000", "trained"],
        ["nexus, order 2", "1", "-", "-", "failed"],
    ]


def test_hop_reach_stands_beside_its_cost(results: pd.DataFrame) -> None:
    reach = tables_of(report_of(results).sections[0])["reach"]
    assert reach.columns[-4:] == ["parameters", "hops/Mparameter", "MFLOP/step", "hops/GFLOP"]
    assert cells_of(reach)[0] == ["standard", "1.0", "1 1", "1,000", "1000.00", "2", "500.00"]


def test_steps_to_95_say_how_many_seeds_got_there(results: pd.DataFrame) -> None:
    results["steps_to_95"] = results["steps_to_95"].mask((results["hop"] == 1) & results["accuracy"].notna(), 1500)
    steps = tables_of(report_of(results).sections[0])["steps"]
    assert cells_of(steps) == [
        ["standard", "1,500 (2 of 2)", "never (0 of 2)"],
        ["nexus, order 2", "1,500 (1 of 1)", "never (0 of 1)"],
    ]


def test_too_few_seeds_are_told_and_nothing_is_called_better(results: pd.DataFrame) -> None:
    section = report_of(results).sections[0]
    assert section.notes[-1] == (
        "Exploration, not declared before training, by one comparison of hop reach: no model is called better where "
        "fewer than 6 seeds are paired. With so few, no outcome of one comparison of hop reach could differ "
        "significantly from chance (there is 1; train with --seeds 6)."
    )
    assert [row.cells[-1] for row in tables_of(section)["comparisons"].rows] == ["too few seeds"]
    assert "better" not in to_markdown(report_of(results)).replace(section.notes[-1], "")


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
    declared = Declared(tuple(Asked(*pair) for pair in asked), equal_size=equal_size)
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


def test_models_that_cannot_be_told_apart_are_said_to_be_so() -> None:
    cells = [(model, 0.1, seed, {1: 1.0}) for model in "ab" for seed in range(6)]
    assert report_of(table(*cells)).sections[0].notes[-1].endswith("Holm): no model is shown to reach further.")


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


def test_a_run_that_is_still_being_tuned_has_no_report() -> None:
    results = tuned()
    with pytest.raises(ConfigError, match="these results are of tuning alone, which a report does not show; run"):
        report_of(results[results["purpose"] == "tuning"])


def test_a_cell_that_one_run_measured_and_another_tuned_with_is_measured() -> None:
    results = tuned()
    measured = results[results["purpose"] == "measured"]
    both = pd.concat([measured.assign(purpose="tuning"), results], ignore_index=True)
    assert report_of(both).accuracy.equals(report_of(results).accuracy)


def test_a_run_of_failed_cells_alone_has_a_report() -> None:
    section = report_of(table(("a", 0.1, 0, {1: None, 2: None}), ("b", 0.1, 0, {1: None, 2: None}))).sections[0]
    assert cells_of(section.tables[0])[0] == ["a", "0/0", "0/0", "1", "1,000", "2"]
    assert cells_of(section.tables[1])[0] == ["a", "-", "-", "-", "0, 1 failed", "1,000", "2"]


def test_the_same_cell_in_two_runs_counts_once(results: pd.DataFrame) -> None:
    twice = pd.concat([results, results], ignore_index=True)
    assert to_csvs(report_of(twice)) == to_csvs(report_of(results))


def test_runs_that_disagree_on_a_cell_are_not_merged(results: pd.DataFrame) -> None:
    other = results.assign(n_correct=3, n_examples=4)
    with pytest.raises(
        ConfigError, match=r"the runs disagree on cell standard, d 8-0\.1-0 \(.*\), at hop 1 of val; report"
    ):
        build_report(pd.concat([results, other]), curve(results))


def test_cells_that_no_column_tells_apart_are_variants_and_not_further_seeds() -> None:
    results = table(*(("a", 0.1, seed, {1: 1.0, 2: 0.5}) for seed in range(2)))
    other = results.assign(cell_id=results["cell_id"] + "x", accuracy=0.25)
    section = report_of(pd.concat([results, other], ignore_index=True)).sections[0]
    assert cells_of(section.tables[1]) == [
        ["a, variant 1", "1.000", "0.500", "1.0", "2", "1,000", "2"],
        ["a, variant 2", "0.250", "0.250", "0.0", "2", "1,000", "2"],
    ]
    assert section.notes[0].startswith("Variants of a model differ in a version of their attention")
    assert "learning_curves" in {picture.name for picture in section.pictures}


FIGURES = {"accuracy_by_hop", "learning_curves", "order_by_hop", "reach_by_cost", "reach_by_order"}


def test_the_same_results_give_the_same_bytes(results: pd.DataFrame, tmp_path: Path) -> None:
    results["order"] = results["order"].mask(results["attention"] == "nexus", 2)
    for name in ("a", "b"):
        write_report(report_of(results), tmp_path / name)
    files = sorted(str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.*"))
    assert files == [
        "comparisons.csv",
        *sorted(f"figures/{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg")),
        "reach.csv",
        "reached.csv",
        "report.csv",
        "report.html",
        "report.md",
    ]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_results_without_curves_or_orders_have_the_other_figures(results: pd.DataFrame) -> None:
    pictures = build_report(results, curve(results).iloc[:0]).sections[0].pictures
    assert [picture.name for picture in pictures] == ["accuracy_by_hop", "reach_by_cost"]


def test_the_page_needs_no_other_file(results: pd.DataFrame) -> None:
    report = report_of(results)
    page = to_html(report, downloads={"report.csv": "a,b\n1,2\n"})
    assert page.count("<svg") == len(report.sections[0].pictures) == 3
    assert set(re.findall(r'(?:src|href)="([^#":]+)', page)) == {"data"}
    assert "0.300 [0.000, 0.935]" in page
    assert 'download="report.csv"' in page and "YSxiCjEsMgo=" in page


def test_identifiers_of_a_page_are_distinct(results: pd.DataFrame) -> None:
    page = to_html(report_of(results), downloads={})
    drawn = re.findall(r'<g id="([^"]+)"', page)
    assert len(drawn) == len(set(drawn)) > 20


def test_names_from_results_cannot_inject_markup() -> None:
    page = to_html(report_of(table(("<script>alert(1)</script>", 0.1, 0, {1: 0.5}))), downloads={})
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_hops_beyond_training_stand_on_the_same_axis() -> None:
    results = table(("a", 0.1, 0, {1: 1.0, 2: 0.9}), ("a", 0.1, 1, {1: 1.0, 2: 0.8})).assign(train_hops="1-2")
    beyond = results[results["split"] == "test"].assign(split="hop_ood", hop=lambda f: f["hop"] + 2, accuracy=0.5)
    (section,) = report_of(pd.concat([results, beyond], ignore_index=True)).sections
    assert section.tables[1].columns[1:6] == ["1 hop", "2 hops", "3 hops", "4 hops", "hop reach"]
    assert section.tables[1].rows[0].cells[3] == "0.500"
    assert section.tables[1].rows[0].cells[5] == "1.0", "hop reach is that of the test split"


def test_a_seed_reaches_a_hop_beyond_training_only_over_the_trained_ones() -> None:
    results = table(("a", 0.1, 0, {1: 1.0, 2: 0.9}), ("a", 0.1, 1, {1: 1.0, 2: 1.0})).assign(train_hops="1-2")
    beyond = results[results["split"] == "test"].assign(split="hop_ood", hop=lambda f: f["hop"] + 2, accuracy=1.0)
    report = report_of(pd.concat([results, beyond], ignore_index=True))
    assert [cell.split(" ")[0] for cell in report.sections[0].tables[0].rows[0].cells[1:5]] == ["2/2", *["1/2"] * 3]
    at = report.reached[report.reached["threshold"] == 0.9]
    assert list(zip(at["split"], at["hop"], at["n_reached"], strict=True)) == [
        ("test", 1, 2),
        ("test", 2, 2),
        ("hop_ood", 3, 2),
        ("hop_ood", 4, 2),
    ]


def test_a_further_split_has_a_section_of_its_own() -> None:
    results = table(("a", 0.1, 0, {1: 1.0}), ("a", 0.1, 1, {1: 1.0}))
    larger = results[results["split"] == "test"].assign(split="size_ood", n_facts=24, accuracy=0.25)
    report = report_of(pd.concat([results, larger], ignore_index=True))
    _, further = report.sections
    assert "size_ood, 24 facts" in further.title and "trained on hops 1 with 12 facts" in further.title
    assert cells_of(further.tables[0]) == [["a", "0/2 [0.00, 0.84]"]]
    assert cells_of(further.tables[1]) == [["a", "0.250", "2"]]
    assert set(report.reached["split"]) == {"test", "size_ood"}
    assert [picture.name for picture in further.pictures] == ["accuracy_by_hop-size_ood"]
    assert set(report.accuracy["split"]) == {"test", "size_ood"} and set(report.reach["split"]) == {"test"}


def test_the_document_has_null_for_what_is_missing(results: pd.DataFrame) -> None:
    document = to_document(report_of(results))
    assert [row["mean"] for row in document["accuracy"]] == [1.0, 0.3, 1.0, 1.0]
    assert document["accuracy"][2]["low"] is None
    assert [row["seeds"] for row in document["reach"]] == [[1, 1], [2]]
    assert [row["n_reached"] for row in document["reached"] if row["threshold"] == 0.95] == [2, 0, 1, 1]


def test_every_setting_has_a_table_and_figures_of_its_own(results: pd.DataFrame) -> None:
    report = report_of(pd.concat([results, results.assign(task="u", cell_id=results["cell_id"] + "u")]))
    assert [section.title.split(",")[0] for section in report.sections] == ["t", "u"]
    names = [picture.name for section in report.sections for picture in section.pictures]
    assert len(names) == len(set(names)) and {"accuracy_by_hop", "accuracy_by_hop_2"} <= set(names)
    assert to_markdown(report).count("![") == len(names)
    assert "![" not in to_markdown(report, with_figures=False)


def test_models_of_nearly_one_size_stand_apart_by_no_more_than_they_differ() -> None:
    """A few parameters of thousands are drawn as a few, on an axis that says them in full."""
    built = report_of(
        table(*((f"m{i}", 0.1, seed, {1: 1.0, 2: 0.5}) for i in range(2) for seed in range(2))).assign(
            n_params=lambda frame: 250_000 + 3 * frame["model"].str[1].astype("Int64")
        )
    )
    (picture,) = (figure for figure in built.sections[0].pictures if figure.name == "reach_by_cost")
    ticks = [float(text) for text in re.findall(r">(2\d\d(?:\.\d+)?)</text>", picture.svg)]
    assert len(ticks) >= 2 and ticks[-1] - ticks[0] > 5, "thousand parameters"


def test_a_narrow_terminal_gets_the_figures_without_their_intervals(
    results: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = {}
    for width in (200, 90, 75, 30):
        console = Console(width=width, file=io.StringIO(), soft_wrap=True, highlight=False)
        monkeypatch.setattr(printed, "output", lambda console=console: console)
        printed.print_report(report_of(results), [])
        lines[width] = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert any("0.300 [0.000, 0.935]" in line for line in lines[200])
    assert any(re.match(r" ?standard +2/2 \[0.16, 1.00\] +0/2 \[0.00, 0.84\] ", line) for line in lines[200])
    for width, lost in ((90, "the intervals"), (75, "the intervals and sizes"), (30, "a table")):
        assert f"This terminal is too narrow for {lost}; report.md has all." in lines[width]
        assert not any("0.300 [" in line for line in lines[width])
    assert any(re.match(r" ?standard +1\.000 +0\.300 ", line) for line in lines[90])
    assert any(re.match(r" ?standard +1\.000 +0\.300 +1\.0 +2 *$", line) for line in lines[75])
    assert "standard; 1 hop 2/2; 2 hops 0/2; failed 0; parameters 1,000; MFLOP/step 2" in lines[30]
    assert "standard; 1 hop 1.000; 2 hops 0.300; hop reach 1.0; seeds 2; parameters 1,000; MFLOP/step 2" in lines[30]


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)], [(1.0, 1.0), (2.0, 3.0)]),
        ([(2.0, 1.0), (2.0, 2.0), (1.0, 2.0)], [(1.0, 2.0)]),
        ([(1.0, 1.0)], [(1.0, 1.0)]),
    ],
)
def test_the_pareto_front_holds_what_none_beats(
    points: list[tuple[float, float]], front: list[tuple[float, float]]
) -> None:
    assert pareto_front(points) == front


def test_models_that_differ_in_order_are_a_family_with_standard_attention_as_order_1() -> None:
    first = read_results(EXAMPLES / "staircase").drop_duplicates("model")
    short = {model: model.replace(", d_model 128, n_heads 4", "") for model in first["model"]}
    found = series_of(first, short)
    assert [family.name for family in found] == ["nexus, refine q", "nexus, refine qk"]
    assert found[0].models == {1: "standard"} | {m: f"nexus, order {m}, refine q" for m in (2, 3, 4)}
    wider = first.assign(d_model=first["d_model"].mask(first["attention"] == "standard", 256))
    assert list(series_of(wider, short)[0].models) == [2, 3, 4], "standard attention of another shape is no order 1"


@pytest.mark.parametrize("name", ["quick", "staircase", "matched"])
def test_committed_examples_are_what_report_makes_of_their_results(name: str) -> None:
    built = output.report([EXAMPLES / name]).report
    assert (EXAMPLES / name / "report.md").read_text() == to_markdown(built)
    for file, text in to_csvs(built).items():
        assert (EXAMPLES / name / file).read_text() == text, file


def settings_of(**columns: list[object]) -> pd.DataFrame:
    """One cell of model `a` for each value of the columns, each at a seed of its own."""
    rows = []
    for seed, values in enumerate(zip(*columns.values(), strict=True)):
        one = table(("a", 0.1, seed, {1: 0.5, 2: 0.25}))
        rows.append(one.assign(cell_id=f"cell{seed}", **dict(zip(columns, values, strict=True))))
    return pd.concat(rows, ignore_index=True)


def test_parameters_of_a_task_make_sections_and_not_seeds_of_one_model() -> None:
    options = ["group=S_3; n_test=8; side=left", "group=Z_6; n_test=8; side=left"]
    report = report_of(settings_of(task_options=options, chance=[0.2, 0.4]))
    assert [section.title.split(", 12 facts")[0] for section in report.sections] == ["t, group=S_3", "t, group=Z_6"]
    assert [cells_of(section.tables[1])[0][0:2] for section in report.sections] == [["a", "0.500"]] * 2
    assert [section.tables[1].references[0][1] for section in report.sections] == ["0.200", "0.400"]


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [("reuse", [1, 8], "each used 8 times"), ("n_queries", [3, 4], "t, n_queries=4"), ("task_version", [1, 2], "=2,")],
)
def test_sections_have_distinct_titles_that_say_what_differs(column: str, values: list[object], said: str) -> None:
    titles = [section.title for section in report_of(settings_of(**{column: values})).sections]
    assert len(set(titles)) == 2 and said in titles[1]


def test_two_chances_of_one_task_are_an_error_and_never_a_mean() -> None:
    with pytest.raises(
        ConfigError, match=r"chance is 0\.2, 0\.4 in rows of t that no column tells apart, at hop 1 of test"
    ):
        report_of(settings_of(chance=[0.2, 0.4]))


def test_versions_of_an_attention_are_variants_also_at_other_seeds() -> None:
    (section,) = report_of(settings_of(attention_version=[1, 2])).sections
    assert [row[0] for row in cells_of(section.tables[0])] == ["a, variant 1", "a, variant 2"]


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
    assert [cells_of(section.tables[1])[0][:2] for section in report.sections] == [["a", "0.700"]]
    said = "Recipes (learning rate and options) chosen on validation from 0.1: a: lr=0.1, weight_decay=0.1."
    assert said in report.sections[0].notes


def test_cells_of_several_modes_are_said_to_be_so(results: pd.DataFrame) -> None:
    assert not any("several modes" in note for note in report_of(results.assign(mode="tf32")).sections[0].notes)
    mixed = results.assign(mode=["single"] * 4 + ["tf32"] * 12)
    assert "Cells were trained in several modes: single (1 cell), tf32 (3 cells)." in report_of(mixed).sections[0].notes


def test_scored_answers_stand_beside_the_models_of_their_task_alone() -> None:
    trained = settings_of(task_options=["group=S_3; n_test=64; n_val=8", "group=Z_6; n_test=64; n_val=8"])
    scored = table(("gpt", 0.1, 0, {1: 0.9, 2: 0.9})).query("split == 'test'")
    scored = scored.assign(encoding="text", task_options="group=Z_6; n_test=9; n_val=7", status="scored", n_correct=9)
    scored = scored.assign(n_examples=10, lr=None, batch_size=None, steps=None, order=None, n_params=None)
    typed = pd.concat([trained, scored.astype(trained.dtypes.to_dict())], ignore_index=True)
    models = [[row[0] for row in cells_of(section.tables[0])] for section in report_of(typed).sections]
    assert models == [["a"], ["a", "gpt (text)"]]
