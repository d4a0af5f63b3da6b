"""The dataset card: a README.md that people read and the `datasets` library understands."""

import re
from typing import Any

import yaml

from nexus_bench.data.provenance import OURS
from nexus_bench.generators.defaults import task_defaults
from nexus_bench.io.columns import Row
from nexus_bench.io.hops import format_hops
from nexus_bench.text.render import TextOptions, order_warning

_CHECKED = "`nexus-bench verify` checks every file, label and split of this folder."
_OF_GRAPHS = (
    "An example is one query with the facts of its graph; `hop` is the true number of facts that derive the",
    f"answer. {_CHECKED}",
)
_OF_SEQUENCES = (
    "A graph is a sequence: its facts are the tokens in their order, -1 after the end. Each place has an answer, -1",
    "for none, and `hop`, the true number of hops that derive it, 0 for none. An example is a label.",
    _CHECKED,
)
_LIBRARY_SPLITS = {"val": "validation"}  # names that the `datasets` library expects; other names are kept


def dataset_card(manifest: dict[str, Any]) -> str:
    """The card of a dataset.

    Args:
        manifest: The complete manifest of the dataset.

    Returns:
        Markdown after a YAML head that names the file of each split.
    """
    origin = manifest["origin"]
    files = [
        {"split": _LIBRARY_SPLITS.get(split, split), "path": about["file"]}
        for split, about in manifest["splits"].items()
    ]
    head = {
        "pretty_name": f"nexus-bench {manifest['task']}, hops {format_hops(tuple(manifest['hops']))}",
        **_license(origin["licence"]),
        "tags": ["multi-hop-reasoning", "synthetic"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    schema = manifest["schema"]
    rows = [f"| `{s}` | {manifest['n_graphs'][s]:,} | {a['n_examples']:,} |" for s, a in manifest["splits"].items()]
    facts, query = (
        ", ".join(f"{role['name']} ({role['vocabulary']})" for role in schema[key]) for key in ("fact", "query")
    )
    params = ", ".join(f"{name} {'null' if value is None else value}" for name, value in manifest["params"].items())
    warning = order_warning(TextOptions.model_validate(manifest.get("text", {})))
    return "\n".join(
        [
            "---",
            yaml.safe_dump(head, sort_keys=False).rstrip(),
            "---",
            "",
            f"# {head['pretty_name']}",
            "",
            str(task_defaults(manifest["task"]).get("summary", "")),
            "",
            *([f"- a fact: {facts}", f"- a query: {query}"] if query else [f"- a place of a sequence: {facts}"]),
            f"- the answer: {schema['answer']}, one of {schema['vocabularies'][schema['answer']]}",
            f"- reasoning: {manifest['reasoning']}",
            f"- parameters: {params}; seed {manifest['seed']}",
            f"- content SHA-256: `{manifest['content_sha256']}`",
            *([] if warning is None else [f"- {warning}"]),
            "",
            *(_OF_GRAPHS if query else _OF_SEQUENCES),
            "",
            "| split | graphs | examples |",
            "|---|---|---|",
            *rows,
            "",
            f"Made by nexus-bench {manifest['nexus_bench']}, version {manifest['task_version']} of the task"
            f"{_of(origin)}.",
            "",
        ]
    )


def _license(licence: str | None) -> dict[str, str]:
    """The licence as the head of a card has it: an identifier in small letters, or `other` and its name."""
    if licence is None:
        return {"license": "unknown"}
    if re.fullmatch(r"[A-Za-z0-9.+-]+", licence):
        return {"license": licence.lower()}
    return {"license": "other", "license_name": licence}


def _of(origin: Row) -> str:
    """The package of a task that is not of nexus-bench."""
    if origin["package"] == OURS["package"]:
        return ""
    return f", which is of {origin['package']}" + (f" {origin['version']}" if origin["version"] else "")
