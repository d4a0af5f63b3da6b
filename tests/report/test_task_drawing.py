"""The task of a report, drawn: every fact and every symbol, in few bytes, and none of what is not here."""

import itertools
import math
import re
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.data.gallery import gallery_example
from nexus_bench.data.show import arrow_of
from nexus_bench.data.task import make_task
from nexus_bench.io.read_results import read_results
from nexus_bench.report.build import build_report
from nexus_bench.report.charts.graph_layout import layout
from nexus_bench.report.charts.task_drawing import example_svg, task_pictures
from nexus_bench.report.output import to_markdown, write_report
from nexus_bench.report.page.report_page import to_html
from nexus_bench.shortcuts.references import task_columns
from tests.families import GRAPHS
from tests.made import curve, report_of
from tests.paths import EXAMPLES

TEXT = re.compile(r'<text x="([\d.-]+)" y="([\d.-]+)"([^>]*)>([^<]+)</text>')


@pytest.fixture(scope="module")
def quick() -> pd.DataFrame:
    return read_results(EXAMPLES / "quick")


@pytest.mark.parametrize("name", GRAPHS)
def test_every_symbol_and_fact_is_drawn_apart_from_others(name: str) -> None:
    law, one = gallery_example(name)
    drawn = example_svg(law, one.facts[0], one.query[0, 0])
    arrows = [arrow_of(law, fact) for fact in one.facts[0]]
    texts = [(float(x), float(y)) for x, y, look, _ in TEXT.findall(drawn) if "700" not in look]
    assert len(texts) == len({symbol for arrow in arrows for symbol in arrow[:2]})
    assert min(math.dist(a, b) for a, b in itertools.combinations(texts, 2)) > 35
    plain, marked = re.findall(r'<path d="([^"]*)"', drawn)
    n_loops = sum(arrow.start == arrow.end for arrow in arrows)
    assert (plain + marked).count("M") == 2 * len(arrows) - n_loops, "a line and a head for each"
    n_steps = sum(int(row) >= 0 for row in law.solve(one.facts, one.query).rows[0, 0])
    assert marked.count("M") == 2 * n_steps
    width, height = map(int, re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawn)[0])
    assert all(0 < x < width and 0 < y < height for x, y in texts)


def test_distances_in_a_drawing_are_like_the_numbers_of_arrows() -> None:
    at = layout([("a", "m"), ("b", "m"), ("c", "m"), ("c", "d")]).at
    assert math.dist(at["a"], at["d"]) > 1.4 * math.dist(at["a"], at["b"])
    assert max(abs(value) for place in at.values() for value in place) == 1


def test_the_picture_is_of_the_setting_of_the_run(quick: pd.DataFrame) -> None:
    (picture,) = task_pictures(quick)
    assert picture.name == "task_pointer_chase"
    assert picture.caption.startswith("pointer_chase, one example: 12 facts as arrows. Asked: start=node")
    assert (
        " hop=2; answer: node" in picture.caption
        and picture.svg.count('font-weight="700"') == 2
        and "Blue: the derivation" in picture.caption
    )
    larger = quick.assign(task_options=quick["task_options"].str.replace("n_nodes=12", "n_nodes=17"))
    assert "17 facts as arrows" in task_pictures(larger)[0].caption


@pytest.mark.parametrize("name", GRAPHS)
def test_a_task_is_made_again_from_its_columns(name: str) -> None:
    task = make_task({"task": name, "hops": "1-2"}, where="test")
    (picture,) = task_pictures(pd.DataFrame([task_columns(task)]))
    assert f"{name}, one example: {task.generator().n_facts} facts as arrows" in picture.caption


def test_each_task_is_drawn_once_and_one_that_is_not_here_is_left_out(quick: pd.DataFrame) -> None:
    other = pd.DataFrame([task_columns(make_task({"task": "reachable"}, where="test"))])
    unknown, wrong = quick.assign(task="gone"), quick.assign(task="kinship", task_options="n_people=-3")
    found = task_pictures(pd.concat([quick, other, unknown, wrong, quick], ignore_index=True))
    assert [picture.name for picture in found] == ["task_pointer_chase", "task_reachable"]


def test_a_report_shows_the_task_with_its_provenance(quick: pd.DataFrame, tmp_path: Path) -> None:
    report = build_report(quick, curve(quick))
    page = to_html(report, downloads={})
    shown = page.partition('<details id="provenance">')[2].partition("</details>")[0]
    (caption,) = (picture.caption for picture in report.examples)
    assert f'role="img" aria-label="{caption}"' in shown and shown.count("<svg") == 1
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', shown))
    assert colours == {"none", "var(--page)", "var(--ink)", "var(--soft)", "var(--link)"}, "those of the theme"
    write_report(report, tmp_path)
    assert (tmp_path / "figures/task_pointer_chase.svg").read_text() == report.examples[0].svg
    assert (tmp_path / "figures/task_pointer_chase.png").read_bytes().startswith(b"\x89PNG")
    assert "](figures/task_pointer_chase.svg)" in to_markdown(report).partition("## The task\n")[2]
    assert "task_pointer_chase" not in to_markdown(report, with_figures=False)


def test_made_up_tasks_have_no_drawing(results: pd.DataFrame) -> None:
    assert report_of(results).examples == []
    assert "the task drawn" not in to_html(report_of(results), downloads={})
