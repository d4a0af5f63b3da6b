"""Sections of a report: which rows stand together, and what tells them apart."""

import pandas as pd
import pytest

from nexus_bench.errors import ConfigError
from nexus_bench.io.read_results import read_results
from nexus_bench.report.build import build_report
from nexus_bench.report.output import to_csvs, to_markdown
from nexus_bench.report.words.section_titles import asked, named
from tests.made import cells_of, curve, report_of, table
from tests.paths import ROOT


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
        ["a, variant 1", "1.0", "1.000", "0.500", "2", "1,000", "2"],
        ["a, variant 2", "0.0", "0.250", "0.250", "2", "1,000", "2"],
    ]
    assert section.notes[0].startswith("Variants of a model differ in a version of their attention")
    assert "learning_curves" in {picture.name for picture in section.pictures}


def test_hops_beyond_training_stand_on_the_same_axis() -> None:
    results = table(("a", 0.1, 0, {1: 1.0, 2: 0.9}), ("a", 0.1, 1, {1: 1.0, 2: 0.8})).assign(train_hops="1-2")
    beyond = results[results["split"] == "test"].assign(split="hop_ood", hop=lambda f: f["hop"] + 2, accuracy=0.5)
    (section,) = report_of(pd.concat([results, beyond], ignore_index=True)).sections
    assert section.tables[1].columns[1:6] == ["hop reach", "1 hop", "2 hops", "3 hops", "4 hops"]
    assert section.tables[1].rows[0].cells[4] == "0.500"
    assert section.tables[1].rows[0].cells[1] == "1.0", "hop reach is that of the test split"


def test_a_seed_reaches_a_hop_beyond_training_only_over_the_trained_ones() -> None:
    results = table(("a", 0.1, 0, {1: 1.0, 2: 0.9}), ("a", 0.1, 1, {1: 1.0, 2: 1.0})).assign(train_hops="1-2")
    beyond = results[results["split"] == "test"].assign(split="hop_ood", hop=lambda f: f["hop"] + 2, accuracy=1.0)
    report = report_of(pd.concat([results, beyond], ignore_index=True))
    assert [cell.split(" ")[0] for cell in report.sections[0].tables[0].rows[0].cells[2:6]] == ["2/2", *["1/2"] * 3]
    at = report.reached[report.reached["threshold"] == 0.9]
    assert list(zip(at["split"], at["hop"], at["n_reached"], strict=True)) == [
        ("test", 1, 2),
        ("test", 2, 2),
        ("hop_ood", 3, 2),
        ("hop_ood", 4, 2),
    ]


def test_a_hop_below_the_trained_ones_that_is_missed_bounds_reach_in_every_table() -> None:
    results = table(*((model, 0.1, s, {2: 1.0 if model == "a" else 0.1}) for model in "ab" for s in range(6)))
    results = results.assign(train_hops="2")
    below = results[results["split"] == "test"].assign(split="hop_ood", hop=1, accuracy=0.0)
    report = report_of(pd.concat([results, below], ignore_index=True))
    assert set(report.reach["mean"]) == {0.0}
    assert set(report.comparisons["mean"]) == {0.0}


def test_several_sets_of_scored_answers_are_variants_whatever_the_seeds_of_their_datasets() -> None:
    answers = table(*(("gpt", 0.1, seed, {1: 0.9, 2: 0.9}) for seed in range(3))).query("split == 'test'")
    answers = answers.assign(status="scored", n_examples=10, n_correct=9)
    rows = cells_of(report_of(answers).sections[0].tables[1])
    assert [row[0] for row in rows] == ["gpt, variant 1", "gpt, variant 2", "gpt, variant 3"]


def test_a_further_split_has_a_section_of_its_own() -> None:
    results = table(("a", 0.1, 0, {1: 1.0}), ("a", 0.1, 1, {1: 1.0}))
    larger = results[results["split"] == "test"].assign(split="size_ood", n_facts=24, accuracy=0.25)
    report = report_of(pd.concat([results, larger], ignore_index=True))
    _, further = report.sections
    assert "size_ood, 24 facts" in further.title and "trained on hops 1 with 12 facts" in further.title
    assert cells_of(further.tables[0]) == [["a", "0/2 [0.00, 0.84]"]]
    assert cells_of(further.tables[1]) == [["a", "0.250", "2"]]
    assert set(report.reached["split"]) == {"test", "size_ood"}
    assert [picture.name for picture in further.pictures] == ["seeds_by_hop-size_ood", "accuracy_by_hop-size_ood"]
    assert set(report.accuracy["split"]) == {"test", "size_ood"} and set(report.reach["split"]) == {"test"}


