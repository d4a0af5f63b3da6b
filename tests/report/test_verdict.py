"""The verdict says what the results say, whichever way they went, and each figure is in the row that it points at."""

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.analysis.compare_models import NOT_TESTED, TOO_FEW
from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.report.build import Report
from nexus_bench.report.charts import plotting, task_drawing
from nexus_bench.report.charts.plotting import RenderedFigure
from nexus_bench.report.family_pages import family_pages
from nexus_bench.report.output import read_report, to_markdown
from nexus_bench.report.verdict.controls import controls_of
from nexus_bench.report.verdict.limits import not_interpreted, uninterpreted
from nexus_bench.report.verdict.paper import NUMBERS, make_numbers
from nexus_bench.report.verdict.sentences import most, theory, told
from nexus_bench.report.verdict.study import DeclaredOutcome, Study, runs_of, study_of
from nexus_bench.report.verdict.tables import MEASURES, best_of, fits_of
from nexus_bench.report.verdict.verdict_page import NOTHING_YET, make_verdict, read_verdict, verdict
from nexus_bench.report.words.notes import AT_EDGE
from tests.paths import EXAMPLES, ROOT
from tests.study import LAYERS_3, PLANTED, study_run

LINK = re.compile(r"\[([^][]*)\]\(([^)]*)\)")


@pytest.fixture(scope="module")
def page(study: Study) -> str:
    return verdict(study, {}, to="run", to_controls="")


def only(study: Study, *tasks: str) -> Study:
    return study._replace(families=tuple(one for one in study.families if one.task in tasks))


def plain(text: str) -> str:
    return LINK.sub(r"\1", text)


def test_families_are_in_the_order_of_the_suite_and_those_without_results_are_named(study: Study, page: str) -> None:
    assert study.suite == "reference"
    assert [one.task for one in study.families] == ["pointer_chase", "ancestor", "ordering", "kinship"]
    assert study.missing[0] == "reachable" and len(study.missing) == 9
    assert "**Not complete**: 4 of 13 families have results. Missing: `reachable`, `variable_chain`" in plain(page)
    whole = study._replace(missing=())
    assert "Not complete" not in verdict(whole, {}, to="run", to_controls="")


def test_models_have_names_that_tell_them_apart_in_few_words(study: Study) -> None:
    layers, loops = ["1 layer", "2 layers", "3 layers"], ["2 loops", "3 loops"]
    assert list(study.families[0].models) == [
        *layers,
        *loops,
        "order 2",
        "order 2 mirrored",
        "order 3",
        "order 3 mirrored",
    ]
    assert [tuple(pair) for pair in study.pairs[:3]] == [
        ("order 2", "2 loops"),
        ("order 3", "3 loops"),
        ("order 2", "2 layers"),
    ]


def test_order_that_helps_somewhere_and_hurts_elsewhere_is_said_so(study: Study) -> None:
    assert plain(told(study, 1, "run")).startswith(
        "It depends on the family: order 2 reaches further in 1 (`kinship` +0.9, p 0.0029) and less far in 1 "
        "(`ancestor` -1.0, p 0.002) of 4 families. No difference is shown in 2 (`pointer_chase` +0.3, p 0.25, "
        "`ordering`* +0.0, p 1), which does not make them equal. By mean reach alone, which is no test: 2 ahead, "
        "1 behind, 1 equal."
    )


def test_order_that_helps_is_not_said_to_hurt(study: Study) -> None:
    said = plain(told(only(study, "kinship", "ordering"), 1, "run"))
    assert said.startswith(
        "Order 2 reaches further in 1 of 2 families (`kinship` +0.9, p 0.0029), and less far in none."
    )


def test_order_that_hurts_is_not_said_to_help(study: Study) -> None:
    said = plain(told(only(study, "ancestor", "ordering"), 1, "run"))
    assert said.startswith(
        "Order 2 reaches less far in 1 of 2 families (`ancestor` -1.0, p 0.002), and further in none."
    )


