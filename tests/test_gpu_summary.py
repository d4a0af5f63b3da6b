"""Tests of GPUs are skipped where there is none, and `make test-gpu` ends with lines that can be quoted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import torch

from nexus_bench.version import __version__
from tests.gpu import commit
from tests.paths import ROOT

# A stand-in for a device, and a test for each way to end.
TESTS = """
import pytest
import torch

torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: 1
torch.cuda.get_device_name = lambda: "Made-up GPU"
pytestmark = pytest.mark.gpu


def test_passes():
    pass


@pytest.mark.parametrize("n", [1, 2])
def test_fails(n):
    assert not n


@pytest.fixture
def broken():
    raise ValueError


def test_does_not_begin(broken):
    pass


def test_is_skipped():
    pytest.skip("for this test")
"""


def pytest_in_a_process(*arguments: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.gpu", *arguments]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def summary(done: "subprocess.CompletedProcess[str]") -> list[str]:
    assert "GPU tests" in done.stdout, done.stdout + done.stderr
    return re.split(r"=+ GPU tests =+\n", done.stdout)[1].splitlines()[:3]


def test_without_a_device_they_are_skipped_and_the_summary_says_so() -> None:
    done = pytest_in_a_process("-m", "gpu", "tests/training/test_memory_on_gpu.py")
    assert done.returncode == 0, done.stdout
    assert "SKIPPED [2] " in done.stdout and ": needs a CUDA device" in done.stdout
    first, second, third = summary(done)
    assert first == f"nexus-bench {__version__}, commit {commit()}"
    assert second == f"no CUDA device, so nothing was tested; PyTorch {torch.__version__}"
    assert re.fullmatch(r"0 passed, 0 failed, 2 skipped, \d+ seconds", third)


def test_with_a_device_the_summary_names_it_and_counts_how_tests_ended(tmp_path: Path) -> None:
    (tmp_path / "test_stand_in.py").write_text(TESTS)
    done = pytest_in_a_process("-m", "gpu", "-c", str(ROOT / "pyproject.toml"), str(tmp_path))
    assert done.returncode == 1
    _, second, third = summary(done)
    assert second.startswith(f"Made-up GPU; PyTorch {torch.__version__}, CUDA {torch.version.cuda}, Triton ")
    assert re.fullmatch(r"1 passed, 3 failed, 1 skipped, \d+ seconds", third)


def test_other_tests_end_without_it() -> None:
    done = pytest_in_a_process("tests/registry/test_table.py")
    assert done.returncode == 0 and "GPU tests" not in done.stdout
