"""The report's page in a browser: what is drawn, fits, can be read and is seen, at a desk and on a phone."""

import itertools
from pathlib import Path

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from nexus_bench.report.charts.palette import DARK, FAINT, PAPER, SHADE, contrast_of
from tests.paths import EXAMPLES
from tests.report.browser import CUT_OFF, DESK, PHONE, TABLET, drawn, opened, rows_shown
from tests.shade import shaded

pytestmark = pytest.mark.slow


def test_nothing_is_said_on_the_console_and_nothing_is_fetched(page: webdriver.Chrome) -> None:
    assert page.get_log("browser") == []
    assert page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []


def test_a_browser_that_cannot_unpack_the_library_says_so_and_shows_the_tables(
    driver: webdriver.Chrome, folder: Path
) -> None:
    script = "Page.addScriptToEvaluateOnNewDocument", {"source": "delete window.DecompressionStream"}
    added = driver.execute_cdp_cmd(*script)
    try:
        driver.get("about:blank")
        driver.get((folder / "report.html").as_uri())
        told = [place.text for place in driver.find_elements(By.CSS_SELECTOR, ".drawing")]
        assert set(told) == {"This browser is too old to draw figures."}
        n_rows = len(rows_shown(driver))
        Select(driver.find_element(By.ID, "order")).select_by_visible_text("3")
        assert 0 < len(rows_shown(driver)) < n_rows
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert driver.get_log("browser") == []


def test_every_figure_is_drawn_and_the_page_is_no_wider_than_the_screen(page: webdriver.Chrome) -> None:
    places = page.find_elements(By.CSS_SELECTOR, ".drawing")
    assert len(places) == 6 + 6 + 5 + 5 + 1, "the second task has no curves, and a chart by size"
    width = page.execute_script("return document.documentElement.clientWidth")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    for place in places:
        name = place.get_attribute("data-figure")
        drawing = place.find_element(By.TAG_NAME, "svg")
        box = drawing.rect
        assert box["width"] > 200 and box["height"] > 100, name
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, name
        marks = page.execute_script(MARKS, drawing)
        assert marks > 3, name


MARKS = """
return [...arguments[0].querySelectorAll('.mark-line path, .mark-symbol path, .mark-rect path')].filter((mark) => {
  const box = mark.getBoundingClientRect();
  return box.width + box.height > 3 && !mark.closest('.role-legend') && !mark.classList.contains('background');
}).length
"""


def test_text_in_figures_can_be_read_and_does_not_overlap(page: webdriver.Chrome) -> None:
    for place in page.find_elements(By.CSS_SELECTOR, ".drawing"):
        texts = page.execute_script(TEXTS, place)
        assert len(texts) > 8 and min(text["height"] for text in texts) >= 8
        overlaps = [
            (one["text"], other["text"])
            for one, other in itertools.combinations(texts, 2)
            if shared(one, other, "x", "width") > 2 and shared(one, other, "y", "height") > 4
        ]
        assert overlaps == [], place.get_attribute("data-figure")


TEXTS = """
const isShown = (text) => text.textContent && text.getAttribute('opacity') !== '0';
return [...arguments[0].querySelectorAll('text')].filter(isShown).map((text) => {
  const { x, y, width, height } = text.getBoundingClientRect();
  return { text: text.textContent, x, y, width, height };
})
"""


def shared(one: dict[str, float], other: dict[str, float], start: str, size: str) -> float:
    """Pixels that two boxes share along an axis."""
    return min(one[start] + one[size], other[start] + other[size]) - max(one[start], other[start])


def test_every_table_fits_the_screen(page: webdriver.Chrome) -> None:
    widths = page.execute_script(
        "document.querySelectorAll('details').forEach((each) => { each.open = true; });"
        "return [...document.querySelectorAll('.wide')]"
        ".map((each) => [each.firstElementChild.id, each.scrollWidth, each.clientWidth])"
    )
    assert len(widths) > 15 and [name for name, content, room in widths if content > room] == []


