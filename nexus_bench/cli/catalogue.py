"""The catalogue of tasks, attentions and suites, each with a one-line summary and its options."""

from typing import NamedTuple

from pydantic import BaseModel

from nexus_bench.io.bundled import bundled, read_bundled
from nexus_bench.io.config import Config

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

        return [
            Entry(name, str(defaults.get("summary", "")), _options(GENERATORS.get(name).Params, defaults))
            for name, defaults in ((name, task_defaults(name)) for name in GENERATORS.names())
        ]
    from nexus_bench.attention.base import ATTENTIONS

    mechanisms = [ATTENTIONS.get(name) for name in ATTENTIONS.names()]
    return [Entry(m.name, (m.__doc__ or "").strip().splitlines()[0], _options(m.Options, {})) for m in mechanisms]


def _options(model: type[BaseModel], defaults: Config) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        default = defaults.get(name, field.default)
        lines.append(f"{name}: {field.description or ''} (default {'null' if default is None else default})")
    return lines
