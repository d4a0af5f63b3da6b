"""The paper: `python -m nexus_bench.report.verdict.paper RUN CONTROLS CHALLENGES FOLDER [PDF]`.

FOLDER/numbers.json has every number and every sentence on results that the paper shows, as the verdict has them. With
PDF the paper is built too, which needs Typst (the extra `paper`). The others are as for the verdict.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nexus_bench.analysis.power import fewest_further
from nexus_bench.errors import UsageError
from nexus_bench.io.files import to_json, write_atomic
from nexus_bench.io.scripts import errors_in_a_line, paths_given, tell_absent
from nexus_bench.report.verdict.challenges import Challenge, challenge_table, challenged, read_challenges, read_reports
from nexus_bench.report.verdict.controls import Control, read_study
from nexus_bench.report.verdict.limits import cautions, not_interpreted, power_of, uninterpreted
from nexus_bench.report.verdict.sentences import most, parameters, theory, told, topic
from nexus_bench.report.verdict.study import StudiedFamily, Study
from nexus_bench.report.verdict.tables import MEASURES, cost_table, declared_table, reach_table, theory_table

NUMBERS = "numbers.json"
SOURCE = "paper.typ"
_LINK = re.compile(r"\[([^][]*)\]\([^)]*\)")
_MOST_FIGURES = 2  # of families, in the paper


def make_numbers(run: Path, controls: Path | None, challenges: Path | None, home: Path) -> str:
    """The content of numbers.json, of which nothing is written; says that there are no results if there is no run.

    Args:
        run: A run folder, or a folder of runs; it may be absent.
        controls: The same of the controls; None or absent: there are none.
        challenges: The same of the challenges; None or absent: there are none.
        home: The folder of the paper, from which figures are found.
    """
    if not run.is_dir():
        return to_json({"has_results": False})
    read = read_study(run, controls)
    tried = read_challenges(read_reports(challenges), read.study, run)
    return to_json(numbers_of(read.study, read.controls, tried, figures=os.path.relpath(run / "figures", home)))


def numbers_of(
    study: Study, controls: Mapping[str, Control], challenges: Sequence[Challenge] = (), *, figures: str
) -> dict[str, Any]:
    """What the paper shows of a study, as JSON values.

    Args:
        study: The study.
        controls: By family, how far the best control came; empty if there is none.
        challenges: What others found who tried to overturn it.
        figures: The folder of the figures of the report, from the paper.
    """
    places = enumerate(study.pairs, start=1)
    n_seeds = study.n_seeds[1]
    found, unclear = power_of(study), uninterpreted(study, controls)
    return {
        "has_results": True,
        "n_families": len(study.families),
        "n_asked": study.n_asked,
        "missing": list(study.missing),
        "shared": list(study.shared),
        "n_seeds": n_seeds,
        "n_models": max(len(family.models) for family in study.families),
        "fewest_further": fewest_further(n_seeds, study.n_asked),
        "places": [{"title": topic(*pair), "text": plain(told(study, place, "", unclear))} for place, pair in places],
        "challenged": plain(challenged(challenges, "")),
        "challenges": _cells(challenge_table(challenges, "", "")) if challenges else [],
        "parameters": plain(parameters(study, unclear)),
        "costs_text": plain(" ".join(most(study, number, unclear) for number in range(1, len(MEASURES)))),
        "theory_text": [plain(one) for one in theory(study, "", unclear)],
        "not_interpreted": [plain(one) for one in not_interpreted(study, controls, "", "")],
        "limits": [plain(one) for one in cautions(study, "")],
        "power_text": found.sentence,
        "power": [["share of seeds", "chance to be shown"], *map(list, found.chances)],
        "declared": _cells(declared_table(study, "")),
        "reach": _cells(reach_table(study, "")),
        "costs": _cells(cost_table(study, "")),
        "theory": _cells(theory_table(study, "")),
        "figures": [_figures(family, figures) for family in _most_telling(study)],
    }


def plain(text: str) -> str:
    """Markdown as text: links, code and emphasis are gone."""
    return re.sub(r"[`]|\*\*", "", _LINK.sub(r"\1", text))


def _cells(table: Sequence[str]) -> list[list[str]]:
    """The rows of a table in Markdown, its headings first."""
    return [[cell.strip() for cell in plain(line).strip("|").split("|")] for line in table if "---" not in line]


def _most_telling(study: Study) -> list[StudiedFamily]:
    """The families in which the reaches of models are furthest apart, in the order of the study."""
    spread = {family.task: _spread(family) for family in study.families}
    chosen = sorted(study.families, key=lambda family: -spread[family.task])[:_MOST_FIGURES]
    return [family for family in study.families if family in chosen]


def _spread(family: StudiedFamily) -> float:
    reaches = [model.reach for model in family.models.values()]
    return max(reaches) - min(reaches)


def _figures(family: StudiedFamily, folder: str) -> dict[str, str]:
    return {
        "task": family.task,
        "title": family.title,
        "drawing": f"{folder}/task_{family.task}.svg",
        "accuracy": f"{folder}/{family.figures['accuracy_by_hop']}.svg",
    }


def build(source: Path, pdf: Path) -> None:
    """Build the paper; its figures may lie anywhere in the repository, two folders above it.

    Raises:
        UsageError: Typst is not installed.
    """
    try:
        import typst
    except ImportError as error:
        raise UsageError("the paper needs Typst; install it with `pip install 'nexus-bench[paper]'`") from error
    typst.compile(str(source), output=str(pdf), root=str(source.resolve().parents[2]))


if __name__ == "__main__":
    with errors_in_a_line():
        run_, controls_, challenges_, home_, *pdf_ = paths_given(
            "nexus_bench.report.verdict.paper RUN CONTROLS CHALLENGES FOLDER [PDF]", least=4, most=5
        )
        if pdf_ and not (home_ / SOURCE).is_file():
            raise UsageError(f"{home_ / SOURCE}: is missing; give the folder of the paper, docs/paper, or omit PDF")
        needed_ = {run_: "the paper says that there are no results"}
        tell_absent([run_, controls_, challenges_], may_all=True, needed=needed_)
        write_atomic(home_ / NUMBERS, make_numbers(run_, controls_, challenges_, home_))
        for path in pdf_:
            build(home_ / SOURCE, path)
