"""Accuracy against a parameter of the task: found where it varies, and shown at each of its values."""

from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.errors import UsageError
from nexus_bench.report.build import Report, Section, build_report
from nexus_bench.report.charts.palette import hop_colours
from nexus_bench.report.output import to_markdown
from nexus_bench.report.page.report_page import to_html
from tests.conftest import Command
from tests.made import cells_of, curve, table


def sweep(*settings: dict[str, object], options: str = "n_nodes={n}; n_val=8") -> pd.DataFrame:
    """Two models of two seeds in each setting, less accurate the larger n is; n_facts follows from n."""
    parts = []
    for number, setting in enumerate(settings):
        n = int(str(setting["n"]))
        one = table(
            *(
                (model, 0.1, seed, {1: 1.0, 2: share * (1 - n / 100) - seed / 100})
                for model, share in (("standard", 0.5), ("nexus, order 2", 1.0))
                for seed in (0, 1)
            )
        )
        one = one.assign(order=[1] * 8 + [2] * 8, chance=1 / n, n_facts=n, task_options=options.format(**setting))
        extra = {name: value for name, value in setting.items() if name in one.columns}
        parts.append(one.assign(cell_id=lambda frame, i=number: frame["cell_id"] + f"-{i}", **extra))
    frame = pd.concat(parts, ignore_index=True)
    return frame.astype(parts[0].dtypes.to_dict()).assign(order=frame["order"].astype("Int64"))


def made(results: pd.DataFrame, *by: str) -> Report:
    return build_report(results, curve(results), by=by)


def by_sections(report: Report) -> list[Section]:
    return [section for section in report.sections if section.tables[0].name == "by_parameter"]


SIZES = [{"n": 32}, {"n": 8}, {"n": 16}]


def test_the_finding_says_hop_reach_at_each_value() -> None:
    results = sweep(*SIZES)
    results.loc[(results["n_facts"] == 8) & (results["order"] == 2) & (results["hop"] == 2), "accuracy"] = 1.0
    said = "t: mean hop reach at n_nodes 8 / 16 / 32: standard 1.0 / 1.0 / 1.0; nexus, order 2 2.0 / 1.0 / 1.0."
    finding = made(results).finding
    assert said in finding and finding[-1].startswith("Not decided: ")
    assert made(results, "n_facts").finding[3].startswith("t: mean hop reach at n_facts 8 / 16 / 32: ")


def test_a_parameter_that_varies_has_a_table_by_model_and_hop_with_intervals() -> None:
    (section,) = by_sections(made(sweep(*SIZES)))
    assert section.title == (
        "t by n_nodes (and with it n_facts), trained on hops 1,2, 3 steps of 2 graphs, fact encoding"
    )
    (of_values,) = section.tables
    assert of_values.columns == ["model", "hops", "n_nodes=8", "n_nodes=16", "n_nodes=32"]
    assert cells_of(of_values) == [
        ["standard", "reach", "1.0", "1.0", "1.0"],
        ["standard", "1", "1.000", "1.000", "1.000"],
        ["standard", "2", "0.455 [0.391, 0.519]", "0.415 [0.351, 0.479]", "0.335 [0.271, 0.399]"],
        ["nexus, order 2", "reach", "1.0", "1.0", "1.0"],
        ["nexus, order 2", "1", "1.000", "1.000", "1.000"],
        ["nexus, order 2", "2", "0.915 [0.851, 0.979]", "0.835 [0.771, 0.899]", "0.675 [0.611, 0.739]"],
    ]
    assert of_values.references[0] == ["chance", "all", "0.125", "0.062", "0.031"]


def test_its_chart_has_a_panel_per_model_a_colour_per_hop_and_the_numbers_of_the_table() -> None:
    (section,) = by_sections(made(sweep(*SIZES)))
    (picture,) = section.pictures
    assert picture.name == "accuracy_by_n_nodes" and picture.spec is not None
    assert picture.spec["facet"]["sort"] == ["standard", "nexus, order 2"]
    rows = picture.spec["datasets"]["rows"]
    at = {
        (row["model"], row["hop"], row["value"]): (row["accuracy"], row["low"], row["high"], row["seeds"])
        for row in rows
        if row["kind"] == "mean"
    }
    assert at["nexus, order 2", 2, 32] == (0.675, 0.611, 0.739, 2) and len(at) == 2 * 2 * 3
    seeds = [row["accuracy"] for row in rows if row["kind"] == "seed" and row["value"] == 32 and row["hop"] == 2]
    assert seeds == [0.34, 0.33, 0.68, 0.67]
    line = picture.spec["spec"]["layer"][1]["encoding"]
    assert line["color"]["scale"]["range"] == [light for light, _ in hop_colours([1, 2]).values()]
    assert line["x"]["scale"]["type"] == "log" and line["x"]["axis"]["values"] == [8, 16, 32]
    chance = picture.spec["datasets"]["references"]
    assert [(point["value"], point["accuracy"]) for point in chance] == [(8, 0.125), (16, 0.062), (32, 0.031)]
    assert picture.svg.count("<svg") == 1 and picture.png.startswith(b"\x89PNG")


