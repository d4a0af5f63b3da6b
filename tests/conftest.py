"""Shared fixtures: one task at a small size, one dataset folder, one way to call the command line."""

import functools
import json
import os

# Tests run side by side, one a core: with more threads each they would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nexus_bench import cli
from nexus_bench.data.generate import generate
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.generators.base import Generator

pytest_plugins = ["tests.gpu"]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def not_watched_by_github(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests do belongs in no summary."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def as_wide_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests print is not for the terminal that they are run from."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session", autouse=True)
def every_figure_is_drawn_once() -> Iterator[Callable[[], None]]:
    """Half of the time of a report is drawing: what is drawn is kept. Gives what makes figures be drawn again."""
    import vl_convert

    draw, rasterise = vl_convert.vegalite_to_svg, vl_convert.svg_to_png
    drawn = functools.cache(lambda spec, version: draw(json.loads(spec), vl_version=version))
    as_pixels = functools.cache(rasterise)

    def forget() -> None:
        drawn.cache_clear()
        as_pixels.cache_clear()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vl_convert, "vegalite_to_svg", lambda spec, vl_version: drawn(json.dumps(spec), vl_version))
        patched.setattr(vl_convert, "svg_to_png", as_pixels)
        yield forget


@pytest.fixture
def reports_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a report says of the same rows is made once in a test that gives commands many times."""
    from nexus_bench.report import output
    from nexus_bench.report.build import Report, build_report

    made: dict[bytes, Report] = {}

    def remembered(*rows: Any, **options: Any) -> Report:
        key = pickle.dumps((rows, options))
        if key not in made:
            made[key] = build_report(*rows, **options)
        return made[key]

    monkeypatch.setattr(output, "build_report", remembered)


@pytest.fixture
def small_spec() -> TaskSpec:
    sizes = {"n_nodes": 11, "n_queries": 5, "n_val": 7, "n_test": 13}
    return make_task({"task": "pointer_chase", "hops": [1, 2, 3], **sizes}, where="test")


@pytest.fixture
def small_task(small_spec: TaskSpec) -> Generator:
    return small_spec.generator()


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A small suite in the folder that commands run in."""
    from tests.small import TINY

    (tmp_path / "tiny.yaml").write_text(TINY)
    return "tiny.yaml"


@pytest.fixture
def dataset_folder(tmp_path: Path, small_spec: TaskSpec) -> Path:
    folder = tmp_path / "data"
    generate(folder, small_spec, seed=3, n_train=50, file_format="npz")
    return folder


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one command in this process, in an empty folder; output and exit code as from a shell."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = cli.run(list(arguments))
        captured = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, captured.out, captured.err)

    return call


@pytest.fixture
def shell(tmp_path: Path) -> Command:
    """Run one command in a process of its own, in an empty folder."""

    def call(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "nexus_bench", *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]

    return call


def without_start(stderr: str) -> str:
    """What a command says on stderr, but for the line that `train` and `reproduce` begin with."""
    return re.sub(r"\A(train|reproduce)(: .+)?; starting PyTorch\n", "", stderr)


def assert_fails(result: "subprocess.CompletedProcess[str]", code: int, message: str) -> None:
    told = without_start(result.stderr)
    assert message in told
    assert told.startswith("error: ") and told.count("\n") == 1, result.stderr
    assert result.returncode == code
    assert result.stdout == ""
