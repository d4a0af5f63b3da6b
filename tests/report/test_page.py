"""The report's page in a browser: what is drawn, sorted, filtered and downloaded, at a desk and on a phone."""

import base64
import itertools
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.read_results import read_curves, read_results
from nexus_bench.report.build import build_report
from nexus_bench.report.output import write_report
from nexus_bench.report.palette import DARK, FAINT, PAPER, contrast_of
from tests.browser import DESK, PHONE, SIZES, drawn, open_page, rows_shown
from tests.paths import EXAMPLES

pytestmark = pytest.mark.slow


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


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def page(request: pytest.FixtureRequest, driver: webdriver.Chrome, folder: Path) -> webdriver.Chrome:
    return opened(driver, folder, *request.param)


@pytest.fixture
def desk(driver: webdriver.Chrome, folder: Path) -> webdriver.Chrome:
    return opened(driver, folder, *DESK)


def opened(
    driver: webdriver.Chrome, folder: Path, width: int, height: int, *, theme: str = "light", chosen: str = ""
) -> webdriver.Chrome:
    return open_page(driver, folder / "report.html", width, height, theme=theme, chosen=chosen)


def first_table(page: webdriver.Chrome) -> list[list[str]]:
    rows = page.find_elements(By.CSS_SELECTOR, "section:first-of-type table:first-of-type")[0]
    return [
        [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")]
        for row in rows.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def test_nothing_is_said_on_the_console_and_nothing_is_fetched(page: webdriver.Chrome) -> None:
    assert page.get_log("browser") == []
    assert page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []


def test_every_figure_is_drawn_and_the_page_is_no_wider_than_the_screen(page: webdriver.Chrome) -> None:
    places = page.find_elements(By.CSS_SELECTOR, ".drawing")
    assert len(places) == 6 + 6 + 5, "the second task has no curves"
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


def test_the_main_tables_fit_the_screen_and_at_a_desk_all_do(page: webdriver.Chrome) -> None:
    widths = page.execute_script(
        "document.querySelectorAll('details').forEach((each) => { each.open = true; });"
        "return [...document.querySelectorAll('.wide')]"
        ".map((each) => [each.firstElementChild.id, each.scrollWidth, each.clientWidth])"
    )
    is_desk = page.execute_script("return innerWidth") >= DESK[0]
    wide = [name for name, content, room in widths if content > room]
    assert len(widths) > 15 and not [name for name in wide if is_desk or name.endswith(("-reached", "-accuracy"))]


def test_the_finding_is_on_the_first_screen_and_the_first_figure_at_a_desk(page: webdriver.Chrome) -> None:
    finding = page.find_element(By.CSS_SELECTOR, "#finding p").rect
    assert finding["y"] + finding["height"] < 500


def tooltip(page: webdriver.Chrome, mark: str) -> str:
    """What is said of a mark of the first figure under the pointer."""
    found = page.find_elements(By.CSS_SELECTOR, f"[data-figure='accuracy_by_hop'] {mark}")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", found[-1])
    ActionChains(page).move_to_element(found[-1]).perform()
    WebDriverWait(page, 10).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#vg-tooltip-element.visible"))
    return str(page.find_element(By.ID, "vg-tooltip-element").text)


def test_a_mark_under_the_pointer_says_its_model_and_numbers(desk: webdriver.Chrome) -> None:
    said = tooltip(desk, ".role-scope .mark-symbol:not(.role-legend-symbol) path")
    assert "model" in said and "hop" in said and "accuracy" in said


def test_filters_and_the_legend_act_on_figures(desk: webdriver.Chrome) -> None:
    def panels(name: str) -> int:
        return len(desk.find_elements(By.CSS_SELECTOR, f"[data-figure='{name}'] .role-scope.cell > g"))

    before = panels("learning_curves")
    legend = desk.find_element(By.CSS_SELECTOR, "#legend button[data-model='nexus, order 3, refine q']")
    desk.execute_script("arguments[0].click()", legend)
    drawn(desk)
    assert legend.get_attribute("aria-pressed") == "true" and panels("learning_curves") == 1 < before
    assert rows_shown(desk) and all("nexus, order 3, refine q" in row.text for row in rows_shown(desk))
    assert "model=nexus" in desk.current_url
    desk.execute_script("arguments[0].click()", legend)
    drawn(desk)
    assert legend.get_attribute("aria-pressed") == "false" and panels("learning_curves") == before
    Select(desk.find_element(By.ID, "order")).select_by_visible_text("4")
    drawn(desk)
    assert 0 < panels("learning_curves") < before


def test_what_is_chosen_stands_in_the_address(driver: webdriver.Chrome, folder: Path) -> None:
    page = opened(driver, folder, *DESK)
    Select(page.find_element(By.ID, "order")).select_by_visible_text("3")
    page.find_element(By.ID, "theme").click()
    heading = page.find_elements(By.CSS_SELECTOR, "section:first-of-type table:first-of-type thead th")[3]
    page.execute_script("arguments[0].click()", heading.find_element(By.TAG_NAME, "button"))
    drawn(page)
    shown, table = [row.text for row in rows_shown(page)], first_table(page)
    chosen = page.current_url.partition("#")[2]
    again = opened(driver, folder, *DESK, chosen=f"#{chosen}")
    assert [row.text for row in rows_shown(again)] == shown and first_table(again) == table
    assert again.execute_script("return document.documentElement.dataset.theme") == "dark"
    plain = opened(driver, folder, *DESK, chosen="#order=99&model=none&theme=red&table-1-reached=77up")
    assert len(rows_shown(plain)) > len(shown), "what does not exist chooses nothing"
    assert plain.get_log("browser") == []


def test_figures_and_tables_can_be_saved(desk: webdriver.Chrome) -> None:
    desk.execute_script(
        "window.saved = []; HTMLAnchorElement.prototype.click = function () { saved.push([this.download, this.href]); }"
    )
    for label in ("PNG", "SVG", "CSV"):
        button = desk.find_element(
            By.CSS_SELECTOR, f"[data-of='seeds_by_hop'] [aria-label='Save seeds_by_hop as {label}']"
        )
        desk.execute_script("arguments[0].click()", button)
    for label in ("CSV", "LaTeX"):
        button = desk.find_element(By.CSS_SELECTOR, f"[aria-label='Save table-1-reached as {label}']")
        desk.execute_script("arguments[0].click()", button)
    WebDriverWait(desk, 30).until(lambda page: len(page.execute_script("return saved")) == 5)
    saved = dict(desk.execute_script("return saved"))
    assert saved["seeds_by_hop.png"].startswith("data:image/png;base64,")
    texts = {name: unquote(url.partition(",")[2]) for name, url in saved.items() if not name.endswith("png")}
    assert texts["seeds_by_hop.svg"].startswith("<svg") and "10/10" in texts["seeds_by_hop.svg"]
    assert texts["seeds_by_hop.csv"].splitlines()[:2] == [
        "model,family,order,hop,share,said",
        "standard,standard,1,1,1,10/10",
    ]
    assert texts["table-1-reached.csv"].startswith("model,1 hop,2 hops,")
    assert '"nexus, order 2, refine q","10/10 [0.69, 1.00]"' in texts["table-1-reached.csv"]
    assert "nexus, order 2, refine q & 10/10 [0.69, 1.00] & " in texts["table-1-reached.tex"]


def test_shift_and_the_wheel_zoom_and_the_wheel_alone_scrolls(desk: webdriver.Chrome) -> None:
    def ticks() -> list[str]:
        place = desk.find_element(By.CSS_SELECTOR, "[data-figure='learning_curves']")
        labels = "[...arguments[0].querySelectorAll('.role-axis-label text')].map((text) => text.textContent)"
        return list(desk.execute_script(f"return {labels}", place))

    wheel = (
        "const line = document.querySelector(\"[data-figure='learning_curves'] .mark-line path\");"
        "line.scrollIntoView({block: 'center'}); const box = line.getBoundingClientRect();"
        "line.dispatchEvent(new WheelEvent('wheel', {bubbles: true, cancelable: true, deltaY: -900,"
        " clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, shiftKey: arguments[0]}));"
    )
    before = ticks()
    desk.execute_script(wheel, False)
    assert ticks() == before
    desk.execute_script(wheel, True)
    WebDriverWait(desk, 10).until(lambda _: ticks() != before)


def test_a_table_is_sorted_by_click_and_by_key(desk: webdriver.Chrome) -> None:
    page = desk
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


def test_rows_are_filtered_by_task_order_and_model(desk: webdriver.Chrome) -> None:
    page = desk
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


def test_tables_are_downloaded_as_they_were_written(desk: webdriver.Chrome, folder: Path) -> None:
    page = desk
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


def test_everything_that_can_be_used_is_reached_by_keyboard(desk: webdriver.Chrome) -> None:
    page = desk
    reached: list[Any] = []
    for _ in range(12):
        page.switch_to.active_element.send_keys(Keys.TAB)
        focused = page.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.get_attribute("download") or focused.text)
    assert reached[:9] == [
        *("report.csv", "reach.csv", "reached.csv", "comparisons.csv"),
        *("task", "order", "model", "all", "theme"),
    ]
    assert reached[9].startswith("Colours") and reached[10:] == ["standard", "nexus, order 2, refine q"]
    page.switch_to.active_element.send_keys(Keys.ENTER)
    drawn(page)
    assert page.find_element(By.ID, "model").get_attribute("value") == "nexus, order 2, refine q"


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
    strokes = page.execute_script(
        "return [...new Set([...document.querySelectorAll('.drawing .mark-line path, .drawing .mark-symbol path')]"
        ".filter((mark) => !mark.closest('.role-legend'))"
        ".map((mark) => mark.getAttribute('stroke') ?? mark.getAttribute('fill')))]"
    )
    paper = DARK[PAPER] if theme == "dark" else PAPER
    faint = {FAINT, DARK[FAINT]}  # other families, behind those of a panel
    colours = {colour for colour in strokes if str(colour).startswith("#")} - faint
    assert len(colours) > 10
    assert {colour: contrast_of(colour, paper) for colour in colours if contrast_of(colour, paper) < 3} == {}
