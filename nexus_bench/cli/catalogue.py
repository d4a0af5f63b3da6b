"""The catalogue of tasks, attentions and suites, each with a one-line summary and its options."""

from collections.abc import Callable
from typing import Any, NamedTuple

import typer
from pydantic import BaseModel

from nexus_bench.io.bundled import bundled, read_bundled
from nexus_bench.io.config import Config
from nexus_bench.io.escapes import visible

KINDS = ("tasks", "attentions", "suites")


class Entry(NamedTuple):
    """A task, an attention or a suite that can be named on the command line."""

    name: str
    summary: str
    options: list[str]


def catalogue(kind: str) -> list[Entry]:
    """All entries of a kind, sorted by name.

    Args:
        kind: One of KINDS.
    """
    if kind == "suites":
        return [Entry(name, str(read_bundled("suite", name).get("summary", "")), []) for name in bundled("suite")]
    if kind == "tasks":
        from nexus_bench.generators.base import GENERATORS
        from nexus_bench.generators.defaults import task_defaults

        def task(name: str) -> Entry:
            defaults = task_defaults(name)
            return Entry(name, str(defaults.get("summary", "")), _options(GENERATORS.get(name).Params, defaults))

        return _usable(task, GENERATORS)
    from nexus_bench.attention.base import ATTENTIONS

    def attention(name: str) -> Entry:
        mechanism = ATTENTIONS.get(name)
        summary = (mechanism.__doc__ or "").strip().partition("\n")[0]
        return Entry(name, summary, _options(mechanism.Options, {}))

    return _usable(attention, ATTENTIONS)


def _usable(describe: Callable[[str], Entry], registry: Any) -> list[Entry]:
    """The entries of a registry; one of another package that cannot be described is left out, with a warning."""
    found = []
    for name in registry.names():
        try:
            found.append(describe(name))
        except Exception as error:
            if registry.is_own(name):
                raise
            typer.echo(f"warning: {visible(f'{name} cannot be listed ({type(error).__name__}: {error})')}", err=True)
    return found


def _options(model: type[BaseModel], defaults: Config) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        default = defaults.get(name, field.default)
        lines.append(f"{name}: {field.description or ''} (default {'null' if default is None else default})")
    return lines
