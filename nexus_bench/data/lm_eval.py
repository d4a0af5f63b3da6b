"""Test examples as tasks of the Language Model Evaluation Harness, which runs them offline.

One folder holds one file of examples per hop; one task per hop and kind (`choice`: the likeliest of the possible
answers; `generate`: what the model writes; or, where steps are asked for, `derive`: the answer at their end); one group
per kind; and the few lines of code that load the files.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nexus_bench.data.dataset import Dataset
from nexus_bench.data.formats import pyarrow_and_parquet
from nexus_bench.data.law import text_examples
from nexus_bench.data.manifest import Manifest
from nexus_bench.data.task import law_of
from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.io.columns import TEST
from nexus_bench.io.entries import validate
from nexus_bench.io.files import write_atomic
from nexus_bench.streams import Int
from nexus_bench.text.answers import AT_THE_END
from nexus_bench.text.render import TextOptions, TextRenderer, order_warning

FILE_FORMATS = ("jsonl", "parquet")
KINDS = {"answer": ("choice", "generate"), "steps": ("derive",)}  # by what is asked for
ASKED, DERIVED = "\nAnswer:", "\nSteps:"  # after the prompt, where the answer follows, or the steps and then the answer
DELIMITER = " "  # between that and what follows
_ORDER = "sentences"  # of an exported example, if they are not shuffled

_LOADER = '''"""Loads the examples from the folder of this file; nothing is downloaded."""

from pathlib import Path

import datasets


def load(file, **metadata):
    reader = datasets.Dataset.from_parquet if file.endswith(".parquet") else datasets.Dataset.from_json
    path = Path(__file__).with_name(file)
    return datasets.DatasetDict(test=reader(str(path), cache_dir=str(path.with_name(".cache"))))
'''
_EXACT_MATCH = {
    "metric": "exact_match",
    "aggregation": "mean",
    "higher_is_better": True,
    "ignore_case": True,
    "ignore_punctuation": True,
}
SCORED: dict[str, dict[str, Any]] = {
    "choice": {
        "output_type": "multiple_choice",
        "doc_to_choice": "choices",
        "doc_to_target": "label",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    },
    "generate": {
        "output_type": "generate_until",
        "doc_to_target": "answer",
        "generation_kwargs": {"until": ["\n", "."], "do_sample": False, "max_gen_toks": 32},
        "metric_list": [_EXACT_MATCH],
        "filter_list": [
            {"name": "stripped", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}
        ],
    },
    "derive": {
        "output_type": "generate_until",
        "doc_to_target": "answer",
        "fewshot_config": {"doc_to_target": "steps"},  # examples before a question show their derivations
        "generation_kwargs": {"until": ["\n"], "do_sample": False, "max_gen_toks": 256},
        "metric_list": [_EXACT_MATCH],
        "filter_list": [
            {
                "name": "stripped",
                "filter": [
                    {"function": "regex", "regex_pattern": AT_THE_END, "group_select": -1},
                    {"function": "take_first"},
                ],
            }
        ],
    },
}


def export_lm_eval(
    folder: Path, dataset: Dataset, *, split: str, n_per_hop: int, text: TextOptions, file_format: str
) -> list[str]:
    """Write the examples of a split as tasks of the harness.

    Args:
        folder: The folder to write; must be empty or absent.
        dataset: The examples.
        split: The split to export.
        n_per_hop: Largest number of examples per hop.
        text: How they are written in English.
        file_format: One of FILE_FORMATS.

    Returns:
        The names of the groups in the harness.

    Raises:
        ConfigError: There is no such split, or pyarrow is missing.
        StorageError: The folder cannot be written.
        UsageError: The folder holds something else.
    """
    if split not in dataset.splits:
        raise ConfigError(f"the dataset has no split '{split}'; it has {', '.join(sorted(dataset.splits))}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: holds something, which is kept; choose another --out")
    prefix = f"nexus_{dataset.spec.task}" + ("" if split == TEST else f"_{split}")
    rows, kinds = documents(dataset, split, text, n_per_hop), KINDS[text.target]
    write_atomic(folder / "utils.py", _LOADER)
    asked = DERIVED if text.target == "steps" else ASKED
    names: dict[str, list[str]] = {kind: [] for kind in kinds}
    metadata = {
        "version": dataset.manifest["task_version"],
        "content_sha256": dataset.manifest["content_sha256"],
        "seed": dataset.manifest["seed"],
        **_order(text),
    }
    for hop, here in rows.items():
        file = f"{split}-hop{hop}.{file_format}"
        _write_rows(folder / file, here)
        for kind in kinds:
            name = f"{prefix}_hop{hop}_{kind}"
            names[kind].append(name)
            config = {
                "task": name,
                "custom_dataset": "!function utils.load",
                "dataset_kwargs": {"file": file},
                "test_split": "test",
                "doc_to_text": "{{prompt}}" + asked,
                "target_delimiter": DELIMITER,
                **_scored(kind, here),
                "metadata": metadata,
            }
            write_atomic(folder / f"{name}.yaml", _as_yaml(config))
    for kind in kinds:
        metric = SCORED[kind]["metric_list"][0]["metric"]
        mean: dict[str, Any] = {"metric": metric, "aggregation": "mean", "weight_by_size": True}
        if "filter_list" in SCORED[kind]:
            mean["filter_list"] = ["stripped"]
        group = {
            "group": f"{prefix}_{kind}",
            "task": names[kind],
            "aggregate_metric_list": [mean],
            "metadata": metadata,
        }
        write_atomic(folder / f"_{prefix}_{kind}.yaml", _as_yaml(group))
    return [f"{prefix}_{kind}" for kind in kinds]


def documents(dataset: Dataset, split: str, text: TextOptions, n_per_hop: int) -> dict[int, list[dict[str, Any]]]:
    """What the harness calls documents, by hop: the first examples of a split, each with the answers to choose from."""
    law = law_of(split, dataset.spec.laws())
    renderer = TextRenderer(law.family, text)
    rows: dict[int, list[dict[str, Any]]] = {hop: [] for hop in law.family.hops}
    examples = dataset.splits[split]
    choices_of = Choices(law.family, examples)
    for graph in range(examples.n_graphs):
        if all(len(here) >= n_per_hop for here in rows.values()):
            break
        one: Examples = examples.take(slice(graph, graph + 1))
        for example in text_examples(renderer, law, one, first_graph=graph):
            if len(rows[example.hop]) < n_per_hop:
                choices = choices_of(graph, example.hop)
                rows[example.hop].append(
                    {
                        "graph": example.graph,
                        "query": example.query,
                        "hop": example.hop,
                        **_order(text),
                        "prompt": example.prompt,
                        "answer": example.answer,
                        **({"steps": example.completion} if text.target == "steps" else {}),
                        "choices": [renderer.grammar.answers[choice] for choice in choices],
                        "label": int(np.searchsorted(choices, one.answer[0, example.query])),
                    }
                )
    return rows


def told_as(predictions: Path, manifest: Manifest) -> TextOptions:
    """How the examples were told that these lines answer: as an export says in its samples, else as the dataset is."""
    text = TextOptions.model_validate(manifest.get("text", {}))
    with predictions.open(encoding="utf-8") as lines:
        row = json.loads(next(lines))
    return TextOptions.model_validate(text.model_dump() | {k: v for k, v in row.get("doc", row).items() if k == _ORDER})


def told_in(manifest: Manifest, told: dict[str, Any]) -> tuple[TextOptions, str | None]:
    """How the examples of a dataset are told, by default for their answers alone, and what must stand beside scores.

    Args:
        manifest: Of the dataset.
        told: Settings that differ from the dataset's.

    Raises:
        ConfigError: A setting is not possible.
    """
    as_told = {key: value for key, value in manifest.get("text", {}).items() if key != "target"}
    text = validate(TextOptions, as_told | told, where="text")
    return text, order_warning(text)


def _order(text: TextOptions) -> dict[str, str]:
    """The order of the sentences, where it shows the order of the derivation; the scores of such examples say so."""
    return {} if order_warning(text) is None else {_ORDER: text.sentences}


def _scored(kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How these rows are scored, with room to write the longest derivation: its tokens are no more than its bytes."""
    scored = SCORED[kind]
    if kind != "derive":
        return scored
    longest = max((len(row["steps"].encode()) for row in rows), default=0)
    generated = scored["generation_kwargs"]
    return {**scored, "generation_kwargs": {**generated, "max_gen_toks": max(longest, generated["max_gen_toks"])}}


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".jsonl":
        write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows))
        return
    arrow, parquet = pyarrow_and_parquet()
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pylist(rows), sink, compression="zstd", write_page_checksum=True)
    write_atomic(path, sink.getvalue().to_pybytes())


