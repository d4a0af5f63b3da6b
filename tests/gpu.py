"""What tests of GPUs say: skipped without a device, and at the end some lines to quote."""

import subprocess
import time

import pytest
import torch

from nexus_bench.version import __version__
from tests.paths import ROOT

try:
    from triton import __version__ as TRITON
except ImportError:
    TRITON = "missing"

STARTED = time.monotonic()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of a GPU where there is none."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What `pytest -m gpu` was run on, and how it ended."""
    if config.option.markexpr != "gpu":
        return
    found = {name: len(terminalreporter.getreports(name)) for name in ("passed", "failed", "error", "skipped")}
    terminalreporter.section("GPU tests")
    terminalreporter.line(f"nexus-bench {__version__}, commit {commit()}")
    terminalreporter.line(device())
    counts = f"{found['passed']} passed, {found['failed'] + found['error']} failed, {found['skipped']} skipped"
    terminalreporter.line(f"{counts}, {time.monotonic() - STARTED:.0f} seconds")


def commit() -> str:
    """The commit that is checked out, and whether files differ from it."""
    try:
        line = ["git", "describe", "--always", "--dirty= and changes", "--abbrev=12", "--exclude=*"]
        return subprocess.run(line, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown: not in a Git repository"


def device() -> str:
    """The devices, and the versions of what runs on them."""
    if not torch.cuda.is_available():
        return f"no CUDA device, so nothing was tested; PyTorch {torch.__version__}"
    n, name = torch.cuda.device_count(), torch.cuda.get_device_name()
    devices = name if n == 1 else f"{n} devices, the first {name}"
    return f"{devices}; PyTorch {torch.__version__}, CUDA {torch.version.cuda}, Triton {TRITON}"
