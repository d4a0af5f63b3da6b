"""A leaderboard: what each number is, what stands in one column, what is left out, where numbers lead to."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.report.leaderboard.boards import Board, boards_of
from nexus_bench.report.leaderboard.build import leaderboard
from nexus_bench.report.leaderboard.standings import Standing, gather, run_names
from nexus_bench.report.leaderboard.tables import BoardCell, mechanisms, names_on
from nexus_bench.report.output import report
from tests.boards import FAR, MIDDLE, NEAR, by, run_of
from tests.paths import EXAMPLES


def boards(*runs: Path) -> list[Board]:
    return boards_of(gather(runs))


def standing(run: Path) -> Standing:
    (found,) = gather([run]).standings
    return found


def column(board: Board, number: int) -> list[tuple[str, str]]:
    """Model and what is written large in a column, in the order of the rows."""
    rows = mechanisms(board, names_on(board), where=1).rows
    return [(str(row.cells[0]), getattr(row.cells[number], "text", str(row.cells[number]))) for row in rows]


def test_reach_is_the_largest_hop_of_half_of_the_seeds_with_an_exact_interval(tmp_path: Path) -> None:
    found = standing(run_of(tmp_path / "a", {"standard": [FAR, FAR, MIDDLE, NEAR]}))
    assert (found.reach, found.n_reached, found.n_seeds) == (3, 2, 4)
    assert (found.low, found.high) == (pytest.approx(0.0676, abs=1e-4), pytest.approx(0.9324, abs=1e-4))  # tables of it
    assert found.reaches == [3, 3, 2, 1] and found.mean_reach == 2.25
    assert found.accuracies == pytest.approx([1.0, 0.875, 0.75]) and found.accuracy == pytest.approx(0.875)
    fewer = standing(run_of(tmp_path / "b", {"standard": [FAR, MIDDLE, MIDDLE, NEAR, NEAR]}))
    assert (fewer.reach, fewer.n_reached) == (2, 3)
    none = standing(run_of(tmp_path / "c", {"standard": [NEAR, by(0.9, 0.9, 0.9), by(0.9, 1.0, 1.0)]}))
    assert (none.reach, none.n_reached, none.reaches) == (0, 1, [1, 0, 0])


def test_a_failed_cell_is_missing_and_not_zero(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", {"standard": [FAR, by(None, None, None)], "linear": [by(None, None, None)]})
    first, second = gather([run]).standings
    assert (first.reach, first.n_reached, first.n_seeds, first.n_failed) == (3, 1, 1, 1)
    assert (second.reach, second.n_seeds, second.n_failed) == (None, 0, 1)
    assert column(boards(run)[0], 1) == [("standard", "3 hops"), ("linear", "failed")]


def test_nothing_is_claimed_where_the_ceiling_is_as_high(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", {"standard": [FAR, FAR]}, partial_input=0.96)
    assert standing(run).reach is None and standing(run).mean_reach != standing(run).mean_reach
    assert column(boards(run)[0], 1) == [("standard", "no claim")]


def test_costs_are_those_of_the_steps_that_were_made(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", {"standard": [FAR, FAR]}, steps=100, steps_done=50, flops_per_step=7)
    assert (standing(run).train_flops, standing(run).n_params) == (350.0, 1000)


def test_settings_of_one_family_are_never_ranked_in_one_column(tmp_path: Path) -> None:
    small = run_of(tmp_path / "small", {"standard": [FAR], "linear": [NEAR]})
    large = run_of(tmp_path / "large", {"standard": [NEAR], "linear": [MIDDLE]}, n_facts=24)
    longer = run_of(tmp_path / "longer", {"standard": [MIDDLE]}, steps=9)
    found = boards(small, large, longer)
    assert [[setting.apart for setting in board.settings] for board in found] == [
        ["12 facts, 3 steps"], ["24 facts, 3 steps"], ["12 facts, 9 steps"]
    ]  # fmt: skip
    assert [column(board, 1) for board in found] == [
        [("standard", "3 hops"), ("linear", "1 hop")],
        [("linear", "2 hops"), ("standard", "1 hop")],
        [("standard", "2 hops")],
    ]
    flat = run_of(tmp_path / "flat", {"standard": [FAR]}, encoding="flat", task="u")
    assert len(boards(small, flat)) == 2, "another family, but of another shape"


def test_families_of_several_runs_are_columns_and_a_mechanism_is_one_row(tmp_path: Path) -> None:
    first = run_of(tmp_path / "first", {"standard": [NEAR], "linear": [MIDDLE]})
    second = run_of(tmp_path / "second", {"standard": [FAR], "tree": [FAR]}, task="u")
    strangers = run_of(tmp_path / "third", {"mamba2": [FAR]}, task="v")
    board, other = boards(first, second, strangers)
    assert [setting.task for setting in board.settings] == ["t", "u"] and other.settings[0].task == "v"
    assert column(board, 1) == [("linear", "2 hops"), ("standard", "1 hop"), ("tree", "-")]
    assert column(board, 2) == [("linear", "-"), ("standard", "3 hops"), ("tree", "3 hops")]


def test_seeds_of_two_runs_are_never_pooled_and_copies_count_once(tmp_path: Path) -> None:
    first = run_of(tmp_path / "first", {"standard": [FAR, FAR]})
    other = run_of(tmp_path / "other", {"standard": [NEAR, NEAR]})
    copied = run_of(tmp_path / "copy", {"standard": [FAR, FAR]})
    (board,) = boards(first, other, copied)
    assert column(board, 1) == [("standard (first)", "3 hops"), ("standard (other)", "1 hop")]
    assert gather([first, other, copied]).left_out == [
        "1 model of copy has the same cells as a run before it, and each counts once"
    ]


def test_columns_are_sorted_by_hops_then_seeds_then_accuracy(tmp_path: Path) -> None:
    better = by(1.0, 1.0, 0.9)
    cells = {"a": [MIDDLE, MIDDLE, NEAR], "b": [FAR, FAR, NEAR], "c": [MIDDLE] * 3, "d": [MIDDLE, MIDDLE, better]}
    (board,) = boards(run_of(tmp_path / "run", cells))
    assert [model for model, _ in column(board, 1)] == ["b", "d", "c", "a"]
    cells_of = [row.cells[1] for row in mechanisms(board, names_on(board), where=1).rows]
    assert [cell.score for cell in cells_of if isinstance(cell, BoardCell)] == [3, 2, 1, 0]


def test_a_page_says_who_came_furthest(tmp_path: Path) -> None:
    first = run_of(tmp_path / "first", {"standard": [NEAR], "linear": [FAR], "tree": [FAR]})
    told = leaderboard([first]).finding
    assert told[0].startswith("3 models of 1 run on 1 family. What was trained or asked differently")
    assert told[1:] == ["t: furthest came linear; tree: 3 hops on 1 of 1 seed each."]
    second = run_of(tmp_path / "second", {"standard": [NEAR], "linear": [FAR], "tree": [MIDDLE]}, task="u")
    third = run_of(tmp_path / "third", {"standard": [by(0.5, 0.5, 0.5)]}, task="v", encoding="flat")
    assert leaderboard([first, second, third]).finding[1:] == [
        "2 tasks, fact encoding: t, u; furthest came, alone or level with others, linear in 2 tasks; tree in 1 task.",
        "v: no model reaches a hop that can be claimed on half of its seeds.",
    ]


def test_runs_are_named_by_as_little_as_tells_them_apart(tmp_path: Path) -> None:
    assert run_names([tmp_path / "a/quick", tmp_path / "b/quick", tmp_path / "c/x"]) == ["a/quick", "b/quick", "x"]
    with pytest.raises(UsageError, match="is given twice"):
        run_names([tmp_path / "a", tmp_path / "b/../a"])


def test_pretraining_is_left_out_and_a_fault_names_its_run(tmp_path: Path) -> None:
    run, lm = run_of(tmp_path / "run", {"standard": [FAR]}), tmp_path / "lm"
    lm.mkdir()
    (lm / "log.csv").touch()
    made = leaderboard([run, lm], tmp_path / "out")
    assert "lm is of `pretrain`, which asks no hops; `nexus-bench losses` shows it." in made.finding
    assert "lm is of pretrain, which" in (tmp_path / "out/index.html").read_text()
    with pytest.raises(ConfigError, match="none of these folders has hops to show: lm is of"):
        leaderboard([lm])
    tuning = run_of(tmp_path / "tuning", {"standard": [FAR]}, purpose="tuning")
    with pytest.raises(ConfigError, match=rf"{tuning}: these results are of tuning alone"):
        leaderboard([run, tuning])


def test_the_page_is_the_same_bytes_small_and_holds_the_library_once(tmp_path: Path) -> None:
    runs = [EXAMPLES / "quick", EXAMPLES / "staircase"]
    made = leaderboard(runs, tmp_path / "board")
    page = (tmp_path / "board/index.html").read_bytes()
    assert made.n_bytes == sum(path.stat().st_size for path in made.files) < 2_000_000
    assert page.count(b"vegaEmbed=") <= 1 and len(re.findall(rb"<script", page)) == 4
    leaderboard(runs, tmp_path / "board")
    assert (tmp_path / "board/index.html").read_bytes() == page
    assert json.loads((tmp_path / "board/examples.json").read_text()) == {"examples": []}


def test_every_number_links_to_its_row_and_that_to_the_report_of_its_run(tmp_path: Path) -> None:
    run = tmp_path / "quick"
    run.mkdir()
    for name in ("results.csv", "seal.json"):
        shutil.copy(EXAMPLES / "quick" / name, run)
    report([run], run)
    leaderboard([run, EXAMPLES / "staircase"], tmp_path / "board")
    page = (tmp_path / "board/index.html").read_text()
    links = re.findall(r'<a href="([^"]+)">([^<]+)</a>', page)
    numbers = {link.removeprefix("#") for link, text in links if "hop" in text}
    reports = [link.partition("#") for link, text in links if text in ("quick", "staircase")]
    assert len(numbers) == 10 and numbers == set(re.findall(r'<tr [^>]*id="([^"]+)"', page))
    assert len(reports) == 10 and all((tmp_path / "board" / unquote(path)).is_file() for path, _, _ in reports)
    chosen = {unquote(choice.replace("&amp;", "&")) for path, _, choice in reports if path == "../quick/report.html"}
    assert "task=pointer_chase&model=nexus, order 3" in {choice.removesuffix(", refine qk") for choice in chosen}
    shown = (run / "report.html").read_text()
    assert len(chosen) == 3 and all(f"<option>{choice.rpartition('=')[2]}</option>" in shown for choice in chosen)


def test_names_of_a_run_do_nothing_on_the_page(tmp_path: Path) -> None:
    run = run_of(tmp_path / "<img src=x>&", {"standard": [FAR]})
    examples = [{"task": "</script><b>", "hop": 1, "facts": [], "query": "", "answer": "", "chain": "", "answers": []}]
    leaderboard([run], tmp_path / "out", examples=examples)
    page = (tmp_path / "out/index.html").read_text()
    assert "<img src=x>" not in page and "</script><b>" not in page


def test_a_folder_with_something_else_is_kept(tmp_path: Path) -> None:
    run, out = run_of(tmp_path / "run", {"standard": [FAR]}), tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("mine")
    with pytest.raises(UsageError, match=r"index\.html: was not written by nexus-bench and is kept"):
        leaderboard([run], out)
    assert [path.name for path in out.iterdir()] == ["index.html"]
