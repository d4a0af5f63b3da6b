"""The page of a leaderboard in a browser: drawn, sorted, filtered and read at a desk and on a phone, in both themes."""

from pathlib import Path

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from nexus_bench.report.leaderboard.build import leaderboard
from tests.boards import FAR, MIDDLE, NEAR, by, run_of
from tests.paths import EXAMPLES
from tests.report.browser import DESK, PHONE, drawn, opened, rows_shown

pytestmark = pytest.mark.slow

MODELS = {
    "standard": [NEAR, NEAR, MIDDLE],
    "nexus, order 2": [MIDDLE, MIDDLE, NEAR],
    "nexus, order 3": [FAR, MIDDLE, FAR],
}
FAMILIES = ("ancestor", "kinship", "variable_chain", "shortest_path", *(f"some_family_{i}" for i in range(8)))
ANSWER = {"run": "many", "seed": 0, "probability": 0.25}
EXAMPLE = {"query": "start=a", "answer": "b", "chain": "a -> b"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve families in one table, one of them elsewhere too, in flat shape, and the runs of `matched`."""
    folder = tmp_path_factory.mktemp("boards")
    sizes = {"standard": 900, "nexus, order 2": 1000, "nexus, order 3": 1500}
    runs = []
    for number, family in enumerate(FAMILIES):
        models = dict(list(MODELS.items())[: 2 if number == 3 else 3])
        run = run_of(folder / "runs" / f"r{number}", models, task=family, steps_done=3)
        text = (run / "results.csv").read_text()
        lines = [
            line.replace(",1000,2000000,", f",{sizes[model]},{2000 * sizes[model]},")
            for line in text.splitlines()
            for model in [max((m for m in sizes if f",{m}," in line or f'"{m}"' in line), default="standard")]
        ]
        (run / "results.csv").write_text("\n".join(lines) + "\n")
        runs.append(run)
    runs.append(
        run_of(folder / "runs" / "flat", {"standard": [FAR, by(0.1, 0.1, 0.1)]}, task="kinship", encoding="flat")
    )
    runs.append(EXAMPLES / "matched")
    answers = [
        ANSWER | {"model": "nexus", "prediction": "b", "rank": 1},
        ANSWER | {"model": "tree", "prediction": "c", "rank": 3},
    ]
    examples = [
        EXAMPLE | {"task": task, "hop": hop, "facts": [f"{task} {hop}.{i}", "a -> b"], "answers": answers}
        for task, hops in (("kinship", (1, 2)), ("spatial", (4,)))
        for hop in hops
        for i in range(2)
    ]  # fmt: skip
    leaderboard(runs, folder / "out", examples=examples, notes=["No answers of flat: it keeps no weights"])
    return folder / "out/index.html"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_is_drawn_whole_fits_and_can_be_used_by_all(
    size: tuple[int, int], theme: str, driver: webdriver.Chrome, page: Path
) -> None:
    opened(driver, page.parent, *size, theme=theme, name=page.name)
    assert driver.get_log("browser") == []
    assert driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []
    driver.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= size[0]
    wide = driver.execute_script(
        "return [...document.querySelectorAll('.wide')].filter((each) => each.scrollWidth > each.clientWidth)"
        ".map((each) => each.firstElementChild.id)"
    )
    assert size == PHONE or wide == [], "at a desk all tables fit, twelve families as well"
    assert size == DESK or "table-3-mechanisms" not in wide
    for drawing in driver.find_elements(By.CSS_SELECTOR, ".drawing svg"):
        assert drawing.rect["width"] > 200 and drawing.rect["x"] + drawing.rect["width"] <= size[0]
        assert len(drawing.find_elements(By.CSS_SELECTOR, ".mark-symbol path")) > 3
        assert drawing.find_elements(By.CSS_SELECTOR, ".mark-rule line"), "intervals"
    assert len(driver.find_elements(By.CSS_SELECTOR, ".drawing svg")) == 4
    found = Axe().run(driver, context={"exclude": [[".drawing svg"]]})
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []


def first_column(driver: webdriver.Chrome, table: str) -> list[str]:
    return [one.text for one in driver.find_elements(By.CSS_SELECTOR, f"#{table} tbody th") if one.is_displayed()]


def test_the_best_come_first_and_what_was_not_asked_last_either_way(driver: webdriver.Chrome, page: Path) -> None:
    opened(driver, page.parent, *DESK, name=page.name)
    heading = driver.find_elements(By.CSS_SELECTOR, "#table-1-mechanisms thead th")[4]
    assert "shortest" in heading.text
    heading.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert first_column(driver, "table-1-mechanisms") == ["nexus, order 2", "standard", "nexus, order 3"]
    assert heading.get_attribute("aria-sort") == "descending"
    heading.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert first_column(driver, "table-1-mechanisms") == ["standard", "nexus, order 2", "nexus, order 3"]


def test_filters_by_shape_parameters_run_and_task(driver: webdriver.Chrome, page: Path) -> None:
    def choose(name: str, value: str) -> None:
        Select(driver.find_element(By.NAME, name)).select_by_visible_text(value)
        drawn(driver)

    def titles() -> list[str]:
        return [
            one.text.partition(" (")[0]
            for one in driver.find_elements(By.CSS_SELECTOR, "section[data-task] h2")
            if one.text
        ]

    opened(driver, page.parent, *DESK, name=page.name)
    everything = titles()
    assert len(everything) == 3 and everything[1:] == ["kinship", "pointer_chase"]
    choose("shape", "flat")
    assert titles() == ["kinship"] and "shape=flat" in driver.current_url
    driver.find_element(By.ID, "all").click()
    choose("parameters", "up to 1,000")
    assert first_column(driver, "table-1-mechanisms") == ["nexus, order 2", "standard"] and titles() == everything[:2]
    choose("run", "r3")
    assert titles() == everything[:1]
    driver.find_element(By.ID, "all").click()
    choose("task", "kinship")
    assert titles() == everything[:2]
    driver.find_element(By.CSS_SELECTOR, "#table-1-origins").find_element(
        By.XPATH, "./ancestor::details/summary"
    ).click()
    shown = {row.get_attribute("data-task") for row in rows_shown(driver) if row.get_attribute("data-task")}
    assert shown == {"kinship"}


def test_a_number_leads_to_its_row(driver: webdriver.Chrome, page: Path) -> None:
    opened(driver, page.parent, *DESK, name=page.name)
    link = driver.find_elements(By.CSS_SELECTOR, "#table-1-mechanisms tbody a")[0]
    link.send_keys(Keys.ENTER)
    row = driver.find_element(By.CSS_SELECTOR, "tr:target")
    assert row.is_displayed() and row.find_element(By.TAG_NAME, "th").text == "nexus, order 3"


def test_examples_can_be_browsed_with_what_each_model_answered(driver: webdriver.Chrome, page: Path) -> None:
    opened(driver, page.parent, *DESK, name=page.name)
    shown = driver.find_element(By.ID, "example")
    assert "kinship 1.0" in shown.text and "b \u2713 right" in shown.text and "c \u2717 wrong" in shown.text
    Select(driver.find_element(By.ID, "example-hop")).select_by_visible_text("2")
    Select(driver.find_element(By.ID, "example-number")).select_by_visible_text("2")
    assert "kinship 2.1" in shown.text
    Select(driver.find_element(By.ID, "example-task")).select_by_visible_text("spatial")
    assert "spatial 4.1" in shown.text