def test_what_is_not_decided_is_not_called_equal(study: Study) -> None:
    said = plain(told(only(study, "pointer_chase"), 1, "run"))
    assert said.startswith("In none of 1 family is order 2 shown to reach further or less far. No difference is shown")
    assert "which does not make them equal" in said


def test_what_stands_behind_a_difference_that_is_not_shown_is_not_tested(study: Study) -> None:
    said = plain(told(study, 2, "run"))
    assert said.startswith(
        "Order 3 reaches further in 1 of 2 tested families (`kinship` +1.0, p 0.0029), and less far in none."
    )
    assert "Not tested in 2 of 4 families, as a place before shows no difference there, or has too few seeds." in said
    assert plain(told(only(study, "pointer_chase"), 2, "run")).startswith("It is tested in none of 1 family")


def with_outcome(study: Study, outcome: DeclaredOutcome | None) -> Study:
    families = [one._replace(outcomes=(outcome, *one.outcomes[1:])) for one in study.families]
    return study._replace(families=tuple(families))


def test_too_few_seeds_and_a_missing_model_decide_nothing(study: Study) -> None:
    first = study.families[0].outcomes[0]
    assert first is not None
    few = plain(told(with_outcome(study, first._replace(verdict=TOO_FEW)), 1, "run"))
    assert few.startswith("Nothing is decided. Too few seeds in 4.")
    lost = plain(told(with_outcome(study, None), 1, "run"))
    assert lost.startswith("Nothing is decided. Without one of both models: 4.")
    untested = plain(told(with_outcome(study, first._replace(verdict=NOT_TESTED)), 1, "run"))
    assert "reaches" not in untested


def test_the_table_marks_what_is_shown_in_its_direction(page: str) -> None:
    table = page.partition("## Declared comparisons")[2].partition("##")[0]
    rows = {cells[1].strip(" `*"): cells for line in table.splitlines() if len(cells := plain(line).split("|")) > 5}
    assert rows["kinship"][2].strip() == "**+0.9, p 0.0029: further**"
    assert rows["ancestor"][2].strip() == "**-1.0, p 0.002: less far**"
    assert rows["pointer_chase"][2].strip() == "+0.3, p 0.25"
    assert rows["pointer_chase"][3].strip().endswith(", not tested")
    assert rows["spatial"][2].strip() == "missing"


STRUCTURE = [
    r"`[^`]*`",  # names and formulas
    r"\b[Oo]rders? \d|\b\d (?:loops?|layers?)|\bplace \d|\(place \d\)",  # names of models, places of comparisons
    r"\b\d\^m - 1|\b\d\^\(m-1\)|agree with \dm",  # formulas in headings
    r"0\.95|\b5%",  # the threshold of a reach and the level of a test, which the design fixes
]


def test_every_figure_of_a_sentence_or_a_table_is_linked(page: str) -> None:
    """But those of the power, which follows from the numbers of seeds and tests and has no row."""
    text = LINK.sub("", page.partition("### What 12 seeds can show")[0])
    for pattern in STRUCTURE:
        text = re.sub(pattern, "", text)
    assert [line for line in text.splitlines() if re.search(r"\d", line)] == []


def test_a_figure_stands_in_the_row_that_it_points_at(report: Report, page: str) -> None:
    linked = [(text, *target.split("#")) for text, target in LINK.findall(page) if target.startswith("run/families/")]
    linked = [(text, name, anchor) for text, name, *anchors in linked for anchor in anchors if anchor[-1].isdigit()]
    pages = {f"run/families/{name}": text for name, text in family_pages(report).items()}
    assert len(linked) > 100
    for text, name, anchor in linked:
        (row,) = [line for line in pages[name].splitlines() if f'<a id="{anchor}"></a>' in line]
        words = re.sub(r"\b[Oo]rder \d|\b\d (?:loops|layers|layer|models)|hops .*", "", text)
        told_ = [] if " of " in text else re.findall(r"[-+]?\d[\d.,]*\d|\d", words)
        cells = re.split(r"[ |]+", row)
        assert not set(told_) - set(cells), (text, row)


