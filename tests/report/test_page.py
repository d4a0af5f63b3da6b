"""The report's page in a browser: what is drawn, sorted, filtered and downloaded, at a desk and on a phone."""

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.read_results import read_curves, read_results
from nexus_bench.report.build import build_report
from nexus_bench.report.output import write_report
from tests.paths import EXAMPLES

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
DESK, PHONE = (1280, 900), (390, 844)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    service = shutil.which("chromedriver")
    if browser is None or service is None:
        assert "REQUIRE_BROWSER" not in os.environ, "chromium and chromedriver are to be installed"
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs that ask different sizes, and of a second task."""
    runs = [RunFolder(EXAMPLES / name) for name in ("staircase", "quick")]
    results = pd.concat([read_results(run.path) for run in runs], ignore_index=True)
    other = read_results(runs[1].path).assign(task="ancestor", cell_id=lambda frame: frame["cell_id"] + "x")
    curves = pd.concat([read_curves(run.path) for run in runs], ignore_index=True)
    folder = tmp_path_factory.mktemp("report")
    write_report(build_report(pd.concat([results, other], ignore_index=True), curves), folder)
    return folder


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(request: pytest.FixtureRequest, driver: webdriver.Chrome, folder: Path) -> webdriver.Chrome:
    return opened(driver, folder, *request.param)


def opened(
    driver: webdriver.Chrome, folder: Path, width: int, height: int, *, theme: str = "light"
) -> webdriver.Chrome:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    themed = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", themed)
    driver.get((folder / "report.html").as_uri())
    return driver


def rows_shown(page: webdriver.Chrome) -> list[WebElement]:
    rows = "[...document.querySelectorAll('tbody tr')]"
    shown: list[WebElement] = page.execute_script(f"return {rows}.filter((row) => row.checkVisibility())")
    return shown


def first_table(page: webdriver.Chrome) -> list[list[str]]:
    rows = page.find_elements(By.CSS_SELECTOR, "section:first-of-type table:first-of-type")[0]
    return [
        [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")]
        for row in rows.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def test_nothing_is_said_on_the_console_and_nothing_is_fetched(page: webdriver.Chrome) -> None:
    assert page.get_log("browser") == []
    assert page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []


def test_every_figure_is_visible_and_the_page_is_no_wider_than_the_screen(page: webdriver.Chrome) -> None:
    drawings = page.find_elements(By.CSS_SELECTOR, ".drawing svg")
    assert len(drawings) == 5 + 5 + 4, "the second task has no curves"
    width = page.execute_script("return document.documentElement.clientWidth")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    for drawing in drawings:
        box = drawing.rect
        assert drawing.is_displayed() and box["width"] > 300 and box["height"] > 150
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert drawing.find_elements(By.CSS_SELECTOR, "path")


def test_text_in_figures_can_be_read(page: webdriver.Chrome) -> None:
    heights = page.execute_script(
        "return [...document.querySelectorAll('.drawing svg text')].map((text) => text.getBoundingClientRect().height)"
    )
    assert len(heights) > 100 and min(heights) >= 8


def test_a_table_is_sorted_by_click_and_by_key(page: webdriver.Chrome) -> None:
    before = first_table(page)
    heading = page.find_elements(By.CSS_SELECTOR, "section:first-of-type table:first-of-type thead th")[3]
    button = heading.find_element(By.TAG_NAME, "button")
    page.execute_script("arguments[0].click()", button)
    assert heading.get_attribute("aria-sort") == "ascending"
    values = [int(row[3].split("/")[0]) for row in first_table(page)]
    assert values == sorted(values) and values != sorted(values, reverse=True)
    button.send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "descending"
    values = [int(row[3].split("/")[0]) for row in first_table(page)]
    assert values == sorted(values, reverse=True)
    names = page.find_elements(By.CSS_SELECTOR, "section:first-of-type table:first-of-type thead button")[0]
    names.send_keys(Keys.SPACE)
    assert [row[0] for row in first_table(page)] == sorted(row[0] for row in before)
    assert heading.get_attribute("aria-sort") is None


def test_rows_are_filtered_by_task_order_and_model(page: webdriver.Chrome) -> None:
    n_rows = len(rows_shown(page))
    assert page.find_element(By.ID, "shown").text == f"{page.execute_script(COUNT)} rows shown"
    Select(page.find_element(By.ID, "order")).select_by_visible_text("4")
    shown = rows_shown(page)
    assert 0 < len(shown) < n_rows and all("order 4" in row.text for row in shown)
    Select(page.find_element(By.ID, "model")).select_by_visible_text("nexus, order 4, refine q")
    assert 0 < len(rows_shown(page)) < len(shown)
    Select(page.find_element(By.ID, "task")).select_by_visible_text("ancestor")
    assert rows_shown(page) == [], "that task had no order 4"
    page.find_element(By.ID, "all").click()
    assert len(rows_shown(page)) == n_rows
    Select(page.find_element(By.ID, "task")).select_by_visible_text("ancestor")
    titles = [title.text for title in page.find_elements(By.TAG_NAME, "h2") if title.is_displayed()]
    assert len(titles) == 1 and titles[0].startswith("ancestor,")


COUNT = "return [...document.querySelectorAll('tbody tr')].filter((row) => !row.hidden).length"


def test_tables_are_downloaded_as_they_were_written(page: webdriver.Chrome, folder: Path) -> None:
    links = page.find_elements(By.CSS_SELECTOR, "a[download]")
    assert [link.get_attribute("download") for link in links] == [
        "report.csv",
        "reach.csv",
        "reached.csv",
        "comparisons.csv",
    ]
    for link in links:
        head, _, content = str(link.get_attribute("href")).partition(",")
        assert head == "data:text/csv;charset=utf-8;base64"
        assert base64.b64decode(content) == (folder / str(link.get_attribute("download"))).read_bytes()


def test_everything_that_can_be_used_is_reached_by_keyboard(page: webdriver.Chrome) -> None:
    reached: list[Any] = []
    for _ in range(9):
        page.switch_to.active_element.send_keys(Keys.TAB)
        focused = page.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.get_attribute("download") or focused.text)
    assert reached[:8] == ["report.csv", "reach.csv", "reached.csv", "comparisons.csv", "task", "order", "model", "all"]
    assert page.switch_to.active_element.get_attribute("aria-label") or reached[8].startswith("model")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_an_accessibility_check_finds_nothing(
    theme: str, size: tuple[int, int], driver: webdriver.Chrome, folder: Path
) -> None:
    page = opened(driver, folder, *size, theme=theme)
    page.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = Axe().run(page)
    assert len(found["passes"]) > 15
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []


def test_dark_pages_are_dark_and_so_are_their_figures(driver: webdriver.Chrome, folder: Path) -> None:
    colours = {}
    for theme in ("light", "dark"):
        page = opened(driver, folder, *DESK, theme=theme)
        colours[theme] = page.execute_script(
            "const style = getComputedStyle; const text = document.querySelector('.drawing svg text');"
            "return [style(document.body).backgroundColor, style(document.body).color, style(text).fill]"
        )
    assert colours["light"] == ["rgb(255, 255, 255)", "rgb(27, 31, 36)", "rgb(27, 31, 36)"]
    assert colours["dark"] == ["rgb(13, 17, 23)", "rgb(230, 237, 243)", "rgb(230, 237, 243)"]
