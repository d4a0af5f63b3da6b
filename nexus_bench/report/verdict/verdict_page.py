"""The verdict of a study as a page, from its run folders.

No sentence is written by hand that the results could contradict: each is chosen by what they say.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nexus_bench.io.files import write_atomic
from nexus_bench.report.build import Report
from nexus_bench.report.family_pages import FAMILIES, family_pages
from nexus_bench.report.output import write_report
from nexus_bench.report.verdict.challenges import (
    Challenge,
    challenge_table,
    challenged,
    read_challenges,
    read_reports,
    write_pages,
)
from nexus_bench.report.verdict.controls import Control, StudyWithControls, read_study
from nexus_bench.report.verdict.limits import growing, limits, not_interpreted, uninterpreted
from nexus_bench.report.verdict.sentences import TABLES, families, most, parameters, theory, told, topic
from nexus_bench.report.verdict.study import Study
from nexus_bench.report.verdict.tables import (
    MEASURES,
    THEORIES,
    cost_table,
    declared_table,
    reach_table,
    theory_table,
)

_TITLE = "# Verdict of the reference study"
_MADE = "*Generated* by `make verdict` from the run folder; do not edit it by hand."
NOTHING_YET = f"""{_TITLE}

{_MADE}

The runs of [the study](reference_study.md) are not here yet, so there is no verdict.
"""


def make_verdict(run: Path, controls: Path | None, challenges: Path | None, page: Path) -> None:
    """Write the verdict, the report that it points at, and of the others the pages of families without figures.

    If there is no run, the verdict says so.

    Args:
        run: A run folder, or a folder of runs.
        controls: The same of the controls; None or absent: the page says that there are none.
        challenges: The same of the challenges; None or absent: there are none.
        page: The file to write.

    Raises:
        ConfigError: The runs are of several studies.
        CorruptArtefactError: A file of a run was edited.
        StorageError: A file cannot be written.
    """
    if not run.is_dir():
        write_atomic(page, NOTHING_YET)
        return
    read = read_study(run, controls)
    write_report(read.report, run)
    if controls is not None and read.of_controls is not None:
        for name, text in family_pages(read.of_controls, with_figures=False).items():
            write_atomic(controls / FAMILIES / name, text)
    tried = read_reports(challenges)
    write_pages(tried)
    write_atomic(page, _linked(read, tried, run, controls, challenges, page.parent))


def read_verdict(run: Path, controls: Path | None, challenges: Path | None, home: Path) -> str:
    """The verdict as Markdown, of which nothing is written.

    Args:
        run: As of `make_verdict`.
        controls: Likewise.
        challenges: Likewise.
        home: The folder of the page, from which its links start.
    """
    return _linked(read_study(run, controls), read_reports(challenges), run, controls, challenges, home)


def _linked(
    read: StudyWithControls,
    tried: Mapping[Path, Report],
    run: Path,
    controls: Path | None,
    challenges: Path | None,
    home: Path,
) -> str:
    return verdict(
        read.study,
        read.controls,
        read_challenges(tried, read.study, run),
        to=os.path.relpath(run, home),
        to_controls=os.path.relpath(controls, home) if read.controls and controls else "",
        to_challenges=os.path.relpath(challenges, home) if challenges else "",
    )


def verdict(
    study: Study,
    controls: Mapping[str, Control],
    challenges: Sequence[Challenge] = (),
    *,
    to: str,
    to_controls: str = "",
    to_challenges: str = "",
) -> str:
    """The verdict on a study.

    Args:
        study: What was found.
        controls: By family, how far the best control came; empty if there is none.
        challenges: What others found who tried to overturn it.
        to: The folder of the report of the study, from the page.
        to_controls: That of the controls.
        to_challenges: That of the challenges.
    """
    lines = [_TITLE, "", f"{_MADE} A figure links to the row that it is from. {_declared_before(study)}", ""]
    lines += ["## In short", "", *(f"- {one}" for one in _in_short(study, controls, to)), ""]
    if challenges:
        lines.insert(-1, f"- **Challenges.** {challenged(challenges, to_challenges)}")
    lines += ["## Declared comparisons", "", *declared_table(study, to), "", _how_declared(study), ""]
    if challenges:
        lines += ["## Challenges", "", *challenge_table(challenges, to, to_challenges), "", _HOW_CHALLENGES, ""]
    lines += ["## Hop reach", "", *reach_table(study, to), "", _HOW_REACH, ""]
    lines += ["## Costs", "", *cost_table(study, to), "", _HOW_COSTS, ""]
    lines += ["## Theory", "", *theory_table(study, to), "", _how_theory(), ""]
    lines += [
        "## What is not interpreted",
        "",
        *(f"- {one}" for one in not_interpreted(study, controls, to, to_controls)),
    ]
    lines += ["", "## What it does not show", "", *limits(study, to)]
    return "\n".join(lines) + "\n"


def _declared_before(study: Study) -> str:
    said = "Question, models, comparisons and tests were [declared before training](reference_study.md)."
    if study.missing:
        n = f"{len(study.families)} of {families(study.n_asked)} have results"
        said += (
            f" **Not complete**: [{n}]({TABLES['declared']}). Missing: {', '.join(f'`{t}`' for t in study.missing)}. "
            "Each corrected p is for the families that are here, and can grow with those to come."
        )
    if edge := growing(study):
        said += (
            f" In [{families(len(edge))}](#what-it-does-not-show) some model is best at an edge of its grid of rates; "
            "by the declared rule the grid has to grow, so what is said of these may change."
        )
    return said


def _in_short(study: Study, controls: Mapping[str, Control], to: str) -> Iterator[str]:
    unclear = uninterpreted(study, controls)
    if not study.pairs:
        yield "No comparison was declared, so nothing is tested; all below is exploration."
    for place, pair in enumerate(study.pairs, start=1):
        yield f"**{topic(pair.model, pair.baseline)}** (place {place}). {told(study, place, to, unclear)}"
    yield f"**Parameters.** {parameters(study, unclear)}"
    yield f"**Compute and steps.** {' '.join(most(study, number, unclear) for number in range(1, len(MEASURES)))}"
    yield from theory(study, to, unclear)


_HOW_CHALLENGES = (
    "Comparisons made again by a recipe of somebody's choice, with the same grid for all models of a challenge and the "
    "seeds of the study: difference of hop reach and p corrected within the challenge; bold: it overturns what the "
    "study shows. [Challenges](challenges.md) says what each tried and what would overturn, as written before its run. "
    "They are beside the study: chosen after its results were known, and with no bound over all of them."
)
_HOW_REACH = (
    "Mean hop reach over seeds; bold: the furthest. Behind a family with `*` its ceiling allows no claim of some hops: "
    "there a reach does not show that all facts were used. A seed that does not reach the least hop asked "
    "counts as none."
)
_HOW_COSTS = (
    "The best model by each measure, of those that reach a hop: exploration, without a test. Steps are those until "
    "validation stays at 0.95 or more, at the most hops that any model learned there, and of the seeds that got there "
    "only. A model that reaches less can be the best by a cost, so read it beside its reach. Above, models are counted "
    "in families that are interpreted, and of equals each counts."
)


def _how_declared(study: Study) -> str:
    return (
        "Difference of hop reach and corrected p; bold: shown. Places are tested from left to right, and a place is "
        "one family of tests over all tasks ([statistics](reports.md#statistics))."
    )


def _how_theory() -> str:
    whys = "; ".join(f"`{one.name}`: {one.why}" for one in THEORIES)
    return (
        "Seeds of all orders above one that reach exactly what a formula says, of all such seeds, and those beyond. "
        f"{whys}. What weights can do is shown in [expressivity](expressivity.md). A formula that says more than was "
        "asked says all that was asked, so several can agree with the same seeds. A seed beyond a formula refutes it "
        "as a bound; one that stays below does not, as training may not find what weights can do."
    )