def test_a_count_of_several_orders_points_at_the_table_that_has_all_of_their_rows(report: Report, page: str) -> None:
    table = page.partition("## Theory")[2].partition("\n## ")[0]
    counts = [(text, target) for text, target in LINK.findall(table) if " of " in text]
    assert counts
    pages = {f"run/families/{name}": text for name, text in family_pages(report).items()}
    for text, target in counts:
        name, _, anchor = target.partition("#")
        heads = re.findall(r"^#+ (.*)$", pages[name], flags=re.MULTILINE)
        assert anchor in [head.lower().replace(" ", "-") for head in heads], (text, target)


def test_the_best_by_a_cost_is_found(study: Study) -> None:
    (kinship,) = only(study, "kinship").families
    by_name = {one.name: [model.name for model in best_of(kinship, one)[0]] for one in MEASURES}
    assert by_name["hops per million parameters"] == ["order 3"], "4 hops, with the fewest parameters"
    assert by_name["hops per GFLOP of a step"] == ["order 3"], "4 for 2 GFLOP; order 2 has 2.9 for 1.5"
    assert by_name["hops per PFLOP of training"] == ["order 3"], "all seeds of which stopped early"
    assert best_of(kinship, MEASURES[-1]) == ([kinship.models["order 3"]], "2,000")


def test_seeds_are_held_against_each_formula(study: Study) -> None:
    (chase,) = only(study, "pointer_chase").families
    default, mirrored = fits_of(chase)
    assert (default.reading, mirrored.reading) == ("", "mirrored")
    assert default.agree == {"m": 0, "2^m - 1": 24, "3^(m-1)": 24, "2m": 12} and default.n_seeds == 24
    assert default.beyond == {"m": 24, "2^m - 1": 0, "3^(m-1)": 0, "2m": 0}
    said = next(theory(only(study, "pointer_chase", "kinship"), "run"))
    assert plain(said).startswith(
        "**Formulas, default reading.** Of 48 seeds on 2 families 1 reach exactly `m`, 47 reach exactly `2^m - 1` and "
        "`3^(m-1)`, "
    )
    assert said.endswith("The most seeds agree with `2^m - 1` and `3^(m-1)` in `pointer_chase`, `kinship`."), (
        "alike so far"
    )
    (kinship,) = only(study, "kinship").families
    assert fits_of(kinship)[0].agree == {"m": 1, "2^m - 1": 23, "3^(m-1)": 23, "2m": 12}
    assert fits_of(only(study, "ordering").families[0]) == [], "nothing is claimed there"


def test_a_layer_that_makes_more_hops_than_every_formula_says_is_named(study: Study) -> None:
    (kinship,) = only(study, "kinship").families
    models = dict(kinship.models)
    models["1 layer"] = models["1 layer"]._replace(seeds=(2, 2, 1))
    changed = study._replace(families=(kinship._replace(models=models),))
    said = plain(next(theory(changed, "run")))
    assert said.startswith(
        "**Formulas, order 1.** All say one hop. One standard layer makes more in `kinship` (2 of 3 s"
    )
    assert "order 1" not in plain(next(theory(only(study, "kinship"), "run")))


def test_families_that_are_not_interpreted_are_named_and_not_counted(study: Study) -> None:
    said = plain(told(study, 1, "run", ["pointer_chase", "kinship"]))
    assert "which does not make them equal. Not interpreted of these: `pointer_chase`. By mean" in said
    assert "in 2" in plain(most(only(study, "kinship", "ancestor"), 1))
    assert "in 2" not in plain(most(only(study, "kinship", "ancestor"), 1, ["kinship"]))
    assert not list(theory(only(study, "kinship"), "run", ["kinship"]))
    assert uninterpreted(study, {}) == ("ordering",)


def test_a_grid_that_has_to_grow_is_said_on_top(study: Study) -> None:
    assert "edge of its grid" not in verdict(study, {}, to="run", to_controls="")
    first, *others = study.families
    edge = study._replace(families=(first._replace(notes=(f"{AT_EDGE}: order 2.",)), *others))
    said = plain(verdict(edge, {}, to="run", to_controls=""))
    assert "In 1 family some model is best at an edge of its grid of rates" in said