def test_on_a_phone_a_pair_is_a_card_that_says_what_its_numbers_are(driver: webdriver.Chrome, folder: Path) -> None:
    for width, is_card in ((PHONE[0], True), (TABLET[0], True), (DESK[0], False)):
        page = opened(driver, folder, width, 900)
        page.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        row = page.find_element(By.CSS_SELECTOR, "table.pairs tbody tr")
        cells = [cell for cell in row.find_elements(By.TAG_NAME, "td") if cell.is_displayed()]
        said = [
            page.execute_script("return getComputedStyle(arguments[0], '::before').content", cell) for cell in cells
        ]
        columns = [cell.get_attribute("data-of") for cell in cells]
        assert said == ([f'"{column}"' for column in columns] if is_card else ["none"] * len(cells))
        heads = page.find_element(By.CSS_SELECTOR, "table.pairs thead").text
        assert len(cells) > 8 and all(str(column) in heads for column in columns), "which sort the cards"


def test_the_finding_is_on_the_first_screen_and_the_first_figure_at_a_desk(page: webdriver.Chrome) -> None:
    finding = page.find_element(By.CSS_SELECTOR, "#finding p").rect
    assert finding["y"] + finding["height"] < 500


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_an_accessibility_check_finds_nothing(
    theme: str, size: tuple[int, int], driver: webdriver.Chrome, folder: Path
) -> None:
    page = opened(driver, folder, *size, theme=theme)
    page.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = Axe().run(page, context={"exclude": [[".drawing svg"]]})  # thousands of paths, shown as one image each
    assert len(found["passes"]) > 15
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []


def test_dark_pages_are_dark_and_so_are_their_figures_by_the_system_and_by_the_switch(
    driver: webdriver.Chrome, folder: Path
) -> None:
    look = (
        "const style = getComputedStyle; const text = document.querySelector('.drawing svg text');"
        "return [style(document.body).backgroundColor, style(document.body).color, style(text).fill]"
    )
    light = ["rgb(255, 255, 255)", "rgb(27, 31, 36)", "rgb(27, 31, 36)"]
    dark = ["rgb(13, 17, 23)", "rgb(230, 237, 243)", "rgb(230, 237, 243)"]
    for theme, first, second in (("light", light, dark), ("dark", dark, light)):
        page = opened(driver, folder, *DESK, theme=theme)
        assert page.execute_script(look) == first
        page.find_element(By.ID, "theme").click()
        drawn(page)
        assert page.execute_script(look) == second


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_line_of_a_figure_is_seen_in_both_themes(theme: str, driver: webdriver.Chrome, folder: Path) -> None:
    page = opened(driver, folder, *DESK, theme=theme)
    everywhere, on_shade, bands = page.execute_script(
        "const of = (marks) => [...document.querySelectorAll(marks)].filter((mark) => !mark.closest('.role-legend'));"
        "const colour = (mark) => mark.getAttribute('stroke') ?? mark.getAttribute('fill');"
        "const lines = (at) => [...new Set(of(`${at} .mark-line path, ${at} .mark-symbol path`).map(colour))];"
        "const shaded = \"[data-figure='accuracy_by_hop']\"; const bands = of(`${shaded} .mark-rect path`);"
        "return [lines('.drawing'), lines(shaded), bands.map((one) => [colour(one), one.getAttribute('opacity')])]"
    )
    paper = DARK[PAPER] if theme == "dark" else PAPER
    faint = {FAINT, DARK[FAINT]}  # other families, behind those of a panel
    assert {float(opacity) for fill, opacity in bands if fill in faint} == {SHADE}, "as `shaded` has it"
    for strokes, behind, n in ((everywhere, paper, 10), (on_shade, shaded(paper), 6)):
        colours = {colour for colour in strokes if str(colour).startswith("#")} - faint
        assert len(colours) > n
        assert {colour: contrast_of(colour, behind) for colour in colours if contrast_of(colour, behind) < 3} == {}


@pytest.mark.parametrize("name", ["accuracy_by_hop", "order_by_hop", "reach_by_cost", "reach_by_order", "seeds_by_hop"])
def test_no_text_of_a_file_is_cut_off_whatever_fonts_there_are(driver: webdriver.Chrome, name: str) -> None:
    driver.get((EXAMPLES / "staircase" / "figures" / f"{name}.svg").as_uri())
    assert driver.execute_script(CUT_OFF) == []
