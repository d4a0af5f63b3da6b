"""The page of mechanisms by tasks: every number in its place, and the kept page is what this code makes."""

from pathlib import Path

import pandas as pd

from nexus_bench.io.columns import TUNING
from nexus_bench.report.leaderboard.mechanisms import mechanisms_page
from tests.boards import FAR, NEAR, by, run_of
from tests.paths import ROOT

RUNS = [ROOT / "runs" / "beside" / name for name in ("mechanisms", "mechanisms-flat")]


def table_of(page: str, title: str) -> pd.DataFrame:
    """A table of the page, by its title."""
    lines = [line for line in page.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines() if line[:1] == "|"]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return pd.DataFrame(rows, columns=head).set_index("model")


def test_a_row_is_a_mechanism_and_a_column_a_task(tmp_path: Path) -> None:
    run_of(tmp_path / "run", {"standard": [NEAR, NEAR], "mamba2": [FAR, by(1.0, 1.0, 0.9)]})
    page = mechanisms_page([tmp_path / "run", tmp_path / "not there"])
    accuracy, reach, costs = (table_of(page, title) for title in ("Accuracy", "Hop reach", "What they cost"))
    assert list(accuracy.index) == list(reach.index) == list(costs.index) == ["standard", "mamba2"]
    assert list(accuracy.columns) == ["t"] and "- **t**: t, " in page
    assert accuracy.loc["standard", "t"] == "0.667", "equal seeds have no interval"
    assert accuracy.loc["mamba2", "t"] == "0.983 ± 0.212", "Student's t of two seeds, 12.7, times .0167"
    assert reach.loc["mamba2", "t"] == "2.5 ± 2.5", "cut off at 0 and at the 3 hops asked"
    assert costs.loc["standard"].tolist() == ["1.00", "1.00"]


def test_hops_of_which_nothing_is_claimed_do_not_count_and_the_page_says_so(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {"standard": [FAR, FAR]})
    results = pd.read_csv(run / "results.csv")
    for least, reach in ((3, "2.0"), (1, "-")):
        results.assign(partial_input=results["partial_input"].where(results["hop"] < least, 0.96)).to_csv(
            run / "results.csv", index=False
        )
        page = mechanisms_page([run])
        assert table_of(page, "Hop reach").loc["standard", "t"] == reach
        assert "whose partial-input ceiling is .95 or more do not count" in page and "where none is left, `-`" in page
    assert "its longer side" in page, "both ends of an interval can be cut off"


def test_an_interval_of_reach_ends_at_the_largest_hop_that_counts(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {"standard": [NEAR, by(0.5, 0.5, 0.5)]})
    results = pd.read_csv(run / "results.csv")
    results.assign(partial_input=results["partial_input"].where(results["hop"] < 3, 0.96)).to_csv(
        run / "results.csv", index=False
    )
    page = mechanisms_page([run])
    assert table_of(page, "Hop reach").loc["standard", "t"] == "0.5 ± 1.5", "from 0 to 2, as no seed can reach 3"


def test_a_mechanism_has_one_name_in_all_columns(tmp_path: Path) -> None:
    """Also where fewer of them are trained, so that other parts of their labels are shared."""
    run = run_of(tmp_path / "run", {"standard": [NEAR, NEAR], "mamba2": [FAR, FAR], "tree": [FAR, FAR]})
    results = pd.read_csv(run / "results.csv")
    parts = {
        "mamba2": "mamba2, position none",
        "tree": "tree, folds 2, position rope",
        "standard": "standard, position rope",
    }
    other = results[results["attention"] != "tree"].assign(
        task="u", cell_id=lambda rows: rows["cell_id"].astype(str) + "u"
    )
    both = pd.concat([results, other], ignore_index=True).assign(model=lambda rows: rows["attention"].map(parts))
    both.to_csv(run / "results.csv", index=False)
    page = mechanisms_page([run])
    accuracy = table_of(page, "Accuracy")
    assert sorted(accuracy.index) == ["mamba2", "standard", "tree"], "nothing but these words tells them apart"
    assert accuracy.loc["tree", "u"] == "" and (accuracy.loc["standard"] == "0.667").all()
    assert table_of(page, "What they cost").loc["tree"].tolist() == ["1.00", "1.00"]


def test_what_was_not_trained_is_said(tmp_path: Path) -> None:
    assert "has been trained for this page yet" in mechanisms_page([Path("nowhere")])
    run_of(tmp_path / "run", {"standard": [NEAR, NEAR], "mamba2": [NEAR, NEAR]})
    assert "Not whole" not in mechanisms_page([tmp_path / "run"])
    other = run_of(tmp_path / "other", {"standard": [NEAR, NEAR], "tree": [NEAR, NEAR]}, n_facts=7)
    results = pd.read_csv(other / "results.csv")
    results["purpose"] = results["attention"].map({"tree": TUNING})
    results.to_csv(other / "results.csv", index=False)
    said = "**Not whole**: 3 of 4 pairs of a mechanism and a task are trained"
    page = mechanisms_page([tmp_path / "run", other])
    assert said in page and "Without any figure: 1 mechanism (tree)." in page and "task (" not in page
    fewer = run_of(tmp_path / "fewer", {"standard": [NEAR]}, n_facts=9)
    page = mechanisms_page([tmp_path / "run", fewer])
    assert "3 of 3 pairs" in page and "1 of them on fewer than 2 seeds." in page


def test_the_kept_page_is_what_this_code_makes() -> None:
    assert (ROOT / "docs" / "mechanisms.md").read_text() == mechanisms_page(RUNS)


def test_a_run_that_has_only_been_tuned_is_left_out(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {"standard": [NEAR, NEAR]})
    results = pd.read_csv(run / "results.csv").assign(purpose=TUNING)
    results.to_csv(run / "results.csv", index=False)
    assert "has been trained for this page yet" in mechanisms_page([run])