def test_what_tells_nothing_is_named_with_its_reason(study: Study) -> None:
    said = [plain(one) for one in not_interpreted(study, {}, "run", "")]
    assert "`ordering`*: hops 1-4: the partial-input ceiling is 0.95 or more there" in said[1]
    assert said[0] == "`ancestor`: no seed of any model reaches 4 hops; the furthest is 3."
    assert not [one for one in said if one.startswith("`kinship`")], "order 3 reaches all"
    assert said[-1].startswith("No controls are among these results")


def test_a_family_is_called_learnable_only_if_a_control_reaches_all_hops_on_every_seed(
    tmp_path: Path, study: Study
) -> None:
    reaches = {"kinship": {"standard, n_loops 4": [4]}, "ancestor": {"standard, n_loops 4": [4, 2]}}
    folder = study_run(tmp_path / "recipes", reaches, name="recipes", n_seeds=2)
    controls = read_report([folder])
    found = controls_of(controls, study)
    assert (found["kinship"].serves, found["kinship"].furthest) == (True, 4)
    assert (found["ancestor"].serves, found["ancestor"].furthest) == (False, 2)
    said = [plain(one) for one in not_interpreted(study, found, "run", "controls")]
    assert not [one for one in said if one.startswith("`kinship`")]
    (told_,) = [one for one in said if one.startswith("`ancestor`: no control reaches all hops on every seed")]
    assert "comes to 2 of 4 hops" in told_
    assert "`pointer_chase`: no control was trained at this setting, so it is not shown to be learnable." in said
    row = found["ancestor"].row
    name, _, anchor = row.target.partition("#")
    pages = family_pages(controls)
    assert f'<a id="{anchor}"></a>{found["ancestor"].model} ' in pages[Path(name).name]


def test_runs_of_single_families_are_one_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotting, "_drawn", lambda spec: RenderedFigure(b"", "<svg/>"))
    monkeypatch.setattr(task_drawing, "drawing", lambda svg: RenderedFigure(b"", svg))
    for task in ("kinship", "ancestor"):
        study_run(tmp_path / "study" / task, {task: PLANTED[task]}, n_seeds=2)
    (tmp_path / "study" / "figures").mkdir()
    runs = runs_of(tmp_path / "study")
    assert [run.name for run in runs] == ["ancestor", "kinship"]
    make_verdict(tmp_path / "study", None, None, tmp_path / "page.md")
    first = (tmp_path / "page.md").read_text()
    assert "(study/families/kinship.md#declared-1)" in first and (tmp_path / "study/families/kinship.md").is_file()
    assert "2 of 13 families have results" in plain(first)
    assert first.index("| [`ancestor`]") < first.index("| [`kinship`]"), "as in the suite"
    assert read_verdict(tmp_path / "study", tmp_path / "nowhere", tmp_path / "nowhere", tmp_path) == first, (
        "the same bytes"
    )


