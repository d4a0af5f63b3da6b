"""Answers of any model, scored by hop into rows of results.csv."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexus_bench.data.dataset import Dataset, read_dataset
from nexus_bench.data.lm_eval import told_as
from nexus_bench.data.splits import HeldOut
from nexus_bench.data.task import law_of
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.columns import COLUMNS, IID, MEASURED, SCORED, TEST, VAL, Row
from nexus_bench.io.config import check_name
from nexus_bench.io.csv_files import beginning
from nexus_bench.io.files import keep_others, parse_json, read_text, sha256
from nexus_bench.io.packed import packed
from nexus_bench.io.read_results import RESULTS
from nexus_bench.report.build import Report
from nexus_bench.report.output import REPORT_FILES, report
from nexus_bench.shortcuts.references import columns_in_order, reference_columns, task_columns
from nexus_bench.text.answers import plain_answer
from nexus_bench.text.render import TextOptions, TextRenderer, order_warning
from nexus_bench.version import __version__

_PACKED = packed(Path(RESULTS)).name


class ScoringResult(NamedTuple):
    """The scores of another model.

    Attributes:
        rows: Rows of results.csv.
        n_answered: Number of examples answered.
        n_examples: Number of examples of the split.
        warning: What must stand beside the scores; None if the sentences were shuffled.
        report: The report; None for splits other than the test split.
        files: The files written.
    """

    rows: list[Row]
    n_answered: int
    n_examples: int
    warning: str | None
    report: Report | None
    files: list[Path]


def score(
    predictions: Path, data: Path, *, split: str = TEST, model: str | None = None, out: Path | None = None
) -> ScoringResult:
    """Score a file of predictions into its own run folder, and report the scores.

    Args:
        predictions: JSON lines, as `score_predictions` reads them.
        data: The dataset folder that the model was evaluated on.
        split: The split of the dataset.
        model: A name for the model; None takes the name of the file.
        out: The run folder; None takes one under `runs/`.

    Raises:
        ConfigError: A line is not a prediction, or there is no such split.
        CorruptArtefactError: The dataset is damaged.
        StorageError: A file cannot be read or written.
        UsageError: The folder holds the results of something else.
    """
    tables = [RESULTS, *([_PACKED] if out is not None and (out / _PACKED).is_file() else [])]  # a folder is not touched
    keep_others(out, REPORT_FILES | dict.fromkeys(tables, beginning(COLUMNS)))
    name = check_name(predictions.stem if model is None else model, what="--model")
    dataset = read_dataset(data)
    rows = score_predictions(predictions, dataset, split=split, model=name)
    suite = f"score-{name}" if split == TEST else f"score-{name}-{split}"
    folder = RunFolder(out or Path("runs") / suite)
    folder.write_rows(suite, rows)
    built, files = report([folder.path], folder.path) if split == TEST else (None, [])
    n_answered = sum(row["n_examples"] for row in rows)
    warning = order_warning(told_as(predictions, dataset.manifest))
    return ScoringResult(
        rows, n_answered, dataset.splits[split].answer.size, warning, built, [folder.results_csv, *files]
    )


def score_predictions(path: Path, dataset: Dataset, *, split: str, model: str) -> list[Row]:
    """Score a file of predictions.

    A line is `{"graph": 0, "query": 2, "prediction": "..."}`, as `gen --format text` numbers them, or a sample that the
    Language Model Evaluation Harness logged for a task of `nexus-bench export`. A prediction is right if it is the
    answer; text up to "answer is" or "answer:", text behind a sentence that begins with "So the answer is", case, and
    surrounding punctuation are ignored.

    Sentences in the order of the derivation void chance and ceilings: these columns are empty then, the shortcut is
    what a name in the first or last sentence gives, and `task_options` says the order.

    Args:
        path: JSON lines.
        dataset: The dataset that the model was evaluated on.
        split: The split of the dataset.
        model: The name of the model.

    Returns:
        One row per hop with at least one answer.

    Raises:
        ConfigError: There is no such split, or a line is not a prediction of an example in it.
        StorageError: The file cannot be read.
    """
    if split not in dataset.splits:
        raise ConfigError(f"the dataset has no split '{split}'; it has {', '.join(sorted(dataset.splits))}")
    laws = dataset.spec.laws()
    law, examples = law_of(split, laws), dataset.splits[split]
    words = [plain_answer(word) for word in TextRenderer(law.family, TextOptions()).grammar.answers]
    n_graphs, n_queries = examples.answer.shape
    is_answered = np.zeros((n_graphs, n_queries), dtype=np.bool_)
    is_right = np.zeros_like(is_answered)
    text = read_text(path)
    for number, line in enumerate(io.StringIO(text), start=1):  # at \n alone, unlike splitlines
        where = f"{path}:{number}"
        graph, query, prediction = _prediction(line, where=where)
        if not (0 <= graph < n_graphs and 0 <= query < n_queries):
            raise ConfigError(
                f"{where}: {split} has graphs 0..{n_graphs - 1} with queries 0..{n_queries - 1}, "
                f"got graph {graph}, query {query}; is it from another dataset?"
            )
        if is_answered[graph, query]:
            raise ConfigError(f"{where}: graph {graph}, query {query} is answered twice; keep one")
        is_answered[graph, query] = True
        is_right[graph, query] = plain_answer(prediction) == words[examples.answer[graph, query]]
    if not is_answered.any():
        raise ConfigError(f"{path}: holds no prediction; write one JSON line per example")
    task, references = columns_beside(dataset, split, told_as(path, dataset.manifest))
    cell_id = sha256(f"{model}\n{split}\n{dataset.manifest['content_sha256']}\n{text}".encode())[:16]
    common = {
        "cell_id": cell_id,
        **task,
        "n_facts": law.family.n_facts,
        "encoding": "text",
        "attention": "external",
        "seed": dataset.manifest["seed"],
        "split": split,
        "status": SCORED,
        "purpose": MEASURED,
        "version": __version__,
        "model": model,
    }
    rows = []
    for hop, reference in references.items():
        here = is_answered & (examples.hop == hop)
        n, n_correct = int(here.sum()), int(is_right[here].sum())
        if n:
            rows.append(
                common | {"hop": hop, "n_examples": n, "n_correct": n_correct, "accuracy": n_correct / n} | reference
            )
    return rows


class SplitColumns(NamedTuple):
    """The columns of results that are the same for every model that answers a split in English.

    Attributes:
        task: Those that describe the task.
        references: Chance, shortcut and partial-input ceiling, by hop.
    """

    task: Row
    references: dict[int, Row]


def columns_beside(dataset: Dataset, split: str, text: TextOptions) -> SplitColumns:
    """The columns that are known before anything is answered.

    Args:
        dataset: The dataset.
        split: The split of it that is answered.
        text: How it is written in English; sentences in the order of the derivation void chance and ceilings.
    """
    laws = dataset.spec.laws()
    held = HeldOut(law_of(split, laws), dataset.splits[split])
    if order_warning(text) is not None:
        return SplitColumns(
            task_columns(dataset.spec, sentences=text.sentences), columns_in_order(held, text.sentences)
        )
    fit = dataset.splits[VAL if split == TEST else TEST]
    return SplitColumns(task_columns(dataset.spec), reference_columns(fit, held, laws[IID].schema))


def _prediction(line: str, *, where: str) -> tuple[int, int, str]:
    """The graph, the query and the answer of a line."""
    try:
        row: Any = parse_json(line)
        asked = row.get("doc", row)
        graph, query = asked["graph"], asked["query"]
        prediction = row["prediction"] if "prediction" in row else _harness_answer(row)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConfigError(
            f'{where}: is not a prediction; write {{"graph": 0, "query": 0, "prediction": "..."}}, one per line'
        ) from error
    if type(graph) is not int or type(query) is not int or not isinstance(prediction, str):
        raise ConfigError(f"{where}: graph and query must be numbers and prediction a string")
    return graph, query, prediction


def _harness_answer(sample: dict[str, Any]) -> str:
    """The answer of a logged sample: the text, or the likeliest choice."""
    answers = sample["filtered_resps"]
    if isinstance(answers[0], str):
        return str(answers[0])
    likelihood = [float(answer[0]) for answer in answers]
    return str(sample["doc"]["choices"][int(np.argmax(likelihood))])