def _as_yaml(config: dict[str, Any]) -> str:
    """YAML, with the tag that the harness uses for a function."""
    text: str = yaml.safe_dump(config, sort_keys=False, width=1000)
    return text.replace("'!function utils.load'", "!function utils.load")


class Choices:
    """The answers to choose from, collected from the examples of a split.

    If facts contain symbols that could be answers, and there are more such symbols than facts in a graph: the symbols
    in the facts of the graph that are ever an answer in the split, and every answer of the split that never occurs in
    facts. Otherwise every answer of the split at that hop.

    Args:
        family: The family at one setting.
        examples: All of the split.
    """

    def __init__(self, family: Generator[Any], examples: Examples) -> None:
        columns = [i for i, role in enumerate(family.schema.fact) if role.vocabulary == family.schema.answer]
        self._at_hop = {hop: np.unique(examples.answer[examples.hop == hop]) for hop in family.hops}
        self._in_facts: Int | None = None
        if columns and family.schema.n_classes > family.n_facts:
            self._in_facts = examples.facts[:, :, columns].reshape(examples.n_graphs, -1)
            self._ever = np.unique(examples.answer)
            is_inside = (self._in_facts[:, None, :] == examples.answer[:, :, None]).any(axis=2)
            self._outside = np.unique(examples.answer[~is_inside])

    def __call__(self, graph: int, hop: int) -> Int:
        """Class ids of one graph at one hop, ascending."""
        if self._in_facts is None:
            return self._at_hop[hop]
        return np.union1d(np.intersect1d(self._in_facts[graph], self._ever), self._outside)