def test_what_is_no_study_is_refused_and_no_run_is_said(tmp_path: Path, run: Path, report: Report) -> None:
    with pytest.raises(UsageError, match="holds no run; train one"):
        runs_of(tmp_path)
    with pytest.raises(ConfigError, match="has 2 settings in these results; a study has one of each family"):
        study_of(report._replace(sections=report.sections * 2), [run])
    with pytest.raises(ConfigError, match="several suites"):
        study_of(report, [run, EXAMPLES / "matched"])
    make_verdict(tmp_path / "nowhere", None, None, tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == NOTHING_YET
    assert "Nothing of" not in NOTHING_YET, "its controls and challenges may be there"


@pytest.mark.parametrize("name", ["reference", "recipes"])
def test_reports_of_the_study_are_what_this_code_makes_of_their_results(name: str) -> None:
    folder = ROOT / "runs" / name
    if not folder.is_dir():
        pytest.skip("not in the repository yet")
    made, is_study = committed_report(name), name == "reference"
    written = {path.name: path.read_text() for path in (folder / "families").glob("*.md")}
    assert written == family_pages(made, with_figures=is_study), "make verdict"
    if is_study:
        assert (folder / "report.md").read_text() == to_markdown(made, with_sections=False)
        drawn = {path.stem for path in (folder / "figures").glob("*.svg")}
        assert set(re.findall(r"\.\./figures/([\w-]+)\.svg", "".join(written.values()))) <= drawn


def test_pages_of_the_study_are_what_its_committed_runs_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are made in one test, as to make the reports takes long."""
    run, controls, docs = ROOT / "runs" / "reference", ROOT / "runs" / "recipes", ROOT / "docs"
    challenges = ROOT / "runs" / "challenges"
    monkeypatch.setattr("nexus_bench.report.verdict.controls.read_report", lambda runs: committed_report(above(runs)))
    made = read_verdict(run, controls, challenges, docs) if run.is_dir() else NOTHING_YET
    assert (docs / "verdict.md").read_text() == made, "make verdict"
    assert (docs / "paper" / NUMBERS).read_text() == make_numbers(run, controls, challenges, docs / "paper"), (
        "make paper"
    )


def test_the_readme_says_what_the_first_comparison_showed() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    numbers = json.loads((ROOT / "docs" / "paper" / NUMBERS).read_text())
    outcomes = [row[1:3] for row in numbers["declared"][1:]]
    first, second = zip(*outcomes, strict=True)
    further, behind = (sum(one.endswith(words) for one in first) for words in (": further", ": less far"))
    little = re.search(r"Not interpreted of these: ([^.]*)\.", numbers["places"][0]["text"])
    n_little = 0 if little is None else len(little[1].split(", "))
    assert numbers["n_families"] == numbers["n_asked"] == len(outcomes) and f"of {len(outcomes)} tasks" in readme
    assert f"order 2 reaches further in {further} family, less far in {behind}, and no difference is shown in" in readme
    assert f"no difference is shown in {len(first) - further - behind} ({n_little} of them tell little)" in readme
    assert "the one is reversed" in readme and numbers["challenged"].count("Reversed: ancestor, order 2 against") == 1
    tested = [one for one in second if "not tested" not in one]
    n_behind = sum("less far" in one for one in tested)
    assert (
        f"Order 3 against three loops is tested in {len(tested)}: less far in {n_behind} and further in none" in readme
    )
    assert not [one for one in tested if "further" in one]


@functools.cache
def committed_report(name: str) -> Report:
    return read_report(runs_of(ROOT / "runs" / name))


def above(runs: Sequence[Path]) -> str:
    return runs[0].relative_to(ROOT / "runs").parts[0]


def test_a_model_that_is_last_everywhere_is_no_winner(study: Study) -> None:
    for family in study.families:
        for measure in MEASURES:
            best, value = best_of(family, measure)
            assert best and value and LAYERS_3 not in [model.label for model in best]
            assert all(model.reach > 0 for model in best)


def test_a_family_may_have_another_curriculum_but_only_one(tmp_path: Path, report: Report, run: Path) -> None:
    def without(frame: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
        bare = frame["model"].str.partition(", curriculum")[0]
        return frame.assign(model=frame["model"].where(~frame["task"].isin(tasks), bare))

    frames = {name: without(getattr(report, name), ["kinship"]) for name in ("accuracy", "reach", "reached")}
    comparisons = without(report.comparisons, ["kinship"])
    bare = comparisons["baseline"].str.partition(", curriculum")[0]
    comparisons["baseline"] = comparisons["baseline"].where(comparisons["task"] != "kinship", bare)
    found = study_of(report._replace(**frames, comparisons=comparisons), [run])
    assert {one.task: one.curriculum for one in found.families}["kinship"] == ""
    assert {tuple(one.models) for one in found.families} == {tuple(found.families[0].models)}, "by the same names"
    assert all(outcome is not None for one in found.families for outcome in one.outcomes)
    accuracy = report.accuracy
    is_one = (accuracy["task"] == "kinship") & accuracy["model"].str.startswith("standard, d_model")
    both = accuracy.assign(model=accuracy["model"].str.partition(", curriculum")[0].where(is_one, accuracy["model"]))
    with pytest.raises(ConfigError, match="kinship: has 2 curricula in these results"):
        study_of(report._replace(accuracy=both), [run])
