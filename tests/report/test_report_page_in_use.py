"""The report's page in use: what is chosen, sorted, zoomed, saved and reached by keyboard."""

import base64
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from nexus_bench.io.read_results import read_curves, read_results
from nexus_bench.report.build import build_report
from nexus_bench.report.output import write_report
from tests.made import at, report_of, results_of
from tests.paths import EXAMPLES
from tests.report.browser import CUT_OFF, DESK, drawn, first_table, opened, rows_shown

pytestmark = pytest.mark.slow


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
    heading = page.find_elements(By.CSS_SELECTOR, "section:first-of-type table:first-of-type thead th")[4]
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
    assert texts["table-1-reached.csv"].startswith("model,hop reach,1 hop,2 hops,")
    assert '"nexus, order 2, refine q",2.0,"10/10 [0.69, 1.00]"' in texts["table-1-reached.csv"]
    assert "nexus, order 2, refine q & 2.0 & 10/10 [0.69, 1.00] & " in texts["table-1-reached.tex"]


def test_no_text_of_a_saved_figure_is_cut_off(desk: webdriver.Chrome, tmp_path: Path) -> None:
    desk.execute_script("window.saved = []; HTMLAnchorElement.prototype.click = function () { saved.push(this.href); }")
    buttons = desk.find_elements(By.CSS_SELECTOR, "[data-of] [aria-label$='as SVG']")
    for button in buttons:
        desk.execute_script("arguments[0].click()", button)
    WebDriverWait(desk, 60).until(lambda page: page.execute_script("return saved.length") == len(buttons) > 20)
    figures = [unquote(url.partition(",")[2]) for url in desk.execute_script("return saved")]
    for figure in figures:
        (tmp_path / "figure.svg").write_text(figure)
        desk.get((tmp_path / "figure.svg").as_uri())
        assert desk.execute_script(CUT_OFF) == []


def test_a_figure_of_nothing_that_is_chosen_cannot_be_saved(desk: webdriver.Chrome) -> None:
    def buttons() -> list[bool]:
        found = desk.find_elements(By.CSS_SELECTOR, "[data-of='learning_curves'] button")
        return [button.is_enabled() for button in found]

    assert buttons() == [True] * 3
    data = "figures.learning_curves.rows"
    desk.execute_script(f"{data}.rows = {data}.rows.filter((row) => row.order !== 4)")
    for order, can_be_saved in (("4", False), ("3", True)):
        Select(desk.find_element(By.ID, "order")).select_by_visible_text(order)
        drawn(desk)
        told = desk.find_element(By.CSS_SELECTOR, "[data-figure='learning_curves']").text
        assert (told == "Nothing to show of what is chosen.") != can_be_saved
        assert buttons() == [can_be_saved] * 3


def test_a_link_that_is_pasted_into_the_open_page_applies(desk: webdriver.Chrome) -> None:
    before, n_rows = first_table(desk), len(rows_shown(desk))
    heading = "section:first-of-type table:first-of-type thead th[aria-sort]"
    for link in ("order=3&theme=dark&table-1-reached=1up", "order=3", ""):
        desk.execute_script("location.hash = arguments[0]", link)
        WebDriverWait(desk, 10).until(lambda _, link=link: (len(rows_shown(desk)) < n_rows) == bool(link))  # type: ignore
        drawn(desk)
        assert bool(desk.find_elements(By.CSS_SELECTOR, heading)) == ("up" in link)
        assert all("order 3" in row.text for row in rows_shown(desk)) == bool(link)
    assert first_table(desk) == before
    assert desk.execute_script("return document.documentElement.dataset.theme") == "dark", "no link chose light"
    Select(desk.find_element(By.ID, "order")).select_by_visible_text("3")
    desk.execute_script("location.hash = 'section-2'")
    assert desk.find_element(By.ID, "order").get_attribute("value") == "3", "a place in the page chooses nothing"


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


def zoomed(page: webdriver.Chrome, figure: str, delta: int = -900) -> None:
    """Turn the wheel with shift over the first line of a figure."""
    page.execute_script(
        f"const line = document.querySelector(\"[data-figure='{figure}'] .mark-line path\");"
        "line.scrollIntoView({block: 'center'}); const box = line.getBoundingClientRect();"
        "line.dispatchEvent(new WheelEvent('wheel', {bubbles: true, cancelable: true, deltaY: arguments[0],"
        " clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, shiftKey: true}));",
        delta,
    )


def axes_of(page: webdriver.Chrome, figure: str) -> dict[str, list[float]]:
    """What the axes of a figure that can be zoomed are set to; not those that are not zoomed."""
    view = f"document.querySelector(\"[data-figure='{figure}']\").view"
    signals = f"Object.entries({view}.getState().signals).filter(([name]) => name.startsWith('zoom'))"
    return dict(page.execute_script(f"return {signals}.filter(([, set]) => Array.isArray(set))"))


