"""JSON Schemas, derived from the types of printed documents and from the columns of written tables."""

import inspect
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, create_model

from nexus_bench.bench import attention, generators, training
from nexus_bench.cli.catalogue import Entry
from nexus_bench.cli.schemas import SCHEMA_VERSION
from nexus_bench.data.show import Shown
from nexus_bench.data.verify import Verified
from nexus_bench.experiment.found_runs import FoundRun
from nexus_bench.experiment.status import CellState
from nexus_bench.experiment.submissions import Submission
from nexus_bench.io import columns
from nexus_bench.io.columns import Column
from nexus_bench.io.files import keep_others, to_json, write_atomic
from nexus_bench.model.costs import Cost
from nexus_bench.model.matching import Match
from nexus_bench.model.spec import ModelSpec
from nexus_bench.report.leaderboard.standings import Setting, Standing
from nexus_bench.reproductions.listed import Listed
from nexus_bench.shortcuts.audit import Audited
from nexus_bench.shortcuts.promises import PromiseResult

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BEGINNING = '{\n  "$'  # of every schema as it is written
_CLOSED = ConfigDict(extra="forbid")
_TYPES: dict[str, Any] = {"string": str, "Int64": int, "Float64": float}
_DESCRIBED = re.compile(r"^        (\w+): (.*?)(?=^        \w+: |\Z)", re.DOTALL | re.MULTILINE)

Fields = dict[str, Any]


def _rows(name: str, of: tuple[Column, ...], *, optional: bool = False) -> Any:
    """A list of objects with the columns of a table; the values of seeds are a list."""
    missing = None if optional else ...
    fields: Fields = {
        column.name: (
            list[float] if column.name.endswith("seeds") and column.dtype == "string" else _TYPES[column.dtype] | None,
            Field(missing, description=column.meaning),
        )
        for column in of
    }
    return list[create_model(name, __config__=_CLOSED, **fields)]  # type: ignore[misc]


REPORT: Fields = {
    "title": str,
    "finding": list[str],
    "accuracy": _rows("Accuracy", columns.ACCURACY_COLUMNS),
    "reach": _rows("Reach", columns.REACH_COLUMNS),
    "reached": _rows("Reached", columns.REACHED_COLUMNS),
    "comparisons": _rows("Comparison", columns.COMPARISON_COLUMNS),
    "notes": dict[str, list[str]],
}
PLANNED: Fields = {"cell_id": str, "title": str, "lr": float, "steps": int, "seconds": float}
PLANNED |= {
    "step": (int | None, Field(description="The saved step from which it goes on; null if it begins or is done."))
}
CHECKED: Fields = {"kind": str, "name": str, **get_type_hints(PromiseResult)}
# Of `nexus_bench.hf`, which can be imported only where transformers is
PRETRAINED: Fields = {"model": str, "parameters": int, "flops_per_token": float, "steps": int, "tokens": int}
PRETRAINED |= dict.fromkeys(("loss", "held_out_loss", "bits_per_byte", "tokens_per_second", "mfu"), float)
PRETRAINED |= {"device": str, "seconds": float}
SCORE: Fields = {"task": str, "metric": str, "value": float, "stderr": float, "n": int}
LOSS: Fields = {"arch": str, "model": str, "seeds": list[int], "held_out_loss": float, "bits_per_byte": float}
LOSS |= dict.fromkeys(
    ("held_out_low", "held_out_high", "difference", "difference_low", "difference_high"), float | None
)
LOSS |= {"n_pairs": int, "parameters": int, "flops_per_token": float, "tokens": int}
DIGEST: Fields = {"task": str, "version": int, "split": str, "sha256": str}
MATCHED: Fields = {"task": str, "model": ModelSpec, **get_type_hints(Cost), "matches": list[Match]}