def test_a_value_that_is_no_number_has_a_place_of_its_own() -> None:
    results = sweep({"n": 8, "g": "S_3"}, {"n": 9, "g": "Z_6"}, options="group={g}")
    (section,) = by_sections(made(results.assign(n_facts=12)))
    assert section.tables[0].columns[2:] == ["group=S_3", "group=Z_6"]
    assert section.pictures[0].spec is not None
    assert section.pictures[0].spec["spec"]["layer"][1]["encoding"]["x"]["type"] == "ordinal"


def test_of_two_parameters_each_is_shown_at_each_value_of_the_other() -> None:
    grid = [{"n": n, "d": d, "n_facts": n * d} for n in (8, 16) for d in (2, 3)]
    found = by_sections(made(sweep(*grid, options="n_nodes={n}; degree={d}")))
    assert [section.title.partition(", trained")[0] for section in found] == [
        *("t by degree, n_nodes=8", "t by degree, n_nodes=16"),
        *("t by n_nodes, degree=2", "t by n_nodes, degree=3"),
    ]
    names = [picture.name for section in found for picture in section.pictures]
    assert names == ["accuracy_by_degree", "accuracy_by_degree_2", "accuracy_by_n_nodes", "accuracy_by_n_nodes_2"]


def test_settings_that_differ_in_training_are_not_one_sweep_unless_asked_for() -> None:
    both = sweep({"n": 8, "steps": 3}, {"n": 16, "steps": 6})
    assert by_sections(made(both)) == [], "one cannot be told from the other"
    assert by_sections(made(both, "n_nodes"))[0].title.startswith("t by n_nodes (and with it n_facts, steps), trained")
    grid = sweep(*({"n": n, "steps": steps} for n in (8, 16) for steps in (3, 6)))
    assert [section.title.partition(" (")[0] for section in by_sections(made(grid))] == ["t by n_nodes"] * 2
    asked = by_sections(made(grid, "steps"))
    assert [section.title.partition(", trained")[0] for section in asked] == [
        "t by steps, n_nodes=8",
        "t by steps, n_nodes=16",
    ]


def test_of_two_settings_at_one_value_none_is_chosen() -> None:
    results = sweep({"n": 8}, {"n": 16}, {"n": 16, "task_version": 2})
    assert by_sections(made(results.assign(task_version=results["task_version"].fillna(1)))) == []


def test_one_setting_or_other_tasks_have_no_such_section() -> None:
    assert by_sections(made(sweep({"n": 8}))) == []
    other = sweep({"n": 16}).assign(task="u")
    assert by_sections(made(pd.concat([sweep({"n": 8}), other], ignore_index=True))) == []


def test_a_parameter_that_does_not_vary_is_refused_and_those_that_do_are_named() -> None:
    assert by_sections(made(sweep(*SIZES), "n_facts"))[0].tables[0].columns[2] == "n_facts=8"
    with pytest.raises(UsageError, match="unknown varying parameter 'n_node'; did you mean 'n_nodes'"):
        made(sweep(*SIZES), "n_node")


def test_a_cell_that_failed_or_is_missing_is_a_dash() -> None:
    results = sweep(*SIZES)
    lost = (results["model"] == "standard") & (results["n_facts"] == 8)
    gone = (results["model"] == "nexus, order 2") & (results["n_facts"] == 16)
    results = results.assign(accuracy=results["accuracy"].mask(lost), status=results["status"].mask(lost, "failed"))[
        ~gone
    ]
    (section,) = by_sections(made(results))
    rows = {(row[0], row[1]): row[2:] for row in cells_of(section.tables[0])}
    assert rows["standard", "2"][0] == rows["standard", "reach"][0] == rows["nexus, order 2", "2"][1] == "-"
    assert rows["nexus, order 2", "2"][0].startswith("0.915")


def test_the_page_and_the_report_show_it_with_tints_by_value() -> None:
    report = made(sweep(*SIZES))
    page = to_html(report, downloads={})
    assert 'style="--share: 0.68">0.675 <small>[0.611, 0.739]</small>' in page
    assert 'style="--share: 0.50">1.0<' in page, "a reach of 1 of 2 hops"
    assert "](figures/accuracy_by_n_nodes.svg)" in to_markdown(report)


def test_report_by_asks_for_parameters_by_name(command: Command) -> None:
    Path("sweep.yaml").write_text(
        "suite: sweep\ntasks: [{task: pointer_chase, hops: 1, n_nodes: [5, 7], n_queries: 3, n_val: 3, "
        "n_test: 5}]\nmodel: {d_model: 8, n_heads: 1}\nmodels: [{attention: standard}]\nseeds: 1\n"
        "train: {steps: 2, batch_size: 2, eval_every: 1}\n"
    )
    assert command("train", "sweep.yaml", "--executor", "inline", "--quiet").returncode == 0
    assert "t by" not in Path("runs/sweep/report.md").read_text().partition("## pointer_chase by n_nodes")[0]
    asked = command("report", "runs/sweep", "--by", "n_facts,vocab_size", "--format", "md")
    assert asked.stdout.count("## pointer_chase by n_facts (and with it vocab_size, n_nodes)") == 1
    wrong = command("report", "runs/sweep", "--by", "degree")
    assert (
        wrong.returncode == 2
        and "unknown varying parameter 'degree'; known: n_facts, n_nodes, vocab_size" in wrong.stderr
    )
