import io
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from nexus_bench.io.read_results import read_results
from nexus_bench.report import output
from nexus_bench.report import terminal as printed
from nexus_bench.report.build import build_report
from nexus_bench.report.output import to_document, to_markdown, write_report
from nexus_bench.report.page.report_page import to_html
from nexus_bench.report.tables import COSTS
from nexus_bench.report.words.orders import series_of
from tests.made import cells_of, curve, report_of, table, tables_of
from tests.paths import EXAMPLES


def test_the_first_table_says_how_many_seeds_reach_each_hop(results: pd.DataFrame) -> None:
    (section,) = report_of(results).sections
    reached = section.tables[0]
    assert (reached.name, reached.columns) == ("reached", ["model", "hop reach", "1 hop", "2 hops", "failed", *COSTS])
    assert cells_of(reached) == [
        ["standard", "1.0", "2/2 [0.16, 1.00]", "0/2 [0.00, 0.84]", "0", "1,000", "2"],
        ["nexus, order 2", "2.0", "1/1 [0.03, 1.00]", "1/1 [0.03, 1.00]", "1", "1,000", "2"],
    ]
    whole = tables_of(report_of(results[results["model"] == "standard, d 8"]).sections[0])["reached"]
    assert whole.columns == ["model", "hop reach", "1 hop", "2 hops", *COSTS], "without failed cells none are counted"


def test_a_hop_is_not_claimed_where_the_ceiling_is_as_high(results: pd.DataFrame) -> None:
    results["partial_input"] = results["partial_input"].mask((results["hop"] == 2) & results["accuracy"].notna(), 0.95)
    (section,) = report_of(results).sections
    assert [row[2:4] for row in cells_of(section.tables[0])] == [["2/2 [0.16, 1.00]", "-"], ["1/1 [0.03, 1.00]", "-"]]
    said = "A dash claims nothing: there the partial-input ceiling is itself 0.95 or more, or not known."
    assert said in section.tables[0].about


def test_answers_from_elsewhere_reach_a_hop_or_do_not() -> None:
    answers = table(("m", 0.1, 0, {1: 1.0, 2: 0.5})).assign(status="scored", n_examples=20, n_correct=20)
    (section,) = report_of(answers).sections
    assert cells_of(section.tables[0]) == [["m", "1.0", "yes", "no", "1,000", "2"]]
    assert section.tables[0].about.endswith("Answers of other models have no seeds: yes or no.")