def documents() -> dict[str, Fields]:
    """Command -> field -> type, of what `--json` prints in addition to `schema_version` and `command`.

    A `dict` of fields stands for an object with these fields.
    """
    return {
        "audit": {"task": str, "rows": list[Audited]},
        "bench attention": {"rows": list[attention.Measured]},
        "bench gen": {"rates": list[generators.Rate]},
        "bench train": {"rates": list[training.Rate]},
        "check": {
            "promises": list[_model("Checked", CHECKED)],  # type: ignore[misc]
            "digests": list[_model("Digest", DIGEST)],  # type: ignore[misc]
        },
        "compare": {
            "files": list[str],
            "metric": str,
            "max_drop": float,
            "split": str,
            "rows": _rows("Compared", columns.COMPARE_COLUMNS),
            "conclusion": list[str],
        },
        "eval": {
            "split": str,
            "n_new": int,
            "files": list[str],
            "accuracy": _rows("Accuracy", columns.ACCURACY_COLUMNS),
        },
        "export": {"folder": str, "tasks": list[str]},
        "gallery": {"file": str | None, "is_current": bool | None, "page": str | None},
        "gen": {"folder": str, "manifest": dict[str, Any]},
        "init": {"file": str},
        "inspect": {
            "cell": str,
            "hop": int,
            "n_examples": int,
            "accuracy": float,
            "example": _model("Example", {"query": str, "answer": str, "answered": str, "path": list[int]}),
            "walk": _rows("Pointed", columns.WALK_COLUMNS),
            "files": list[str],
        },
        "leaderboard": {
            "files": list[str],
            "finding": list[str],
            "settings": list[Setting],
            "standings": list[Standing],
            "accepted": list[Submission],
        },
        "list": {kind: (list[_closed(Entry)] | None, None) for kind in ("tasks", "attentions", "suites")},  # type: ignore[misc]
        "lm": {"model": str, "file": str | None, "scores": list[_model("Score", SCORE)]},  # type: ignore[misc]
        "losses": {"losses": list[_model("Loss", LOSS)]},  # type: ignore[misc]
        "match": {"models": list[_model("Matched", MATCHED)]},  # type: ignore[misc]
        "new attention": {"files": list[str]},
        "new task": {"files": list[str]},
        "open": {"file": str, "is_shown": bool},
        "pretrain": {"folder": str, **PRETRAINED},
        "predictions": {"file": str, "n_rows": int, "cells": list[str]},
        "report": {"files": list[str], "report": _model("Report", REPORT)},
        "reproduce": {
            "reproductions": list[Listed],
            "verdict": str | None,
            "figures": _rows("Figure", columns.REPRODUCTION_COLUMNS),
            "files": list[str],
        },
        "retrofit": {
            "folder": str,
            "files": list[str],
            "warnings": list[str],
            "report": _model("Report", REPORT),
        },
        "runs": {"runs": list[FoundRun]},
        "schema": {"names": list[str], "json_schema": dict[str, Any] | None, "files": list[str]},
        "score": {
            "files": list[str],
            "n_answered": int,
            "n_asked": int,
            "rows": _rows("Row", columns.COLUMNS, optional=True),
            "warning": str | None,
        },
        "show": {"task": str, **get_type_hints(Shown)},
        "status": {"cells": list[CellState]},
        "train": {
            "folder": str,
            "files": list[str],
            "cells": list[CellState],
            "report": _model("Report", REPORT),
        },
        "train --dry-run": {
            "suite": str,
            "n_workers": int,
            "cells": list[_model("Planned", PLANNED)],  # type: ignore[misc]
            "seconds": float,
            "n_later": int,
        },
        "train --print-config": {"suite": str, "n_cells": int, "config": dict[str, Any]},
        "verify": {"folder": str, "splits": list[Verified]},
    }


def derive() -> dict[str, str]:
    """Every schema as JSON, by name."""
    made = {}
    for command, fields in documents().items():
        name = command.replace(" --", "-").replace(" ", "-")
        head: Fields = {"schema_version": Literal[SCHEMA_VERSION], "command": Literal[command]}
        schema = _model(command, head | fields).model_json_schema()
        made[name] = schema | {"title": f"nexus-bench {command} --json"}
    for file, of in columns.TABLES.items():
        made[file] = {
            "title": f"{file}, as a list of rows",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {c.name: {"type": [_json_type(c), "null"], "description": c.meaning} for c in of},
                "required": [c.name for c in of],
                "additionalProperties": False,
            },
        }
    return {name: to_json({"$schema": _DIALECT} | schema) for name, schema in made.items()}


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema as `<name>.json`.

    Raises:
        StorageError: The folder cannot be written.
        UsageError: The folder holds a dataset, or a file of one of these names that is not a schema.
    """
    schemas = derive()
    keep_others(folder, dict.fromkeys((f"{name}.json" for name in schemas), _BEGINNING))
    for name, text in schemas.items():
        write_atomic(folder / f"{name}.json", text)
    return [folder / f"{name}.json" for name in schemas]


def _json_type(column: Column) -> str:
    return {"string": "string", "Int64": "integer", "Float64": "number"}[column.dtype]


def _model(name: str, fields: Fields) -> Any:
    """An object with these fields and no others."""
    made = {field: hint if isinstance(hint, tuple) else (_closed(hint), ...) for field, hint in fields.items()}
    return create_model(name, __config__=_CLOSED, **made)  # type: ignore[call-overload]


def _closed(hint: Any) -> Any:
    """A type whose records are objects, described by their docstrings; NaN becomes null."""
    if hint is float:
        return float | None
    if inspect.isclass(hint) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        said = dict(_DESCRIBED.findall((hint.__doc__ or "").partition("Attributes:\n")[2]))
        fields = {
            name: (_closed(of), Field(description=" ".join(said.get(name, "").split()) or None))
            for name, of in get_type_hints(hint).items()
        }
        return create_model(hint.__name__, __config__=_CLOSED, **fields)  # type: ignore[call-overload]
    if get_origin(hint) is list:
        return list[_closed(get_args(hint)[0])]  # type: ignore[misc]
    if get_origin(hint) in (Union, types.UnionType):
        return Union[tuple(_closed(of) for of in get_args(hint))]
    return hint
