"""Shared fixtures of tests of language models."""

import errno
import os
from pathlib import Path

import pytest

from tests.hf.retrofitting import write_place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small dataset `d`, and a model `m` that knows its words."""
    folder = tmp_path_factory.mktemp("retrofit")
    write_place(folder)
    return folder


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose content may not be listed, also not by root."""
    folder = tmp_path / "closed"
    folder.mkdir()
    listed = os.scandir

    def refused(path: int | str | Path = ".") -> object:
        if not isinstance(path, int) and Path(path).absolute() == folder:  # an open folder is a number
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refused)
    return folder
