"""`nexus-bench new`: the beginning of a package of your own."""

import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated, NamedTuple, Optional

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson
from nexus_bench.errors import StorageError, UsageError
from nexus_bench.io.files import write_atomic

_TEMPLATES = Path(__file__).parent / "templates"
_OF_ALL = {"README.md": "README.md", "test.py": "tests/test_{name}.py"}
_FAMILY = _OF_ALL | {"task.py": "{name}/{name}.py", "task.yaml": "{name}/{name}.yaml"}
_MECHANISM = _OF_ALL | {"attention.py": "{name}/attention.py", "reference.py": "{name}/reference.py"}


class _Shape(NamedTuple):
    """What a package can begin with.

    Attributes:
        kind: `task` or `attention`; also the folder of its pyproject.toml.
        what: What the package holds, with its article.
        places: Template in the folder of this shape -> where its text is written.
        trained: The words of a `train` that tries it.
    """

    kind: str
    what: str
    places: dict[str, str]
    trained: str


_SHAPES = {  # folder of templates -> what they write
    "attention": _Shape(
        "attention",
        "an attention mechanism",
        _MECHANISM,
        "--task pointer_chase --hops 1-3 n_nodes=12 --attention {name},nexus",
    ),
    "task": _Shape("task", "a task family", _FAMILY, "--task {name} --hops 1-3 --attention nexus"),
    "sequence": _Shape(
        "task", "a task family of sequences", _FAMILY, "--task {name} --hops 1-3 --attention nexus,delta_net"
    ),
}
_NAME = re.compile("[a-z][a-z0-9_]{0,59}")

Place = Annotated[
    Optional[Path], typer.Option("--out", "-o", readable=False, metavar="FOLDER", help="The folder; default ./NAME.")
]


def new(context: typer.Context) -> None:
    """Begin a package of your own."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def new_attention(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the mechanism, its package and its folder.")],
    out: Place = None,
    as_json: AsJson = False,
) -> None:
    """Write a package with an attention mechanism.

    Small, with a reference and a test; `nexus-bench check` tells whether it keeps what attentions promise.
    """
    from nexus_bench.attention.base import ATTENTIONS

    _write("attention", name, out, taken=ATTENTIONS.names(), as_json=as_json)


def new_task(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the family, its package and its folder.")],
    sequence: Annotated[
        bool, typer.Option("--sequence", help="Of sequences with a label at any token, not of questions on facts.")
    ] = False,
    out: Place = None,
    as_json: AsJson = False,
) -> None:
    """Write a package with a task family.

    Small, with its defaults and a test; `nexus-bench check` tells whether it keeps what tasks promise.
    """
    from nexus_bench.generators.base import GENERATORS

    _write("sequence" if sequence else "task", name, out, taken=GENERATORS.names(), as_json=as_json)


def _write(shape: str, name: str, out: Path | None, *, taken: tuple[str, ...], as_json: bool) -> None:
    """Fill the templates of a shape, and say what comes next.

    Args:
        shape: One of `_SHAPES`.
        name: The name in all of them.
        out: The folder to write; None for one of that name.
        taken: Names that there are already.
        as_json: Whether to print a document.

    Raises:
        UsageError: The name or the folder cannot be used.
        StorageError: The folder cannot be written.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(f"NAME must be lower-case letters, digits and '_', and begin with a letter, got {name!r}")
    kind, what, places, trained = _SHAPES[shape]
    if name in taken:
        raise UsageError(f"there is {what.split()[0]} {kind} '{name}' already; choose another name")
    folder = out or Path(name)
    if folder.exists():
        raise UsageError(f"{folder}: exists already; choose another folder with --out")
    values = {"name": name, "camel": "".join(part.capitalize() for part in name.split("_"))}
    files = []
    try:
        sources = {f"{kind}/pyproject.toml": "pyproject.toml"} | {f"{shape}/{own}": at for own, at in places.items()}
        for template, place in sources.items():
            text = Template((_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(values)
            files.append(folder / place.format(name=name))
            files[-1].parent.mkdir(parents=True, exist_ok=True)
            write_atomic(files[-1], text)
        files.append(folder / name / "__init__.py")
        write_atomic(files[-1], f'"""{values["camel"]}, {what} for nexus-bench."""\n')
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror}") from error
    if as_json:
        print_document(f"new {kind}", files=files)
        return
    for file in files:
        typer.echo(str(file))
    where = folder if folder.is_absolute() else f"./{folder}"
    typer.echo(f"next: pip install -e {where} && nexus-bench check {name}")
    typer.echo(f"then: nexus-bench train {trained.format(name=name)}")
