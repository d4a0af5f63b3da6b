"""A page of a report in a browser, at a desk, on a tablet and on a phone."""

from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
DESK, TABLET, PHONE = (1440, 900), (768, 1024), (390, 844)
# Texts of a figure, opened by itself, that go beyond its edges
CUT_OFF = """
const svg = document.documentElement, outer = svg.getBoundingClientRect();
return [...svg.querySelectorAll('text')].filter((text) => {
  const box = text.getBoundingClientRect();
  return text.textContent && (box.left < outer.left - 1 || box.right > outer.left + svg.width.baseVal.value + 1);
}).map((text) => text.textContent)
"""
SIZES = {"desk": DESK, "tablet": TABLET, "phone": PHONE}


def opened(
    driver: webdriver.Chrome,
    folder: Path,
    width: int,
    height: int,
    *,
    theme: str = "light",
    chosen: str = "",
    name: str = "report.html",
) -> webdriver.Chrome:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    themed = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", themed)
    driver.get("about:blank")  # else another part of the address alone would load nothing
    driver.get((folder / name).as_uri() + chosen)
    drawn(driver)
    return driver


def drawn(driver: webdriver.Chrome) -> None:
    """Wait until every figure is drawn."""
    WebDriverWait(driver, 60).until(
        lambda page: page.execute_script("return document.documentElement.dataset.drawn") == "all"
    )


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