def test_mean_accuracy_stands_in_the_second_table(results: pd.DataFrame) -> None:
    (section,) = report_of(results).sections
    staircase = section.tables[1]
    assert staircase.columns == ["model", "hop reach", "1 hop", "2 hops", "seeds", "parameters", "MFLOP/step"]
    assert cells_of(staircase) == [
        ["standard", "1.0", "1.000", "0.300 [0.000, 0.935]", "2", "1,000", "2"],
        ["nexus, order 2", "2.0", "1.000", "1.000", "1, 1 failed", "1,000", "2"],
    ]
    assert staircase.references == [
        ["chance", "", "0.100", "0.100"],
        ["best shortcut", "", "0.120", "0.120"],
        ["partial-input ceiling", "", "0.200", "0.200"],
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


def test_a_run_of_failed_cells_alone_has_a_report() -> None:
    section = report_of(table(("a", 0.1, 0, {1: None, 2: None}), ("b", 0.1, 0, {1: None, 2: None}))).sections[0]
    assert cells_of(section.tables[0])[0] == ["a", "-", "0/0", "0/0", "1", "-", "-"]
    assert cells_of(section.tables[1])[0] == ["a", "-", "-", "-", "0, 1 failed", "-", "-"]


FIGURES = {"accuracy_by_hop", "learning_curves", "order_by_hop", "reach_by_cost", "reach_by_order", "seeds_by_hop"}


def test_the_same_results_give_the_same_bytes(results: pd.DataFrame, tmp_path: Path) -> None:
    results["order"] = results["order"].mask(results["attention"] == "nexus", 2)
    results["n_params"] = results["n_params"].mask(results["attention"] == "nexus", 1100)
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
    assert [picture.name for picture in pictures] == ["seeds_by_hop", "accuracy_by_hop"]


def test_the_page_needs_no_other_file(results: pd.DataFrame) -> None:
    report = report_of(results)
    page = to_html(report, downloads={"report.csv": "a,b\n1,2\n"})
    assert page.count('role="img"') == len(report.sections[0].pictures) == 3
    outside = page.partition("<script")[0] + page.rpartition("</script>")[2]
    assert not re.findall(r"(?:src|href)=|@import|url\(", outside), "scripts are in the page, and fetch nothing"
    assert "0.300 <small>[0.000, 0.935]</small>" in page
    assert 'download="report.csv"' in page and '{"report.csv":["a\\n1","b\\n2"]}' in page, "packed"


def test_names_from_results_cannot_inject_markup() -> None:
    page = to_html(report_of(table(("<script>alert(1)</script>", 0.1, 0, {1: 0.5}))), downloads={})
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page and "\\u003cscript\\u003ealert" in page


def test_the_document_has_null_for_what_is_missing(results: pd.DataFrame) -> None:
    document = to_document(report_of(results))
    assert [row["mean"] for row in document["accuracy"]] == [1.0, 0.3, 1.0, 1.0]
    assert document["accuracy"][2]["low"] is None
    assert [row["seeds"] for row in document["reach"]] == [[1, 1], [2]]
    assert [row["n_reached"] for row in document["reached"] if row["threshold"] == 0.95] == [2, 0, 1, 1]


def test_a_narrow_terminal_gets_intervals_below_their_values_and_a_narrower_one_none(
    results: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = {}
    for width in (200, 90, 64, 50, 30):
        console = Console(width=width, file=io.StringIO(), highlight=False)
        monkeypatch.setattr(printed, "output", lambda console=console: console)
        printed.print_report(report_of(results), [])
        lines[width] = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert any("0.300 [0.000, 0.935]" in line for line in lines[200])
    assert any(re.match(r" ?standard +1\.0 +2/2 \[0.16, 1.00\] +0/2 \[0.00, 0.84\] ", line) for line in lines[200])
    below = next(i for i, line in enumerate(lines[90]) if re.match(r"standard +1\.0 +1\.000 +0\.300 ", line))
    assert lines[90][below + 1].split() == ["[0.000,", "0.935]"]
    told = {width: " ".join(" ".join(lines[width]).split()) for width in lines}
    assert "This terminal is too narrow for the sizes; report.md has all." in told[64]
    assert any("[0.000, 0.935]" in line for line in lines[64])
    assert not any("[0.000, 0.935]" in line for line in lines[50])
    assert any(re.match(r"standard +1\.0 +2/2 +0/2 +0$", line) for line in lines[50])
    assert "standard; hop reach 1.0; 1 hop 2/2; 2 hops 0/2; failed 0; parameters 1,000; MFLOP/step 2" in told[30]
    assert "standard; hop reach 1.0; 1 hop 1.000; 2 hops 0.300; seeds 2; parameters 1,000; MFLOP/step 2" in told[30]
    assert told[64].split()[-40:] == told[200].split()[-40:], "no word is broken"


def test_models_that_differ_in_order_are_a_family_with_standard_attention_as_order_1() -> None:
    first = read_results(EXAMPLES / "staircase").drop_duplicates("model")
    short = {model: model.replace(", d_model 128, n_heads 4", "") for model in first["model"]}
    found = series_of(first, short)
    assert [family.name for family in found] == ["nexus, refine q", "nexus, refine qk"]
    assert found[0].models == {1: "standard"} | {m: f"nexus, order {m}, refine q" for m in (2, 3, 4)}
    wider = first.assign(d_model=first["d_model"].mask(first["attention"] == "standard", 256))
    assert list(series_of(wider, short)[0].models) == [2, 3, 4], "standard attention of another shape is no order 1"


def test_a_report_says_where_its_results_come_from_and_how_to_make_them_again(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "quick", tmp_path / "quick", ignore=shutil.ignore_patterns("cells", "figures"))
    built = output.report([tmp_path / "quick"]).report
    assert built.provenance[0] == (
        "Suite quick: nexus-bench 0.1.0, PyTorch 2.13.0+cpu, Python 3.11.7, device cpu, mode single."
    )
    assert "`nexus-bench train spec.yaml`" in built.provenance[1]
    assert built.provenance[0] in to_markdown(built).partition("## Provenance")[2]
    page = to_html(built, downloads={})
    assert built.provenance[0] in page.partition("<form")[0]
    for name in ("env.json", "spec.yaml", "seal.json"):
        (tmp_path / "quick" / name).unlink()
    alone = output.report([tmp_path / "quick"]).report.provenance
    assert alone == ["Suite quick: what it was trained in is not recorded."]


@pytest.mark.parametrize("uncounted", [["standard"], ["standard", "nexus"]])
def test_a_model_whose_operations_cannot_be_counted_is_reported_without_them(uncounted: list[str]) -> None:
    results = read_results(EXAMPLES / "quick")
    is_uncounted = results["attention"].isin(uncounted)
    assert results["flops_per_step"].nunique() > 1
    built = report_of(results.assign(flops_per_step=results["flops_per_step"].mask(is_uncounted)))
    (section,) = built.sections
    costs = [row[-1] for row in cells_of(section.tables[0])]
    assert [cost == "-" for cost in costs] == [True, "nexus" in uncounted, "nexus" in uncounted]
    matched = cells_of(tables_of(section)["matched"])
    assert {(row[1], row[-1]) for row in matched} == {("parameters", "-")}
