"""Croissant metadata of a dataset, which search engines and loaders of data read: `croissant.json`.

Source: the Croissant format, version 1.0, of MLCommons (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).
"""

import re
from typing import Any

from nexus_bench.generators.defaults import task_defaults
from nexus_bench.io.columns import Row
from nexus_bench.io.hops import format_hops

_TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT: Row = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{term: f"cr:{term}" for term in _TERMS},
    "conformsTo": "dct:conformsTo",
}
_INT, _INTS, _TEXT, _MESSAGES = "sc:Integer", "integers", "sc:Text", "messages"  # kinds of fields
_TOLD = {
    "text": [("prompt", _TEXT, "facts and question in English"), ("completion", _TEXT, "the answer in English")],
    "chat": [("messages", _MESSAGES, "the prompt of a user and the answer of an assistant, in English")],
}
_MEDIA = {
    "npz": "application/zip",
    "csv": "text/csv",
    "jsonl": "application/jsonlines",
    "parquet": "application/x-parquet",
    "text": "application/jsonlines",
    "chat": "application/jsonlines",
}


def croissant(manifest: dict[str, Any]) -> Row:
    """What a Croissant file says of a dataset: its files with their hashes, and a record set for each split.

    A record is one example. The arrays of `npz` are named as columns, but Croissant 1.0 has no way to read them.

    Args:
        manifest: The manifest of the dataset, with its splits.
    """
    hops = format_hops(tuple(manifest["hops"]))
    summary = str(task_defaults(manifest["task"]).get("summary", ""))
    splits = manifest["splits"]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"nexus-bench-{manifest['task']}-hops-{hops.replace(',', '-')}-seed-{manifest['seed']}",
        "description": f"{summary} Synthetic examples of multi-hop reasoning, hops {hops}.".strip(),
        **_license(manifest["origin"]["licence"]),
        "version": f"{manifest['task_version']}.0.0",
        "keywords": ["multi-hop-reasoning", "synthetic"],
        "distribution": [_file(about, manifest["file_format"]) for about in splits.values()],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": split,
                "name": split,
                "description": f"{about['n_examples']} examples on {manifest['n_graphs'][split]} graphs.",
                "field": [_field(split, about["file"], *field) for field in _fields(manifest)],
            }
            for split, about in splits.items()
        ],
    }


def _license(licence: str | None) -> Row:
    """An identifier of SPDX as its address, any other licence by its name; nothing if it is unknown."""
    if licence is None:
        return {}
    is_identifier = re.fullmatch(r"[A-Za-z0-9.+-]+", licence)
    return {"license": f"https://spdx.org/licenses/{licence}.html" if is_identifier else licence}


def _file(about: Row, file_format: str) -> Row:
    """The file of a split."""
    return {
        "@type": "cr:FileObject",
        "@id": about["file"],
        "name": about["file"],
        "contentUrl": about["file"],
        "contentSize": f"{about['n_bytes']} B",
        "encodingFormat": _MEDIA[file_format],
        "sha256": about["sha256"],
    }


def _fields(manifest: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, type and meaning of the fields of an example, in the order of its file."""
    schema, file_format = manifest["schema"], manifest["file_format"]
    fact, query = (", ".join(role["name"] for role in schema[part]) for part in ("fact", "query"))
    graph = ("graph", _INT, "the number of the graph in its split")
    of_hop = "how many facts derive the answer"
    if file_format in ("text", "chat"):
        asked = ("query", _INT, "the number of the query on its graph")
        return [graph, asked, *_TOLD[file_format], ("answer", _TEXT, "the word of the answer"), ("hop", _INT, of_hop)]
    lists, number = _TEXT if file_format == "csv" else _INTS, _INTS if file_format == "npz" else _INT
    if not schema["query"]:  # a sequence is one record
        number = lists
    arrays = [
        ("facts", lists, f"the facts of the graph, each a list of: {fact}"),
        ("query", lists, f"the query, a list of: {query}"),
        ("answer", number, f"the answer: {schema['answer']}"),
        ("hop", number, of_hop),
    ]
    return arrays if file_format == "npz" else [graph, *arrays]


def _field(split: str, file: str, name: str, kind: str, description: str) -> Row:
    """A field; its source is the column of its name."""
    here = {"@type": "cr:Field", "@id": f"{split}/{name}", "name": name, "description": description}
    column: Row = {"fileObject": {"@id": file}, "extract": {"column": name}}
    if kind == _MESSAGES:
        parts = [
            {
                **{"@type": "cr:Field", "@id": f"{split}/{name}/{part}", "name": part, "dataType": _TEXT},
                "source": column | {"transform": {"jsonPath": part}},
            }
            for part in ("role", "content")
        ]
        return here | {"repeated": True, "subField": parts}
    is_list = {"repeated": True} if kind == _INTS else {}
    return here | {"dataType": _TEXT if kind == _TEXT else _INT, "source": column} | is_list
