"""A task family of another package: the one that `nexus-bench new task` writes, with a fault if asked for."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nexus_bench.cli import run
from nexus_bench.generators.base import GENERATORS

NAME = "letters"
Plant = Callable[..., Path]


@contextmanager
def installed(
    folder: Path, *changes: tuple[str, str], name: str = NAME, options: tuple[str, ...] = ()
) -> Iterator[Path]:
    """The family for the time of a test, as if its package were installed.

    Args:
        folder: Where its package is written.
        *changes: What to write in the place of what, in its module or its YAML.
        name: The name of the family.
        options: More of what `new task` is told.
    """
    assert run(["new", "task", name, "--out", str(folder), *options]) == 0
    files = [folder / name / f"{name}.{suffix}" for suffix in ("py", "yaml")]
    texts = [file.read_text() for file in files]
    for old, new in changes:
        assert sum(text.count(old) for text in texts) == 1, old
        texts = [text.replace(old, new) for text in texts]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    module = f"{folder.name}_{name}"
    spec = importlib.util.spec_from_file_location(module, files[0])
    assert spec is not None and spec.loader is not None
    sys.modules[module] = importlib.util.module_from_spec(spec)
    GENERATORS.names()
    try:
        spec.loader.exec_module(sys.modules[module])
        yield folder
    finally:
        del sys.modules[module]
        GENERATORS._entries.pop(name, None)
