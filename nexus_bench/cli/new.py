"""`nexus-bench new`: the beginning of a package of your own."""

import ast
import importlib.metadata
import importlib.util
import keyword
import re
import sys
from pathlib import Path
from string import Template
from typing import Annotated, NamedTuple, Optional

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson
from nexus_bench.errors import StorageError, UsageError
from nexus_bench.io.config import parse_yaml
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
    _write("attention", name, out, as_json=as_json)


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
    _write("sequence" if sequence else "task", name, out, as_json=as_json)


def _write(shape: str, name: str, out: Path | None, *, as_json: bool) -> None:
    """Fill the templates of a shape, and say what comes next.

    Args:
        shape: One of `_SHAPES`.
        name: The name in all of them.
        out: The folder to write; None for one of that name.
        as_json: Whether to print a document.

    Raises:
        UsageError: The name or the folder cannot be used.
        StorageError: The folder cannot be written.
    """
    kind, what, places, trained = _SHAPES[shape]
    camel = "".join(part.capitalize() for part in name.split("_"))
    _refuse_name(name, camel)
    folder = out or Path(name)
    if folder.exists():
        raise UsageError(f"{folder}: exists already; choose another folder with --out")
    sources = {f"{kind}/pyproject.toml": "pyproject.toml"} | {f"{shape}/{own}": at for own, at in places.items()}
    texts = {}
    for template, place in sources.items():
        unfilled = Template((_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8"))
        texts[place.format(name=name)] = unfilled.substitute(name=name, camel=camel)
    for place, text in texts.items():
        if place.endswith(".py") and (hidden := _bound_twice(text)):
            raise UsageError(f"NAME '{name}' would define {hidden}, which {place} also imports; choose another name")
    texts[f"{name}/__init__.py"] = f'"""{camel}, {what} for nexus-bench."""\n'
    files = [folder / place for place in texts]
    try:
        for file, text in zip(files, texts.values(), strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, text)
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


def _refuse_name(name: str, camel: str) -> None:
    """Refuse a name of which no package can be written, imported and asked for.

    Args:
        name: Of the package, its folder and its entry.
        camel: Of its class.

    Raises:
        UsageError: It is not written as a name, has a meaning in Python or YAML, or something else is called so.
    """
    from nexus_bench.attention.base import ATTENTIONS
    from nexus_bench.generators.base import GENERATORS

    another = "choose another name"
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"NAME must be lower-case letters, digits and '_', at most 60, and begin with a letter, got {name!r}"
        )
    for word in (name, camel):
        if keyword.iskeyword(word):
            raise UsageError(f"NAME cannot be '{name}': {word} is a Python keyword; {another}")
    if parse_yaml(f"task: {name}", where="NAME")["task"] != name:
        raise UsageError(f"NAME cannot be '{name}', which is no text in YAML; {another}")
    for what, registry in (("a task", GENERATORS), ("an attention", ATTENTIONS)):
        if name in registry.names():
            raise UsageError(f"there is {what} '{name}' already, and tasks and attentions share their names; {another}")
    if name in sys.stdlib_module_names:
        raise UsageError(f"NAME cannot be '{name}': Python has a module of this name; {another}")
    if place := _found_at(name):
        raise UsageError(f"NAME cannot be '{name}': a module of this name is at {place}; {another}")
    if _is_distribution(name):
        raise UsageError(f"NAME cannot be '{name}': pip would put it in the place of an installed package; {another}")


def _found_at(name: str) -> str | None:
    """Where Python finds something else by this name; a folder that only happens to lie on its path is nothing."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is not None:
        return None if found is None else found.origin
    is_installed = name in importlib.metadata.packages_distributions()  # else it gives way to a package
    return next(iter(found.submodule_search_locations or ()), None) if is_installed else None


def _is_distribution(name: str) -> bool:
    """Whether pip has installed a package of this name, other than an earlier one for nexus-bench."""
    try:
        installed = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return not any(point.group.startswith("nexus_bench.") for point in installed.entry_points)


def _bound_twice(text: str) -> str | None:
    """A name that a module binds twice by imports, classes and functions, so that one hides the other."""
    bound: list[str] = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            bound.append(node.name)
    return next((name for at, name in enumerate(bound) if name in bound[:at]), None)
