"""`nexus-bench list`: what can be trained."""

import shutil
import sys
import textwrap
from typing import Annotated, Optional

import typer

from nexus_bench.cli.catalogue import KINDS, Entry, catalogue
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson
from nexus_bench.cli.words import split_commas
from nexus_bench.errors import UsageError, unknown_name

_MEANT = {"models": "list attentions", "mechanisms": "list attentions", "families": "list tasks", "runs": "runs"}


def list_(
    what: Annotated[
        Optional[str],
        typer.Argument(metavar="[tasks|attentions|suites]", help="Default all.", autocompletion=lambda: list(KINDS)),
    ] = None,
    names: Annotated[
        Optional[list[str]], typer.Argument(metavar="[NAME]...", help="Show these with their settings.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List tasks, attentions and suites.

    One line for each; name one to see its settings and their defaults.
    """
    if what in _MEANT:
        raise UsageError(f"there is no list of {what}; write `nexus-bench {_MEANT[what]}`")
    if what is not None and what not in KINDS:
        raise UsageError(unknown_name("kind", what, KINDS))
    kinds = [what] if what else KINDS
    asked = split_commas(names)
    if as_json:
        print_document("list", **{kind: _chosen(kind, asked) for kind in kinds})
        return
    for kind in kinds:
        entries = _chosen(kind, asked)
        typer.echo(kind)
        widest = max((len(entry.name) for entry in entries), default=0)
        for entry in entries:
            typer.echo(_wrapped(f"  {entry.name:<{widest}}  ", entry.summary))
            for option in entry.options if asked else ():
                typer.echo(_wrapped("    ", option))
    if not asked and sys.stdout.isatty():
        typer.echo("settings and defaults of one: `nexus-bench list tasks reachable`", err=True)


def _chosen(kind: str, asked: list[str]) -> list[Entry]:
    entries = catalogue(kind)
    for name in asked:
        if name not in (known := [entry.name for entry in entries]):
            raise UsageError(unknown_name(kind.removesuffix("s"), name, known))
    return [entry for entry in entries if not asked or entry.name in asked]


def _wrapped(before: str, text: str) -> str:
    """A line, on a terminal continued under the beginning of its text."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    return textwrap.fill(before + text, width, subsequent_indent=" " * len(before), break_on_hyphens=False)
