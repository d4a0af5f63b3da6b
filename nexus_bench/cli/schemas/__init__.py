"""JSON Schemas of every `--json` document and of every CSV file, as `<name>.json` next to this module."""

from pathlib import Path

from nexus_bench.errors import UsageError, unknown_name

FOLDER = Path(__file__).parent
SCHEMA_VERSION = 2  # raised by hand when a field changes its meaning or is removed; fields may be added at any time


def schema_names() -> list[str]:
    """The names of all schemas: commands, such as `bench-gen`, and files, such as `results.csv`."""
    return sorted(path.name.removesuffix(".json") for path in FOLDER.glob("*.json"))


def read_schema(name: str) -> str:
    """A schema of this package, as JSON.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in schema_names():
        raise UsageError(unknown_name("schema", name, schema_names()))
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")