def test_zoom_stands_in_the_address_and_goes_with_a_double_click(driver: webdriver.Chrome, folder: Path) -> None:
    page = opened(driver, folder, *DESK)
    zoomed(page, "learning_curves")
    zoomed(page, "reach_by_cost")
    WebDriverWait(page, 10).until(lambda page: "reach_by_cost." in page.current_url)
    address = page.current_url.partition("#")[2]
    keys = [part.partition("=")[0] for part in address.split("&")]
    assert keys[:2] == ["learning_curves.step", "learning_curves.accuracy"] and len(keys) == 3
    assert len(address) < 120 and re.fullmatch(r"learning_curves\.step=-?[\d.]{1,6}_[\d.]{1,6}", address.split("&")[0])
    seen = {figure: axes_of(page, figure) for figure in ("learning_curves", "reach_by_cost")}
    page.find_element(By.ID, "theme").click()
    drawn(page)
    again = opened(driver, folder, *DESK, chosen=f"#{address}")
    for figure, axes in seen.items():
        kept = axes_of(again, figure)
        assert kept.keys() == axes.keys() and len(kept) > 0
        for axis, (low, high) in axes.items():
            assert kept[axis] == pytest.approx([low, high], abs=(high - low) / 100)
    line = again.find_element(By.CSS_SELECTOR, "[data-figure='learning_curves'] svg")
    again.execute_script("arguments[0].dispatchEvent(new MouseEvent('dblclick', {bubbles: true}))", line)
    WebDriverWait(again, 10).until(lambda page: "learning_curves" not in page.current_url)
    assert "reach_by_cost." in again.current_url and axes_of(again, "learning_curves") == {}
    again.find_element(By.ID, "all").click()
    drawn(again)
    assert again.current_url.partition("#")[2] == "" and axes_of(again, "reach_by_cost") == {}


def test_zoom_stays_when_something_else_is_chosen(desk: webdriver.Chrome) -> None:
    zoomed(desk, "learning_curves")
    WebDriverWait(desk, 10).until(lambda page: "learning_curves." in page.current_url)
    before = axes_of(desk, "learning_curves")["zoom_step"]
    Select(desk.find_element(By.ID, "order")).select_by_visible_text("3")
    drawn(desk)
    assert axes_of(desk, "learning_curves")["zoom_step"] == pytest.approx(before, rel=0.01)
    assert "order=3" in desk.current_url and "learning_curves.step=" in desk.current_url


@pytest.mark.parametrize("range_", ["", "1", "3_1", "a_b", "1_2_3", "0_Infinity", "0_1e-300"])
def test_a_zoom_that_is_none_chooses_nothing(driver: webdriver.Chrome, folder: Path, range_: str) -> None:
    page = opened(driver, folder, *DESK, chosen=f"#reach_by_cost.flops_per_step_cost={range_}&none.step=1_2")
    assert page.get_log("browser") == [] and axes_of(page, "reach_by_cost") == {}


def test_an_axis_of_logarithms_is_not_set_to_zero(driver: webdriver.Chrome, tmp_path: Path) -> None:
    results = read_results(EXAMPLES / "quick")
    results = results.assign(flops_per_step=1e6 * 10 ** results["order"].fillna(1))
    write_report(build_report(results, read_curves(EXAMPLES / "quick")), tmp_path)
    assert '"type":"log"' in (tmp_path / "report.html").read_text()
    for range_, kept in (("0_10", {}), ("5_50", {"zoomflops_per_step_cost": [5, 50]})):
        page = opened(driver, tmp_path, *DESK, chosen=f"#reach_by_cost.flops_per_step_cost={range_}")
        assert page.get_log("browser") == [] and axes_of(page, "reach_by_cost") == kept


def test_a_model_is_drawn_alone_without_a_word_on_the_console(driver: webdriver.Chrome, tmp_path: Path) -> None:
    seeds = {"standard": at(0.2, 0.2), "nexus, order 2": at(1.0, 1.0), "nexus, order 3": at(None, None)}
    results = results_of(seeds).assign(order=lambda frame: frame["model"].str[-1].replace("d", "1").astype("Int64"))
    costs = results["order"].map({1: 9_000_000, 2: 1_000_000, 3: 3_000_000}).astype("Int64")
    write_report(report_of(results.assign(flops_per_step=costs)), tmp_path)
    page = opened(driver, tmp_path, *DESK)
    assert {"reach_by_cost", "reach_by_order"} <= set(page.execute_script("return Object.keys(figures)"))
    models = page.find_elements(By.CSS_SELECTOR, "#legend button")
    for model in models:
        page.execute_script("arguments[0].click()", model)
        drawn(page)
    assert len(models) == 3 and page.get_log("browser") == [], "one is on no front, one has no seed that was measured"


def test_a_table_is_sorted_by_click_and_by_key(desk: webdriver.Chrome) -> None:
    page = desk
    before = first_table(page)
    heading = page.find_elements(By.CSS_SELECTOR, "section:first-of-type table:first-of-type thead th")[4]
    button = heading.find_element(By.TAG_NAME, "button")
    page.execute_script("arguments[0].click()", button)
    assert heading.get_attribute("aria-sort") == "ascending"
    values = [int(row[4].split("/")[0]) for row in first_table(page)]
    assert values == sorted(values) and values != sorted(values, reverse=True)
    button.send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "descending"
    values = [int(row[4].split("/")[0]) for row in first_table(page)]
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
    assert len(titles) == 3 and all(title.startswith("ancestor") for title in titles)


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
    for _ in range(13):
        page.switch_to.active_element.send_keys(Keys.TAB)
        focused = page.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.get_attribute("download") or focused.text)
    assert reached[0].startswith("Provenance: the task drawn")
    assert reached[1:10] == [
        *("report.csv", "reach.csv", "reached.csv", "comparisons.csv"),
        *("task", "order", "model", "all", "theme"),
    ]
    assert reached[10].startswith("Colours") and reached[11:] == ["standard", "nexus, order 2, refine q"]
    page.switch_to.active_element.send_keys(Keys.ENTER)
    drawn(page)
    assert page.find_element(By.ID, "model").get_attribute("value") == "nexus, order 2, refine q"
