"""What `--json` prints: one document per command, with its schema in `nexus_bench/cli/schemas/`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from nexus_bench.cli.schemas import SCHEMA_VERSION


def print_document(command: str, **content: Any) -> None:
    """Print the document of a command on stdout.

    Args:
        command: Name of the command, such as `bench gen`; also the name of its schema.
        content: The fields. Records become objects, paths become strings, NaN and infinity become null.
    """
    document = {"schema_version": SCHEMA_VERSION, "command": command} | {k: _plain(v) for k, v in content.items()}
    typer.echo(json.dumps(document, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None  # also NaN
    return value
