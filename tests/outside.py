"""Packages of others, installed into a folder and used from there in a process of its own."""

import subprocess
import sys
from pathlib import Path

from tests.paths import ROOT


def install(source: Path, site: Path) -> None:
    """Install the package of a folder, without what it needs."""
    words = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    line = [sys.executable, "-m", *words, "--target", str(site), str(source)]
    subprocess.run(line, check=True, capture_output=True, timeout=120)


def python(site: Path, *line: str) -> "subprocess.CompletedProcess[str]":
    """Run Python beside a folder of installed packages, with these packages."""
    environment = {"PYTHONPATH": f"{site}:{ROOT}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *line], cwd=site.parent, env=environment, capture_output=True, text=True, timeout=300
    )
