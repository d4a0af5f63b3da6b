"""Challenges are told as what they are: a claim reversed, not shown again, or shown again, whatever the direction."""

import re
from pathlib import Path

import pytest

from nexus_bench.analysis.compare_models import BETTER, NOT_SHOWN, NOT_TESTED, TOO_FEW, WORSE
from nexus_bench.io.read_results import read_results
from nexus_bench.report.build import Report
from nexus_bench.report.charts import plotting, task_drawing
from nexus_bench.report.charts.plotting import RenderedFigure
from nexus_bench.report.family_pages import family_page
from nexus_bench.report.output import read_report
from nexus_bench.report.verdict import challenges
from nexus_bench.report.verdict.challenges import (
    AGAIN,
    NOT_AGAIN,
    REVERSED,
    Challenge,
    challenge_table,
    challenged,
    read_challenges,
    read_reports,
)
from nexus_bench.report.verdict.study import Pair, Study, study_of
from nexus_bench.report.verdict.verdict_page import make_verdict, verdict
from tests.paths import ROOT
from tests.study import LOOPS_2, ORDER_2, study_run

RUNS = ROOT / "runs" / "challenges"
KINDS = {
    (BETTER, BETTER): AGAIN,
    (BETTER, WORSE): REVERSED,
    (BETTER, NOT_SHOWN): NOT_AGAIN,
    (BETTER, TOO_FEW): NOT_AGAIN,
    (WORSE, BETTER): REVERSED,
    (WORSE, WORSE): AGAIN,
    (WORSE, NOT_SHOWN): NOT_AGAIN,
    (NOT_SHOWN, BETTER): None,
    (NOT_TESTED, WORSE): None,
}


def made(study: Study, before: str | None, after: str) -> Challenge:
    family = study.families[0]
    outcome = family.outcomes[0]
    assert outcome is not None
    old = None if before is None else outcome._replace(verdict=before)
    return Challenge("mine", family, Pair("order 2", "2 loops"), outcome._replace(verdict=after), old)


@pytest.mark.parametrize(("before", "after"), KINDS)
def test_what_a_challenge_does_to_a_claim(study: Study, before: str, after: str) -> None:
    challenge = made(study, before, after)
    assert challenge.kind == KINDS[before, after]
    said = challenged([challenge], "runs")
    assert [kind for kind in (REVERSED, NOT_AGAIN, AGAIN) if f"{kind}:" in said] == [k for k in [challenge.kind] if k]
    row = challenge_table([challenge], "run", "runs")[-1]
    assert ("**" in row) == (challenge.kind in (REVERSED, NOT_AGAIN))


def test_two_models_that_the_study_does_not_compare_are_said_so(study: Study) -> None:
    challenge = made(study, None, BETTER)
    assert challenge.kind is None
    assert "| not compared | [" in challenge_table([challenge], "run", "runs")[-1]


def test_a_verdict_without_challenges_has_no_word_of_them(study: Study) -> None:
    assert "hallenge" not in verdict(study, {}, to="run")
    assert "- **Challenges.** " in verdict(study, {}, [made(study, BETTER, WORSE)], to="run", to_challenges="runs")


def test_a_challenge_is_read_beside_the_family_of_the_study(tmp_path: Path) -> None:
    planted = {"kinship": {ORDER_2: [3], LOOPS_2: [2]}, "ancestor": {ORDER_2: [2], LOOPS_2: [2]}}
    run = study_run(tmp_path / "study", planted)
    study_run(tmp_path / "challenges/kinship-again", {"kinship": {ORDER_2: [2], LOOPS_2: [3]}})
    study = study_of(read_report([run]), [run])
    found = read_challenges(read_reports(tmp_path / "challenges"), study, run)
    first = next(one for one in found if one.pair == study.pairs[0])
    assert (first.run, first.family.task, first.kind) == ("kinship-again", "kinship", REVERSED)
    assert len(found) == len(study.pairs)
    assert read_reports(tmp_path / "nowhere") == read_reports(None) == {}
    assert read_challenges({}, study, run) == ()


def test_a_verdict_reads_the_runs_of_challenges_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotting, "_drawn", lambda spec: RenderedFigure(b"", "<svg/>"))
    monkeypatch.setattr(task_drawing, "drawing", lambda svg: RenderedFigure(b"", svg))
    run = study_run(tmp_path / "study", {"kinship": {ORDER_2: [3], LOOPS_2: [2]}})
    one = study_run(tmp_path / "challenges/kinship-again", {"kinship": {ORDER_2: [2], LOOPS_2: [3]}})
    read: list[list[Path]] = []

    def noted(runs: list[Path]) -> Report:
        read.append(runs)
        return read_report(runs)

    monkeypatch.setattr(challenges, "read_report", noted)
    make_verdict(run, None, tmp_path / "challenges", tmp_path / "page.md")
    assert read == [[one]]
    assert "- **Challenges.** " in (tmp_path / "page.md").read_text()
    assert (one / "families/kinship.md").is_file()


def test_the_page_says_how_far_every_model_of_every_challenge_came() -> None:
    page = (ROOT / "docs" / "challenges.md").read_text()
    row = r"^\| `([\w-]+)` \| ([^|]*) \| (\d\.\d) \| ([^|]*) \|$"
    told = {(run, model): (reach, recipe) for run, model, reach, recipe in re.findall(row, page, flags=re.MULTILINE)}
    found = {}
    for run in RUNS.glob("*/"):
        report = read_report([run])
        results = read_results(run)
        results = results[results["purpose"] == "measured"]
        for _, one in report.reach[report.reach["split"] == "test"].iterrows():
            model = one["model"].partition(", curriculum")[0].replace(", d_model 128, n_heads 4", "")
            cells = results[results["model"] == one["model"]]
            options = dict(part.split("=") for part in cells["recipe_options"].iloc[0].split("; "))
            recipe = {"lr": f"{cells['lr'].iloc[0]:g}"} | {
                key: f"{float(options[key]):g}" for key in ("weight_decay", "warmup_steps") if key in _tuned(run)
            }
            found[run.name, model] = (
                f"{one['mean']:.1f}",
                ", ".join(f"{key}={value}" for key, value in recipe.items()),
            )
    assert told == found and len(told) == 12


@pytest.mark.parametrize("run", sorted(RUNS.glob("*/")), ids=lambda run: run.name)
def test_the_page_of_a_challenge_is_what_its_results_say(run: Path) -> None:
    report = read_report([run])
    (task,) = {section.task for section in report.sections}
    assert (run / "families" / f"{task}.md").read_text() == family_page(report, task, with_figures=False)


def _tuned(run: Path) -> str:
    return (run / "spec.yaml").read_text().partition("tune:")[2].partition("seeds:")[0]
