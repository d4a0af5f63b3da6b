"""Shared fixtures of tests of language models."""

from pathlib import Path

import pytest

from tests.hf.retrofitting import write_place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small dataset `d`, and a model `m` that knows its words."""
    folder = tmp_path_factory.mktemp("retrofit")
    write_place(folder)
    return folder