def test_a_model_has_one_name_where_some_models_alone_are_asked_further() -> None:
    models = ("a", "a, n_loops 6", "a, n_loops 6, random_loops")
    results = table(*((model, 0.1, seed, {1: 1.0}) for model in models for seed in range(2)))
    looped = results[(results["split"] == "test") & results["model"].str.contains("n_loops")]
    _, further = report_of(pd.concat([results, looped.assign(split="eval_loops12")], ignore_index=True)).sections
    for made in further.tables[:2]:
        assert [row[0] for row in cells_of(made)] == list(models[1:]), "a alone is another model"


def test_every_setting_has_a_table_and_figures_of_its_own(results: pd.DataFrame) -> None:
    report = report_of(pd.concat([results, results.assign(task="u", cell_id=results["cell_id"] + "u")]))
    assert [section.title.split(",")[0] for section in report.sections] == ["t", "u"]
    names = [picture.name for section in report.sections for picture in section.pictures]
    assert len(names) == len(set(names)) and {"accuracy_by_hop", "accuracy_by_hop_2"} <= set(names)
    assert to_markdown(report).count("![") == len(names)
    assert "![" not in to_markdown(report, with_figures=False)


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
    *settings, _ = report.sections
    assert [section.title.split(", 12 facts")[0] for section in settings] == ["t, group=S_3", "t, group=Z_6"]
    assert [cells_of(section.tables[1])[0][0:3] for section in settings] == [["a", "0.0", "0.500"]] * 2
    assert [section.tables[1].references[0][2] for section in settings] == ["0.200", "0.400"]


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [("reuse", [1, 8], "each used 8 times"), ("n_queries", [3, 4], "t, n_queries=4"), ("task_version", [1, 2], "=2,")],
)
def test_sections_have_distinct_titles_that_say_what_differs(column: str, values: list[object], said: str) -> None:
    titles = [section.title for section in report_of(settings_of(**{column: values})).sections]
    assert len(set(titles[:2])) == 2 and said in titles[1]


def test_two_chances_of_one_task_are_an_error_and_never_a_mean() -> None:
    with pytest.raises(
        ConfigError, match=r"chance is 0\.2, 0\.4 in rows of t that no column tells apart, at hop 1 of test"
    ):
        report_of(settings_of(chance=[0.2, 0.4]))


def test_versions_of_an_attention_are_variants_also_at_other_seeds() -> None:
    (section,) = report_of(settings_of(attention_version=[1, 2])).sections
    assert [row[0] for row in cells_of(section.tables[0])] == ["a, variant 1", "a, variant 2"]


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
    assert models[:2] == [["a"], ["a", "gpt (text)"]]


def test_sequences_have_tokens_and_graphs_have_facts() -> None:
    for run, told in (("reproductions/delta-s3/small", "64 sequences"), ("example/quick", "32 graphs")):
        rows = read_results(ROOT / "runs" / run)
        size = rows.drop_duplicates("cell_id").set_index("cell_id")["n_facts"]
        title = asked(rows[rows["split"] == "test"], size)
        assert f" steps of {told}, " in title
        assert title.startswith("16 tokens, " if told.endswith("sequences") else "12 facts, ")


def test_a_title_leaves_out_a_setting_that_its_section_does_not_have() -> None:
    rows = pd.DataFrame({"task": ["t", "t"], "task_options": ["hop_ood=null; n_nodes=12", "hop_ood=4; n_nodes=12"]})
    differ: dict[str, tuple[list[str], list[str]]] = {"t": ([], ["hop_ood"])}
    assert [named(rows.iloc[[i]], differ) for i in (0, 1)] == ["t", "t, hop_ood=4"]
