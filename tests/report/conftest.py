"""Results that several tests of reports share, and a browser."""

import os
import shutil
from collections.abc import Iterator

import pandas as pd
import pytest
from selenium import webdriver

from tests.browser import FLAGS
from tests.made import table


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


@pytest.fixture
def results() -> pd.DataFrame:
    return table(
        ("standard, d 8", 0.1, 0, {1: 1.0, 2: 0.25}),
        ("standard, d 8", 0.1, 1, {1: 1.0, 2: 0.35}),
        ("nexus, order 2, d 8", 0.1, 0, {1: 1.0, 2: 1.0}),
        ("nexus, order 2, d 8", 0.1, 1, {1: None, 2: None}),
    )
