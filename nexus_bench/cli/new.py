"""`nexus-bench new`: the beginning of a package of your own."""

import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated, Optional

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson
from nexus_bench.errors import StorageError, UsageError
from nexus_bench.io.files import write_atomic

_TEMPLATES = Path(__file__).parent / "templates"
_ATTENTION = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "attention.py": "{name}/attention.py",
    "reference.py": "{name}/reference.py",
    "test.py": "tests/test_{name}.py",
}
_NAME = re.compile("[a-z][a-z0-9_]{0,59}")


def new_attention(
    name: Annotated[str, typer.Argument(help="Name of the mechanism, of its package and of the folder.")],
    out: Annotated[Optional[Path], typer.Option(readable=False, help="The folder; default ./NAME.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a small package with an attention mechanism, its reference and its test; `nexus-bench check` keeps it."""
    from nexus_bench.attention.base import ATTENTIONS

    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(f"NAME must be lower-case letters, digits and '_', and begin with a letter, got {name!r}")
    if name in ATTENTIONS.names():
        raise UsageError(f"there is an attention '{name}' already; choose another name")
    folder = out or Path(name)
    if folder.exists():
        raise UsageError(f"{folder}: exists already; choose another folder with --out")
    values = {"name": name, "camel": "".join(part.capitalize() for part in name.split("_"))}
    files = []
    try:
        for template, place in _ATTENTION.items():
            text = Template((_TEMPLATES / "attention" / f"{template}.txt").read_text()).substitute(values)
            files.append(folder / place.format(name=name))
            files[-1].parent.mkdir(parents=True, exist_ok=True)
            write_atomic(files[-1], text)
        files.append(folder / name / "__init__.py")
        write_atomic(files[-1], f'"""{values["camel"]}, an attention mechanism for nexus-bench."""\n')
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror}") from error
    if as_json:
        print_document("new attention", files=files)
        return
    for file in files:
        typer.echo(str(file))
    where = folder if folder.is_absolute() else f"./{folder}"
    typer.echo(f"next: pip install {where} && nexus-bench check {name}")
