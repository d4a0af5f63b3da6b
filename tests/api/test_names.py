"""The public names, and what importing them costs."""

import subprocess
import sys

import pytest

import nexus_bench as nb
from nexus_bench.api import training


def test_every_public_name_is_there_and_listed_in_order() -> None:
    assert all(getattr(nb, name) is not None for name in nb.__all__)
    assert nb.__all__ == sorted(nb.__all__, key=lambda name: (name.lower() == name, name))
    assert {name for name in dir(nb) if not name.startswith("__")} == set(nb.__all__) - {"__version__"}
    assert nb.train is training.train
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        nb.trian  # noqa: B018


def heavy_after(code: str) -> str:
    """Which of the large libraries are imported once this has run."""
    told = "print(*(name for name in ('numpy', 'matplotlib', 'pandas', 'torch') if name in sys.modules))"
    line = [sys.executable, "-c", f"import sys, nexus_bench as nb; {code}; {told}"]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_name_is_imported_on_first_use() -> None:
    assert heavy_after("nb") == ""
    assert heavy_after("nb.show, nb.generate, nb.dataset, nb.score_answer('a', 'a')") == "numpy"
    assert "torch" not in heavy_after("nb.open, nb.train")
