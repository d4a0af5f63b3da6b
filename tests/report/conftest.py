"""Results that several tests of reports share, and a page of a report in a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from selenium import webdriver

from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.read_results import read_curves, read_results
from nexus_bench.report.build import Report, build_report
from nexus_bench.report.output import read_report, write_report
from nexus_bench.report.verdict.study import Study, study_of
from tests.made import table
from tests.paths import EXAMPLES
from tests.report.browser import DESK, FLAGS, SIZES, opened
from tests.study import PLANTED, study_run


@pytest.fixture
def results() -> pd.DataFrame:
    return table(
        ("standard, d 8", 0.1, 0, {1: 1.0, 2: 0.25}),
        ("standard, d 8", 0.1, 1, {1: 1.0, 2: 0.35}),
        ("nexus, order 2, d 8", 0.1, 0, {1: 1.0, 2: 1.0}),
        ("nexus, order 2, d 8", 0.1, 1, {1: None, 2: None}),
    )


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs that ask different sizes, and of a second task at two sizes."""
    runs = [RunFolder(EXAMPLES / name) for name in ("staircase", "quick")]
    results = pd.concat([read_results(run.path) for run in runs], ignore_index=True)
    other = read_results(runs[1].path).assign(task="ancestor", cell_id=lambda frame: frame["cell_id"] + "x")
    options = other["task_options"].str.replace("n_nodes=12", "n_nodes=24")
    larger = other.assign(task_options=options, n_facts=24, cell_id=other["cell_id"] + "y")
    curves = pd.concat([read_curves(run.path) for run in runs], ignore_index=True)
    folder = tmp_path_factory.mktemp("report")
    write_report(build_report(pd.concat([results, other, larger], ignore_index=True), curves), folder)
    return folder


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def page(request: pytest.FixtureRequest, driver: webdriver.Chrome, folder: Path) -> webdriver.Chrome:
    return opened(driver, folder, *request.param)


@pytest.fixture
def desk(driver: webdriver.Chrome, folder: Path) -> webdriver.Chrome:
    return opened(driver, folder, *DESK)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up run of four families of the reference study."""
    return study_run(tmp_path_factory.mktemp("study") / "run", PLANTED)


@pytest.fixture(scope="session")
def report(run: Path) -> Report:
    return read_report([run])


@pytest.fixture(scope="session")
def study(report: Report, run: Path) -> Study:
    return study_of(report, [run])
